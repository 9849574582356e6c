"""Tests of parsing the times that a back office writes, and of writing a time as a cursor."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readplane.model.exact_json import parse_json
from readplane.poll.source.times import TimeFormat, parse_time, time_text


@settings(deadline=None)
@given(st.integers(0, 4_000_000_000_000))
def test_a_written_time_is_never_later_than_the_time_itself(ms: int) -> None:
    assert int(time_text(ms, "unix_ms")) == ms
    assert ms - 1000 < int(time_text(ms, "unix_s")) * 1000 <= ms
    text = time_text(ms, "rfc3339")
    moment = datetime.fromisoformat(text)
    assert moment.tzinfo == UTC and round(moment.timestamp() * 1000) == ms and len(text) == 24


RFC3339 = [
    ("1970-01-01T00:00:00Z", 0),
    ("2023-11-14T22:13:20.123Z", 1_700_000_000_123),
    ("2023-11-14 22:13:20.1239999z", 1_700_000_000_123),
    ("2023-11-14t23:13:20.1+01:00", 1_700_000_000_100),
    ("2023-11-14T12:28:20-09:45", 1_700_000_000_000),
    ("2016-12-31T23:59:60Z", 1_483_228_800_000),
    ("1969-12-31T23:59:59.999Z", -1),
]


@pytest.mark.parametrize(("text", "ms"), RFC3339)
def test_rfc_3339_is_read_to_the_millisecond(text: str, ms: int) -> None:
    assert parse_time(text, "rfc3339") == ms


@settings(deadline=None)
@given(st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30)), st.integers(-23 * 60 - 59, 23 * 60 + 59))
def test_rfc_3339_is_read_at_any_time_and_with_any_offset(moment: datetime, minutes: int) -> None:
    ms = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    local_moment = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes)))
    assert parse_time(local_moment.isoformat(), "rfc3339") == ms


@pytest.mark.parametrize(
    "value",
    [
        *("", "now", "2025-01-01", "2025-01-01T00:00:00", "2025-13-01T00:00:00Z", "2025-02-29T00:00:00Z"),
        *("2025-01-01T24:00:00Z", "2025-01-01T00:60:00Z", "2025-01-01T00:00:61Z", "2025-01-01T00:00:00+24:00"),
        *("2025-01-01T00:00:00.Z", "20250101T000000Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00"),
        *("٢٠٢٥-01-01T00:00:00Z", "2025-01-01T00:00:00Z ", 1_700_000_000, None, True, [], {}),
    ],
)
def test_text_that_is_not_rfc_3339_with_an_offset_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"RFC 3339|no such time") as caught:
        parse_time(value, "rfc3339")
    assert not isinstance(value, str) or len(value) < 5 or value not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "time_format", "ms"),
    [
        ("1700000000", "unix_s", 1_700_000_000_000),
        ("1700000000.123999", "unix_s", 1_700_000_000_123),
        ("1700000000.999999999999999999999999999999", "unix_s", 1_700_000_000_999),
        ('"1700000000.5"', "unix_s", 1_700_000_000_500),
        ("1.7e9", "unix_s", 1_700_000_000_000),
        ("1700000000123", "unix_ms", 1_700_000_000_123),
        ("1700000000123.9", "unix_ms", 1_700_000_000_123),
        ("0", "unix_ms", 0),
        ("-0.5", "unix_ms", -1),
        ("-1", "unix_s", -1000),
    ],
)
def test_unix_times_are_read_from_their_digits(text: str, time_format: TimeFormat, ms: int) -> None:
    assert parse_time(parse_json(text), time_format) == ms


NOT_UNIX_TIMES: list[Any] = [
    "",
    "1 ",
    "1e400",
    "0x1",
    "nan",
    "inf",
    "1_0",
    "2025-01-01",
    None,
    True,
    [],
    {},
    float("nan"),
]


@pytest.mark.parametrize("value", NOT_UNIX_TIMES)
def test_a_value_that_is_not_a_unix_time_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="not a Unix time"):
        parse_time(value, "unix_s")
