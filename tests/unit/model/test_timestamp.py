"""Tests of formatting and parsing RFC 3339 timestamps."""

from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from readplane.model.timestamp import ms_of, rfc3339


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))
@example(datetime(2000, 2, 29, 23, 59, 59, 999_000, UTC))
@example(datetime(2100, 3, 1, tzinfo=UTC))
def test_a_timestamp_is_formatted_and_parsed_as_by_datetime(time: datetime) -> None:
    ms = (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    text = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert rfc3339(ms) == text and ms_of(text) == ms
