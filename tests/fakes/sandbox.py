"""Simulated invocations that a test can stop, kill or interleave before any of their calls, and a simulated clock.

Each invocation has its own thread, but only one of these threads runs at a time. So a history runs the same way every
time.
"""

import os
import sys
import time
from _thread import allocate_lock
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread
from typing import Any, Literal
from unittest.mock import patch

import requests
from requests.adapters import HTTPAdapter

from readplane.aws.client import Client
from readplane.aws.faults import RefusedError, UnansweredError
from readplane.poll.upstream.deadline import Exchange


class KilledError(BaseException):
    """The sandbox is gone. Our code must not catch this error. If it does, its next call raises the error again."""


class Clock:
    """A clock that a test moves. It replaces the module ``time`` in all of our modules."""

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def time_ns(self) -> int:
        """Return the Unix time in nanoseconds."""
        return self.ms * 1_000_000

    def time(self) -> float:
        """Return the Unix time in seconds."""
        return self.ms / 1000

    def monotonic(self) -> float:
        """Return monotonic seconds."""
        return self.ms / 1000

    perf_counter = monotonic

    def sleep(self, seconds: float) -> None:
        """Move the clock without waiting. A test can stop the invocation here, as it can before a call."""
        if invocation := Invocation.current:
            invocation.gate("sleep")
        self.ms += int(seconds * 1000)

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class _Os:
    """A replacement for the module ``os`` that draws the same random bytes in every run."""

    def __init__(self) -> None:
        self._draws = 0

    def urandom(self, size: int) -> bytes:
        self._draws += 1
        return self._draws.to_bytes(4, "little").ljust(size, b"\x7f")[:size]

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


@contextmanager
def simulated(clock: Clock, send: Callable[..., requests.Response]) -> Iterator[None]:
    """Give our modules a clock, a network and random bytes that are the same in every run.

    :param send: the replacement for `HTTPAdapter.send`; it responds to every HTTP request.
    """
    overrun: dict[Any, bool] = {}
    begun_ms: dict[Any, int] = {}

    # Our back-office client runs each exchange in a thread of its own and waits for it in real time. Here the exchange
    # runs in the invocation's thread. If it took too long by the simulated clock, it then counts as unfinished.
    def start(exchange: Any) -> None:
        begun_ms[exchange] = clock.ms
        exchange.run()

    def join(exchange: Any, seconds: float) -> None:
        overrun[exchange] = clock.ms > begun_ms.pop(exchange) + int(seconds * 1000)

    def is_alive(exchange: Any) -> bool:
        return overrun.pop(exchange)

    random = _Os()
    with ExitStack() as patches:
        patches.enter_context(patch.object(HTTPAdapter, "send", send))
        for replacement in (start, join, is_alive):
            patches.enter_context(patch.object(Exchange, replacement.__name__, replacement))
        for name, module in list(sys.modules.items()):
            if name.startswith("readplane."):
                for real, fake in ((time, clock), (os, random)):
                    attribute = real.__name__
                    if module.__dict__.get(attribute) is real:
                        patches.enter_context(patch.object(module, attribute, fake))
        yield


class Invocation:
    """One invocation of a function.

    ``result`` holds what its work returned, and ``error`` what its work raised. ``calls`` counts its calls to AWS.
    """

    current: "Invocation | None" = None
    """The invocation that runs now."""

    def __init__(self, work: Callable[["Invocation"], Any], clock: Clock, deadline_ms: int, *, immortal: bool) -> None:
        """Prepare an invocation. It begins its work when :meth:`resume` is first called.

        :param work: what the invocation does.
        :param deadline_ms: the time on ``clock`` at which Lambda ends the invocation.
        :param immortal: whether the invocation continues after its deadline, as a sandbox does that Lambda froze and
            thawed. It may then outlive its lease.
        """
        self.clock = clock
        self.trail: list[str] = []
        """The calls that the invocation made, oldest first."""
        self.result: Any = None
        self.error: BaseException | None = None
        self.over = False
        self.faults: dict[int, str] = {}
        """The :data:`AwsFault` of each call to AWS that must fail, by the call's number. The first call is number 1."""
        self.calls = 0
        self._deadline_ms = deadline_ms
        self._immortal = immortal
        self._allowed: float = 0
        self._killed = False
        self._go, self._stopped = allocate_lock(), allocate_lock()
        self._go.acquire()
        self._stopped.acquire()
        self._thread = Thread(target=self._main, args=(work,), daemon=True)
        self._thread.start()

    def resume(self, calls: float = float("inf")) -> None:
        """Run until the invocation has made this many calls and is about to make the next one."""
        if self.over:
            return
        self._allowed = calls
        Invocation.current = self
        self._go.release()
        self._stopped.acquire()
        Invocation.current = None
        if self.over:
            self._thread.join()

    def kill(self) -> None:
        """End the invocation before its next call."""
        self._killed = True
        self.resume()

    def gate(self, label: str) -> None:
        """Stop or end the invocation if it must not make its next call. The fakes call this method before each call.

        :raises KilledError: if the test kills the invocation, or if its deadline has passed.
        """
        if self._allowed <= 0 and not self._killed:
            self._stopped.release()
            self._go.acquire()
        self._allowed -= 1
        if self._killed or (self.clock.ms >= self._deadline_ms and not self._immortal):
            self._killed = True
            raise KilledError
        self.trail.append(label)

    def remaining_ms(self) -> int:
        """Return the milliseconds until the deadline, as Lambda's context does."""
        return self._deadline_ms - self.clock.ms

    def _main(self, work: Callable[["Invocation"], Any]) -> None:
        self._go.acquire()
        try:
            if not self._killed:
                self.result = work(self)
        except BaseException as error:
            self.error = error
        self.over = True
        self._stopped.release()


AwsFault = Literal["lost", "throttled", "unsent"]
"""What goes wrong with a call to AWS. ``lost``: AWS carries the call out, and its response is lost. ``throttled``: AWS
refuses the call. ``unsent``: the call doesn't reach AWS."""


class GatedClient:
    """A client of AWS for one invocation. It stops before every call and fails as the invocation's ``faults`` say."""

    def __init__(self, inner: Client, invocation: Invocation, label: str) -> None:
        self._inner = inner
        self._invocation = invocation
        self._label = label

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Pass a call on to the inner client, unless the call must fail. Every call takes a millisecond."""
        invocation = self._invocation
        invocation.gate(f"{self._label}.{operation}")
        invocation.clock.ms += 1
        invocation.calls += 1
        fault = invocation.faults.get(invocation.calls)
        if fault == "throttled":
            raise RefusedError("ThrottlingException", 400)
        if fault == "unsent":
            raise UnansweredError("ConnectTimeoutError", sent=False)
        response = self._inner.call(operation, **parameters)
        if fault == "lost":
            raise UnansweredError("ReadTimeoutError", sent=True)
        return response


class MemoryStream:
    """A Kinesis stream of one shard.

    ``records`` holds the partition key and data of each record that no consumer has received. The stream calls
    ``refuse`` once for every record that is put, and refuses the record if it returns True.
    """

    def __init__(self) -> None:
        self.records: deque[tuple[str, bytes]] = deque()
        self.refuse: Callable[[], bool] = bool

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Run PutRecords. Any other operation fails the test."""
        assert operation == "PutRecords", operation
        entries = parameters["Records"]
        assert 0 < len(entries) <= 500 and sum(len(entry["Data"]) for entry in entries) <= 5 * 1024 * 1024
        outcomes: list[dict[str, Any]] = []
        for entry in entries:
            if self.refuse():
                outcomes.append({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"})
            else:
                self.records.append((entry["PartitionKey"], bytes(entry["Data"])))
                outcomes.append({"ShardId": "shardId-000000000000", "SequenceNumber": str(len(self.records))})
        return {"Records": outcomes, "FailedRecordCount": sum("ErrorCode" in outcome for outcome in outcomes)}


class MemoryBuckets:
    """S3 buckets in memory. ``objects`` holds the content of each object by bucket and key."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Run PutObject. Any other operation fails the test."""
        assert operation == "PutObject", operation
        self.objects[parameters["Bucket"], parameters["Key"]] = bytes(parameters["Body"])
        return {"ETag": '"0"'}
