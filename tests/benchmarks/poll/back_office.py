"""A simulated back office, which serves rows over HTTP in a process of its own.

``GET /products/<id>`` returns one row. ``GET /changes?since=<ms>`` returns the rows that changed at this time or later,
in pages, oldest first. The process reads commands from standard input, one JSON object per line.

With the command-line argument ``slow``, each response takes 20 ms, as a real back office's does. The command ``begin``
makes a slow back office stall and then go down, as :class:`Phases` says.
"""

import asyncio
import json
import random
import resource
import socket
import sys
import threading
import time
from bisect import bisect_left
from collections import Counter
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.benchmarks.poll.phases import Phases

BEAT = "beat"
"""The id of a special row. Its text is the time at which the back office served this row. A client of Readplane
subtracts this time from the current time, and so learns how old the data in a response is."""

FIRST_MS = 1_735_689_600_000
"""The modification time of the oldest row, in Unix milliseconds."""

RESPONSE_SECONDS = 0.020
"""How long a slow back office takes for a response, in seconds."""
STALL_SHARE = 0.01
"""The share of responses that a slow back office stalls during the phase ``stalling``."""
STALL_SECONDS = (1.0, 3.0)
"""The shortest and the longest time that a stalled response takes, in seconds."""
SEED = 4711

_TEXT = "Boils a litre and a half in under three minutes and switches itself off. "


def modified_ms(number: int) -> int:
    """Return the modification time of the row with this number, in Unix milliseconds.

    Each group of four rows has the same time, as after a batch job. The time of the next group is a second later.
    """
    return FIRST_MS + number // 4 * 1000


def item_id(number: int) -> str:
    """Return the id of the row with this number."""
    return f"p-{number:07}"


class Rows:
    """The rows of the simulated back office. It doesn't store rows but computes them for each response."""

    def __init__(self, number: int, size: int, beats: bool) -> None:
        """Set the number and the size of the rows.

        :param number: the number of rows without the row :data:`BEAT`.
        :param size: the approximate size of each row, in bytes.
        :param beats: whether the row :data:`BEAT` exists too. This row is always the newest row.
        """
        self._number = number
        self._beats = beats
        self._description = (_TEXT * (size // len(_TEXT) + 1))[: max(1, size - 110)]

    def one(self, name: str) -> str | None:
        """Return the JSON of the row with the id ``name``; ``None`` if there is no such row."""
        if name == BEAT:
            return self._beat() if self._beats else None
        number = int(name[2:]) if name[:2] == "p-" and name[2:].isdecimal() else self._number
        return self._row(number) if number < self._number else None

    def page(self, since_ms: int, after: int, size: int) -> tuple[list[str], int | None]:
        """Return one page of the rows that changed at ``since_ms`` or later, and the index where the next page starts.

        :param after: the index of this page's first row. 0 means the first row that changed at ``since_ms`` or later.
        :param size: the greatest number of rows in the page, without the row :data:`BEAT`.
        :returns: the JSON of each row, and the index; the index is ``None`` after the last page.
        """
        first = after or bisect_left(range(self._number), since_ms, key=modified_ms)
        last = min(first + size, self._number)
        rows = [self._row(number) for number in range(first, last)]
        if last < self._number:
            return rows, last
        return [*rows, self._beat()] if self._beats else rows, None

    def _row(self, number: int) -> str:
        return (
            f'{{"code":"{item_id(number)}","title":"Product {number}","price":{number % 10_000 / 100},'
            f'"text":"{self._description}","modified":{modified_ms(number)},"removed":0}}'
        )

    def _beat(self) -> str:
        now = time.time()
        return (
            f'{{"code":"{BEAT}","title":"Beat","price":0.0,"text":"{now:.3f}",'
            f'"modified":{int(now * 1000)},"removed":0}}'
        )


class BackOffice:
    """The HTTP server of the simulated back office. All its connections share one event loop."""

    def __init__(self, rows: Rows, page: int, slow: bool) -> None:
        self._rows = rows
        self._page = page
        self._slow = slow
        self._chance = random.Random(SEED)
        self._phases: Phases | None = None
        self._start = 0.0
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.counts: Counter[str] = Counter()
        # Bind this socket, but don't listen on it. While the back office refuses connections, it has no other socket on
        # the port. This socket then keeps other programs from taking the port.
        self._holder = _bound(0)
        self.port: int = self._holder.getsockname()[1]

    async def open(self) -> None:
        """Listen for connections on the reserved port."""
        listener = _bound(self.port)
        self._server = await asyncio.start_server(self._serve, sock=listener, backlog=1024)

    async def begin(self, phases: Phases, start: float) -> None:
        """Run the phases of the outage benchmark: calm, stalling, down and recovered.

        Random numbers decide which responses stall. Their seed is fixed, so that every run stalls the same responses.

        :param start: the time at which the first phase begins, on the monotonic clock.
        """
        self._phases, self._start = phases, start
        self._chance.seed(SEED)
        self.counts.clear()
        await _until(start + phases.down_at)
        assert self._server
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await _until(start + phases.hangs_at)
        await self.open()

    def _phase(self) -> str:
        return self._phases.at(time.monotonic() - self._start) if self._phases else "recovered"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                target = head.split(b" ", 2)[1].decode()
                self.counts["changes" if target.startswith("/changes") else "rows"] += 1
                # Find the row before the delay, so that the delay counts as a part of the row's age.
                status, body = self._find(target)
                await self._delay(reader)
                writer.write(
                    b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                    % (status, len(body), body)
                )
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return  # the client has closed this connection, or begin() has aborted it because the outage began
        finally:
            self._open.discard(writer)
            writer.close()

    async def _delay(self, reader: asyncio.StreamReader) -> None:
        if not self._slow:
            return
        phase = self._phase()
        if phase == "down":
            await reader.read(1)  # never respond, but wait until the client gives up and closes the connection
            raise ConnectionResetError
        stalls = phase == "stalling" and self._chance.random() < STALL_SHARE
        await asyncio.sleep(self._chance.uniform(*STALL_SECONDS) if stalls else RESPONSE_SECONDS)

    def _find(self, target: str) -> tuple[bytes, bytes]:
        parts = urlsplit(target)
        if parts.path == "/changes":
            query = {name: int(values[0]) for name, values in parse_qs(parts.query).items()}
            since = query.get("since", 0)
            rows, next_index = self._rows.page(since, query.get("after", 0), self._page)
            url = f"http://127.0.0.1:{self.port}/changes?since={since}&after={next_index}"
            next_url = json.dumps(url if next_index else None)
            return b"200 OK", f'{{"rows":[{",".join(rows)}],"next_url":{next_url}}}'.encode()
        row = self._rows.one(parts.path.rpartition("/")[2])
        return (b"200 OK", row.encode()) if row else (b"404 Not Found", b"{}")


def allow_many_connections() -> None:
    """Raise the limit of open files of this process, because it can have thousands of hanging connections at once."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = 65_536 if most == resource.RLIM_INFINITY else min(most, 65_536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


async def _until(moment: float) -> None:
    await asyncio.sleep(moment - time.monotonic())


async def _main(office: BackOffice) -> None:
    await office.open()
    print(json.dumps({"port": office.port}), flush=True)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    async def do(command: dict[str, Any]) -> None:
        if command["do"] == "begin":
            tasks.append(asyncio.create_task(office.begin(Phases(*command["phases"]), command["start"])))
        print(json.dumps({"counts": dict(office.counts), "cpu": time.process_time()}), flush=True)

    def listen() -> None:
        for line in sys.stdin:
            asyncio.run_coroutine_threadsafe(do(json.loads(line)), loop).result()
        loop.call_soon_threadsafe(ended.set)

    tasks: list[asyncio.Task[None]] = []
    threading.Thread(target=listen, daemon=True).start()
    await ended.wait()


if __name__ == "__main__":
    allow_many_connections()
    number, size, page, *options = sys.argv[1:]
    slow = "slow" in options
    asyncio.run(_main(BackOffice(Rows(int(number), int(size), slow), int(page), slow)))
