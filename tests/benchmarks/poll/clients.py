"""The clients of the outage benchmark. One process of clients sends requests to one target, in an open or closed loop.

In the open loop, requests are due at a fixed rate, even if earlier requests still wait for their responses. In the
closed loop, each client waits for its response and then pauses until its next request is due. The time that a request
takes counts from when the request was due, not from when the client sent it. So the time includes every delay.

All times are on the monotonic clock, because all processes of a machine share this clock.
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
"""How long a client waits for a response before it gives up, in seconds."""

BEAT_EVERY = 10
"""Every tenth request reads the item :data:`BEAT`, from which the client computes how old the served data is."""


class Plan(NamedTuple):
    """What one process of clients must do.

    port: the TCP port on this machine to which the clients send their requests.
    start: the time at which the first request is due, on the monotonic clock.
    seconds: the time from when the first request is due until no more requests become due, in seconds.
    rows: the number of different items that the requests read, without the item :data:`BEAT`.
    rate: the number of requests a second in the open loop; 0 for the closed loop.
    clients: the number of clients in the closed loop.
    think: the pause of a client in the closed loop between a response and the next request, in seconds.
    """

    port: int
    start: float
    seconds: float
    rows: int
    rate: float
    clients: int
    think: float


class Sample(NamedTuple):
    """The outcome of one client's request. All times are in seconds.

    at: the time at which the request was due, counted from ``Plan.start``.
    took: the time from when the request was due until the client had received the response or given up.
    late: the time from when the request was due until the client sent it.
    good: whether the response has the status 200 and the right item.
    age: the age of the item :data:`BEAT` when the client received it; ``None`` if the request was for another item or
        ``good`` is False.
    """

    at: float
    took: float
    late: float
    good: bool
    age: float | None


class Clients:
    """All clients that send requests to one target: Readplane's read model, or the proxy."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._idle: list[_Connection] = []
        self._number = 0
        self.samples: list[Sample] = []

    async def run(self) -> None:
        """Send all requests of the plan, and wait until each has its response or has failed."""
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
        """Send a GET of an item; return the body of the response, or empty bytes if the request fails."""
        connection = self._idle.pop() if self._idle else _Connection(self._plan.port)
        try:
            async with asyncio.timeout(CLIENT_TIMEOUT):
                status, body = await connection.get(f"/items/products/{name}")
        except (OSError, ValueError, asyncio.IncompleteReadError):  # TimeoutError is an OSError too
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
    """Run the clients, and write their samples to a file.

    The first command-line argument is the plan as JSON. The second argument is the path of the file for the samples.
    """
    allow_many_connections()
    plan, out = Plan(**json.loads(sys.argv[1])), Path(sys.argv[2])
    clients = Clients(plan)
    print("{}", flush=True)
    gc.disable()  # because a pause for garbage collection would look like a slow response
    asyncio.run(clients.run())
    out.write_text(json.dumps(clients.samples))
    print(json.dumps({"samples": len(clients.samples), "cpu": time.process_time()}), flush=True)


if __name__ == "__main__":
    main()
