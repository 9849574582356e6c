"""Simulated histories of a source: at the end of each history, the items must equal the back office's rows.

In a history, the users of a back office change its rows while polls read them. Everything between the back office and
the items can fail. A poll can stop, be killed or interleave with another poll before any of its calls. Hypothesis draws
the histories. If a history fails, Hypothesis shrinks it to the few steps that are needed to show the fault.
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
"""How many random histories a test run plays. `make test-properties` plays more."""

POLL_ALL = Poll(0, sweep=False, calls=None, immortal=False)
SWEEP = Poll(0, sweep=True, calls=None, immortal=False)
DELIVER_ALL = Deliver(100, "in order")
VALUE, OTHER_VALUE = VALUES[0], VALUES[2]
LAST_PAGE_EMPTY: list[Step] = [*[Fail("slow")] * 3, Fail("empty")]
"""Faults for a poll with a sweep. They make its last page empty, although the back office has rows for this page.

The poll reads four pages: two pages of the incremental pass, then two pages of the full listing. Each fault is for one
page. The first three pages are slow but correct.
"""
THREE_ROWS: list[Step] = [Put("a", VALUE, 0), Put("b", VALUE, 0), Put("c", VALUE, 0)]
B_CHANGES: list[Step] = [
    *THREE_ROWS,
    *(POLL_ALL, DELIVER_ALL, Put("b", OTHER_VALUE, 0)),
    *(POLL_ALL, DELIVER_ALL, Wait(10_000)),
]
"""Steps that insert three rows and then change row b. After these steps the items equal the rows."""

FIVE_SPREAD_ROWS: list[Step] = [step for row_id in IDS for step in (Put(row_id, VALUE, 0), Wait(100_000))]
LIMITED_POLLS: list[Step] = [Fail("limited"), Fail("limited"), POLL_ALL, Wait(40_000)] * 5
CAPPED = Setting(Shape(page_size=2, cap=4), in_order=True)

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
    "a sweep reads an old state of a row from a scroll, after a main pass read a later state with the same time": (
        Setting(Shape("scroll", versions="rfc3339", resolution_ms=1_000), max_pages=1),
        [
            *(Put("a", VALUE, 0), Put("b", VALUE, 0), Put("c", VALUE, 1)),
            *(Remove("a", 0), POLL_ALL, SWEEP, Deliver(1, "in order")),
            *(Remove("b", 0), POLL_ALL, POLL_ALL),
        ],
    ),
    "a sweep reads an old state of a row from a scroll, after a later change has reached the item": (
        Setting(Shape("scroll", page_size=1), max_pages=1),
        [
            *(Put("a", VALUE, 0), Wait(10_000), Put("b", VALUE, 0), Wait(10_000), Put("c", VALUE, 0), Wait(10_000)),
            *(POLL_ALL, POLL_ALL, POLL_ALL, DELIVER_ALL, SWEEP),
            *(Put("c", OTHER_VALUE, 0), POLL_ALL, DELIVER_ALL, Wait(10_000), POLL_ALL),
        ],
    ),
    "the incremental passes are answered 304 while a sweep over several polls looks for a row that was deleted": (
        Setting(
            Shape("scroll", page_size=2, versions="rfc3339", validator="etag"),
            max_pages=1,
            latency_ms=3_000,
            max_deletes_percent=100,
        ),
        [
            *(Put("d", VALUE, 0), PutBadRow("b", "future"), POLL_ALL, Put("c", VALUE, 0), SWEEP),
            *(Put("a", VALUE, 0), Remove("a", 0), POLL_ALL, Put("e", VALUE, 0)),
            *(Put("a", VALUE, 0), POLL_ALL, PutBadRow("a", "future"), SWEEP),
        ],
    ),
    "the back office lists fewer rows than it has, and a first pass needs all of them": (
        CAPPED,
        [*FIVE_SPREAD_ROWS, POLL_ALL],
    ),
    "the back office lists fewer rows than it has, and a sweep looks for a row that was deleted": (
        CAPPED._replace(max_pages=2),
        [*FIVE_SPREAD_ROWS, POLL_ALL, POLL_ALL, POLL_ALL, Delete("b"), SWEEP],
    ),
    "a rate limit told as 403 outlasts the breaker in the middle of a pass": (
        Setting(max_pages=1),
        [
            *(*THREE_ROWS, Put("d", VALUE, 0), POLL_ALL),
            *LIMITED_POLLS,
        ],
    ),
    "a proxy's own status in the middle of a pass": (
        Setting(max_pages=1),
        [*THREE_ROWS, Put("d", VALUE, 0), POLL_ALL, Fail("520"), Fail("520"), POLL_ALL],
    ),
    "most rows are bad in the first pass, and are corrected": (
        Setting(),
        [
            *(Put("a", VALUE, 0), PutBadRow("b", "invalid"), PutBadRow("c", "no id"), PutBadRow("d", "no time")),
            *(POLL_ALL, DELIVER_ALL, Wait(40_000), POLL_ALL),
            *(Put("b", VALUE, 0), Put("c", VALUE, 0), Put("d", OTHER_VALUE, 0), POLL_ALL),
        ],
    ),
}
"""Histories that once failed. Each key says what happens in its history.

Each history failed because of a fault in `poll`, because of a fault in how the test ends a history, or because of a
deliberate fault that was put into `poll` to check that the tests find it.
"""


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
    """Play one history for each call of a poll, and kill the poll just before that call.

    The random histories can't replace this test, because they kill polls before only some of the calls.
    """
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
    """One poll stops after n calls. Then its lease expires, another poll runs to its end, and the first poll resumes.

    The test does this for each n from 1 to 19.
    """
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
    """A deleted row comes back, with a modification time before the sweep that deletes its item.

    Even then the new row must replace the tombstone that the sweep writes. So the tombstone must have the modification
    time of the deleted item and not the time of the sweep.
    """
    world = World(Setting())
    with simulated(world.clock, world.send):
        steps: list[Step] = [*B_CHANGES, Delete("a"), SWEEP, Wait(10_000), SWEEP]
        for step in (*steps, Put("a", OTHER_VALUE, LATE_MS), DELIVER_ALL, POLL_ALL, DELIVER_ALL):
            world.do(step)
        assert json.loads(world.items.items["item/things/a"]["data"]["S"]) == json.loads(OTHER_VALUE)
        settle(world)
