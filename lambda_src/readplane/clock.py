"""The functions' one clock; the domain has none and is told the time."""

import time


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000
