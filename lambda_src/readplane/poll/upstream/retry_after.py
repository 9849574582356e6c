"""Decides from a response's status and headers whether its cause is temporary, and how long to wait before a retry."""

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

RETRYABLE_STATUSES = frozenset({408, 425, 429, *range(500, 600)})
"""The HTTP statuses that are always temporary. After any other status, a retry would usually get the same status."""

_LASTING_STATUSES = frozenset({401, 404, 410})
"""The 4xx statuses that never come from a rate limit, even if the response has the headers of one.

They say that the secret or the page is wrong. If the headers show a used-up rate limit as well, that is a coincidence.
"""

_REMAINING = ("X-RateLimit-Remaining", "RateLimit-Remaining", "X-Rate-Limit-Remaining")
_RESET = ("X-RateLimit-Reset", "RateLimit-Reset", "X-Rate-Limit-Reset")

_LEAST_EPOCH_SECONDS = 1e8
"""From this number on, a ``…-Reset`` header holds a Unix time. A smaller number counts the seconds from now on.

As seconds from now on, this number would be a wait of three years. As a Unix time, it is in 1973.
"""

_LEAST_EPOCH_MILLISECONDS = 1e11


def is_retryable(status: int, headers: Mapping[str, str]) -> bool:
    """Return whether a response's cause is temporary, so that a retry may succeed.

    :param headers: the response's headers. Looking up a name must ignore upper and lower case.

    Some back offices report a rate limit with 403 or another 4xx status. Then ``Retry-After`` is present, or the number
    of remaining requests is 0.
    """
    if status in RETRYABLE_STATUSES:
        return True
    if not 400 <= status < 500 or status in _LASTING_STATUSES:
        return False
    return "Retry-After" in headers or _remaining(headers) == 0


def retry_after_seconds(status: int, headers: Mapping[str, str], now: float) -> float | None:
    """Return how many seconds the back office asks a client to wait; ``None`` if it doesn't say so.

    :param headers: the response's headers. Looking up a name must ignore upper and lower case.
    :param now: the current time in Unix seconds.

    ``Retry-After`` decides. If it is missing or unusable and the rate limit is used up, the time of the limit's reset
    decides.
    """
    seconds = _retry_after(headers.get("Retry-After"), now)
    if seconds is not None:
        return seconds
    remaining = _remaining(headers)
    is_limited = remaining == 0 or (status == 429 and remaining is None)
    return _reset(headers, now) if is_limited else None


def _retry_after(value: str | None, now: float) -> float | None:
    if value is None:
        return None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        date = parsedate_to_datetime(value)
        # A date with the offset `-0000` is parsed without a time zone. It is in UTC.
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _remaining(headers: Mapping[str, str]) -> float | None:
    return _first_number(headers, _REMAINING)


def _reset(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds until the rate limit's reset. The header counts them, or is a time in Unix (milli)seconds."""
    reset = _first_number(headers, _RESET)
    if reset is None or reset < _LEAST_EPOCH_SECONDS:
        return reset
    return max(0.0, (reset / 1000 if reset >= _LEAST_EPOCH_MILLISECONDS else reset) - now)


def _first_number(headers: Mapping[str, str], names: tuple[str, ...]) -> float | None:
    for name in names:
        # Several limits may be listed, as in `0, 100`, and a limit may have parameters, as in `0;w=60`.
        number = _number(headers.get(name, "").partition(",")[0].partition(";")[0])
        if number is not None:
            return number
    return None


def _number(text: str) -> float | None:
    """Return a number that isn't negative, such as ``7`` or ``2.0``; ``None`` for any other text."""
    try:
        number = float(text) if text.isascii() and "_" not in text else -1.0
    except ValueError:
        return None
    return number if number >= 0 and math.isfinite(number) else None
