"""The clients: so many requests a second whatever comes back, or so many clients in turn. A process of its own.

What is measured is on the monotonic clock, which all processes of a machine share. A request's time counts from when it
was due, not from when it could be sent, so that no wait is left out. In the open loop it is due whatever became of the
others; in the closed loop a client waits for its answer, and a while, until its next one is.
"""

import asyncio
import gc
import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.poll.back_office import BEAT, allow_many_connections, item_id

PATIENCE = 10.0
"""Seconds until a client gives up."""

BEATS = 10
"""Each so many-th request asks for the beat."""


class Plan(NamedTuple):
    """What one process does."""

    port: int
    start: float
    """On the monotonic clock."""
    seconds: float
    rows: int
    rate: float
    """Requests a second, 0 for the closed loop."""
    clients: int
    think: float
    """Seconds that a client of the closed loop waits between an answer and its next request."""


class Sample(NamedTuple):
    """One request. ``at`` and ``took`` are seconds, ``late`` how much later than due it was sent.

    ``age`` is the beat's age in seconds when it arrived; ``None`` for other rows, and without a good answer.
    """

    at: float
    took: float
    late: float
    good: bool
    age: float | None


class Clients:
    """One target's clients."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._idle: list[_Connection] = []
        self._number = 0
        self.samples: list[Sample] = []

    async def run(self) -> None:
        """Send all requests, and wait for their answers."""
        await (self._open_loop() if self._plan.rate else self._closed_loop())

    async def _open_loop(self) -> None:
        plan = self._plan
        async with asyncio.TaskGroup() as group:
            for number in range(int(plan.seconds * plan.rate)):
                due = plan.start + number / plan.rate
                if (pause := due - time.monotonic()) > 0:
                    await asyncio.sleep(pause)
                group.create_task(self._request(due))

    async def _closed_loop(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self._plan.clients):
                group.create_task(self._client(number / self._plan.clients))

    async def _client(self, share: float) -> None:
        plan = self._plan
        due = plan.start + share * plan.think
        while due < plan.start + plan.seconds:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self._request(due)
            due = time.monotonic() + plan.think

    async def _request(self, due: float) -> None:
        self._number += 1
        name = item_id(self._number * 7919 % self._plan.rows) if self._number % BEATS else BEAT
        sent = time.monotonic()
        body = await self._body(name)
        done = time.monotonic()
        good = body.startswith(f'{{"id":"{name}",'.encode())
        age = time.time() - float(json.loads(body)["data"]["description"]) if good and name == BEAT else None
        self.samples.append(Sample(due - self._plan.start, done - due, sent - due, good, age))

    async def _body(self, name: str) -> bytes:
        """An item as it was answered; nothing for anything but a 200."""
        connection = self._idle.pop() if self._idle else _Connection(self._plan.port)
        try:
            async with asyncio.timeout(PATIENCE):
                status, body = await connection.get(f"/items/products/{name}")
        except (OSError, ValueError, asyncio.IncompleteReadError):  # a time-out is an OSError too
            connection.close()
            return b""
        self._idle.append(connection)
        return body if status == 200 else b""


class _Connection:
    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nAccept: */*\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        size = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        return int(head.split(b" ", 2)[1]), await reader.readexactly(size)

    def close(self) -> None:
        if self._streams:
            self._streams[1].transport.abort()


def main() -> None:
    allow_many_connections()
    plan, out = Plan(**json.loads(sys.argv[1])), Path(sys.argv[2])
    clients = Clients(plan)
    print("{}", flush=True)
    gc.disable()  # a pause of ours would count as the target's
    asyncio.run(clients.run())
    out.write_text(json.dumps(clients.samples))
    print(json.dumps({"samples": len(clients.samples), "cpu": time.process_time()}), flush=True)


if __name__ == "__main__":
    main()
