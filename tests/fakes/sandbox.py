"""Simulated Lambda invocations, AWS clients and a clock.

A test can stop or kill an invocation before each of its calls: to AWS, to the back office or to ``sleep``.
Several invocations can be stopped at once, so a test can also interleave their calls. Each invocation has its own
thread, but only one of these threads runs at a time. So the same test always runs in the same order.
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
    """Raised in an invocation to end it, as if Lambda had killed its sandbox.

    The product's code must not catch this error. If it does, the invocation's next call raises the error again.
    """


class Clock:
    """A clock that a test sets. It replaces the module ``time`` in all modules of ``readplane``."""

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def time_ns(self) -> int:
        """Return the Unix time of the simulated clock in nanoseconds."""
        return self.ms * 1_000_000

    def time(self) -> float:
        """Return the Unix time of the simulated clock in seconds."""
        return self.ms / 1000

    def monotonic(self) -> float:
        """Return the time of the simulated clock in seconds, in place of ``time.monotonic``."""
        return self.ms / 1000

    perf_counter = monotonic

    def sleep(self, seconds: float) -> None:
        """Move the clock forward without waiting. A test can stop the invocation before the sleep."""
        if invocation := Invocation.current:
            invocation.gate("sleep")
        self.ms += int(seconds * 1000)

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class _Os:
    """A replacement for the module ``os`` whose ``urandom`` returns the same bytes in every run."""

    def __init__(self) -> None:
        self._draws = 0

    def urandom(self, size: int) -> bytes:
        self._draws += 1
        return self._draws.to_bytes(4, "little").ljust(size, b"\x7f")[:size]

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


@contextmanager
def simulated(clock: Clock, send: Callable[..., requests.Response]) -> Iterator[None]:
    """Replace the clock, the HTTP adapter and the random bytes of the product's code until the ``with`` block ends.

    So the code runs the same way every time.

    :param clock: the replacement for the module ``time``.
    :param send: the replacement for `HTTPAdapter.send`. It returns the response to each HTTP request.
    """
    overrun: dict[Any, bool] = {}
    begun_ms: dict[Any, int] = {}

    # `poll` runs each request to a back office (an exchange) in a thread and waits for the thread in real time. The
    # three functions below replace that thread's methods. They run the exchange in the invocation's thread. If an
    # exchange took longer than its limit on the simulated clock, `is_alive` returns True, so `poll` sees a timeout.
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
    """One simulated invocation of a Lambda function.

    ``result`` is what the function returned, and ``error`` is what it raised. ``calls`` counts the invocation's calls
    to AWS. ``over`` is true when the invocation has ended.
    """

    current: "Invocation | None" = None
    """The invocation that is running; ``None`` if all invocations are stopped or have ended."""

    def __init__(self, work: Callable[["Invocation"], Any], clock: Clock, deadline_ms: int, *, immortal: bool) -> None:
        """Prepare an invocation. It begins when :meth:`resume` is first called.

        :param work: the function to invoke. It gets this invocation as its argument.
        :param deadline_ms: the time on ``clock`` at which Lambda ends the invocation.
        :param immortal: whether the invocation can go on after its deadline, like a sandbox that Lambda has frozen and
            thawed. Such an invocation can still make calls after its lease has expired.
        """
        self.clock = clock
        self.trail: list[str] = []
        """The names of all calls that the invocation has made, oldest first."""
        self.result: Any = None
        self.error: BaseException | None = None
        self.over = False
        self.faults: dict[int, str] = {}
        """The :data:`AwsFault` of each call to AWS that must fail. The key is the call's number, beginning with 1."""
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
        """Let the invocation make this many calls, and stop it before the next one."""
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
        """End the invocation before its next call, as if Lambda killed its sandbox."""
        self._killed = True
        self.resume()

    def gate(self, label: str) -> None:
        """Pause the invocation before its next call until the test allows the call, or end the invocation.

        The simulated AWS clients and the simulated HTTP adapter call this method before each call.

        :param label: the name of the call, for ``trail``.
        :raises KilledError: if the test kills the invocation, or if the invocation's deadline has passed.
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
        """Return the milliseconds until the invocation's deadline, as the context object of Lambda does."""
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
"""What goes wrong with a call to AWS.

``lost``: AWS carries the call out, but its response doesn't arrive. ``throttled``: AWS refuses the call with a
throttling error. ``unsent``: the call doesn't reach AWS.
"""


class GatedClient:
    """An AWS client for one simulated invocation.

    A test can stop the invocation before each call of the client. A call fails if its number is a key of the
    invocation's ``faults``.
    """

    def __init__(self, inner: Client, invocation: Invocation, label: str) -> None:
        self._inner = inner
        self._invocation = invocation
        self._label = label

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Pass a call on to the inner client, or let the call fail if the invocation's ``faults`` has an entry for it.

        Each call takes one simulated millisecond.
        """
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
    """A fake AWS client of one Kinesis stream in memory. The stream has one shard.

    ``records`` holds the partition key and the data of each record that no consumer has received. The stream calls
    ``refuse`` once for each record in a PutRecords call. If ``refuse`` returns True, the stream refuses the record.
    """

    def __init__(self) -> None:
        self.records: deque[tuple[str, bytes]] = deque()
        self.refuse: Callable[[], bool] = bool

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Carry out PutRecords. Any other operation fails the test."""
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
    """A fake AWS client of S3 with its buckets in memory. ``objects`` holds each object's content by bucket and key."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Carry out PutObject. Any other operation fails the test."""
        assert operation == "PutObject", operation
        self.objects[parameters["Bucket"], parameters["Key"]] = bytes(parameters["Body"])
        return {"ETag": '"0"'}
