"""Formats and parses timestamps in the only form that Readplane writes: RFC 3339 in UTC with milliseconds.

Timestamps in this form can be sorted as text.

This module doesn't import `datetime`, because the import would make a cold start slower. No other module that a cold
start loads needs `datetime`.
"""

import re
from time import gmtime, strftime

_DAY_MS = 24 * 60 * 60 * 1000
_PATTERN = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{3})Z", re.ASCII)


def rfc3339(ms: int) -> str:
    """Return the RFC 3339 timestamp of a time in Unix milliseconds."""
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(ms // 1000)) + f".{ms % 1000:03d}Z"


def is_timestamp(text: str) -> bool:
    """Whether a text has the form of a timestamp from :func:`rfc3339`."""
    return _PATTERN.fullmatch(text) is not None


def ms_of(text: str) -> int | None:
    """Return the Unix milliseconds of a timestamp from :func:`rfc3339`, or ``None`` for a text of any other form."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        return None
    year, month, day, hours, minutes, seconds, ms = map(int, match.groups())
    # Count the days in years that begin in March, because the leap day is the last day of such a year. From March on,
    # each group of five months has 153 days. The last number subtracts the days before 1970.
    year -= month < 3
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day - 719_469
    return days * _DAY_MS + ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms
