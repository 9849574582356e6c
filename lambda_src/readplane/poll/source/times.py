"""Converts a back office's times to Unix milliseconds, and Unix milliseconds to the back office's time format."""

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal, localcontext
from typing import Any, Literal

from ...model.exact_json import number_text
from ...model.timestamp import rfc3339
from .kinds import kind_name

TimeFormat = Literal["rfc3339", "unix_s", "unix_ms"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"(?a)(\d{4}-\d\d-\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,30}))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))"
)
_UNIX = re.compile(r"(?a)-?\d{1,30}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,2})?")


def time_text(ms: int, time_format: TimeFormat) -> str:
    """Return ``ms``, a time in Unix milliseconds, as text in a back office's time format.

    The time is rounded down to the precision of the format, never up.
    """
    if time_format == "unix_ms":
        return str(ms)
    if time_format == "unix_s":
        return str(ms // 1000)
    return rfc3339(ms)


def parse_time(value: Any, time_format: TimeFormat) -> int:
    """Return a back office's time in Unix milliseconds, rounded down to a whole millisecond.

    :param value: a value that :func:`~readplane.model.exact_json.parse_json` returned. A Unix time may be a number or
        a string.
    :raises ValueError: if ``value`` isn't a time in ``time_format``. The error's message names the expected format and
        never quotes ``value``.
    """
    if time_format == "rfc3339":
        match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
        if not match:
            raise ValueError(f"found {kind_name(value)}, not RFC 3339 with an offset (2026-01-31T12:00:00Z)")
        return _rfc3339_ms(match)
    text = value if isinstance(value, str) else number_text(value)
    if text is None or not _UNIX.fullmatch(text):
        raise ValueError(f"found {kind_name(value)}, not a Unix time")
    scale = 1000 if time_format == "unix_s" else 1
    # Calculate with Decimal, because a float could round the time up. A float has 53 bits. A Unix time in microseconds
    # needs 51 of them, so a time with more decimal places doesn't fit.
    with localcontext(prec=200):
        return int((Decimal(text) * scale).to_integral_value(rounding=ROUND_FLOOR))


def _rfc3339_ms(match: re.Match[str]) -> int:
    day, hours, minutes, seconds, fraction, sign, offset_hours, offset_minutes = match.groups()
    try:
        # `datetime` can't parse a leap second (:60). So parse the time without its seconds and then add the seconds. A
        # leap second becomes the first second of the next minute.
        moment = datetime.fromisoformat(f"{day}T{hours}:{minutes}:00+00:00") + timedelta(seconds=_up_to(seconds, 60))
        if sign:
            offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes))
            moment = moment - offset if sign == "+" else moment + offset
    except (ValueError, OverflowError) as error:
        raise ValueError("there is no such time") from error
    return (moment - _EPOCH) // timedelta(milliseconds=1) + int((fraction or "0").ljust(3, "0")[:3])


def _up_to(text: str, maximum: int) -> int:
    value = int(text)
    if value > maximum:
        raise ValueError
    return value
