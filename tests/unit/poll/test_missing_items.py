"""Tests of the rules of a sweep, which deletes items that the back office no longer lists.

The tests cover the sets that hold the hashes of listed items, and the conditions under which a sweep refuses to delete
items.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.poll.missing_items import HashSet, pack_hashes, refusal_reason


@given(st.lists(st.lists(st.integers(0, (1 << 64) - 1), max_size=20), max_size=5), st.integers(0, (1 << 64) - 1))
def test_a_set_of_hashes_holds_what_its_chunks_hold(chunks: list[list[int]], other: int) -> None:
    every = {value for chunk in chunks for value in chunk}
    hashes = HashSet(map(pack_hashes, chunks))
    assert all(value in hashes for value in every)
    assert (other in hashes) == (other in every)
    assert bool(hashes) == bool(every)


@pytest.mark.parametrize(
    ("living", "missing", "has_records", "doubtful", "without_id", "max_percent", "may_delete"),
    [
        (100, 0, True, False, 0, 10, True),
        (100, 10, True, False, 0, 10, True),
        (100, 11, True, False, 0, 10, False),
        (5, 1, True, False, 0, 10, True),
        (5, 2, True, False, 0, 10, False),
        (1, 1, False, False, 0, 100, False),
        (100, 1, True, True, 0, 10, False),
        (100, 0, True, True, 0, 10, True),
        (100, 1, True, False, 1, 10, False),
        (100, 1, True, False, 0, 0, False),
        (0, 0, False, False, 0, 10, True),
    ],
)
def test_a_sweep_may_delete_only_after_a_credible_listing(
    living: int,
    missing: int,
    has_records: bool,
    doubtful: bool,
    without_id: int,
    max_percent: float,
    may_delete: bool,
) -> None:
    reason = refusal_reason(
        living,
        missing,
        has_records=has_records,
        doubtful=doubtful,
        without_id=without_id,
        max_percent=max_percent,
    )
    assert (reason is None) == may_delete
