"""Tests of lists that have several records with the same id: one of them is taken, and the others are reported."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.unit.poll.support import CHANGES, DAY_MS, LISTING, ORIGIN, SWEPT, World, metric_lines
from tests.unit.support import NOW_MS

AT = NOW_MS - DAY_MS
VERSIONED_LISTING = {**LISTING, "version": CHANGES["version"]}


def list_pages(world: World, *pages: list[dict[str, Any]]) -> None:
    """Let every list of the back office have these pages."""

    def answer(url: str) -> bytes:
        number = int(dict(parse_qsl(urlsplit(url).query)).get("from", 0))
        following = f"{ORIGIN}?from={number + 1}" if number + 1 < len(pages) else None
        return json.dumps({"rows": pages[number], "next": following}).encode()

    world.office.answer = answer


def row(row_id: str, n: int, at: int = AT) -> dict[str, Any]:
    return {"id": row_id, "at": at, "n": n}


def duplicates(output: str) -> list[float]:
    return [line["DuplicateIds"] for line in metric_lines(output) if "DuplicateIds" in line]


@pytest.mark.parametrize("source", [LISTING, VERSIONED_LISTING], ids=["undated", "dated"])
def test_the_first_record_of_a_listing_wins_and_the_item_never_flips(
    world: World, source: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    list_pages(world, [row("a", 1), row("b", 1)], [row("c", 1), row("a", 2)], [row("a", 3), row("d", 1)])
    assert [world(source)["changes"] for _ in range(4)] == [4, 0, 0, 0]
    assert world.values() == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert duplicates(capsys.readouterr().out) == [2] * 4


def test_a_listing_over_several_polls_takes_one_record_too(world: World) -> None:
    list_pages(world, [row("a", 1), row("b", 1)], [row("c", 1), row("a", 2)], [row("a", 3), row("d", 1)])
    source = {**LISTING, "max_pages": 1}
    assert sum(world(source)["changes"] for _ in range(12)) == 4
    assert world.values() == {"a": 1, "b": 1, "c": 1, "d": 1}


def test_a_later_record_of_a_listing_wins(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    list_pages(world, [row("a", 1), row("b", 1)], [row("a", 2, AT + 1), row("c", 1)], [row("a", 9, AT), row("d", 1)])
    assert world(VERSIONED_LISTING)["changes"] == 5
    assert [world(VERSIONED_LISTING)["records"] for _ in range(2)] == [6, 6]
    assert world.values()["a"] == 2
    assert duplicates(capsys.readouterr().out) == [1] * 3


def test_a_record_that_moved_to_a_later_page_is_no_duplicate(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    list_pages(world, [row("a", 1), row("b", 1)], [row("b", 1), row("c", 1)])
    for source in (LISTING, {**VERSIONED_LISTING, "name": "other"}):
        world(source)
    assert not duplicates(capsys.readouterr().out)


def test_a_sweep_and_the_main_passes_agree_on_a_record(world: World) -> None:
    list_pages(world, [row("a", 1), row("b", 1)], [row("c", 1), row("a", 2)])
    world(SWEPT), world(SWEPT)
    value = world.values()["a"]
    changes = [world(SWEPT, sweep=True)["changes"] for _ in range(4)]
    assert changes[1:] == [0, 0, 0], "the item may change once, but doesn't flip"
    assert world.values()["a"] in (value, 1)


@pytest.mark.parametrize("pages", [1, 2, 3])
def test_the_last_state_in_a_list_of_modifications_wins_and_the_item_never_flips(
    world: World, pages: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Several modifications have the same time, and each pass reads all of them again."""
    log = [row("a", 1), row("b", 1), row("a", 2), row("c", 1), row("a", 3), row("d", 1)]
    size = len(log) // pages

    def paged() -> list[list[dict[str, Any]]]:
        return [log[start : start + size] for start in range(0, len(log), size)]

    list_pages(world, *paged())
    world()
    assert world.values()["a"] == 3
    assert [world()["changes"] for _ in range(3)] == [0, 0, 0]
    assert duplicates(capsys.readouterr().out) == [2] * 4
    log.append(row("a", 4))
    list_pages(world, *paged())
    assert [world()["changes"] for _ in range(3)] == [1, 0, 0]
    assert world.values()["a"] == 4


def test_two_records_with_one_id_on_one_page_are_reported(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    list_pages(world, [row("a", 1), row("a", 1), row("b", 1), row("a", 2)])
    world()
    assert world.values() == {"a": 2, "b": 1}
    assert duplicates(capsys.readouterr().out) == [1]
