"""Tests of parsing the times that a back office writes, and of writing a time as a cursor."""

import traceback
import zoneinfo
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from readplane.model.exact_json import parse_json
from readplane.poll.source import times
from readplane.poll.source.times import check_pattern, check_zone, parse_time, time_text


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
        *(
            "2025-01-01T00:00:00.Z",
            "2025-01-01T00:00.5Z",
            "2025-01-01T00:00:00  Z",
            "2025-01-01T00:00:00+1",
            "20250101T000000Z",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+01:00",
        ),
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
        ("1700000000123999", "unix_us", 1_700_000_000_123),
        ('"/Date(1700000000123)/"', "dotnet", 1_700_000_000_123),
        ('"\\/Date(1700000000123+0130)\\/"', "dotnet", 1_700_000_000_123),
        ('"/Date(-1-0800)/"', "dotnet", -1),
    ],
)
def test_unix_times_are_read_from_their_digits(text: str, time_format: str, ms: int) -> None:
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


@pytest.mark.parametrize("value", ["", "/Date(1)", "/Date(1.5)/", "/Date(1+1)/", "Date(1)", 1, None, True, []])
def test_a_value_that_is_not_a_dotnet_time_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"not a \.NET time"):
        parse_time(value, "dotnet")


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2023-11-14T22:13Z", 1_699_999_980_000),
        ("2023-11-14T22:13:20+0000", 1_700_000_000_000),
        ("2023-11-14T23:13:20+01", 1_700_000_000_000),
        ("2023-11-14 22:13:20 UTC", 1_700_000_000_000),
        ("2023-11-14 14:13:20,5 -0800", 1_700_000_000_500),
        ("2023-11-14T22:13GMT", 1_699_999_980_000),
    ],
)
def test_common_deviations_from_rfc_3339_are_read(text: str, ms: int) -> None:
    assert parse_time(text, "rfc3339") == ms
    assert parse_time(text, "rfc3339", "Asia/Tokyo") == ms


BERLIN = "Europe/Berlin"
LOCAL = "%d.%m.%Y %H:%M:%S"


@pytest.mark.parametrize(
    ("value", "time_format", "zone", "ms"),
    [
        ("2023-11-14T23:13:20.5", "rfc3339", BERLIN, 1_700_000_000_500),
        ("2023-11-14 22:13:20", "rfc3339", "UTC", 1_700_000_000_000),
        ("14.11.2023 23:13:20", LOCAL, BERLIN, 1_700_000_000_000),
        ("14.11.2023 22:13:20", LOCAL, None, 1_700_000_000_000),
        ("14.11.2023 23:13:20 +0100", LOCAL + " %z", "Asia/Tokyo", 1_700_000_000_000),
        ("11/14/2023 10:13:20 PM", "%m/%d/%Y %I:%M:%S %p", None, 1_700_000_000_000),
        (20_231_114_221_320, "%Y%m%d%H%M%S", None, 1_700_000_000_000),
        ("2023-11-14", "date", None, 1_699_920_000_000),
        ("2023-11-14", "date", BERLIN, 1_699_916_400_000),
        # In this night, clocks are set back from 03:00 to 02:00. The earlier 02:30 is meant.
        ("26.10.2025 02:30:00", LOCAL, BERLIN, 1_761_438_600_000),
        ("2025-10-26T02:30", "rfc3339", BERLIN, 1_761_438_600_000),
        # In this night, clocks are set forward from 02:00 to 03:00. There is no 02:30, so it means 03:30.
        ("30.03.2025 02:30:00", LOCAL, BERLIN, 1_743_298_200_000),
        ("30.03.2025 03:30:00", LOCAL, BERLIN, 1_743_298_200_000),
    ],
)
def test_a_local_time_is_read_in_its_zone(value: Any, time_format: str, zone: str | None, ms: int) -> None:
    assert parse_time(value, time_format, zone) == ms


@pytest.mark.parametrize(
    ("value", "time_format", "problem"),
    [
        ("2025-01-01T00:00:00", "rfc3339", "found no offset, as RFC 3339 demands; set the zone"),
        ("hidden", "date", r"found a string, not a date"),
        ("2025-02-29", "date", "not a date"),
        ("2025-01-01T00:00:00Z", "date", "not a date"),
        (20250101, "date", "found a number, not a date"),
        ("hidden", LOCAL, f"found a string, not a time in the format {LOCAL}"),
        ("29.02.2025 00:00:00", LOCAL, "not a time in the format"),
        (None, LOCAL, "found nothing, not a time in the format"),
        ("01.01.0001 00:00:00", LOCAL, "there is no such time"),
    ],
)
def test_a_value_that_is_not_a_local_time_is_refused(value: Any, time_format: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        parse_time(value, time_format, None if time_format == "rfc3339" else "Asia/Tokyo")
    assert "hidden" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("time_format", "zone", "text"),
    [
        ("unix_us", None, "1700000000123000"),
        ("unix_s", BERLIN, "1700000000"),
        ("dotnet", BERLIN, "/Date(1700000000123)/"),
        ("date", None, "2023-11-14"),
        ("date", "Asia/Tokyo", "2023-11-15"),
        ("rfc3339", BERLIN, "2023-11-14T23:13:20.123+01:00"),
        (LOCAL, BERLIN, "14.11.2023 23:13:20"),
        ("%Y-%m-%dT%H:%M:%S.%fZ", None, "2023-11-14T22:13:20.123000Z"),
        ("%Y-%m-%dT%H:%M:%S%z", BERLIN, "2023-11-14T23:13:20+0100"),
    ],
)
def test_a_time_is_written_in_its_format_and_zone(time_format: str, zone: str | None, text: str) -> None:
    assert time_text(1_700_000_000_123, time_format, zone) == text


FORMATS = st.sampled_from(
    ["rfc3339", "date", "unix_s", "unix_ms", "unix_us", "dotnet", LOCAL, "%Y-%m-%dT%H:%M:%S.%f%z", "%Y%m%d%H", "%j/%Y"]
)
ZONES = st.sampled_from(
    [
        None,
        "UTC",
        BERLIN,
        "America/New_York",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Africa/Casablanca",
    ]
)
TIMES = st.integers(0, 4_000_000_000_000) | st.integers(1_761_430_000_000, 1_761_450_000_000)


@settings(deadline=None)
@given(TIMES, TIMES, FORMATS, ZONES)
@example(1_761_436_799_000, 1_761_437_400_000, LOCAL, BERLIN)
def test_a_written_time_is_read_as_the_same_or_an_earlier_time(
    ms: int, other_ms: int, time_format: str, zone: str | None
) -> None:
    """Asking since an earlier time repeats records. Asking since a later time would lose changes."""
    text = time_text(ms, time_format, zone)
    read_ms = parse_time(text, time_format, zone)
    # A day, and the longest local times that occur twice: a whole day in Samoa.
    assert ms - 2 * 86_400_000 - 3_600_000 < read_ms <= ms
    if time_format == LOCAL:
        for fold in (0, 1):  # however the back office reads a local time that occurs twice
            moment = datetime.strptime(text, LOCAL).replace(tzinfo=ZoneInfo(zone or "UTC"), fold=fold)
            assert round(moment.timestamp() * 1000) <= ms
    earlier, later = sorted((ms, other_ms))
    assert parse_time(time_text(earlier, time_format, zone), time_format, zone) <= parse_time(
        time_text(later, time_format, zone), time_format, zone
    )


@pytest.mark.parametrize(
    "pattern",
    [LOCAL, "%Y-%m-%d", "%Y%m%d%H%M%S", "%a, %d %b %Y %H:%M:%S %z", "%d/%m/%y %I:%M %p", "%Y-%j", "100%% %Y-%m-%d"],
)
def test_a_pattern_that_determines_the_time_is_usable(pattern: str) -> None:
    check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("%d.%m. %H:%M", "leaves the year open"),
        ("%Y-%m", "leaves the month, the day"),
        ("%Y %H:%M", "leaves the month, the day"),
        ("%Y-%m-%d %I:%M", "the half of the day"),
        ("%Y-%m-%d %M", "the hour"),
        ("%Y-%m-%d %Z", "has the directive %Z; use only %Y"),
        ("%s", "has the directive %s"),
        ("%Y-%m-%d %", "has the directive %;"),
        ("%Y %Y-%m-%d", "can't be read back"),
    ],
)
def test_a_pattern_that_leaves_a_part_of_the_time_open_is_refused(pattern: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_pattern(pattern)


@settings(deadline=None)
@given(st.text("%YmdHMSfzpIj -:(\\[*", max_size=12))
def test_any_pattern_is_usable_or_refused_with_a_reason(pattern: str) -> None:
    try:
        check_pattern(pattern)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize("zone", ["", "Europe", "Nowhere/X", "../etc/passwd", "/etc/passwd", "a\0b", "x" * 300, "."])
def test_a_zone_that_does_not_exist_is_refused(zone: str) -> None:
    check_zone(BERLIN)
    with pytest.raises(ValueError, match="isn't a time zone"):
        check_zone(zone)


def test_zones_are_found_if_the_system_has_none() -> None:
    """Lambda's runtime has no zones, so `poll`'s layer brings them."""
    requirements = Path(__file__).parents[4] / "lambda_src" / "requirements-poll.txt"
    assert any(line.startswith("tzdata==") for line in requirements.read_text().splitlines())
    try:
        zoneinfo.reset_tzpath(to=())
        times._zone.cache_clear()
        ZoneInfo.clear_cache()
        check_zone(BERLIN)
        assert parse_time("2023-11-14 23:13", "%Y-%m-%d %H:%M", BERLIN) == 1_699_999_980_000
    finally:
        zoneinfo.reset_tzpath()
