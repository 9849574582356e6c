"""Tests of the end of a sweep: which items the sweep deletes, and when it deletes nothing."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest

from readplane.model.change import Change
from tests.unit.poll.support import DAY_MS, LISTING, SWEPT, World
from tests.unit.support import NOW_MS


def test_an_item_is_deleted_when_two_listings_in_a_row_lack_it(world: World) -> None:
    for name in "abc":
        world.office.row(name)
    world(LISTING)
    world.ms += DAY_MS
    row = world.office.rows.pop("b")
    assert world(LISTING)["missing"] == 1
    assert set(world.values()) == {"a", "b", "c"}
    world.office.rows["b"] = row
    world(LISTING)
    del world.office.rows["b"]
    world(LISTING)
    assert set(world.values()) == {"a", "b", "c"}, "the two listings that lack it are not in a row"
    world(LISTING)
    assert set(world.values()) == {"a", "c"}


def test_two_sweeps_in_a_row_delete_an_item_that_the_listing_lacks(world: World) -> None:
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world(SWEPT)
    del world.office.rows["c"]
    assert set(world.values()) == {"a", "b", "c"}
    assert world(SWEPT, sweep=True)["missing"] == 1
    world(SWEPT)
    assert set(world.values()) == {"a", "b", "c"}
    world(SWEPT, sweep=True)
    assert set(world.values()) == {"a", "b"}


def test_an_owner_collection_is_never_swept(world: World) -> None:
    """Terraform refuses such a source. But a collection may become an owner collection before its schedule changes."""
    world.office.row("a")
    source = {**SWEPT, "collection": "mine", "owner": "id"}
    for _ in range(2):
        response = world(source, sweep=True)
        assert (response["outcome"], response["sweeping"], response["missing"]) == ("completed", False, 0)
    assert set(world.values()) == {"a"}


def test_an_item_that_changed_between_two_sweeps_is_missing_for_the_first_time(world: World) -> None:
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world(SWEPT)
    row = world.office.rows.pop("b")
    world(SWEPT, sweep=True)
    world.office.rows["b"] = row | {"n": 2, "at": NOW_MS - DAY_MS + 1}
    world.stream.put_changes([change_of(world, "b", 2, NOW_MS - DAY_MS + 1)], 1)
    del world.office.rows["b"]
    world(SWEPT, sweep=True)
    assert "b" in world.values()
    world(SWEPT, sweep=True)
    assert "b" not in world.values()


def change_of(world: World, row: str, n: int, ms: int) -> Change:
    item = world.items.by_key[f"item/things/{row}"]
    version = f"{ms:012x}"
    return item._replace(change_id=f"{version[:8]}-{version[8:]}{item.version[13:]}", data=f'{{"n":{n}}}')


def test_an_item_as_young_as_the_listing_is_not_missing(world: World) -> None:
    """A listing can lack the record of such a young item, although the back office has the record.

    The back office may have created the record after `poll` had read the page on which the record belongs.
    """
    for name in "abc":
        world.office.row(name)
    world(LISTING)
    rows = [world.office.rows["a"]]
    world.office.answer = lambda url: json.dumps({"rows": rows}).encode()
    assert world(LISTING)["missing"] == 0


@pytest.mark.parametrize("listing", ["empty", "shrunken", "unreadable"])
def test_a_listing_that_cannot_be_true_deletes_nothing(
    world: World, listing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(10):
        world.office.row(f"r{number}")
    world(LISTING)
    world.ms += DAY_MS
    rows_left = {"empty": 0, "shrunken": 4, "unreadable": 9}[listing]
    rows = [world.office.rows[f"r{number}"] for number in range(rows_left)]
    if listing == "unreadable":
        rows.append({"id": None, "n": 1})
    world.office.answer = lambda url: json.dumps({"rows": rows}).encode()
    for _ in range(3):
        response = world(LISTING)
        assert response["sweep_refused"]
        assert (response["outcome"], response["changes"]) == ("completed", 0)
    assert len(world.values()) == 10


def test_the_item_of_a_record_that_cannot_be_translated_is_not_missing(world: World) -> None:
    for name in "abc":
        world.office.row(name)
    world(LISTING)
    world.ms += DAY_MS
    world.office.row("b", n="many")
    for _ in range(3):
        assert world(LISTING)["missing"] == 0
    assert world.values()["b"] == 1


def test_a_later_change_beats_a_tombstone(world: World) -> None:
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world(SWEPT)
    row = world.office.rows.pop("c")
    world(SWEPT, sweep=True)
    world(SWEPT, sweep=True)
    world.office.rows["c"] = row | {"at": NOW_MS - DAY_MS + 1, "n": 5}
    world.checkpoints.by_source["rows"] = replace(world.checkpoint(), watermark_ms=NOW_MS - DAY_MS)
    world(SWEPT)
    assert world.values()["c"] == 5


def test_a_sweep_continues_where_it_stopped_after_each_main_pass(world: World) -> None:
    world.office.page_size = 3
    for number in range(10):
        world.office.row(f"r{number}", NOW_MS - DAY_MS + number)
    world(SWEPT)
    source = {**SWEPT, "max_pages": 3}
    for _ in range(2):
        world(SWEPT, sweep=True)
        assert world.checkpoint().missed_items is None
    del world.office.rows["r9"]
    world(source, sweep=True)
    for _ in range(8):
        world(source)
    assert world.checkpoint().sweep_pass is None and world.checkpoint().missed_items is not None
    world(source, sweep=True)
    for _ in range(8):
        world(source)
    assert len(world.values()) == 9


def test_a_sweep_with_a_missing_chunk_starts_again(world: World) -> None:
    world.office.page_size = 1
    for days in range(1, 5):
        world.office.row(f"r{days}", NOW_MS - days * DAY_MS)
    world(SWEPT)
    response = world({**SWEPT, "max_pages": 2}, sweep=True)
    assert (response["outcome"], response["sweeping"]) == ("completed", True)
    assert world.checkpoint().sweep_pass is not None
    world.checkpoints.chunks.clear()
    assert world(SWEPT)["missing"] == 0
    assert world.checkpoint().sweep_due
    world(SWEPT)
    assert not world.checkpoint().sweep_due
    assert len(world.values()) == 4


def test_missed_items_are_kept_until_the_next_sweep_however_late_it_comes(world: World) -> None:
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world(SWEPT)
    del world.office.rows["b"]
    world(SWEPT, sweep=True)
    for key in [key for key in world.checkpoints.chunks if not key.endswith(".missing/0")]:
        del world.checkpoints.chunks[key]
    assert world.checkpoints.chunk_seconds[next(iter(world.checkpoints.chunks))] >= 366 * 86_400
    world.ms += 60 * DAY_MS
    world(SWEPT, sweep=True)
    assert "b" not in world.values()


def test_losing_the_missed_items_delays_a_delete_by_one_sweep(world: World) -> None:
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world(SWEPT)
    del world.office.rows["b"]
    world(SWEPT, sweep=True)
    world.checkpoints.chunks.clear()
    world(SWEPT, sweep=True)
    assert "b" in world.values()
    world(SWEPT, sweep=True)
    assert "b" not in world.values()


def test_a_pass_is_saved_before_the_missing_items_are_searched_for(world: World) -> None:
    """The search for missing items in a large collection is slow, so the invocation may time out during the search.

    Without the saved pass, the next invocation would have to read all pages of the listing again.
    """
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world(SWEPT)
    with patch.object(world.items, "list_living", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        world(SWEPT, sweep=True)
    assert world.checkpoint().fresh_as_of_ms == world.ms
    sweep_pass = world.checkpoint().sweep_pass
    assert sweep_pass and sweep_pass.all_read
    pages = len(world.office.urls)
    world.ms += 60_000
    world(SWEPT)
    assert len(world.office.urls) == pages + 1, "only the main pass reads a page"
    assert world.checkpoint().sweep_pass is None


@pytest.mark.parametrize("source", [SWEPT, LISTING], ids=["swept", "listing"])
def test_a_collection_too_large_to_search_stops_no_pass(world: World, source: dict[str, Any]) -> None:
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world(source)
    remaining = [60_000]

    def list_living(_: Iterable[str]) -> Iterator[tuple[str, str]]:
        for number in range(1_000):
            remaining[0] -= 100
            yield f"r{number}", "00000000-0000-7000-8000-000000000000"

    for _ in range(2):
        remaining[0] = 60_000
        pages = len(world.office.urls)
        with (
            patch.object(world.items, "list_living", list_living),
            patch("readplane.clock.time.time_ns", lambda: world.ms * 10**6),
        ):
            response = world.poll({"source": source["name"], "sweep": True}, lambda: remaining[0])
        assert (response["outcome"], response["sweep_refused"], response["changes"]) == ("completed", True, 0)
        assert len(world.office.urls) > pages
        assert world.checkpoint().fresh_as_of_ms == world.ms
        world.ms += 60_000
    world(source)
    assert world.checkpoint().sweep_pass is world.checkpoint().main_pass is None
