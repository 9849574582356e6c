"""Histories of back offices that name their deleted records, in a list of its own or through delta links.

Such a list must never delete a living item, and its faults must hold up nothing else. Each test is named after the
right behaviour.
"""

from typing import Any

import pytest

from tests.fakes.apis.server import ApiRequest, ApiResponse, json_response, status_response
from tests.histories.back_office_case import HOUR_MS, LINK, SWEEP, Body, Case, linked_pages, same_url, split

DELTA = {**LINK, "delta": "delta"}
DAY_MS = 24 * HOUR_MS


class _Deletes:
    """A back office with a list of deleted records at ``/deleted``, beside its list of rows."""

    def __init__(self, case: Case) -> None:
        self.records: list[dict[str, Any]] = []
        self.fault: ApiResponse | None = None
        self.retention_ms = case.world.ms
        self.refused = 0
        self._case = case
        case.answer = self.answer

    def delete(self, *row_ids: str) -> None:
        """Delete rows and list them as deleted now."""
        for row_id in row_ids:
            self.records.append({"id": row_id, "at": self._case.world.ms})
            self._case.rows.pop(row_id, None)

    def answer(self, request: ApiRequest) -> Body | ApiResponse:
        """Answer with the rows, or with the deleted records since the cursor. An older cursor is a 400 response."""
        since = int(request.query.get("since", 0))
        if request.path != "/deleted":
            return {"rows": self._case.list_rows(since)}
        if since < self._case.world.ms - self.retention_ms:
            self.refused += 1
            return status_response(400)
        return self.fault or {"rows": [record for record in self.records if record["at"] >= since]}


def _declare_deletes(
    case: Case, url: str = "/deleted?since={cursor}", time_format: str = "unix_ms", **more: Any
) -> None:
    version = {"expression": "at", "format": time_format}
    deletes = {"url": case.origin + url, "records": "rows", "id": "id", "version": version, "paging": LINK}
    case.declare(version=version, deletes=deletes, **more)


def test_a_list_of_deleted_records_deletes_once_and_spares_what_is_created_again(case: Case) -> None:
    case.fill(8)
    office = _Deletes(case)
    _declare_deletes(case)
    case.poll(2)
    office.delete("r001", "r002", "never")
    case.poll(2)
    case.check_equal()
    case.put("r002", 22)
    case.poll(2)
    before = len(case.world.stream.changes)
    case.poll(5)
    case.check_equal()
    assert len(case.world.stream.changes) == before


@pytest.mark.parametrize("page_size", [1, 2, 100])
def test_a_list_of_deleted_records_that_names_living_ones_deletes_nothing(case: Case, page_size: int) -> None:
    """The URL's filter has no effect, so the list names each living record with its time of modification."""
    case.fill(20)
    _declare_deletes(case, "/rows?deleted=true&since={cursor}")
    case.answer = linked_pages(case, page_size)
    case.poll(4)
    case.check_equal()


def test_rows_that_are_updated_and_deleted_within_a_second_do_not_stop_the_deletes(case: Case) -> None:
    case.fill(10)
    _declare_deletes(case, time_format="unix_s")
    office = _Deletes(case)

    def answer(request: ApiRequest) -> Body:
        since = int(request.query["since"])
        records = office.records if request.path == "/deleted" else case.list_rows()
        seconds = [{**record, "at": record["at"] // 1000} for record in records]
        return {"rows": [record for record in seconds if record["at"] >= since]}

    case.answer = answer
    case.poll(2)
    second_ms = case.world.ms // 1000 * 1000
    for number in range(3):
        case.put(f"q{number}", number, second_ms + 100)
    case.poll(step_ms=0)
    office.delete("q0", "q1", "q2")
    case.poll(3)
    assert case.metric("DeletesTied")
    office.delete("r001")
    case.poll(2)
    assert "r001" not in case.values
    case.check_ends()


def test_a_mass_delete_through_the_list_of_deleted_records_arrives(case: Case) -> None:
    case.fill(20)
    office = _Deletes(case)
    _declare_deletes(case)
    case.poll(2)
    office.delete(*sorted(case.rows)[:18])
    case.poll(2)
    case.check_equal()


def test_one_bad_record_in_the_list_of_deleted_records_costs_no_freshness(case: Case) -> None:
    case.fill(20)
    office = _Deletes(case)
    _declare_deletes(case)
    case.poll(2)
    before = case.fresh
    office.records.append({"id": None, "at": case.world.ms})
    office.delete("r001")
    case.poll(4)
    case.check_equal()
    assert case.fresh > before


@pytest.mark.parametrize("status", [404, 429, 500])
def test_a_failing_list_of_deleted_records_holds_up_no_change_and_no_sweep(case: Case, status: int) -> None:
    case.fill(8)
    office = _Deletes(case)
    office.fault = status_response(status, {"Retry-After": "3600"})
    _declare_deletes(case, attempts=1, sweep=SWEEP)
    case.poll(3)
    case.put("new", 1)
    case.poll(4)
    case.check_equal()
    case.check_not_fresh()
    del case.rows["r003"]
    case.world.ms += HOUR_MS
    case.sweep(3)
    case.check_equal()
    office.fault = None
    office.delete("r001")
    case.world.ms += HOUR_MS
    case.poll(3)
    case.check_equal()
    case.check_fresh()


def test_a_failing_list_of_deleted_records_holds_up_no_full_listing(case: Case) -> None:
    case.fill(5)
    office = _Deletes(case)
    office.fault = status_response(404)
    _declare_deletes(case, sweep={"max_deletes_percent": 50})
    case.settings["url"] = f"{case.origin}/rows"
    case.poll(3)
    case.put("new", 1)
    case.poll(6)
    case.check_equal()


def test_a_list_of_deleted_records_with_a_retention_is_never_asked_for_older_ones(case: Case) -> None:
    """The back office forgets deletes after 15 days, and then refuses older cursors. The feed is quiet for 30 days."""
    case.fill(5)
    office = _Deletes(case)
    office.retention_ms = 15 * DAY_MS
    _declare_deletes(case)
    case.poll(3)
    case.check_fresh()
    office.delete("r004")
    case.poll(2)
    for _ in range(30):
        case.put("tick")
        case.poll(step_ms=DAY_MS)
    assert office.refused == 0
    office.delete("r001")
    case.poll(2)
    case.check_equal()


def test_a_source_with_a_retention_of_deletes_comes_back_after_a_long_pause(case: Case) -> None:
    case.fill(5)
    office = _Deletes(case)
    office.retention_ms = 15 * DAY_MS
    _declare_deletes(case)
    case.poll(3)
    before = case.fresh
    case.world.ms += 20 * DAY_MS
    case.put("new")
    case.poll(8)
    case.check_equal()
    assert case.fresh > before


class _DeltaLinks:
    """A back office with pages of two rows, whose last page has a delta link. Sets itself as the case's answer."""

    def __init__(self, case: Case) -> None:
        self.issued: list[str] = []
        self.expired: set[str] = set()
        self.expired_status = 410
        self._case = case
        case.answer = self.answer

    def answer(self, request: ApiRequest) -> Body | ApiResponse:
        """Answer with a page of the rows since a delta link, or with an error if the link has expired."""
        token = request.query.get("delta", "0")
        if token in self.expired:
            return status_response(self.expired_status)
        pages = split(self._case.list_rows(int(token)), 2)
        number = int(request.query.get("p", 0))
        if number + 1 < len(pages):
            return {"rows": pages[number], "next": same_url(request, p=number + 1)}
        self.issued.append(str(self._case.world.ms - 1000))
        return {"rows": pages[number], "delta": f"/rows?delta={self.issued[-1]}"}


@pytest.mark.parametrize("status", [400, 404, 410, 412, 422, 500])
def test_a_delta_source_comes_back_when_its_delta_link_has_expired(case: Case, status: int) -> None:
    case.fill(6)
    case.declare(url="/rows", paging=DELTA, attempts=1)
    office = _DeltaLinks(case)
    office.expired_status = status
    case.poll()
    case.put("a")
    case.poll(2)
    case.check_equal()
    assert case.polls[-1].records < 6
    office.expired.update(office.issued)
    case.put("b")
    case.poll(20)
    case.check_equal()
    case.check_ends()


def test_a_delta_source_whose_links_expire_at_once_costs_few_requests(case: Case) -> None:
    case.fill(6)
    case.declare(url="/rows", paging=DELTA)
    office = _DeltaLinks(case)
    for number in range(6):
        office.expired.update(office.issued)
        case.put(f"n{number}", number)
        case.poll()
    case.check_equal()
    case.check_fresh()
    assert len(case.requests) < 60


def test_a_sweep_of_a_delta_source_reads_the_full_list(case: Case) -> None:
    case.fill(10)
    case.declare(url="/rows", paging=DELTA, sweep=SWEEP)
    _DeltaLinks(case)
    case.poll(3)
    del case.rows["r003"]
    case.world.ms += HOUR_MS
    case.sweep(3)
    case.put("new")
    case.poll(2)
    case.check_equal()
    assert case.polls[-1].records < 9


def test_a_page_without_a_delta_link_loses_no_later_change(case: Case) -> None:
    case.fill(2)
    case.declare(url="/rows", paging=DELTA)
    full = _DeltaLinks(case).answer

    def answer(request: ApiRequest) -> Body | ApiResponse:
        body = full(request)
        return {"rows": body["rows"]} if len(case.requests) == 2 and isinstance(body, dict) else body

    case.answer = answer
    for number in range(4):
        case.put(f"n{number}", number)
        case.poll()
    case.poll()
    case.check_equal()
    case.check_ends()


def test_a_304_to_a_delta_link_hides_no_change_for_long(case: Case) -> None:
    """The back office has one ETag for all its pages."""
    case.fill(5)
    case.declare(url="/rows", paging=DELTA)
    full = _DeltaLinks(case).answer
    case.answer = lambda request: (
        status_response(304)
        if "if-none-match" in request.headers
        else json_response(full(request), headers={"ETag": '"a"'})
    )
    case.poll(3)
    case.put("new")
    case.poll(4, step_ms=HOUR_MS)
    case.check_equal()
