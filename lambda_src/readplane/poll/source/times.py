"""Converts a back office's times to Unix milliseconds, and Unix milliseconds to the back office's time format.

A time format is one of these names, or a pattern:

===============  ======================================================================================================
format           example
===============  ======================================================================================================
``rfc3339``      ``2026-01-31T12:00:00Z``, and the common deviations from RFC 3339 that :func:`parse_time` names
``date``         ``2026-01-31``, which means the start of that day
``unix_s``       ``1769860800``, the seconds since 1970, also with decimal places
``unix_ms``      ``1769860800000``, the milliseconds since 1970
``unix_us``      ``1769860800000000``, the microseconds since 1970
``dotnet``       ``/Date(1769860800000)/`` or ``/Date(1769860800000+0100)/``, as .NET writes a time in JSON
a pattern        ``%d.%m.%Y %H:%M:%S``, with directives of Python's ``strftime`` (:func:`check_pattern`)
===============  ======================================================================================================

Only ``rfc3339`` and a pattern with ``%z`` can write an offset. The others need a time zone if the back office's times
aren't in UTC, except for Unix times and ``dotnet``, which are the same in every zone.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import ROUND_FLOOR, Decimal, localcontext
from functools import lru_cache
from typing import Any, NewType

from ...model.exact_json import number_text
from ...model.timestamp import rfc3339
from .kinds import kind_name

TimeFormat = NewType("TimeFormat", str)
Zone = NewType("Zone", str)

TIME_FORMATS = ("rfc3339", "unix_s", "unix_ms", "unix_us", "date", "dotnet")
DIRECTIVES = "YymdjbBaAHIMSfpz"
"""The directives that a pattern may have. Python parses and prints them alike, without regard to the locale's zone."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_RFC3339 = re.compile(
    r"(?a)(\d{4}-\d\d-\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,30}))?)?"
    r"(?: ?(?:([Zz]|UTC|GMT)|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?))?"
)
_DATE = re.compile(r"(?a)\d{4}-\d\d-\d\d")
_DOTNET = re.compile(r"(?a)/Date\((-?\d{1,30})(?:[+-]\d{4})?\)/")
_UNIX = re.compile(r"(?a)-?\d{1,30}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,2})?")
_UNIX_SCALES = {"unix_s": Decimal(1000), "unix_ms": Decimal(1), "unix_us": Decimal("0.001")}
_PRECISIONS_MS = (1, 1000, 60_000, 60 * 60_000, 24 * 60 * 60_000)
_TRIAL_TIMES_MS = (1_078_012_799_999, 1_767_225_600_000, 1_793_452_859_123)
"""Times that :func:`check_pattern` prints and parses: the last millisecond of a leap day's eve, a new year, and an
afternoon."""


def time_text(ms: int, time_format: str, zone: str | None = None) -> str:
    """Return ``ms``, a time in Unix milliseconds, as text in a back office's time format.

    The time is rounded down to the precision of the format, never up. When clocks are set back, a local time without an
    offset may occur twice. Then the text is the last time before those that occur twice, so that it is never later than
    ``ms``, however the back office reads it.

    :param zone: the time zone of the text; ``None`` means UTC. Unix times and ``dotnet`` don't depend on it.
    """
    if time_format in _UNIX_SCALES:
        return str({"unix_s": ms // 1000, "unix_ms": ms}.get(time_format, ms * 1000))
    if time_format == "dotnet":
        return f"/Date({ms})/"
    if time_format == "rfc3339" and zone is None:
        return rfc3339(ms)
    moment = (_EPOCH + ms * _MS).astimezone(_zone(zone))
    if time_format == "rfc3339":
        return moment.isoformat(timespec="milliseconds")
    if "%z" not in time_format:
        moment = _unambiguous(moment)
    return moment.date().isoformat() if time_format == "date" else moment.strftime(time_format)


def parse_time(value: Any, time_format: str, zone: str | None = None) -> int:
    """Return a back office's time in Unix milliseconds, rounded down to a whole millisecond.

    A time in ``rfc3339`` may deviate from RFC 3339. Its seconds may be missing, its offset may be ``+0100``, ``+01``,
    ``UTC`` or ``GMT``, and a space may stand before the offset or in place of the ``T``. A comma may stand before the
    decimal places.

    :param value: a value that :func:`~readplane.model.exact_json.parse_json` returned. A Unix time may be a number or
        a string.
    :param zone: the time zone of a time that has no offset. ``None`` means UTC, but a time in ``rfc3339`` must then
        have an offset. When clocks are set back, a local time occurs twice, and the earlier moment is meant. When
        clocks are set forward, a local time that is skipped means the moment that many minutes after the change.
    :raises ValueError: if ``value`` isn't a time in ``time_format``. The error's message names the expected format and
        never quotes ``value``.
    """
    if time_format == "rfc3339":
        return _rfc3339_ms(value, zone)
    text = value if isinstance(value, str) else number_text(value)
    if time_format == "dotnet":
        match = _DOTNET.fullmatch(text or "")
        if not match:
            raise ValueError(f"found {kind_name(value)}, not a .NET time (/Date(1769860800000)/)")
        return int(match[1])
    if time_format not in _UNIX_SCALES:
        return _local_ms(value, text, time_format, zone)
    if text is None or not _UNIX.fullmatch(text):
        raise ValueError(f"found {kind_name(value)}, not a Unix time")
    # Calculate with Decimal, because a float could round the time up. A float has 53 bits. A Unix time in microseconds
    # needs 51 of them, so a time with more decimal places doesn't fit.
    with localcontext(prec=200):
        return int((Decimal(text) * _UNIX_SCALES[time_format]).to_integral_value(rounding=ROUND_FLOOR))


def check_pattern(pattern: str) -> None:
    """Check that a pattern describes a time so that Python prints and parses it alike.

    :raises ValueError: if the pattern has other directives than :data:`DIRECTIVES`, or leaves a part of the date or of
        the half of the day open. The message says which.
    """
    for directive in re.findall("%(.?)", pattern, re.DOTALL):
        if directive not in (*DIRECTIVES, "%"):
            allowed = " ".join(f"%{letter}" for letter in DIRECTIVES)
            raise ValueError(f"has the directive %{directive}; use only {allowed} and %%")
    if "%Y" not in pattern and "%y" not in pattern:
        raise ValueError("leaves the year open; add %Y")
    for ms in _TRIAL_TIMES_MS:
        try:
            lost_ms = ms - parse_time(time_text(ms, pattern), pattern)
        except (ValueError, re.error) as error:  # `strptime` makes a regular expression of the pattern
            raise ValueError("can't be read back; write each directive once, with text between them") from error
        if lost_ms not in (ms % precision for precision in _PRECISIONS_MS):
            raise ValueError("leaves the month, the day, the hour, the minute or the half of the day (%p) open")


def check_zone(name: str) -> None:
    """Check that there is a time zone of this name.

    :raises ValueError: if there is none
    """
    try:
        _zone(name)
    except (ValueError, OSError) as error:  # `ZoneInfo` raises an `OSError` for the name of a folder
        raise ValueError("isn't a time zone; use a name such as Europe/Berlin or UTC") from error


def _rfc3339_ms(value: Any, zone: str | None) -> int:
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"found {kind_name(value)}, not RFC 3339 with an offset (2026-01-31T12:00:00Z)")
    day, hours, minutes, seconds, fraction, utc, sign, offset_hours, offset_minutes = match.groups()
    if not utc and not sign and zone is None:
        raise ValueError("found no offset, as RFC 3339 demands; set the zone of the times, such as Europe/Berlin")
    try:
        # `datetime` can't parse a leap second (:60). So parse the time without its seconds and then add the seconds. A
        # leap second becomes the first second of the next minute.
        moment = _in_utc(datetime.fromisoformat(f"{day}T{hours}:{minutes}:00"), None if utc or sign else zone)
        moment += timedelta(seconds=_number_up_to(seconds or "0", 60))
        if sign:
            offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes or 0))
            moment = moment - offset if sign == "+" else moment + offset
    except (ValueError, OverflowError) as error:
        raise ValueError("there is no such time") from error
    return (moment - _EPOCH) // _MS + int((fraction or "0").ljust(3, "0")[:3])


def _local_ms(value: Any, text: str | None, time_format: str, zone: str | None) -> int:
    """Return a date or a time in a pattern as Unix milliseconds."""
    try:
        if text is None:
            raise ValueError
        if time_format != "date":
            moment = datetime.strptime(text, time_format)  # noqa: DTZ007 (the zone is added below)
        elif _DATE.fullmatch(text):
            moment = datetime.fromisoformat(text)
        else:
            raise ValueError
    except ValueError:
        form = "a date (2026-01-31)" if time_format == "date" else f"a time in the format {time_format}"
        raise ValueError(f"found {kind_name(value)}, not {form}") from None  # the original message quotes the value
    try:
        return (_in_utc(moment, zone) - _EPOCH) // _MS
    except (ValueError, OverflowError) as error:
        raise ValueError("there is no such time") from error


def _in_utc(moment: datetime, zone: str | None) -> datetime:
    """Return a parsed time in UTC. A time without an offset is in ``zone``.

    Convert it, because Python calculates with two times of the same zone as if the zone had no clock changes.
    """
    return (moment if moment.tzinfo else moment.replace(tzinfo=_zone(zone))).astimezone(UTC)


def _unambiguous(moment: datetime) -> datetime:
    """Return ``moment``, or the last millisecond before the local times that occur twice if ``moment`` is among them.

    A later moment never becomes an earlier text, so that the start of a time window is never after its end.
    """
    repeated = _repeated(moment)
    if not repeated:
        return moment
    latest, later = moment.replace(fold=0) - repeated, moment  # the first isn't repeated, the second is
    while later - latest > _MS:
        middle = latest + (later - latest) // _MS // 2 * _MS
        latest, later = (latest, middle) if _repeated(middle) else (middle, later)
    return latest


def _repeated(moment: datetime) -> timedelta:
    """Return how long the local times last that occur twice, or 0 if the local time of ``moment`` occurs once."""
    first, second = moment.replace(fold=0).utcoffset(), moment.replace(fold=1).utcoffset()
    assert first is not None and second is not None
    return max(first - second, timedelta())


@lru_cache(maxsize=64)
def _zone(name: str | None) -> tzinfo:
    if name is None or name == "UTC":
        return UTC
    # Import the module only here, because few sources have a zone, and the import would make a cold start slower.
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError as error:
        raise ValueError("there is no such zone") from error


def _number_up_to(text: str, maximum: int) -> int:
    value = int(text)
    if value > maximum:
        raise ValueError
    return value
