"""Histories of a source: whatever goes wrong on the way, in the end the items equal the back office's rows.

In a history, the users of a back office change its rows while polls read them. Everything between the back office and
the items can fail. A poll can stop, be killed or interleave with another poll at any of its calls. Hypothesis draws the
histories. If one fails, Hypothesis shrinks it to the few steps that are needed to fail.
"""

import json

import pytest
from hypothesis import given, settings

from tests.fakes.back_office import Shape
from tests.fakes.sandbox import simulated
from tests.histories.generators import LATE_MS, histories
from tests.histories.steps import (
    IDS,
    VALUES,
    Delete,
    Deliver,
    Fail,
    Kill,
    Poll,
    Put,
    PutBadRow,
    Remove,
    Resume,
    Setting,
    Step,
    Wait,
)
from tests.histories.world import FUNCTION_MS, World, play, settle

HISTORIES = 800
"""How many histories a run plays; `make test-long` plays more."""

POLL_ALL = Poll(0, sweep=False, calls=None, immortal=False)
SWEEP = Poll(0, sweep=True, calls=None, immortal=False)
DELIVER_ALL = Deliver(100, "in order")
VALUE, OTHER_VALUE = VALUES[0], VALUES[2]
LAST_PAGE_EMPTY: list[Step] = [*[Fail("slow")] * 3, Fail("empty")]
"""Faults that make the last page of a sweep's poll falsely empty.

The poll reads four pages: two of the incremental pass, then two of the full listing.
"""
THREE_ROWS: list[Step] = [Put("a", VALUE, 0), Put("b", VALUE, 0), Put("c", VALUE, 0)]
B_CHANGES: list[Step] = [
    *THREE_ROWS,
    *(POLL_ALL, DELIVER_ALL, Put("b", OTHER_VALUE, 0)),
    *(POLL_ALL, DELIVER_ALL, Wait(10_000)),
]
"""Steps that insert three rows and then change row b. The items have all of these changes."""

FOUND: dict[str, tuple[Setting, list[Step]]] = {
    "a row is removed just before a sweep reads it, and its item is still in the stream": (
        Setting(),
        [Put("a", VALUE, 0), SWEEP._replace(calls=3), Remove("a", 0)],
    ),
    "of two polls, the one that released its lease first publishes its freshness last": (
        Setting(),
        [Put("a", VALUE, 0), POLL_ALL._replace(calls=5), POLL_ALL._replace(slot=1), Resume(0, None)],
    ),
    "two rows of a numbered page move behind the next page's row, and the page still ends as before": (
        Setting(Shape("page"), max_pages=1),
        [
            *THREE_ROWS,
            *(Wait(40_000), POLL_ALL),
            *(Put("b", OTHER_VALUE, 0), Wait(1), Put("a", OTHER_VALUE, 0), Wait(1), POLL_ALL),
        ],
    ),
    "the first page is unchanged and the second isn't": (
        Setting(Shape(validator="etag")),
        [*THREE_ROWS, POLL_ALL, POLL_ALL, Put("d", VALUE, 0), POLL_ALL],
    ),
    "a full page keeps its ETag when its Link header begins to name another page": (
        Setting(Shape("header", page_size=3, validator="etag")),
        [*THREE_ROWS, POLL_ALL, POLL_ALL, Put("d", VALUE, 0), POLL_ALL],
    ),
    "a numbered page comes twice": (
        Setting(Shape("page")),
        [
            *(*THREE_ROWS, Put("d", VALUE, 0), Put("e", VALUE, 0)),
            *(Wait(40_000), Fail("slow"), Fail("repeated"), POLL_ALL),
        ],
    ),
    "a row has lost its id when a sweep looks for it": (
        Setting(),
        [*B_CHANGES, PutBadRow("a", "no id"), SWEEP, SWEEP],
    ),
    "a listing ends before its end, once": (
        Setting(Shape(order="id")),
        [*B_CHANGES, *LAST_PAGE_EMPTY, SWEEP],
    ),
    "more rows are missing than a sweep may delete": (
        Setting(max_deletes_percent=50),
        [*B_CHANGES, Delete("a"), Delete("c")],
    ),
    "every listing is empty": (
        Setting(Shape(versions=None)),
        [*B_CHANGES, Fail("empty"), POLL_ALL, Fail("empty"), POLL_ALL],
    ),
    "a row is committed late, behind what an unfinished pass has read": (
        Setting(max_pages=1),
        [
            *(*THREE_ROWS[:2], Wait(300), THREE_ROWS[2], POLL_ALL),
            *(Put("d", VALUE, 999), Wait(40_000), Put("e", VALUE, 0), POLL_ALL, POLL_ALL),
        ],
    ),
}
"""Histories that once showed a fault, either of `poll` or of a mutant (our code with a deliberate fault)."""


@pytest.mark.parametrize("name", FOUND)
def test_a_history_that_once_failed(name: str) -> None:
    play(*FOUND[name])


@settings(max_examples=max(HISTORIES, 2 * settings().max_examples))
@given(histories())
def test_in_the_end_the_items_equal_the_back_offices_rows(history: tuple[Setting, list[Step]]) -> None:
    play(*history)


@pytest.mark.parametrize("poll", [POLL_ALL, SWEEP])
@pytest.mark.parametrize(
    "first, second, wait",
    [(VALUE, OTHER_VALUE, 1), (OTHER_VALUE, VALUE, 1), (VALUE, OTHER_VALUE, 40_000)],
    ids=["within one timestamp", "within one timestamp, reversed", "later"],
)
def test_a_poll_can_be_killed_before_any_of_its_calls_and_the_next_poll_continues(
    first: str, second: str, wait: int, poll: Poll
) -> None:
    """Kill a poll before each of its calls in turn, not only before those that Hypothesis draws."""
    setting = Setting(Shape(page_size=10, resolution_ms=1_000))
    steps: list[Step] = [*(Put(row_id, first, 0) for row_id in IDS), Wait(wait)]
    calls = 0
    while True:
        calls += 1
        rest: list[Step] = [Put("a", second, 0), Kill(0), Put("b", second, 0), Wait(100_000), POLL_ALL]
        if not play(setting, [*steps, poll._replace(calls=calls), *rest]).kills:
            break
    assert calls > 4


def test_two_polls_can_interleave_at_any_of_their_calls() -> None:
    """One poll stops before its n-th call. Then its lease expires, another poll runs, and the first one resumes."""
    steps: list[Step] = [Put(row_id, VALUE, 0) for row_id in IDS]
    for calls in range(1, 20):
        frozen = SWEEP._replace(calls=calls, immortal=True)
        others: list[Step] = [Put("a", OTHER_VALUE, 0), Wait(FUNCTION_MS), Put("b", OTHER_VALUE, 0)]
        play(Setting(), [*steps, frozen, *others, SWEEP._replace(slot=1), Resume(0, None)])


def test_a_poll_does_nothing_while_another_one_runs() -> None:
    world = World(Setting())
    with simulated(world.clock, world.send):
        for step in (*THREE_ROWS, POLL_ALL._replace(calls=2), POLL_ALL._replace(slot=1)):
            world.do(step)
        assert world.outcome == "running" and not world.stream.records
        settle(world)


def test_a_row_that_comes_back_while_a_sweep_deletes_it_needs_no_other_sweep() -> None:
    """The row's new time may be before the sweep. So a tombstone must have the time of the item that it deletes."""
    world = World(Setting())
    with simulated(world.clock, world.send):
        steps: list[Step] = [*B_CHANGES, Delete("a"), SWEEP, Wait(10_000), SWEEP]
        for step in (*steps, Put("a", OTHER_VALUE, LATE_MS), DELIVER_ALL, POLL_ALL, DELIVER_ALL):
            world.do(step)
        assert json.loads(world.items.items["item/things/a"]["data"]["S"]) == json.loads(OTHER_VALUE)
        settle(world)
