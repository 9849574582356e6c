"""Which change a record is, what a checkpoint remembers of it, and what a sweep may conclude."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.model.version import is_version, time_ms
from readplane.poll.remembered import (
    MAX_REFUSED,
    MAX_SEEN,
    MAX_TIE,
    Remembered,
    bumped,
    cursor,
    key_hash,
    sourced_version,
    state_hash,
    state_of,
    tie_of,
    watermark,
)
from readplane.poll.sweep_rules import HashSet, packed, reconciled, refusal
from tests.unit.support import NOW_MS

times = st.integers(0, (1 << 48) - 3)
ties = st.integers(0, MAX_TIE)
states = st.integers(0, (1 << 62) - 1)


GOLDEN = "01a1ee56-5e00-7000-9a74-a2ccf5e4470e"
"""The version of item ``x`` that says ``{"n":1}``, at ``NOW_MS``."""


@given(times, ties, states)
def test_a_version_tells_what_it_was_made_of(ms: int, tie: int, state: int) -> None:
    version = sourced_version(ms, tie, state)
    assert is_version(version)
    assert (time_ms(version), tie_of(version), state_of(version)) == (ms, tie, state)


@given(st.lists(st.tuples(times, ties, states), min_size=2, max_size=2))
def test_versions_are_ordered_by_time_then_by_the_counter(parts: list[tuple[int, int, int]]) -> None:
    assert sorted(parts) == sorted(parts, key=lambda part: sourced_version(*part))


@given(times, ties, states, states)
def test_a_bump_is_the_least_that_says_something_else(ms: int, tie: int, state: int, other: int) -> None:
    version = sourced_version(ms, tie, state)
    above = bumped(version, other)
    assert version < above < sourced_version(ms + 2, 0, 0)
    assert state_of(above) == other
    assert time_ms(above) == ms or tie == MAX_TIE


def test_every_part_counts_for_what_a_record_says() -> None:
    told = [
        state_hash(source, key, data)
        for source in ("a", "ab")
        for key in ("item/c/x", "item/c/y", "bitem/c/x")
        for data in ('{"n":1}', '{"n":1.0}', "{}", None)
    ]
    assert len(set(told)) == len(told)
    assert all(0 <= state < 1 << 62 for state in told)
    assert state_hash("a", "k", '{"n":"\ud800"}'), "half a surrogate pair may stand in a text"


def test_the_same_state_is_the_same_change_everywhere() -> None:
    """The hash is part of every item's version: another one would be a change of every item."""
    assert sourced_version(NOW_MS, 0, state_hash("erp", "item/c/x", '{"n":1}')) == GOLDEN


# -- the window --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "newest", "started", "after"),
    [
        (None, None, 100, None),
        (50, None, 100, 50),
        (None, 70, 100, 70),
        (80, 70, 100, 80),
        (80, 130, 100, 100),
        (None, 130, 100, 100),
    ],
)
def test_the_watermark_is_the_newest_that_was_surely_reached(
    before: int | None, newest: int | None, started: int, after: int | None
) -> None:
    assert watermark(before, newest, started) == after


def test_a_pass_asks_from_a_lag_before_the_watermark() -> None:
    assert cursor(None, 60) is None
    assert cursor(1_000, 60) == 940
    assert cursor(10, 60) == 0


# -- what is remembered ------------------------------------------------------------------------------------------------


def met(seen: Remembered, ms: int, state: int) -> str | None:
    entry = seen.meet(1, ms, state)
    return entry and entry.version


def settle(seen: Remembered, *keys: int) -> None:
    seen.settle([(key, entry) for key in keys if (entry := seen.get(key))])


def test_a_state_is_sent_until_it_has_arrived_and_then_no_more() -> None:
    seen = Remembered()
    first = met(seen, 100, 7)
    assert first == sourced_version(100, 0, 7) == met(seen, 100, 7) == met(Remembered(seen.packed()), 100, 7)
    settle(seen, 1)
    assert met(seen, 100, 7) is None
    assert met(Remembered(seen.packed()), 100, 7) is None


def test_states_of_one_time_are_counted() -> None:
    seen = Remembered()
    versions = []
    for state in (9, 3, 9, 3):
        versions.append(met(seen, 100, state))
        seen = Remembered(seen.packed())
    assert versions == [sourced_version(100, tie, state) for tie, state in enumerate((9, 3, 9, 3))]


def test_a_later_time_starts_a_new_count() -> None:
    seen = Remembered()
    met(seen, 100, 9), met(seen, 100, 3)
    assert met(seen, 101, 9) == sourced_version(101, 0, 9)


def test_an_older_time_is_sent_only_while_the_later_one_may_be_lost() -> None:
    seen = Remembered()
    met(seen, 100, 9)
    assert met(seen, 90, 1) == sourced_version(90, 0, 1)
    settle(seen, 1)
    assert met(seen, 90, 1) is None
    assert met(seen, 100, 9) is None, "the later one is what is known"


def test_only_what_was_sent_is_settled() -> None:
    seen = Remembered()
    seen.meet(1, 100, 1), seen.meet(2, 100, 2)
    settle(seen, 1, 3)
    assert seen.meet(1, 100, 1) is None
    assert seen.meet(2, 100, 2) is not None
    assert seen.pending


def test_what_is_still_to_be_sent_is_not_settled_by_an_older_state() -> None:
    seen = Remembered()
    met(seen, 100, 9)
    older = seen.meet(1, 90, 1)
    assert older
    seen.settle([(1, older)])
    assert met(seen, 100, 9) == sourced_version(100, 0, 9)


def test_what_is_doubted_is_sent_again_by_its_own_id() -> None:
    seen = Remembered()
    met(seen, 100, 9), met(seen, 100, 3)
    settle(seen, 1)
    seen.refuse(5, 100)
    seen.doubt()
    assert met(seen, 100, 3) == sourced_version(100, 1, 3)
    assert seen.refuse(5, 100), "a refused record may be fit by now"


def test_what_no_pass_will_meet_is_forgotten_but_not_what_was_refused() -> None:
    seen = Remembered()
    for key, ms in enumerate((99, 100, 101)):
        seen.meet(key, ms, 0)
    seen.refuse(9, 1)
    seen.forget(100)
    assert [seen.get(key) is not None for key in (0, 1, 2, 9)] == [False, True, True, True]


def test_a_record_is_refused_once() -> None:
    seen = Remembered()
    assert seen.refuse(1, 100)
    seen = Remembered(seen.packed())
    assert not seen.refuse(1, 200)
    entry = seen.get(1)
    assert entry and entry.ms == 200


def test_a_full_memory_keeps_the_youngest_and_fits_an_item() -> None:
    seen = Remembered()
    order = list(range(3 * MAX_SEEN))
    random.Random(1).shuffle(order)
    for ms in order:
        seen.meet(key_hash(str(ms)), ms, ms)
    for number in range(2 * MAX_REFUSED):
        seen.refuse(key_hash(f"refused {number}"), number)
    kept = seen.packed()
    assert len(kept) <= 100_000
    again = Remembered(kept)
    assert len(again) == MAX_SEEN
    assert all(again.get(key_hash(str(ms))) for ms in order if ms >= 3 * MAX_SEEN - (MAX_SEEN - MAX_REFUSED))
    assert again.get(key_hash(f"refused {2 * MAX_REFUSED - 1}"))


def test_what_was_refused_may_fill_a_memory_that_holds_little_else() -> None:
    seen = Remembered()
    seen.meet(1, 1, 1)
    for number in range(2 * MAX_SEEN):
        seen.refuse(key_hash(f"refused {number}"), number)
    again = Remembered(seen.packed())
    assert len(again) == MAX_SEEN
    assert again.get(1)


@given(st.lists(st.tuples(st.integers(0, (1 << 64) - 1), times, states, st.booleans()), max_size=50))
def test_packing_changes_nothing(records: list[tuple[int, int, int, bool]]) -> None:
    seen = Remembered()
    for key, ms, state, settled in records:
        seen.meet(key, ms, state)
        if settled:
            settle(seen, key)
    again = Remembered(seen.packed())
    assert {key: again.get(key) for key, *_ in records} == {key: seen.get(key) for key, *_ in records}


# -- sweeps ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(0, (1 << 64) - 1), max_size=20), max_size=5), st.integers(0, (1 << 64) - 1))
def test_a_set_of_hashes_holds_what_its_chunks_hold(chunks: list[list[int]], other: int) -> None:
    every = {value for chunk in chunks for value in chunk}
    hashes = HashSet(map(packed, chunks))
    assert all(value in hashes for value in every)
    assert (other in hashes) == (other in every)
    assert bool(hashes) == bool(every)


@pytest.mark.parametrize(
    ("living", "missing", "listed", "unreadable", "percent", "may"),
    [
        (100, 0, True, 0, 10, True),
        (100, 10, True, 0, 10, True),
        (100, 11, True, 0, 10, False),
        (5, 1, True, 0, 10, True),
        (5, 2, True, 0, 10, False),
        (1, 1, False, 0, 100, False),
        (100, 1, True, 1, 10, False),
        (100, 1, True, 0, 0, False),
        (0, 0, False, 0, 10, True),
    ],
)
def test_what_a_sweep_may_delete(
    living: int, missing: int, listed: bool, unreadable: int, percent: float, may: bool
) -> None:
    assert (refusal(living, missing, listed, unreadable, percent) is None) == may


OLD, ITEM, NEW = (sourced_version(ms, 0, ms) for ms in (100, 200, 300))


@pytest.mark.parametrize(
    ("version", "held", "settled", "versioned", "wanted"),
    [
        (NEW, None, 0, True, NEW),
        (NEW, ITEM, 0, True, NEW),
        (OLD, ITEM, 200, True, bumped(ITEM, 100)),
        (OLD, ITEM, 199, True, None),
        (ITEM, ITEM, 900, True, None),
        (sourced_version(300, 0, 200), ITEM, 900, True, sourced_version(300, 0, 200)),
        (sourced_version(300, 0, 200), ITEM, 900, False, None),
        (sourced_version(100, 0, 200), ITEM, 900, True, None),
        (OLD, ITEM, 900, False, bumped(ITEM, 100)),
    ],
)
def test_how_a_listing_mends_an_item(version: str, held: Any, settled: int, versioned: bool, wanted: Any) -> None:
    assert reconciled(version, held, settled, versioned=versioned) == wanted
