"""The clock that every function uses. The modules in `model` read no clock, so their callers pass the time to them."""

import time


def now_ms() -> int:
    """Return the current time in Unix milliseconds."""
    return time.time_ns() // 1_000_000
