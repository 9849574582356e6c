"""The clocks of the stand-in for CloudFront: one that tests move, and one that follows the real time."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """The time as the stand-in sees it."""

    def now(self) -> float:
        """Return the seconds since 1970."""

    def sleep(self, seconds: float) -> None:
        """Let this many seconds pass."""


class VirtualClock:
    """A clock that moves only when a test or a fault moves it, so a test of lifetimes needs no waiting."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        """Return the seconds since 1970."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Move the clock on by this many seconds."""
        self._now += seconds


class ShiftedClock:
    """The real time plus an offset. Raising the offset lets the cache's objects expire at once."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        """Return the seconds since 1970, plus the offset."""
        return time.time() + self.offset

    def sleep(self, seconds: float) -> None:
        """Wait for this many seconds."""
        time.sleep(seconds)
