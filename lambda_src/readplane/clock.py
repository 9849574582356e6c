"""The clock of every function. The modules in `model` read no clock; their callers pass the time."""

import time


def now_ms() -> int:
    """Return the current time in Unix milliseconds."""
    return time.time_ns() // 1_000_000
