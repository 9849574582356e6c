import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.feed.decide import floor_at, unsettled_rows
from readplane.model.change import TOMBSTONE_MARGIN_MS, Change
from readplane.model.version import is_version, time_ms
from tests.unit.support import NOW_MS, change, version_at

HORIZON_MS = 30 * 86_400_000
FLOOR = floor_at(NOW_MS, HORIZON_MS)


@given(st.integers(NOW_MS - 2 * HORIZON_MS, NOW_MS), st.integers(0, 2**74 - 1))
def test_the_floor_divides_the_versions_that_are_younger_than_the_horizon_from_the_older(ms: int, tail: int) -> None:
    assert is_version(FLOOR)
    assert (version_at(ms, tail) >= FLOOR) == (ms >= NOW_MS - HORIZON_MS)


@given(st.integers(0, 3 * HORIZON_MS), st.integers(0, 3 * HORIZON_MS))
def test_what_the_table_can_have_forgotten_is_a_day_below_the_floor(age_ms: int, accepted_ago_ms: int) -> None:
    """Whatever the tombstone's version and the time of its acceptance are."""
    tombstone = change(data=None, ms=NOW_MS - age_ms, accepted_ms=NOW_MS - accepted_ago_ms, source="shop")
    expires_at = tombstone.expires_at(HORIZON_MS)
    assert expires_at is not None
    if expires_at * 1000 <= NOW_MS:
        assert time_ms(tombstone.version) < time_ms(FLOOR) - TOMBSTONE_MARGIN_MS + 1000


@pytest.mark.parametrize(
    ("row", "is_unsettled"),
    [
        (None, True),
        (change(ms=NOW_MS), False),
        (change(ms=NOW_MS - HORIZON_MS), False),
        (change(ms=NOW_MS - HORIZON_MS - 1), True),
        (change(ms=0), True),
        (change(ms=NOW_MS, data=None), False),
        (change(ms=NOW_MS - HORIZON_MS - 1, accepted_ms=NOW_MS, data=None, source="shop"), True),
    ],
)
def test_missing_rows_and_rows_below_the_floor_are_read_again(row: Change | None, is_unsettled: bool) -> None:
    assert unsettled_rows({"key": row}, FLOOR) == ({"key": row} if is_unsettled else {})
