"""Tests of the marks of the records that a full listing has read."""

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from readplane.poll.missing_items import pack_hashes
from readplane.poll.seen_records import UNKNOWN, SeenRecords

_HASHES = st.integers(0, 30) | st.integers(0, (1 << 64) - 1)


@given(st.lists(st.tuples(_HASHES, st.integers(0, (1 << 64) - 1))), st.lists(st.lists(_HASHES), max_size=3))
def test_a_record_has_the_mark_that_it_got_last(pairs: list[tuple[int, int]], chunks: list[list[int]]) -> None:
    with patch("readplane.poll.seen_records._RECENT", 3):
        seen = SeenRecords(map(pack_hashes, chunks))
        expected = {key: UNKNOWN for chunk in chunks for key in chunk}
        for key, mark in pairs:
            assert seen.get_mark(key) == expected.get(key)
            seen.add_record(key, mark)
            expected[key] = mark
    assert {key: seen.get_mark(key) for key in expected} == expected
    assert all(seen.get_mark(key) is None for key in range(31) if key not in expected)
