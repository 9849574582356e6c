"""Random histories of lists that end in every way that real back offices have.

Each history has a back office of one shape, a style of paging and a way to tell the end. While faults happen and rows
change, `poll` may fail, but it must never delete the item of a living row. When the faults have stopped, a few polls
must make the items equal to the rows, and each pass must end by the sign that the shape has.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any
from unittest.mock import patch

import pytest

from readplane.model.keys import item_key
from readplane.poll.handler import Poll
from readplane.poll.upstream.paging.ending import ListEnd
from readplane.poll.upstream.paging.reader import FetchedPage, PageReader
from tests.fakes.list_ends import ORIGIN, SHAPES, ListOffice, Style, Way, paging_settings
from tests.fakes.source_settings import add_defaults
from tests.unit.poll.support import World

HISTORIES = 1_000
MAX_CALM_POLLS = 14
"""How many polls without faults must be enough to read everything and to delete what is missing."""

_SCROLL: tuple[Style, Way] = ("token", "self")
_SHAPES = [*sorted(SHAPES), *[_SCROLL] * 4]
"""The shapes of the histories. A scroll is played more often, because a lost response loses a page of it."""


class _World(World):
    """The world of the unit tests, whose back office is a :class:`ListOffice`."""

    def __init__(self, make_office: Callable[[Callable[[], int]], ListOffice]) -> None:
        super().__init__(make_fetch=lambda source: self.list_office)
        self.list_office = make_office(lambda: self.ms)

    @cached_property
    def poll(self) -> Poll:
        """The function `poll`. It starts only once, because starting takes longer than a poll."""
        return super().poll


def _settings(style: Style, way: Way, page_size: int, *, incremental: bool, swept: bool) -> dict[str, Any]:
    sweep = {"schedule": "rate(1 day)" if incremental else None, "max_deletes_percent": 100}
    declared = {
        "name": "rows",
        "mode": "changes",
        "collection": "things",
        "url": f"{ORIGIN}?since={{cursor}}" if incremental else ORIGIN,
        "records": "rows",
        "id": "id",
        "version": {"expression": "at", "format": "unix_ms"},
        "translation": "{n: n}",
        "paging": paging_settings(style, way, page_size),
        "staleness_budget": 600,
        "lag_seconds": 0,
        "sweep": sweep if swept or not incremental else None,
        "breaker": {"failures": 3, "cooldown_seconds": 30},
    }
    return add_defaults(declared)


@contextmanager
def _recorded_ends() -> Iterator[list[ListEnd]]:
    """Record how `poll` finds the end of each list."""
    ends: list[ListEnd] = []
    read_page = PageReader.read_page

    def recording(*arguments: Any) -> FetchedPage:
        page = read_page(*arguments)
        if page.end:
            ends.append(page.end)
        return page

    with patch.object(PageReader, "read_page", recording):
        yield ends


def _check_deletes(world: _World) -> None:
    """Check that no living row's item was deleted."""
    for row_id in world.list_office.visible():
        item = world.items.by_key.get(item_key("things", row_id, None))
        assert item is None or item.data is not None, f"the item of the living row {row_id} was deleted"


def play(style: Style, way: Way, seed: int, *, page_size: int | None = None) -> None:
    """Play one history and check it."""
    rng = random.Random(seed)
    page_size = page_size or rng.choice([1, 2, 2, 3])
    # If the last page is repeated for ever, the changes of a short time may fill exactly one page. Then `poll` can't
    # tell the repeated page from a back office that ignores the page number, and fails until the next change.
    incremental = rng.random() < 0.65 and (style not in ("page", "scanned_offset") or way != "repeated")
    by_time = incremental and rng.random() < 0.5
    world = _World(lambda clock: ListOffice(style, way, page_size, rng, clock, by_time=by_time))
    office = world.list_office
    # Without sweeps, a row that an incremental pass loses stays lost.
    swept = not incremental or rng.random() < 0.3
    source = _settings(style, way, page_size, incremental=incremental, swept=swept)
    for _ in range(rng.randrange(13)):
        office.insert()
        world.ms += rng.choice([0, 1, 100_000])
    office.fault_rate = rng.choice([0.1, 0.2, 0.4])
    for _ in range(rng.randrange(2, 6)):
        world.ms += rng.choice([1, 1_000, 40_000, 600_000])
        world(source, sweep=rng.random() < 0.5)
        _check_deletes(world)
        for _ in range(rng.randrange(3)):
            rng.choice((office.insert, office.insert, office.delete, office.change))()
    office.fault_rate = 0.0
    # The end of a list with a single page may be told in another way.
    while len(office.visible()) <= 2 * page_size:
        office.insert()
    _calm(world, source, SHAPES[style, way].end if swept else None)


def _calm(world: _World, source: dict[str, Any], expected_end: ListEnd | None) -> None:
    """Poll without faults, and check that the items become equal to the rows.

    :param expected_end: how the list must end; ``None`` for a source without sweeps, whose passes read only a few rows.
        Such a source doesn't find deleted rows either.
    """
    office = world.list_office
    outcome = ""
    for poll in range(MAX_CALM_POLLS):
        world.ms += 600_000
        with _recorded_ends() as ends:
            outcome = world(source, sweep=True)["outcome"]
        _check_deletes(world)
        checkpoint = world.checkpoint()
        is_done = not checkpoint.main_pass and not checkpoint.sweep_pass and outcome == "completed"
        has_rows = {key: world.values().get(key) for key in office.visible()} == office.visible()
        # After a doubtful end, nothing that is missing may be deleted.
        finds_missing = expected_end is not None and expected_end.certain
        if is_done and poll >= 2 and has_rows and (world.values() == office.visible() or not finds_missing):
            assert expected_end is None or expected_end in ends, (expected_end, ends)
            return
    raise AssertionError(f"{outcome}: {world.values()} instead of {office.visible()}")


@pytest.mark.parametrize("part", range(4))
def test_after_the_faults_the_items_equal_the_rows(part: int) -> None:
    for number in range(part, HISTORIES, 4):
        style, way = _SHAPES[number % len(_SHAPES)]
        try:
            play(style, way, number)
        except AssertionError as error:
            raise AssertionError(f"{style}, {way}, seed {number}: {error}") from error


@pytest.mark.parametrize(("style", "way"), sorted(SHAPES))
@pytest.mark.parametrize("seed", [1, 2])
def test_pages_of_one_record_are_read_like_any_other(style: Style, way: Way, seed: int) -> None:
    play(style, way, seed, page_size=1)


def test_there_are_twelve_ways_or_more_and_five_styles() -> None:
    assert len({way for _, way in SHAPES}) >= 12
    assert len({style for style, _ in SHAPES}) == 5
