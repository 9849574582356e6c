"""Tests of the versions of sourced changes: their order, and the meaning of each part of a version."""

from hypothesis import given
from hypothesis import strategies as st

from readplane.model.version import is_version, time_ms
from readplane.poll.sourced_version import (
    MAX_COUNTER,
    content_hash,
    content_of,
    counter_of,
    next_version,
    sourced_version,
)
from tests.unit.support import NOW_MS

times = st.integers(0, (1 << 48) - 3)
counters = st.integers(0, MAX_COUNTER)
contents = st.integers(0, (1 << 62) - 1)

GOLDEN = "01a1ee56-5e00-7000-9a74-a2ccf5e4470e"
"""The expected version of a record with the item id ``x`` and the data ``{"n":1}`` that was modified at ``NOW_MS``."""


@given(times, counters, contents)
def test_the_parts_of_a_version_can_be_read_back(ms: int, counter: int, content: int) -> None:
    version = sourced_version(ms, counter, content)
    assert is_version(version)
    assert (time_ms(version), counter_of(version), content_of(version)) == (ms, counter, content)


@given(st.lists(st.tuples(times, counters, contents), min_size=2, max_size=2))
def test_versions_are_ordered_by_time_and_then_by_counter(parts: list[tuple[int, int, int]]) -> None:
    assert sorted(parts) == sorted(parts, key=lambda part: sourced_version(*part))


@given(times, counters, contents, contents)
def test_the_next_version_is_just_above_and_has_the_other_content(
    ms: int, counter: int, content: int, other_content: int
) -> None:
    version = sourced_version(ms, counter, content)
    above = next_version(version, other_content)
    assert version < above < sourced_version(ms + 2, 0, 0)
    assert content_of(above) == other_content
    assert time_ms(above) == ms or counter == MAX_COUNTER


def test_the_content_hash_depends_on_source_key_and_data() -> None:
    hashes = [
        content_hash(source, key, data)
        for source in ("a", "ab")
        for key in ("item/c/x", "item/c/y", "bitem/c/x")
        for data in ('{"n":1}', '{"n":1.0}', "{}", None)
    ]
    assert len(set(hashes)) == len(hashes)
    assert all(0 <= content < 1 << 62 for content in hashes)
    assert content_hash("a", "k", '{"n":"\ud800"}'), "a JSON text may hold half of a surrogate pair"


def test_the_version_of_a_record_never_changes() -> None:
    """If the hash function changed, every record would get a new version, and `poll` would send every record again."""
    assert sourced_version(NOW_MS, 0, content_hash("erp", "item/c/x", '{"n":1}')) == GOLDEN
