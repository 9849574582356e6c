"""Invocations that stop at every call they make, can be killed there, and can be interleaved; and their clock.

Each runs on a thread of its own, but only ever one at a time: a history that is told twice runs the same way twice.
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
from readplane.poll.upstream import client


class Killed(BaseException):
    """The sandbox is gone. No code of ours may catch this, and whatever does can do nothing with it."""


class Clock:
    """The time as this history's code sees it: put in the place of the module ``time`` in all of our modules."""

    def __init__(self, ms: int) -> None:
        self.ms = ms
        self._micros = 0

    def time_ns(self) -> int:
        """Unix time."""
        return self.ms * 1_000_000

    def time(self) -> float:
        """Unix time."""
        return self.ms / 1000

    def monotonic(self) -> float:
        """Seconds."""
        return self.ms / 1000

    perf_counter = monotonic

    def sleep(self, seconds: float) -> None:
        """Let time pass, at once; an invocation may be stopped here as at a call."""
        if run := Run.current:
            run.gate("sleep")
        self.ms += int(seconds * 1000)

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class _Os:
    """The module ``os`` with random numbers that are the same every time."""

    def __init__(self) -> None:
        self._drawn = 0

    def urandom(self, size: int) -> bytes:
        self._drawn += 1
        return self._drawn.to_bytes(4, "little").ljust(size, b"\x7f")[:size]

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


@contextmanager
def world_of(clock: Clock, wire: Callable[..., requests.Response]) -> Iterator[None]:
    """Have our modules see this clock, ``requests`` this wire, and nobody anything that differs the next time."""

    def within(exchange: Any, seconds: float) -> Any:
        until = clock.ms + int(seconds * 1000)
        exchange.run()
        if clock.ms > until:
            raise TimeoutError
        if exchange._error:
            raise exchange._error
        return exchange._answer

    random = _Os()
    with ExitStack() as patches:
        patches.enter_context(patch.object(HTTPAdapter, "send", wire))
        # No thread beside the run's own: whoever waits for it would wait in real time.
        patches.enter_context(patch.object(client._Exchange, "within", within))
        for name, module in list(sys.modules.items()):
            if name.startswith("readplane."):
                for known, fake in ((time, clock), (os, random)):
                    attribute = known.__name__
                    if module.__dict__.get(attribute) is known:
                        patches.enter_context(patch.object(module, attribute, fake))
        yield


class Run:
    """One invocation.

    :param work: what it does; its result is :attr:`result`, what it raises :attr:`error`.
    :param deadline_ms: when it is cut off, on ``clock``.
    :param immortal: it isn't; so it may outlive its lease.
    """

    current: "Run | None" = None

    def __init__(self, work: Callable[["Run"], Any], clock: Clock, deadline_ms: int, *, immortal: bool) -> None:
        self.clock = clock
        self._deadline_ms = deadline_ms
        self._immortal = immortal
        self.trail: list[str] = []
        """The calls it made."""
        self.result: Any = None
        self.error: BaseException | None = None
        self.over = False
        self.faults: dict[int, str] = {}
        """What goes wrong with its n-th call to AWS."""
        self.calls = 0
        self._allowed: float = 0
        self._killed = False
        self._go, self._stopped = allocate_lock(), allocate_lock()
        self._go.acquire()
        self._stopped.acquire()
        self._thread = Thread(target=self._main, args=(work,), daemon=True)
        self._thread.start()

    def go_on(self, calls: float = float("inf")) -> None:
        """Let it make so many calls, to where the next one would be; all of them by default."""
        if self.over:
            return
        self._allowed = calls
        Run.current = self
        self._go.release()
        self._stopped.acquire()
        Run.current = None
        if self.over:
            self._thread.join()

    def kill(self) -> None:
        """End it before its next call."""
        self._killed = True
        self.go_on()

    def gate(self, label: str) -> None:
        """Called by what it calls, before the call."""
        if self._allowed <= 0 and not self._killed:
            self._stopped.release()
            self._go.acquire()
        self._allowed -= 1
        if self._killed or (self.clock.ms >= self._deadline_ms and not self._immortal):
            self._killed = True
            raise Killed
        self.trail.append(label)

    def remaining_ms(self) -> int:
        """As Lambda's context tells it."""
        return self._deadline_ms - self.clock.ms

    def _main(self, work: Callable[["Run"], Any]) -> None:
        self._go.acquire()
        try:
            if not self._killed:
                self.result = work(self)
        except BaseException as error:
            self.error = error
        self.over = True
        self._stopped.release()


Trouble = Literal["throttled", "unsent", "lost"]
"""``lost``: AWS did it, and the answer was lost."""


class GatedClient:
    """A client of AWS for one run, that stops at every call and fails where the run's ``faults`` say so."""

    def __init__(self, inner: Client, run: Run, label: str) -> None:
        self._inner = inner
        self._run = run
        self._label = label

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """See :class:`readplane.aws.client.Client`."""
        run = self._run
        run.gate(f"{self._label}.{operation}")
        run.clock.ms += 1
        run.calls += 1
        trouble = run.faults.get(run.calls)
        if trouble == "throttled":
            raise RefusedError("ThrottlingException", 400)
        if trouble == "unsent":
            raise UnansweredError("ConnectTimeoutError", sent=False)
        answer = self._inner.call(operation, **parameters)
        if trouble == "lost":
            raise UnansweredError("ReadTimeoutError", sent=True)
        return answer


class FakeStream:
    """A Kinesis stream of one shard; each record may be refused on its own, and be refused again.

    ``refuse`` gives, record by record, whether it is refused; ``records`` holds what consumers haven't got yet.
    """

    def __init__(self) -> None:
        self.records: deque[tuple[str, bytes]] = deque()
        self.refuse: Callable[[], bool] = bool

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """See :class:`readplane.aws.client.Client`."""
        assert operation == "PutRecords", operation
        entries = parameters["Records"]
        assert 0 < len(entries) <= 500 and sum(len(entry["Data"]) for entry in entries) <= 5 * 1024 * 1024
        answers: list[dict[str, Any]] = []
        for entry in entries:
            if self.refuse():
                answers.append({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"})
            else:
                self.records.append((entry["PartitionKey"], bytes(entry["Data"])))
                answers.append({"ShardId": "shardId-000000000000", "SequenceNumber": str(len(self.records))})
        return {"Records": answers, "FailedRecordCount": sum("ErrorCode" in answer for answer in answers)}


class FakeBuckets:
    """S3's objects, by bucket and key."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """See :class:`readplane.aws.client.Client`."""
        place = parameters["Bucket"], parameters["Key"]
        if operation == "PutObject":
            self.objects[place] = bytes(parameters["Body"])
            return {"ETag": '"0"'}
        raise AssertionError(operation)
