"""What `poll` takes from the machine that it runs on: the time, and random bytes. A simulation hands in its own."""

import os
import time
from collections.abc import Callable
from typing import NamedTuple

from ..clock import now_ms


def _monotonic() -> float:
    return time.monotonic()


def _random(size: int) -> bytes:
    return os.urandom(size)


class Runtime(NamedTuple):
    """The clocks and the random bytes of an invocation.

    :param now_ms: returns the current time in Unix milliseconds.
    :param monotonic: returns seconds of a clock that nobody sets.
    :param random: returns so many random bytes.
    """

    now_ms: Callable[[], int] = now_ms
    monotonic: Callable[[], float] = _monotonic
    random: Callable[[int], bytes] = _random


REAL = Runtime()
"""The clocks and the random bytes of the machine."""
