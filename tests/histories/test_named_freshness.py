"""Histories of back offices whose data looks newer or more complete than it is. Such a source must not be fresh.

Its records were refused, a 304 is untrue, an error stands in a response with status 200, or a filter hides changes.
Each test is named after the right behaviour.
"""

import json
from datetime import datetime
from typing import Any

import pytest

from tests.fakes.apis.server import ApiRequest, ApiResponse, json_response, rfc3339_ms, status_response
from tests.histories.back_office_case import HOUR_MS, Body, Case, same_url


def _fill_with_refused(case: Case, good: int, refused: int) -> None:
    """Add good rows, and rows whose translation breaks the schema."""
    case.fill(good)
    for number in range(refused):
        case.put(f"x{number:03}", "bad", case.world.ms - 9_000_000 + number * 1000)


def test_a_source_without_a_single_translatable_record_is_not_fresh(case: Case) -> None:
    _fill_with_refused(case, good=0, refused=10)
    case.declare()
    case.poll(4)
    case.check_not_fresh()


def test_a_full_listing_of_mostly_refused_records_is_fresh_only_after_their_repair(case: Case) -> None:
    _fill_with_refused(case, good=4, refused=6)
    case.declare_listing()
    case.poll(4)
    case.check_not_fresh()
    for number in range(6):
        case.put(f"x{number:03}", number)
    case.poll(3)
    case.check_equal()
    case.check_fresh()


def test_a_full_listing_is_fresh_after_its_refused_records_are_gone(case: Case) -> None:
    _fill_with_refused(case, good=4, refused=6)
    case.declare_listing()
    case.poll(2)
    case.check_not_fresh()
    for number in range(6):
        del case.rows[f"x{number:03}"]
    case.poll(4)
    case.check_fresh()
    assert case.metric("RecordsInQuarantine")[-1] == 0


def test_the_gauge_counts_refused_records_until_they_are_repaired(case: Case) -> None:
    _fill_with_refused(case, good=48, refused=2)
    case.declare()
    case.poll(3)
    case.check_fresh()  # 4 % is less than max_refused_percent
    assert case.metric("RecordsInQuarantine")[-1] == 2
    case.put("x000", 1)
    case.put("x001", 1)
    case.poll(2)
    assert case.metric("RecordsInQuarantine")[-1] == 0
    case.check_equal()


def _answer_with_true_304s(case: Case) -> None:
    """Let the back office answer 304 as long as its rows stay the same."""

    def answer(request: ApiRequest) -> ApiResponse:
        etag = f'"{hash(str(case.list_rows()))}"'
        if request.headers.get("if-none-match") == etag:
            return status_response(304, {"ETag": etag})
        return json_response({"rows": case.list_rows()}, headers={"ETag": etag})

    case.answer = answer


def test_the_gauge_counts_a_refused_record_during_hours_of_304s(case: Case) -> None:
    case.fill(30)
    case.put("bad", "x", case.world.ms - 9_000_000)
    case.declare_listing()
    _answer_with_true_304s(case)
    case.poll(10, step_ms=HOUR_MS // 2)
    assert "not_modified" in case.outcomes
    assert case.metric("RecordsInQuarantine") == [1] * 10
    assert case.fresh > rfc3339_ms(case.world.ms - HOUR_MS)


def test_a_304_makes_no_source_fresh_whose_records_are_mostly_refused(case: Case) -> None:
    _fill_with_refused(case, good=4, refused=6)
    case.declare_listing()
    _answer_with_true_304s(case)
    case.poll(6, step_ms=HOUR_MS // 2)
    assert "not_modified" in case.outcomes
    case.check_not_fresh()


@pytest.mark.parametrize(
    "refused", [{"id": None, "n": 1}, {"id": "bad", "n": "x"}], ids=["without an id", "with an id"]
)
def test_the_gauge_counts_a_refused_record_once_although_it_changes_at_every_poll(
    case: Case, refused: dict[str, Any]
) -> None:
    case.fill(50)
    case.declare_listing()
    case.answer = lambda request: {"rows": [*case.list_rows(), {**refused, "views": len(case.requests)}]}
    case.poll(8)
    assert case.metric("RecordsInQuarantine")[-1] == 1
    case.check_fresh()


def test_the_gauge_forgets_a_refused_record_that_is_deleted(case: Case) -> None:
    case.fill(50)
    case.declare()
    case.poll(2)
    case.put("r003", "bad")
    case.poll(2)
    case.put("r003", "bad", gone=True)
    case.poll(2)
    case.check_equal()
    assert case.metric("RecordsInQuarantine")[-1] == 0


def test_a_repaired_translation_makes_the_source_fresh(case: Case) -> None:
    case.fill(20)
    for number in range(20):
        case.put(f"x{number:03}", "7", case.world.ms - 9_000_000)
    case.declare()
    case.poll(3)
    case.check_not_fresh()
    case.declare(translation="{n: to_number(n)}")
    case.poll(4)
    case.check_fresh()
    assert case.metric("RecordsInQuarantine")[-1] == 0


def test_a_quiet_feed_stays_fresh_although_its_newest_record_is_refused(case: Case) -> None:
    """Later passes read the overlap only, so the refused record is all that they read."""
    case.fill(50, spacing_ms=10_000)
    case.put("bad", "x", case.world.ms - 9_000_000)
    case.declare(lag_seconds=5)
    case.poll()
    case.check_fresh()
    before = case.fresh
    case.poll(5)
    assert case.fresh > before


def test_a_feed_is_not_fresh_after_all_new_records_have_been_refused_for_long(case: Case) -> None:
    """Two refused records a poll are few, but none of the new records is an item."""
    case.fill(100, spacing_ms=10)
    case.declare(lag_seconds=5)
    case.poll(2)
    for number in range(30):
        case.put(f"x{number}", "bad")
        case.put(f"y{number}", "bad")
        case.poll()
    before = case.fresh
    assert before < rfc3339_ms(case.world.ms - 8 * 60_000)
    for number in range(30):
        case.put(f"x{number}", 1)
        case.put(f"y{number}", 1)
    case.poll(3)
    assert case.fresh > before
    case.check_equal()


def test_more_refused_records_than_the_checkpoint_can_hold_are_not_fresh(case: Case) -> None:
    """The checkpoint holds 1,000 refused records beside the others, which is 10 % of these records."""
    rows = [{"id": f"r{n:05}", "at": case.world.ms - 20_000 + n, "n": n if n % 2 else "bad"} for n in range(10_000)]
    case.declare()

    def answer(request: ApiRequest) -> Body:
        start = int(request.query.get("p", 0))
        end = start + 1000
        return {"rows": rows[start:end], "next": same_url(request, p=end) if end < len(rows) else None}

    case.answer = answer
    case.poll()
    case.check_not_fresh()
    assert len(case.values) == 5_000


def test_ids_that_poll_can_no_longer_take_delete_nothing_and_are_not_fresh(case: Case) -> None:
    case.fill(20)
    case.declare_listing()
    prefix = ""
    case.answer = lambda request: {"rows": [{**row, "id": prefix + row["id"]} for row in case.list_rows()]}
    case.poll(3)
    before = case.fresh
    prefix = "a/"
    case.poll(5)
    case.check_equal()
    assert case.fresh == before


def test_a_local_time_filter_that_loses_changes_is_reported(case: Case) -> None:
    """The back office takes the UTC cursor for local time, which is two hours ahead."""
    case.fill(3)
    case.declare(version={"expression": "at", "format": "rfc3339"}, lag_seconds=60)

    def answer(request: ApiRequest) -> Body | ApiResponse:
        since = datetime.fromisoformat(request.query["since"].replace("Z", "+00:00"))
        since_ms = int(since.timestamp() * 1000)
        rows = case.list_rows(since_ms + 2 * HOUR_MS if since_ms > 0 else 0)
        return {"rows": [{**row, "at": rfc3339_ms(row["at"])} for row in rows]}

    case.answer = answer
    for number in range(8):
        case.put(f"k{number}", number)
        case.poll()
    assert case.metric("OverlapMissed")


def test_a_busy_feed_with_an_honest_filter_reports_no_missed_overlap(case: Case) -> None:
    case.fill(5)
    case.declare(version={"expression": "at", "format": "unix_s"})

    def answer(request: ApiRequest) -> Body:
        rows = [{**row, "at": row["at"] // 1000} for row in case.list_rows()]
        return {"rows": [row for row in rows if row["at"] >= int(request.query["since"])]}

    case.answer = answer
    for number in range(20):
        case.put("newest", number, gone=number % 5 == 4)
        case.put(f"k{number % 7}", number)
        case.poll()
    case.check_equal()
    assert not case.metric("OverlapMissed")


def _declare_snapshot(case: Case, **settings: Any) -> None:
    case.declare_exactly(
        **{"name": "rows", "mode": "snapshot", "collection": "rates", "url": "/fx", "staleness_budget": 600, **settings}
    )


def _snapshot_data(case: Case) -> Any:
    (document,) = [body for _, _, body in case.world.regions["eu-central-1"].documents.values() if b'"data"' in body]
    return json.loads(document)["data"]


def _untrue_304(request: ApiRequest, body: Any) -> Body | ApiResponse:
    """Answer every conditional request with 304, whatever has changed."""
    if "if-none-match" in request.headers:
        return status_response(304, {"ETag": '"x"'})
    return json_response(body, headers={"ETag": '"x"'})


def test_a_change_behind_an_untrue_304_arrives_within_two_hours(case: Case) -> None:
    case.fill(5)
    case.declare()
    case.answer = lambda request: _untrue_304(request, {"rows": case.list_rows(int(request.query["since"]))})
    case.poll(2)
    case.put("new", 9)
    case.poll(13, step_ms=HOUR_MS // 6)
    case.check_equal()


def test_a_snapshot_behind_an_untrue_304_arrives_within_two_hours(case: Case) -> None:
    _declare_snapshot(case)
    value = 1
    case.answer = lambda request: _untrue_304(request, {"v": value})
    case.poll(2)
    value = 2
    case.poll(13, step_ms=HOUR_MS // 6)
    assert _snapshot_data(case) == {"v": 2}


def test_a_source_that_is_never_asked_conditionally_sends_no_condition(case: Case) -> None:
    case.fill(5)
    case.declare(conditional=False)
    case.answer = lambda request: _untrue_304(request, {"rows": case.list_rows()})
    case.poll(4)
    assert not [request for request in case.requests if "if-none-match" in request.headers]


def test_an_error_body_with_status_200_does_not_replace_the_snapshot(case: Case) -> None:
    _declare_snapshot(case, expect="v != null && !error")
    body: dict[str, Any] = {"v": 1}
    case.answer = lambda request: body
    case.poll(2)
    before = case.fresh
    body = {"error": "quota"}
    case.poll(3)
    assert _snapshot_data(case) == {"v": 1}
    assert case.fresh == before
    assert "expect" in case.fault


@pytest.mark.parametrize("status", [200, 204])
def test_a_response_without_a_body_does_not_replace_the_snapshot(case: Case, status: int) -> None:
    _declare_snapshot(case)
    case.answer = lambda request: {"v": 1}
    case.poll(2)
    case.answer = lambda request: ApiResponse(status, b"", {})
    case.poll(2)
    assert _snapshot_data(case) == {"v": 1}


def test_errors_beside_partial_data_delete_nothing(case: Case) -> None:
    case.fill(10)
    case.declare_listing(expect="!errors")
    failing = False
    case.answer = lambda request: (
        {"rows": case.list_rows()[:3], "errors": [{"message": "timeout"}]} if failing else {"rows": case.list_rows()}
    )
    case.poll(2)
    before = case.fresh
    failing = True
    case.poll(4)
    case.check_equal()
    assert case.fresh == before
    failing = False
    case.poll(5)
    assert case.fresh != before


def test_an_expectation_about_an_absent_member_is_a_fault(case: Case) -> None:
    case.fill(3)
    case.declare(expect="ok")
    case.poll(3)
    case.check_not_fresh()
    assert "expect" in case.fault


def test_204_says_that_nothing_changed(case: Case) -> None:
    case.fill(5)
    case.declare()
    changed = True
    case.answer = lambda request: {"rows": case.list_rows()} if changed else status_response(204)
    case.poll(2)
    before = case.fresh
    changed = False
    case.poll(3)
    assert case.fresh > before
    case.check_equal()
