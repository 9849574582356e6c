"""The clients of one target, in an open or a closed loop. They run in a process of their own.

In the open loop, requests are due at a fixed rate, even if earlier requests are still waiting. In the closed loop, each
client waits for its response and then pauses until its next request is due. The time of a request counts from when it
was due, not from when it was sent, so the measurement includes every wait. All times are on the monotonic clock, which
all processes of a machine share.
"""

import asyncio
import gc
import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.poll.back_office import BEAT, allow_many_connections, item_id

CLIENT_TIMEOUT = 10.0
"""Seconds that a client waits for a response before it gives up."""

BEAT_EVERY = 10
"""One in this many requests reads the row :data:`BEAT`."""


class Plan(NamedTuple):
    """What one process of clients does.

    port: the target's port on this machine.
    start: when the first request is due, on the monotonic clock.
    seconds: the time during which requests become due, in seconds.
    rows: how many different rows the requests read, besides the row :data:`BEAT`.
    rate: requests a second in the open loop; 0 for the closed loop.
    clients: the number of clients in the closed loop.
    think: the seconds that a client of the closed loop pauses between a response and its next request.
    """

    port: int
    start: float
    seconds: float
    rows: int
    rate: float
    clients: int
    think: float


class Sample(NamedTuple):
    """The outcome of one request. All times are in seconds.

    at: when the request was due, counted from the start of the plan.
    took: the time from when the request was due until its response ended.
    late: the time from when the request was due until the client sent it.
    good: True if the response is a 200 with the right item.
    age: the age of the row :data:`BEAT` when it arrived; ``None`` for any other row, or if the response isn't good.
    """

    at: float
    took: float
    late: float
    good: bool
    age: float | None


class Clients:
    """All clients of one target."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._idle: list[_Connection] = []
        self._number = 0
        self.samples: list[Sample] = []

    async def run(self) -> None:
        """Send all requests and wait for the responses."""
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
        name = item_id(self._number * 7919 % self._plan.rows) if self._number % BEAT_EVERY else BEAT
        sent = time.monotonic()
        body = await self._body(name)
        done = time.monotonic()
        good = body.startswith(f'{{"id":"{name}",'.encode())
        age = time.time() - float(json.loads(body)["data"]["description"]) if good and name == BEAT else None
        self.samples.append(Sample(due - self._plan.start, done - due, sent - due, good, age))

    async def _body(self, name: str) -> bytes:
        """Request an item; return the body of the response, or nothing if the status isn't 200 or the request fails."""
        connection = self._idle.pop() if self._idle else _Connection(self._plan.port)
        try:
            async with asyncio.timeout(CLIENT_TIMEOUT):
                status, body = await connection.get(f"/items/products/{name}")
        except (OSError, ValueError, asyncio.IncompleteReadError):  # a TimeoutError is an OSError
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
    """Run the plan in the first argument; write the samples to the file that the second argument names."""
    allow_many_connections()
    plan, out = Plan(**json.loads(sys.argv[1])), Path(sys.argv[2])
    clients = Clients(plan)
    print("{}", flush=True)
    gc.disable()  # a pause of this process would look like a delay of the target
    asyncio.run(clients.run())
    out.write_text(json.dumps(clients.samples))
    print(json.dumps({"samples": len(clients.samples), "cpu": time.process_time()}), flush=True)


if __name__ == "__main__":
    main()
