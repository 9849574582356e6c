"""Tests of incremental passes: windows, sorted lists, delta links, and the overlap of two passes."""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from readplane.model.timestamp import rfc3339
from readplane.poll.checkpoint import FailureState
from readplane.poll.errors import BackOfficeError, ListMovedError
from tests.unit.poll.support import CHANGES, DAY_MS, ORIGIN, SWEPT, World, metric_lines
from tests.unit.support import NOW_MS

HOUR_MS = 3_600_000
ORDERED = {**CHANGES, "order": "modified"}


def metrics(output: str, name: str) -> list[float]:
    """Return the values of a metric in the log."""
    return [line[name] for line in metric_lines(output) if name in line]


def events(output: str, code: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, output.splitlines()) if line["event"] == code]


def refuse_beyond(world: World, rows: int, status: int = 400) -> Callable[[str], bytes]:
    """Return an answer of a back office that refuses a page behind this many rows of one list."""

    def answer(url: str) -> bytes:
        if int(dict(parse_qsl(urlsplit(url).query)).get("from", 0)) >= rows:
            raise BackOfficeError("status", f"it responds with {status}", status=status)
        return world.office.page(url)

    return answer


# -- windows ---------------------------------------------------------------------------------------------------------

WINDOWS = {
    **CHANGES,
    "url": f"{ORIGIN}?since={{cursor}}&until={{now}}",
    "cursor": {"initial": rfc3339(NOW_MS - 10 * HOUR_MS), "window_seconds": 4 * 3600},
    "lag_seconds": 600,
}


def windows(world: World) -> list[tuple[int, int]]:
    """Let the back office return the rows of a window, and return the list to which each request adds its window."""
    asked: list[tuple[int, int]] = []

    def answer(url: str) -> bytes:
        query = parse_qs(urlsplit(url).query)
        since, until = int(query["since"][0]), int(query["until"][0])
        assert until - since <= 4 * HOUR_MS, "the back office refuses longer windows"
        asked.append((since, until))
        rows = [row for row in world.office.rows.values() if since <= row["at"] <= until]
        return json.dumps({"rows": rows, "next": None}).encode()

    world.office.answer = answer
    return asked


def test_windows_follow_each_other_until_one_ends_now(world: World) -> None:
    asked = windows(world)
    for hours in (9, 5, 1):
        world.office.row(f"r{hours}", NOW_MS - hours * HOUR_MS)
    response = world(WINDOWS)
    assert (response["outcome"], response["changes"]) == ("completed", 3)
    assert asked[0] == (NOW_MS - 10 * HOUR_MS, NOW_MS - 6 * HOUR_MS)
    assert asked[-1][1] == NOW_MS
    for (_, until), (since, _) in pairwise(asked):
        assert since == until - 600_000, "each window begins a lag before the end of the one before"
    assert set(world.values()) == {"r9", "r5", "r1"}
    assert world.checkpoint().fresh_as_of_ms == NOW_MS


def test_a_source_is_not_fresh_before_a_window_ends_now(world: World) -> None:
    asked = windows(world)
    world.office.row("r9", NOW_MS - 9 * HOUR_MS)
    responses = [world({**WINDOWS, "max_pages": 1}) for _ in range(2)]
    assert [response["outcome"] for response in responses] == ["unfinished"] * 2
    assert world.checkpoint().watermark_ms == asked[-1][1] < NOW_MS
    assert world.checkpoint().fresh_as_of_ms is None
    assert [world({**WINDOWS, "max_pages": 1})["outcome"] for _ in range(1)] == ["completed"]
    assert world.checkpoint().fresh_as_of_ms == NOW_MS + 2


def test_a_window_with_a_doubtful_end_holds_the_watermark_and_no_later_window(world: World) -> None:
    asked = windows(world)
    in_window = world.office.answer
    assert in_window

    def answer(url: str) -> bytes:
        page = json.loads(in_window(url))
        # Each list ends in a loop of two pages.
        other = url.removesuffix("&p=2") if url.endswith("&p=2") else f"{url}&p=2"
        return json.dumps({**page, "next": other}).encode()

    world.office.answer = answer
    for hours in (9, 5, 1):
        world.office.row(f"r{hours}", NOW_MS - hours * HOUR_MS)
    assert world(WINDOWS)["outcome"] == "completed"
    assert asked[-1][1] == NOW_MS and set(world.values()) == {"r9", "r5", "r1"}
    assert world.checkpoint().watermark_ms is None
    assert world(WINDOWS)["changes"] == 0, "the items have the changes already"


def test_a_sweep_asks_for_one_window_after_another(world: World) -> None:
    windows(world)
    source = {**WINDOWS, "sweep": SWEPT["sweep"]}
    for hours in (9, 8, 5, 1):
        world.office.row(f"r{hours}", NOW_MS - hours * HOUR_MS)
    world(source)
    del world.office.rows["r5"]
    assert [world(source, sweep=True)["missing"] for _ in range(2)] == [1, 1]
    assert set(world.values()) == {"r9", "r8", "r1"}


# -- sorted lists ----------------------------------------------------------------------------------------------------


def test_a_cap_is_passed_because_the_watermark_moves_page_by_page(world: World) -> None:
    world.office.page_size = 5
    for number in range(60):
        world.office.row(f"r{number:02}", NOW_MS - DAY_MS + number * 120_000)
    world.office.answer = refuse_beyond(world, 20)
    response = world(ORDERED)
    assert (response["outcome"], response["fault"], len(world.values())) == ("completed", None, 60)
    assert world.checkpoint().failures.count == 0
    assert world.checkpoint().watermark_ms == NOW_MS - DAY_MS + 59 * 120_000


def test_a_cap_within_the_lag_is_passed_too(world: World) -> None:
    """A bulk import writes more rows within the lag than one list may have."""
    world.office.page_size = 5
    for number in range(60):
        world.office.row(f"r{number:02}", NOW_MS - DAY_MS + number * 500)
    world.office.answer = refuse_beyond(world, 20)
    assert world({**ORDERED, "lag_seconds": 300})["outcome"] == "completed"
    assert len(world.values()) == 60


def test_without_an_order_a_cap_fails_the_poll(world: World) -> None:
    world.office.page_size = 5
    for number in range(60):
        world.office.row(f"r{number:02}", NOW_MS - DAY_MS + number * 120_000)
    world.office.answer = refuse_beyond(world, 20)
    assert world()["outcome"] == "failed"
    assert world.checkpoint().watermark_ms is None


def test_a_cap_that_the_watermark_cannot_pass_fails_the_poll(world: World) -> None:
    world.office.page_size = 5
    for number in range(60):
        world.office.row(f"r{number:02}", NOW_MS - DAY_MS)
    world.office.answer = refuse_beyond(world, 20)
    assert [world(ORDERED)["outcome"] for _ in range(2)] == ["failed", "failed"]
    assert world.checkpoint().failures.count == 2


def test_a_sweep_passes_a_cap_of_a_sorted_list(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.office.page_size = 5
    source = {**SWEPT, "order": "modified"}
    for number in range(60):
        world.office.row(f"r{number:02}", NOW_MS - DAY_MS + number * 120_000)
    world.office.answer = refuse_beyond(world, 20)
    world(source)
    del world.office.rows["r05"]
    responses = [world(source, sweep=True) for _ in range(2)]
    assert [(response["outcome"], response["missing"]) for response in responses] == [("completed", 1)] * 2
    assert len(world.values()) == 59 and "r05" not in world.values()
    assert not metrics(capsys.readouterr().out, "DuplicateIds"), "the pages overlap where the sweep went on"


def test_a_list_that_is_not_sorted_moves_the_watermark_back(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    times = [5, 6, 1, 2, 7, 8]
    rows = [{"id": f"r{n}", "at": NOW_MS - DAY_MS + n * HOUR_MS, "n": n} for n in times]

    def answer(url: str) -> bytes:
        start = int(dict(parse_qsl(urlsplit(url).query)).get("from", 0))
        following = f"{ORIGIN}?from={start + 2}" if start + 2 < len(rows) else None
        return json.dumps({"rows": rows[start : start + 2], "next": following}).encode()

    world.office.answer = answer
    source = {**ORDERED, "max_pages": 1}
    watermarks = []
    for _ in range(3):
        world(source)
        watermarks.append(world.checkpoint().watermark_ms)
    assert watermarks[0] == NOW_MS - DAY_MS + 6 * HOUR_MS
    assert watermarks[1:] == [None, NOW_MS - DAY_MS + 8 * HOUR_MS]
    assert len(events(capsys.readouterr().out, "order_broken")) == 1
    assert len(world.values()) == 6


def test_a_list_sorted_by_whole_seconds_is_sorted(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = [
        {"id": f"r{n}", "at": NOW_MS - DAY_MS + n * 1000 + (7 * n) % 10 * 99, "n": n} for n in range(9)
    ]
    rows[3], rows[4] = rows[4], rows[3]

    def answer(url: str) -> bytes:
        start = int(dict(parse_qsl(urlsplit(url).query)).get("from", 0))
        following = f"{ORIGIN}?from={start + 2}" if start + 2 < len(rows) else None
        return json.dumps({"rows": rows[start : start + 2], "next": following}).encode()

    world.office.answer = answer
    world({**ORDERED, "max_pages": 4})
    assert world.checkpoint().watermark_ms == max(row["at"] for row in rows[:8])
    assert not events(capsys.readouterr().out, "order_broken")


# -- failures that pass ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 429, 500, 520, 524])
def test_a_failure_that_passes_keeps_the_place_however_long_it_lasts(world: World, status: int) -> None:
    world.office.page_size = 1
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world({**CHANGES, "max_pages": 1})
    world.office.fault = BackOfficeError("status", f"it responds with {status}", status=status, retryable=True)
    for _ in range(4):
        assert world()["outcome"] == "failed"
    world.office.fault = None
    assert world()["pages"] == 2


@pytest.mark.parametrize(("status", "pages"), [(429, 2), (403, 2), (503, 3), (400, 3)])
def test_a_rate_limit_that_outlasts_the_breaker_keeps_the_place(world: World, status: int, pages: int) -> None:
    """Any other status of the probe may mean that the page is gone, so the pass starts again."""
    world.office.page_size = 1
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world({**CHANGES, "max_pages": 1})
    world.office.fault = BackOfficeError("status", f"it responds with {status}", status=status, retryable=True)
    for _ in range(9):
        world()
        world.ms += HOUR_MS
    world.office.fault = None
    assert world()["pages"] == pages


def test_a_list_that_moves_because_responses_are_lost_counts_for_the_breaker(world: World) -> None:
    cause = BackOfficeError("status", "it responds with 500", status=500, retryable=True)

    def answer(url: str) -> bytes:
        raise ListMovedError from cause

    world.office.answer = answer
    for count in (1, 2):
        assert world()["fault"].startswith("status: it responds with 500")
        assert world.checkpoint().failures.count == count


SCROLL: dict[str, Any] = {
    **CHANGES,
    "paging": {"style": "token", "parameter": "token", "next": "next"},
    "breaker": {"failures": 3, "cooldown_seconds": 30},
}


class ScrollOffice:
    """A back office that moves on with each request for its only token, and that fails at one of its pages."""

    def __init__(self, world: World, fails_at: int) -> None:
        self.world = world
        self.fails_at: int | None = fails_at
        self.position = 0
        for number in range(6):
            world.office.row(f"r{number}", NOW_MS - DAY_MS + number)
        world.office.answer = self.answer

    def answer(self, url: str) -> bytes:
        self.position = self.position + 1 if "token=" in url else 0
        if self.position == self.fails_at:
            raise BackOfficeError("status", "it responds with 500", status=500, retry_after=60, retryable=True)
        rows = list(self.world.office.rows.values())[self.position : self.position + 1]
        return json.dumps({"rows": rows, "next": "scroll"}).encode()


@pytest.mark.parametrize("max_pages", [4, 5, 7, 100])
def test_a_scroll_that_fails_at_the_same_page_again_and_again_opens_the_breaker(world: World, max_pages: int) -> None:
    """The pages before that page can be read at every poll, because the pass starts again. They aren't a success."""
    office = ScrollOffice(world, fails_at=3)
    source = {**SCROLL, "max_pages": max_pages}
    for count in (1, 2, 3):
        assert world(source)["fault"].startswith("status: it responds with 500")
        assert world.checkpoint().failures.count == count
        assert world(source)["outcome"] == "open", "the back office asked to wait for a minute"
        world.ms += 60_000
    assert world.items.sources["rows"].breaker == "open"
    asked = len(world.office.urls)
    office.fails_at = None
    for _ in range(3):
        if world(source)["outcome"] == "completed":
            break
    assert len(world.values()) == 6 and len(world.office.urls) > asked
    assert world.checkpoint().failures == FailureState()


def test_a_pass_that_gets_further_than_where_it_failed_resets_the_failure_count(world: World) -> None:
    office = ScrollOffice(world, fails_at=3)
    world(SCROLL)
    world.ms += 60_000
    office.fails_at = 5
    world(SCROLL)
    assert (world.checkpoint().failures.count, world.checkpoint().failures.pages) == (1, 5)


def test_a_poll_without_a_failure_resets_the_failure_count(world: World) -> None:
    office = ScrollOffice(world, fails_at=3)
    world(SCROLL)
    world.ms += 60_000
    office.fails_at = None
    assert world({**SCROLL, "max_pages": 2})["outcome"] == "unfinished"
    assert world.checkpoint().failures == FailureState()


# -- delta links -----------------------------------------------------------------------------------------------------

DELTA: dict[str, Any] = {
    **{name: value for name, value in CHANGES.items() if name not in ("version", "url")},
    "url": ORIGIN,
    "paging": {"style": "link", "next": "next", "delta": "delta"},
}


class DeltaOffice:
    """Answers with what has changed since the delta link that a request names, and with a new delta link."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.log: list[dict[str, Any]] = []
        self.forgotten = 0
        world.office.answer = self.answer

    def put(self, row_id: str, n: int, gone: bool = False) -> None:
        self.log.append({"id": row_id, "n": n, "gone": gone})

    def answer(self, url: str) -> bytes:
        query = dict(parse_qsl(urlsplit(url).query))
        since = int(query.get("delta", 0))
        if 0 < since <= self.forgotten:
            raise BackOfficeError("status", "it responds with 410", status=410)
        rows = list({row["id"]: row for row in self.log[since:]}.values())
        return json.dumps({"rows": rows, "delta": f"{ORIGIN}?delta={len(self.log)}"}).encode()


def test_the_next_pass_begins_at_the_delta_link(world: World) -> None:
    office = DeltaOffice(world)
    office.put("a", 1)
    office.put("b", 1)
    assert world(DELTA)["changes"] == 2
    office.put("a", 2)
    response = world(DELTA)
    assert (response["records"], response["changes"], world.values()) == (1, 1, {"a": 2, "b": 1})
    assert world.office.urls == [ORIGIN, f"{ORIGIN}?delta=2"]
    assert world(DELTA)["records"] == 0
    office.put("b", 1, gone=True)
    world(DELTA)
    assert world.values() == {"a": 2}
    assert world.checkpoint().fresh_as_of_ms == NOW_MS + 3


def test_a_delta_link_that_is_gone_reads_everything_at_once(world: World) -> None:
    office = DeltaOffice(world)
    office.put("a", 1)
    office.put("b", 1)
    world(DELTA)
    world.ms += 2 * HOUR_MS
    office.put("b", 2)
    office.forgotten = 2
    response = world(DELTA)
    assert (response["outcome"], response["fault"], response["changes"]) == ("completed", None, 1)
    assert world.values() == {"a": 1, "b": 2}
    office.put("a", 3)
    assert world(DELTA)["records"] == 1


def test_a_delta_link_that_is_refused_poll_after_poll_reads_everything(world: World) -> None:
    office = DeltaOffice(world)
    office.put("a", 1)
    world(DELTA)
    office.put("b", 1)
    in_order = world.office.answer
    assert in_order

    def refuse(url: str) -> bytes:
        if "delta" in url:
            raise BackOfficeError("status", "it responds with 412", status=412)
        return in_order(url)

    world.office.answer = refuse
    outcomes = []
    for _ in range(7):
        outcomes.append(world(DELTA)["outcome"])
        world.ms += HOUR_MS
    assert outcomes[:5] == ["failed"] * 5 and "completed" in outcomes
    assert world.values() == {"a": 1, "b": 1}


def test_an_outage_keeps_the_delta_link(world: World) -> None:
    office = DeltaOffice(world)
    office.put("a", 1)
    world(DELTA)
    world.office.fault = BackOfficeError("status", "it responds with 503", status=503, retryable=True)
    world(DELTA)
    world.office.fault = None
    assert world(DELTA)["records"] == 0


# -- the overlap -----------------------------------------------------------------------------------------------------


def test_a_filter_in_another_zone_is_noticed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The back office takes the cursor for local time, which is two hours ahead: each pass misses two hours."""

    def answer(url: str) -> bytes:
        since = int(dict(parse_qsl(urlsplit(url).query))["since"])
        rows = [row for row in world.office.rows.values() if row["at"] >= since + 2 * HOUR_MS or not since]
        return json.dumps({"rows": rows, "next": None}).encode()

    world.office.answer = answer
    world.office.row("a")
    world()
    assert not metrics(capsys.readouterr().out, "OverlapMissed")
    world()
    assert metrics(capsys.readouterr().out, "OverlapMissed") == [1]
    world()
    assert not metrics(capsys.readouterr().out, "OverlapMissed"), "it is reported once for each newest record"
    world.ms += DAY_MS
    world.office.row("b", world.ms)
    world(), world()
    assert metrics(capsys.readouterr().out, "OverlapMissed") == [1]


def test_a_pass_that_reads_the_newest_record_again_reports_nothing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.office.etags = True
    for days in (3, 2, 1):
        world.office.row(f"r{days}", NOW_MS - days * DAY_MS)
    for _ in range(4):
        world()
    world.office.row("r1", NOW_MS - 5000)
    world()
    del world.office.rows["r1"]
    assert not metrics(capsys.readouterr().out, "OverlapMissed")
    world(), world()
    assert metrics(capsys.readouterr().out, "OverlapMissed") == [1], "a deleted record is reported once"


def test_without_a_lag_there_is_no_overlap(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    source = {**CHANGES, "lag_seconds": 0}
    world.office.row("a")
    world(source)
    world.office.rows.clear()
    world(source)
    assert not metrics(capsys.readouterr().out, "OverlapMissed")


# -- doubtful ends ---------------------------------------------------------------------------------------------------


def looping(world: World) -> None:
    """Let every list end in a link back to its first page."""

    def answer(url: str) -> bytes:
        page = json.loads(world.office.page(url))
        first = url.split("&from", maxsplit=1)[0].split("?from", maxsplit=1)[0]
        return json.dumps({**page, "next": page["next"] or first}).encode()

    world.office.page_size = 2
    world.office.answer = answer


def test_a_doubtful_end_holds_the_watermark_and_sends_no_change_twice(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    looping(world)
    for number in range(6):
        world.office.row(f"r{number}", NOW_MS - DAY_MS + number)
    response = world()
    assert (response["outcome"], response["changes"]) == ("completed", 6)
    assert world.checkpoint().watermark_ms is None
    assert world.checkpoint().fresh_as_of_ms == NOW_MS
    (event,) = events(capsys.readouterr().out, "list_doubtful")
    assert event["reason"] == "loop"
    world.office.row("r3", NOW_MS - 5000, 9)
    assert world()["changes"] == 1
    assert metrics(capsys.readouterr().out, "ListDoubtful") == [1]
    world.office.answer = None
    world()
    assert world.checkpoint().watermark_ms == NOW_MS - 5000


def test_a_sweep_with_a_doubtful_end_deletes_nothing(world: World) -> None:
    for number in range(6):
        world.office.row(f"r{number}", NOW_MS - DAY_MS + number)
    world(SWEPT)
    del world.office.rows["r3"]
    looping(world)
    for _ in range(3):
        assert world(SWEPT, sweep=True)["sweep_refused"]
    assert "r3" in world.values()
    world.office.answer = None
    world(SWEPT, sweep=True), world(SWEPT, sweep=True)
    assert "r3" not in world.values()
