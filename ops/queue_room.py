"""Keeps the messages of a long job few in a queue, so that new changes don't wait behind them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from ops.cli.private_stores import count_messages
from ops.cli.target import RegionalStack, Target
from ops.jobs import Job

SETTLE_SECONDS = 5.0
"""How long SQS may take until its count includes a new message. Until then, the job counts its own messages."""

POLL_SECONDS = 1.0
"""How often a job looks at a full queue."""


class QueueRoom:
    """Says how many messages may be sent to a queue.

    SQS counts the messages of a queue roughly, and a few seconds late. So for SETTLE_SECONDS after a send, the messages
    that were sent count as waiting, whatever SQS says.

    :param count: returns how many messages SQS counts in the queue
    :param limit: how many messages may wait in the queue
    """

    def __init__(self, count: Callable[[], int], limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._limit = limit
        self._clock = clock
        self._sent: deque[tuple[float, int]] = deque()

    @classmethod
    def of(cls, target: Target, stack: RegionalStack, url: str, limit: int) -> QueueRoom:
        """Return the room in a queue of one Region."""
        sqs = target.client("sqs", stack.region)
        return cls(lambda: count_messages(sqs, url), limit)

    def free(self) -> int:
        """Return how many messages may be sent now; 0 or less for none."""
        while self._sent and self._clock() - self._sent[0][0] >= SETTLE_SECONDS:
            self._sent.popleft()
        sent = sum(number for _, number in self._sent)
        return self._limit - sent if sent >= self._limit else self._limit - max(sent, self._count())

    def wait_for(self, job: Job) -> int:
        """Wait until messages may be sent, and return how many.

        :raises JobStoppedError: if a signal asked the command to end
        """
        while (free := self.free()) <= 0:
            job.wait(POLL_SECONDS)
        return free

    def note_sent(self, number: int) -> None:
        """Note that messages have been sent now."""
        self._sent.append((self._clock(), number))
