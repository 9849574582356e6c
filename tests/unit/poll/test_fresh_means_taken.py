"""Tests of when a pass with refused records makes its source fresh, and of the number of refused records."""

import json
from typing import Any

import pytest

from tests.unit.poll.support import CHANGES, DAY_MS, LISTING, SWEPT, World, metric_lines
from tests.unit.support import NOW_MS


def rows(world: World, good: int, bad: int, at: int = NOW_MS - 1000, prefix: str = "") -> None:
    for number in range(good):
        world.office.row(f"{prefix}good{number}", at)
    for number in range(bad):
        world.office.row(f"{prefix}bad{number}", at, n="bad")


def gauge(output: str) -> list[float]:
    return [line["RecordsInQuarantine"] for line in metric_lines(output) if "RecordsInQuarantine" in line]


@pytest.mark.parametrize("source", [CHANGES, LISTING], ids=["changes", "listing"])
@pytest.mark.parametrize(
    ("good", "bad", "max_percent", "is_fresh"),
    [
        (0, 1, 10, False),
        (0, 3, 99, False),
        (1, 9, 10, False),
        (9, 1, 10, True),
        (8, 2, 10, False),
        (8, 2, 20, True),
        (8, 2, None, False),
        (9, 1, None, True),
        (99, 1, 0, False),
        (5, 0, 0, True),
        (0, 3, 100, True),
        (0, 0, 0, True),
    ],
)
def test_a_first_pass_makes_a_source_fresh_only_if_its_records_were_taken(
    world: World, source: dict[str, Any], good: int, bad: int, max_percent: float | None, is_fresh: bool
) -> None:
    rows(world, good, bad)
    assert world({**source, "max_refused_percent": max_percent})["outcome"] == "completed"
    assert (world.checkpoint().fresh_as_of_ms is not None) == is_fresh
    assert world.checkpoint().refused == bad


@pytest.mark.parametrize("source", [CHANGES, LISTING], ids=["changes", "listing"])
def test_a_source_is_fresh_again_when_its_records_are_corrected(world: World, source: dict[str, Any]) -> None:
    rows(world, 10, 10)
    world(source)
    assert world.checkpoint().fresh_as_of_ms is None
    for number in range(7):
        world.office.row(f"bad{number}", NOW_MS - 500, 1)
    world(source)
    assert world.checkpoint().fresh_as_of_ms is None and world.checkpoint().refused == 3
    world.office.row("bad7", NOW_MS - 500, 1)
    world(source)
    assert world.checkpoint().fresh_as_of_ms == NOW_MS + 2


def test_the_alarm_stays_on_while_a_record_is_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    rows(world, 20, 1)
    world()
    world.office.row("head", NOW_MS)
    for _ in range(3):
        world.ms += DAY_MS
        world()
        world.call({"freshness": True})
    assert gauge(capsys.readouterr().out) == [1] * 7
    world.office.row("bad0", world.ms - 1000, 7)
    world()
    world.call({"freshness": True})
    assert gauge(capsys.readouterr().out) == [0, 0]


def test_one_bad_record_does_not_make_a_quiet_source_stale(world: World) -> None:
    rows(world, 50, 0, NOW_MS - DAY_MS)
    world.office.row("head", NOW_MS - 1000, n="bad")
    for _ in range(3):
        world()
        assert world.checkpoint().fresh_as_of_ms == world.ms - 1, "the later passes read the bad record only"


def test_new_records_that_are_all_refused_make_a_source_stale(world: World) -> None:
    """The back office changes its records' form. A few new records come with each poll."""
    rows(world, 100, 0, NOW_MS - DAY_MS)
    world()
    fresh = []
    for number in range(12):
        world.ms += DAY_MS
        world.office.row(f"new{number}", world.ms - 1000, n="bad")
        world()
        fresh.append(world.checkpoint().fresh_as_of_ms == world.ms - 1)
    assert fresh == [True] * 9 + [False] * 3
    for number in range(12):
        world.office.row(f"new{number}", world.ms - 500)
    world()
    assert world.checkpoint().fresh_as_of_ms == world.ms - 1


def test_a_bad_judgement_is_forgotten_when_enough_good_records_have_come(world: World) -> None:
    world()
    fresh = []
    for batch in range(30):
        world.ms += DAY_MS
        bad, good = (2, 8) if batch < 5 else (1, 19)
        rows(world, good, bad, world.ms - 1000, f"{batch}-")
        world()
        fresh.append(world.checkpoint().fresh_as_of_ms == world.ms - 1)
    assert not any(fresh[:5]) and all(fresh[15:])


def test_a_listing_that_lacks_a_refused_record_ends_its_quarantine(world: World) -> None:
    rows(world, 9, 2)
    world(LISTING)
    assert world.checkpoint().refused == 2
    del world.office.rows["bad0"]
    world(LISTING)
    assert world.checkpoint().refused == 1


def test_a_sweep_that_lacks_a_refused_record_ends_its_quarantine(world: World) -> None:
    rows(world, 4, 4, NOW_MS - DAY_MS)
    world(SWEPT)
    assert world.checkpoint().fresh_as_of_ms is None
    for number in range(4):
        del world.office.rows[f"bad{number}"]
    world(SWEPT)
    assert world.checkpoint().refused == 4, "an incremental pass doesn't notice that they are gone"
    world(SWEPT, sweep=True)
    assert world.checkpoint().refused == 0
    assert world.checkpoint().fresh_as_of_ms == world.ms - 1


def test_a_redriven_record_is_refused_no_longer(world: World) -> None:
    rows(world, 9, 0)
    world.office.row("a", NOW_MS - 2000, n="7")
    world()
    assert world.checkpoint().refused == 1
    world.schemas["things"] = {"type": "object"}
    world.call({"redrive": {"source": "rows", "keys": list(world.quarantine.entries)}})
    assert world.values()["a"] == "7"
    world.office.rows.clear()
    world()
    assert world.checkpoint().refused == 0
    assert world.checkpoint().redriven == frozenset()


def test_a_record_without_an_id_is_counted_for_a_week(world: World) -> None:
    rows(world, 20, 0)
    world.office.rows["x"] = {"id": None, "at": NOW_MS - 999, "n": 1}
    world()
    del world.office.rows["x"]
    world.office.row("head", NOW_MS)
    world.ms += 6 * DAY_MS
    world()
    assert world.checkpoint().refused == 1
    world.ms += 2 * DAY_MS
    world()
    assert world.checkpoint().refused == 0


def test_a_record_without_an_id_that_is_corrected_is_counted_no_longer(world: World) -> None:
    rows(world, 20, 0)
    world.office.rows["x"] = {"id": None, "at": NOW_MS - 999, "n": 1}
    for _ in range(3):
        world()
        assert world.checkpoint().refused == 1
    world.office.rows["x"] = {"id": "x", "at": NOW_MS + 2, "n": 1}
    world()
    assert world.checkpoint().refused == 0 and "x" in world.values()


def test_more_refused_records_than_a_checkpoint_remembers_make_a_source_stale(world: World) -> None:
    world.office.page_size = 1_500
    rows(world, 6_000, 6_000)
    for row in world.office.rows.values():  # The good and the bad records alternate.
        row["at"] -= int(row["id"].strip("abdgo"))
    for _ in range(2):
        assert world({**LISTING, "max_seconds": 600})["outcome"] == "completed"
        assert world.checkpoint().fresh_as_of_ms is None


def test_records_with_one_id_go_to_quarantine_once(world: World) -> None:
    """Of three records with the same id, two are bad. None of them ends the quarantine of another."""
    listed = [{"id": "a", "at": NOW_MS - 1000, "n": n} for n in ("bad", 1, "worse")]
    listed += [{"id": f"r{number}", "at": NOW_MS - 1000, "n": 1} for number in range(30)]
    world.office.answer = lambda url: json.dumps({"rows": listed}).encode()
    assert [world()["quarantined"] for _ in range(4)] == [2, 0, 0, 0]
    del listed[0], listed[1]
    world(), world()
    assert world.checkpoint().refused == 0


def test_another_state_of_a_refused_record_takes_its_place(world: World) -> None:
    rows(world, 20, 0)
    for number in range(3):
        world.office.row("a", NOW_MS - 900 + number, n=f"bad {number}")
        assert world()["quarantined"] == 1
        assert world.checkpoint().refused == 1
