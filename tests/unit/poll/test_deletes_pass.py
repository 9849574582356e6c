"""Tests of the pass through the list in which the back office names the records that it has deleted."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from readplane.poll import deletes_limit
from readplane.poll.errors import BackOfficeError
from tests.fakes.source_settings import add_defaults
from tests.unit.poll.support import CHANGES, DAY_MS, LISTING, SWEPT, World, metric_lines
from tests.unit.support import NOW_MS

HOUR_MS = 3_600_000
DELETES = {
    "url": "https://office.test/deleted?after={cursor}",
    "records": "deleted",
    "id": "key",
    "version": {"expression": "at", "format": "unix_ms"},
}


def with_deletes(source: dict[str, Any]) -> dict[str, Any]:
    return add_defaults({**source, "deletes": DELETES})


SOURCE = with_deletes({**CHANGES, "expect": "rows != null"})


class Office:
    """A back office that names its deletes in a list of its own, as far as it still knows them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.deleted: dict[str, int] = {}
        self.fault: BackOfficeError | None = None
        self.retention_ms = 400 * DAY_MS
        world.office.answer = self.answer

    def delete(self, row_id: str, at: int) -> None:
        self.world.office.rows.pop(row_id, None)
        self.deleted[row_id] = at

    @property
    def deletes_urls(self) -> list[str]:
        return [url for url in self.world.office.urls if "/deleted" in url]

    def answer(self, url: str) -> bytes:
        if "/deleted" not in url:
            return self.world.office.page(url)
        if self.fault:
            raise self.fault
        after = int(dict(parse_qsl(urlsplit(url).query))["after"])
        if after < self.world.ms - self.retention_ms:
            raise BackOfficeError("status", "it responds with 400", status=400)
        rows = [{"key": row_id, "at": at} for row_id, at in self.deleted.items() if at >= after]
        return json.dumps({"deleted": rows}).encode()


@pytest.fixture
def office(world: World) -> Office:
    for number in range(4):
        world.office.row(f"r{number}", NOW_MS - DAY_MS)
    return Office(world)


def test_a_record_in_the_list_of_deletes_loses_its_item(world: World, office: Office) -> None:
    world(SOURCE)
    world.ms += HOUR_MS
    office.delete("r1", world.ms - 5000)
    response = world(SOURCE)
    assert (response["outcome"], response["changes"]) == ("completed", 1)
    assert set(world.values()) == {"r0", "r2", "r3"}
    assert [world(SOURCE)["changes"] for _ in range(2)] == [0, 0]
    assert world.checkpoint().fresh_as_of_ms == world.ms - 1


def test_a_record_that_came_back_after_its_delete_stays(world: World, office: Office) -> None:
    world(SOURCE)
    world.ms += HOUR_MS
    office.delete("r1", world.ms - 5000)
    world.office.row("r1", world.ms - 4000, 7)
    world(SOURCE)
    assert world.values()["r1"] == 7
    office.delete("r1", world.ms - 3000)
    world(SOURCE)
    assert "r1" not in world.values()


def test_the_first_pass_asks_for_no_deletes_of_the_past(world: World, office: Office) -> None:
    office.retention_ms = 15 * DAY_MS
    office.deleted["long gone"] = NOW_MS - 20 * DAY_MS
    office.deleted["gone"] = NOW_MS - 10 * HOUR_MS
    response = world(SOURCE)
    assert (response["outcome"], response["changes"]) == ("completed", 4)
    assert not [change for change in world.stream.changes if change.op == "delete"]


def test_the_cursor_stays_within_what_the_back_office_remembers(world: World, office: Office) -> None:
    office.retention_ms = 15 * DAY_MS
    for _ in range(40):
        assert world(SOURCE)["outcome"] == "completed"
        world.ms += DAY_MS
    office.delete("r2", world.ms - 5000)
    world(SOURCE)
    assert "r2" not in world.values()


def test_after_a_long_pause_the_deletes_go_on_and_the_gap_is_reported(
    world: World, office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    office.retention_ms = 15 * DAY_MS
    world(SOURCE)
    world.ms += 40 * DAY_MS
    office.delete("r1", world.ms - HOUR_MS)
    assert world(SOURCE)["outcome"] == "completed"
    assert "r1" not in world.values() and world.checkpoint().fresh_as_of_ms == world.ms - 1
    assert '"event":"deletes_gap"' in capsys.readouterr().out
    office.fault = BackOfficeError("status", "it responds with 404", status=404)
    assert world(SOURCE)["outcome"] == "failed", "the cursor isn't the reason"


def test_a_failure_keeps_the_main_pass_and_stops_freshness(world: World, office: Office) -> None:
    world(SOURCE)
    fresh_as_of_ms = world.checkpoint().fresh_as_of_ms
    office.fault = BackOfficeError("status", "it responds with 500", status=500, retryable=True)
    world.ms += HOUR_MS
    world.office.row("r5", world.ms - 5000)
    response = world(SOURCE)
    assert (response["outcome"], response["fault"].split(";")[0]) == ("failed", "status: it responds with 500")
    assert "r5" in world.values() and world.checkpoint().watermark_ms == world.ms - 1 - 5000
    assert world.checkpoint().fresh_as_of_ms == fresh_as_of_ms
    office.fault = None
    world(SOURCE)
    assert world.checkpoint().fresh_as_of_ms == world.ms - 1


@pytest.mark.parametrize("source", [LISTING, SWEPT], ids=["listing", "swept"])
def test_while_the_deletes_fail_the_other_passes_go_on(world: World, office: Office, source: dict[str, Any]) -> None:
    source = with_deletes(source)
    world(source)
    office.fault = BackOfficeError("status", "it responds with 404", status=404)
    world.ms += DAY_MS
    del world.office.rows["r3"]
    for number in range(5, 8):
        world.office.row(f"r{number}", world.ms - 5000)
        response = world(source, sweep=True)
        assert response["outcome"] == "failed" and f"r{number}" in world.values()
    assert "r3" not in world.values()


def test_a_retry_after_header_of_the_deletes_stops_no_other_pass(world: World, office: Office) -> None:
    office.fault = BackOfficeError("status", "it responds with 429", status=429, retry_after=600, retryable=True)
    world(SOURCE)
    asked = len(office.deletes_urls)
    world.ms += 60_000
    world.office.row("r9", world.ms - 5000)
    assert world(SOURCE)["outcome"] == "completed"
    assert "r9" in world.values() and len(office.deletes_urls) == asked
    assert world.checkpoint().fresh_as_of_ms is None
    office.fault = None
    world.ms += 600_000
    world(SOURCE)
    assert world.checkpoint().fresh_as_of_ms == world.ms - 1


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_a_list_that_names_living_records_deletes_nothing_and_is_reported(
    world: World, office: Office, rows: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The back office ignores the parameter that asks for deleted records, and lists its living records."""
    for number in range(4):
        world.office.row(f"r{number}", NOW_MS - HOUR_MS)
    world(SOURCE)
    office.deleted = {f"r{number}": NOW_MS - HOUR_MS for number in range(rows)}
    for _ in range(2):
        capsys.readouterr()
        assert world(SOURCE)["outcome"] == "completed"
        assert len(world.values()) == 4
        lines = metric_lines(capsys.readouterr().out)
        assert [line["DeletesTied"] for line in lines if "DeletesTied" in line] == [rows]
    office.delete("r0", NOW_MS - 5000)
    world(SOURCE)
    assert "r0" not in world.values()


@pytest.mark.parametrize("source", [CHANGES, LISTING], ids=["changes", "listing"])
@pytest.mark.parametrize("row_id", ["no/id", "bad-time"])
def test_bad_records_of_the_list_go_to_quarantine_once(
    world: World, office: Office, source: dict[str, Any], row_id: str
) -> None:
    source = with_deletes(source)
    for number in range(10):
        world.office.row(f"s{number}", NOW_MS - DAY_MS)
    world(source)
    office.deleted[row_id] = NOW_MS + (9 * DAY_MS if row_id == "bad-time" else 0)
    assert [world(source)["quarantined"] for _ in range(4)] == [1, 0, 0, 0]
    assert world.checkpoint().refused == 1
    assert world.checkpoint().fresh_as_of_ms == world.ms - 1, "one bad record is no reason to distrust the source"
    office.deleted.clear()
    world.ms += 8 * DAY_MS
    world(source)
    assert world.checkpoint().refused == 0


def test_other_settings_let_the_deletes_go_on_where_they_were(world: World, office: Office) -> None:
    world(SOURCE)
    world.ms += 3 * DAY_MS
    office.delete("r1", world.ms - 2 * DAY_MS)
    world({**SOURCE, "translation": "{n: n, m: n}"})
    assert "r1" not in world.values()


def limited(percent: float) -> dict[str, Any]:
    return with_deletes({**SWEPT, "sweep": {"schedule": "rate(1 day)", "max_deletes_percent": percent}})


@pytest.fixture
def few_allowed(world: World, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a pass delete four items in any case, of a collection with 40."""
    monkeypatch.setattr(deletes_limit, "ALWAYS_ALLOWED", 4)
    for number in range(40):
        world.office.row(f"r{number}", NOW_MS - DAY_MS)


@pytest.mark.usefixtures("few_allowed")
@pytest.mark.parametrize(
    ("percent", "named", "is_refused"),
    [(10, 4, False), (10, 5, True), (0, 4, False), (0, 5, True), (25, 10, False), (25, 11, True), (100, 40, False)],
)
def test_a_list_that_names_too_many_living_records_deletes_none_of_a_page(
    world: World, office: Office, percent: float, named: int, is_refused: bool
) -> None:
    """Each record has the time of the request, so it seems to be deleted after its last modification."""
    world(limited(percent))
    world.ms += HOUR_MS
    office.deleted = {f"r{number}": world.ms for number in range(named)}
    fresh_as_of_ms = world.checkpoint().fresh_as_of_ms
    for _ in range(3):
        response = world(limited(percent))
        assert response["outcome"] == ("failed" if is_refused else "completed")
        assert len(world.values()) == (40 if is_refused else 40 - named)
        if is_refused:
            assert response["fault"].startswith("page: the list of deleted records names more than ")
            assert world.checkpoint().fresh_as_of_ms == fresh_as_of_ms
    assert world(limited(100))["outcome"] == "completed"
    assert len(world.values()) == 40 - named


@pytest.mark.usefixtures("few_allowed")
def test_polls_that_fail_one_after_another_delete_no_more_than_one(world: World, office: Office) -> None:
    source = limited(10)
    source["deletes"]["paging"] = {**source["deletes"]["paging"], "style": "link", "next": "next"}
    world(source)

    def answer(url: str) -> bytes:
        if "/deleted" not in url:
            return world.office.page(url)
        first = int(dict(parse_qsl(urlsplit(url).query)).get("from", 0))
        rows = [{"key": f"r{number}", "at": world.ms} for number in range(first, first + 3)]
        return json.dumps({"deleted": rows, "next": f"https://office.test/deleted?from={first + 3}"}).encode()

    world.office.answer = answer
    for _ in range(5):
        world.ms += HOUR_MS
        assert world(source)["outcome"] == "failed"
        assert len(world.values()) == 37


@pytest.mark.usefixtures("few_allowed")
def test_deletes_of_records_without_a_living_item_are_not_limited(world: World, office: Office) -> None:
    world(limited(10))
    world.ms += HOUR_MS
    office.deleted = {f"new{number}": world.ms - 1000 for number in range(30)}
    response = world(limited(10))
    assert (response["outcome"], response["changes"]) == ("completed", 30)
    for hours in range(1, 4):  # each pass has a limit of its own
        world.ms += HOUR_MS
        office.deleted = {f"r{3 * hours + number}": world.ms - 1000 for number in range(3)}
        assert world(limited(10))["outcome"] == "completed"
    assert len(world.values()) == 31
