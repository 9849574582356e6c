"""RFC 3339 in the one form that Readplane writes: UTC with milliseconds, which sorts as text.

By hand: `datetime` is imported by nothing else on the way from a cold start to an answer.
"""

import re
from time import gmtime, strftime

_DAY_MS = 24 * 60 * 60 * 1000
_FORM = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{3})Z", re.ASCII)


def rfc3339(ms: int) -> str:
    """The text of Unix milliseconds."""
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(ms // 1000)) + f".{ms % 1000:03d}Z"


def ms_of(text: str) -> int | None:
    """The Unix milliseconds of what :func:`rfc3339` made; ``None`` for text of any other form."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    year, month, day, hours, minutes, seconds, ms = map(int, match.groups())
    # A year that starts in March has its leap day last, and months that follow one rule: 153 days in every five.
    year -= month < 3
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day - 719_469
    return days * _DAY_MS + ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms
