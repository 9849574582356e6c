"""The client of a failover drill: it reads documents and writes items at fixed rates, and notes every response."""

from __future__ import annotations

import dataclasses
import heapq
import http.client
import itertools
import json
import queue
import threading
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, NamedTuple, Protocol

from ops.local.edge_clock import Clock

RETRY_SECONDS = 1.0
"""How long a client waits before it repeats a write that got no answer or a 5xx."""

TICK_SECONDS = 0.1
"""How often the drill looks at the switch that takes the primary Region away."""

SOON_SECONDS = 0.001
"""What is due within this time is done at once. A shorter wait can be too short to move a clock on."""

WRITE = "write"
"""The class of writes. The other classes are the visibilities of documents."""


class Call(NamedTuple):
    """A request that the client sends.

    kind: the class that the report counts it in: `public`, `authenticated`, `owner` or `write`
    url: the whole URL
    """

    kind: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""


class Answer(NamedTuple):
    """What the client sees of a response: the status (0 without a response), the first word of X-Cache, the body."""

    status: int
    cache: str = ""
    body: bytes = b""


class Sample(NamedTuple):
    """One request and its response. All times are seconds since the drill began.

    due: when the client was to send it. A client that waits for a free connection is late too.
    sent, ended: when it was sent, and when its response was there
    """

    kind: str
    due: float
    sent: float
    ended: float
    status: int
    cache: str

    @property
    def seconds(self) -> float:
        """How long the user of the client waited."""
        return self.ended - self.due


@dataclasses.dataclass
class Write:
    """One write of the client, which it repeats with the same Idempotency-Key until it is accepted.

    sent: how often the client sent it
    item_id, accepted_at: the item's id, and when the client got the 202; None until then
    refused: the status with which the stack refused the write for good; None if it didn't
    due: when the client was to send it first
    """

    key: str
    due: float
    sent: int = 0
    item_id: str | None = None
    accepted_at: float | None = None
    refused: int | None = None


class Load(NamedTuple):
    """What the client sends.

    reads: the requests for documents, which the client sends in turn
    reads_per_second, writes_per_second: the rates
    write_urls: where a write goes; a repeated one goes to the next. Without one, the client writes nothing.
    write_headers, write_body: the headers of a write, and its body for its number, a JSON text
    run: the name of the drill, with which every Idempotency-Key begins
    """

    reads: Sequence[Call]
    reads_per_second: float
    write_urls: Sequence[str] = ()
    writes_per_second: float = 0.0
    write_headers: Mapping[str, str] = {}
    write_body: Callable[[int], str] = str
    run: str = "drill"


class Switch(Protocol):
    """What takes the primary Region away and brings it back, or watches somebody who does."""

    def look(self, now: float) -> None:
        """Do what is due. `now` is in seconds since the drill began."""

    @property
    def over(self) -> bool:
        """Whether the drill is over."""


Send = Callable[[Call], Answer]
"""Sends a request. It returns an answer with the status 0 if there is no response."""


class Client:
    """Sends the load, and keeps a sample of each request."""

    def __init__(self, load: Load, send: Send, executor: Executor, clock: Clock) -> None:
        """Send nothing yet.

        :param executor: runs the requests. Its size is the number of requests that can wait for a response at once.
        """
        self._load, self._send, self._executor, self._clock = load, send, executor, clock
        self._start = clock.now()
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = itertools.count()
        self._arrived: queue.SimpleQueue[tuple[float, Callable[[float], None]]] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self.samples: list[Sample] = []
        self.writes: list[Write] = []

    def now(self) -> float:
        """Return the seconds since the drill began."""
        return self._clock.now() - self._start

    def run(self, switch: Switch, patience: float = 120.0) -> None:
        """Send the load until the drill is over. Then wait until every write is accepted, and every response is there.

        :param patience: seconds after which a write that isn't accepted is given up
        """
        self._every(1 / self._load.reads_per_second, self._read, switch)
        if self._load.write_urls and self._load.writes_per_second:
            self._every(1 / self._load.writes_per_second, self._write, switch)
        self._every(TICK_SECONDS, lambda _due, _number: switch.look(self.now()), switch)
        ended: float | None = None
        while True:
            while not self._arrived.empty():
                self._at(*self._arrived.get())
            if switch.over:
                ended = self.now() if ended is None else ended
                if self._is_idle() or self.now() > ended + patience:
                    return
            if not self._events:
                self._clock.sleep(0.01)
                continue
            wait = self._events[0][0] - self.now()
            if wait > SOON_SECONDS:
                # Short, because a response may ask for a repeated write before the next event.
                self._clock.sleep(min(wait, 0.05))
                continue
            due, _, action = heapq.heappop(self._events)
            action(due)

    def _is_idle(self) -> bool:
        with self._lock:
            return self._waiting == 0 and not self._events and self._arrived.empty()

    def _at(self, due: float, action: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (due, next(self._numbers), action))

    def _every(self, seconds: float, action: Callable[[float, int], None], switch: Switch) -> None:
        """Do something at a fixed rate until the drill is over, however long each takes."""
        start = self.now()

        def again(due: float, number: int) -> None:
            if switch.over:
                return
            # Ask for the next time first, so that a slow action doesn't slow the rate down.
            self._at(start + (number + 1) * seconds, lambda next_due: again(next_due, number + 1))
            action(due, number)

        self._at(start, lambda due: again(due, 0))

    def _read(self, due: float, number: int) -> None:
        self._submit(self._load.reads[number % len(self._load.reads)], due, None)

    def _write(self, due: float, number: int) -> None:
        write = Write(f"{self._load.run}-{number}", due)
        self.writes.append(write)
        self._send_write(write, number, due)

    def _send_write(self, write: Write, number: int, due: float) -> None:
        urls = self._load.write_urls
        headers = {"Content-Type": "application/json", "Idempotency-Key": write.key, **self._load.write_headers}
        call = Call(WRITE, "POST", urls[write.sent % len(urls)], headers, self._load.write_body(number).encode())
        write.sent += 1

        def answered(answer: Answer, ended: float) -> None:
            if answer.status == 202:
                write.item_id, write.accepted_at = str(json.loads(answer.body)["item_id"]), ended
            elif answer.status in (0, 429) or answer.status >= 500:
                self._arrived.put((ended + RETRY_SECONDS, lambda later: self._send_write(write, number, later)))
            else:
                write.refused = answer.status

        self._submit(call, due, answered)

    def _submit(self, call: Call, due: float, answered: Callable[[Answer, float], None] | None) -> None:
        with self._lock:
            self._waiting += 1

        def work() -> None:
            sent = self.now()
            answer = Answer(0)
            try:
                answer = self._send(call)
            finally:
                ended = self.now()
                if answered:
                    answered(answer, ended)
                with self._lock:
                    self.samples.append(Sample(call.kind, due, sent, ended, answer.status, answer.cache))
                    self._waiting -= 1

        self._executor.submit(work)


class Connections:
    """Sends requests over connections that stay open, one for each thread and host."""

    def __init__(self, timeout: float = 35.0) -> None:
        """Open no connection yet.

        :param timeout: seconds to wait for a response. CloudFront itself waits 30 s for a bucket.
        """
        self._timeout = timeout
        self._local = threading.local()

    def __call__(self, call: Call) -> Answer:
        """Send a request. Return an answer with the status 0 if there is no response."""
        parts = urllib.parse.urlsplit(call.url)
        connections: dict[str, Any] = self._local.__dict__
        host = f"{parts.scheme}://{parts.netloc}"
        for fresh in (False, True):
            connection = connections.pop(host, None) if not fresh else None
            if connection is None and not fresh:
                continue
            try:
                connection = connection or self._connect(parts.scheme, parts.netloc)
                connection.request(call.method, parts.path, body=call.body or None, headers=dict(call.headers))
                response = connection.getresponse()
                answer = Answer(response.status, (response.headers["X-Cache"] or "").partition(" ")[0], response.read())
            except (OSError, http.client.HTTPException) as error:
                if connection is not None:
                    connection.close()
                # The server may have closed a connection that idled. Clients send the request again on a new one.
                if fresh or isinstance(error, TimeoutError):
                    return Answer(0)
            else:
                connections[host] = connection
                return answer
        return Answer(0)

    def _connect(self, scheme: str, netloc: str) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
        return kind(netloc, timeout=self._timeout)
