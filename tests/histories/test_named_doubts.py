"""Histories in which a response looks like the end of a list, or like no end, but proves neither.

A wrong guess loses rows silently, deletes living items, or stops a feed that worked before. Each test is named after
the right behaviour.
"""

from typing import Any

import pytest
from urllib3 import HTTPHeaderDict

from tests.fakes.apis.server import ApiRequest, ApiResponse, json_response, status_response
from tests.histories.back_office_case import LARGE_SWEEP, OFFSET, PAGE, Body, Case, same_url, split


def _page(rows: list[dict[str, Any]], request: ApiRequest, size: int = 4) -> list[dict[str, Any]]:
    start = (int(request.query["page"]) - 1) * size
    return rows[start : start + size]


# -- an error behind a page --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 404, 410])
def test_an_error_behind_a_page_with_hidden_rows_deletes_nothing(case: Case, status: int) -> None:
    """A filter makes page 2 short. Later, a new cap or a release refuses all pages behind it."""
    case.fill(24)
    case.declare_listing(paging=PAGE, sweep=LARGE_SWEEP, attempts=1)
    visible = {row_id: n for row_id, n in case.truth().items() if row_id != "r005"}
    failing = False
    case.answer = lambda request: (
        status_response(status)
        if failing and int(request.query["page"]) > 2
        else {"rows": [row for row in _page(case.list_rows(), request) if row["id"] != "r005"]}
    )
    case.poll(2)
    before = case.fresh
    failing = True
    case.poll(4)
    case.check_equal(visible)
    assert case.fresh == before or case.metric("ListDoubtful")


def test_an_error_behind_a_page_with_hidden_rows_loses_no_later_row(case: Case) -> None:
    """The list is sorted by its newest rows first. Its last pages fail during a release."""
    case.fill(20, spacing_ms=10_000)
    case.declare(paging={**OFFSET, "size": 4}, lag_seconds=5, attempts=1)
    failing = True

    def answer(request: ApiRequest) -> Body | ApiResponse:
        start = int(request.query["offset"])
        rows = case.list_rows(int(request.query["since"]))[::-1]
        if failing and start >= 8:
            return status_response(404)
        return {"rows": [row for row in rows[start : start + 4] if row["id"] != "r014"]}

    case.answer = answer
    case.poll(2)
    failing = False
    case.poll(5)
    case.check_equal({row_id: n for row_id, n in case.truth().items() if row_id != "r014"})


@pytest.mark.parametrize("status", [400, 404, 416])
def test_an_error_behind_an_empty_page_is_no_fault(case: Case, status: int) -> None:
    """The page behind the last one is empty, and each further page is refused."""
    case.fill(8)
    case.declare_listing(paging=PAGE, attempts=1)
    case.answer = lambda request: (
        status_response(status) if int(request.query["page"]) > 3 else {"rows": _page(case.list_rows(), request)}
    )
    case.poll()
    case.check_equal()
    case.check_fresh()


@pytest.mark.parametrize("size", [None, 3])
def test_an_offset_behind_the_end_that_is_refused_is_no_fault(case: Case, size: int | None) -> None:
    case.fill(8)
    case.declare_listing(paging=OFFSET if size is None else {**OFFSET, "size": size}, attempts=1)

    def answer(request: ApiRequest) -> Body | ApiResponse:
        start = int(request.query.get("offset", 0))
        rows = case.list_rows()
        return status_response(416) if start >= len(rows) else {"rows": rows[start : start + 3]}

    case.answer = answer
    case.poll()
    case.check_equal()
    case.check_fresh()


def test_an_end_status_on_the_first_page_deletes_nothing_and_is_not_fresh(case: Case) -> None:
    case.fill(4)
    case.declare_listing(paging={**PAGE, "end_status": [404]}, attempts=1)
    failing = False
    case.answer = lambda request: status_response(404) if failing else {"rows": _page(case.list_rows(), request)}
    case.poll(2)
    before = case.fresh
    failing = True
    case.poll(3)
    case.check_equal()
    assert case.fresh == before


def test_an_empty_body_with_status_200_is_no_empty_list(case: Case) -> None:
    case.fill(5)
    case.declare_listing()
    case.poll(2)
    before = case.fresh
    case.answer = lambda request: b""
    case.poll(4)
    case.check_equal()
    assert case.fresh == before


# -- totals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "total",
    [lambda offset: 8, lambda offset: 16 - offset, lambda offset: 0 if offset else 16],
    ids=["a cap", "what is left", "on the first page only"],
)
@pytest.mark.parametrize("hidden", ["", "r006"], ids=["full pages", "a page with a hidden row"])
def test_a_total_that_is_too_small_loses_no_row(case: Case, total: Any, hidden: str) -> None:
    case.fill(16)
    case.declare_listing(paging={**OFFSET, "size": 4, "total": "total"}, sweep=LARGE_SWEEP)

    def answer(request: ApiRequest) -> Body:
        start = int(request.query["offset"])
        rows = case.list_rows()
        page = [row for row in rows[start : start + 4] if row["id"] != hidden]
        return {"rows": page, "total": total(start)}

    case.answer = answer
    case.poll(4)
    case.check_equal({row_id: n for row_id, n in case.truth().items() if row_id != hidden})


def test_a_total_that_shrinks_later_deletes_nothing(case: Case) -> None:
    """The total comes from a replica that lags behind."""
    case.fill(16)
    total = 16
    case.declare_listing(paging={**OFFSET, "size": 4, "total": "total"}, sweep=LARGE_SWEEP)

    def answer(request: ApiRequest) -> Body:
        start = int(request.query["offset"])
        return {"rows": case.list_rows()[start : start + 4], "total": total}

    case.answer = answer
    case.poll(2)
    total = 8
    case.poll(4)
    case.check_equal()


@pytest.mark.parametrize("more", [{}, {"size": 4}, {"total": "totalResults"}], ids=["no size", "size", "total"])
def test_an_offset_that_counts_from_1_loses_no_row(case: Case, more: dict[str, Any]) -> None:
    """SCIM counts its rows from 1, and refuses an index of 0."""
    case.fill(11)
    case.declare_listing(
        records="Resources", paging={"style": "offset", "parameter": "startIndex", "first": 1, **more}, attempts=1
    )

    def answer(request: ApiRequest) -> Body | ApiResponse:
        start = int(request.query.get("startIndex", 1)) - 1
        rows = case.list_rows()
        if start < 0:
            return status_response(400)
        return {"Resources": rows[start : start + 4], "totalResults": len(rows)}

    case.answer = answer
    case.poll()
    case.check_equal()
    case.check_fresh()


def test_a_page_size_that_the_back_office_lowers_is_no_silent_loss(case: Case) -> None:
    """The source sets ``size`` to 10, but the back office returns 5 rows at most."""
    case.fill(23)
    case.declare_listing(paging={**OFFSET, "size": 10})

    def answer(request: ApiRequest) -> Body:
        start = int(request.query.get("offset", 0))
        return {"rows": case.list_rows()[start : start + 5]}

    case.answer = answer
    case.poll(6)
    case.check(case.values == case.truth() or not case.fresh, "rows are lost silently")


# -- pages that look alike ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page_size", [1, 2])
def test_an_event_log_with_one_id_on_many_pages_loses_no_later_row(case: Case, page_size: int) -> None:
    start_ms = case.world.ms - 5_000_000
    log: list[dict[str, Any]] = [{"id": "xy"[n % page_size], "at": start_ms + n * 1000, "n": n} for n in range(10)]
    log += [{"id": f"z{n}", "at": start_ms + 20_000 + n, "n": n} for n in range(3)]
    case.rows = {str(event["id"]): event for event in log}
    case.declare(paging=PAGE)
    case.answer = lambda request: {
        "rows": _page([event for event in log if event["at"] >= int(request.query["since"])], request, page_size)
    }
    case.poll_until_complete()
    case.check_equal()
    case.check_ends()


def test_pages_of_equal_records_without_ids_are_no_silent_loss(case: Case) -> None:
    rows: list[dict[str, Any]] = [{"id": "a", "n": 1}, {"id": "b", "n": 1}]
    rows += [{}] * 8 + [{"id": "c", "n": 1}, {"id": "d", "n": 1}]
    case.declare_listing(paging=PAGE, max_refused_percent=100)
    case.answer = lambda request: {"rows": _page(rows, request, 2)}
    case.poll(4)
    whole = set(case.values) == {"a", "b", "c", "d"}
    case.check(whole or not case.fresh or case.metric("ListDoubtful"), "rows are lost silently")


def test_a_queue_behind_one_url_loses_no_page(case: Case) -> None:
    """Each response takes its rows from the queue, and links to the same URL."""
    case.fill(8)
    case.declare_listing()
    pages: list[list[dict[str, Any]]] = []

    def answer(request: ApiRequest) -> Body:
        if request.path == "/rows":
            pages[:] = split(case.list_rows(), 2)
        rows = pages.pop(0) if pages else []
        return {"rows": rows, "next": "/queue" if pages else None}

    case.answer = answer
    case.poll(3)
    case.check_equal()


def test_a_page_from_a_stale_cache_loses_no_row_for_good(case: Case) -> None:
    """For a minute, page 3 is answered with page 2."""
    case.fill(16, spacing_ms=10_000)
    case.declare(paging=PAGE, lag_seconds=5)
    is_stale = True

    def answer(request: ApiRequest) -> Body:
        rows = case.list_rows(int(request.query["since"]))
        if is_stale and request.query["page"] == "3":
            return {"rows": rows[4:8]}
        return {"rows": _page(rows, request)}

    case.answer = answer
    case.poll()
    is_stale = False
    case.poll(4)
    case.check_equal()


def test_a_quiet_feed_whose_last_page_is_repeated_still_ends(case: Case) -> None:
    case.fill(20, spacing_ms=10_000)
    case.declare(paging={**PAGE, "size": 4}, lag_seconds=15)

    def answer(request: ApiRequest) -> Body:
        pages = split(case.list_rows(int(request.query["since"])), 4)
        return {"rows": pages[min(int(request.query["page"]), len(pages)) - 1]}

    case.answer = answer
    case.poll_until_complete()
    case.poll(4)
    case.put("new")
    case.poll(2)
    case.check_equal()
    case.check_ends()


def test_a_repeated_page_whose_data_changes_ends_after_a_bounded_number_of_requests(case: Case) -> None:
    """The rows count their views, and the link is new each time, so that no two responses are alike."""
    case.fill(9)
    case.declare_listing()

    def answer(request: ApiRequest) -> Body:
        number = int(request.query.get("p", 0))
        rows = split(case.list_rows(), 4)[min(number, 2)]
        return {"rows": [{**row, "n": len(case.requests)} for row in rows], "next": same_url(request, p=number + 1)}

    case.answer = answer
    case.poll(3)
    case.check_ends()
    assert set(case.values) == set(case.truth())
    assert len(case.requests) < 300


# -- Link headers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "link",
    [
        "<{}>; rel='next'",
        '<{}>; title=foo bar; rel="next"',
        '< {} >; rel="next"',
        '<{}>; rel="next";',
        '<{}>; title="nächste"; rel="next"',
        '</x>; rel="", <{}>; rel="next page"',
        'https://docs.test/; rel="help", <{}>; rel="next"',
    ],
)
def test_a_link_header_that_earlier_versions_read_is_still_read(case: Case, link: str) -> None:
    case.fill(8)
    case.declare_listing(records="@", paging={"style": "link"})

    def answer(request: ApiRequest) -> ApiResponse:
        number = int(request.query.get("p", 0))
        pages = split(case.list_rows(), 3)
        # The server encodes each character of a header as a byte, and real servers send UTF-8.
        text = link.format(same_url(request, p=number + 1)).encode().decode("latin-1")
        return json_response(pages[number], headers={"Link": text} if number + 1 < len(pages) else {})

    case.answer = answer
    case.poll()
    case.check_equal()


@pytest.mark.parametrize(
    "link", ['https://docs.test/; rel="help"', "</s.css>; rel=preload; as=style, <https://x.test/>; rel=describedby"]
)
def test_a_link_header_about_other_things_is_no_fault_on_the_last_page(case: Case, link: str) -> None:
    case.fill(8)
    case.declare_listing(records="@", paging={"style": "link"})

    def answer(request: ApiRequest) -> ApiResponse:
        number = int(request.query.get("p", 0))
        pages = split(case.list_rows(), 3)
        headers = HTTPHeaderDict({"Link": link})
        if number + 1 < len(pages):
            headers.add("Link", f'<{same_url(request, p=number + 1)}>; rel="next"')
        return json_response(pages[number])._replace(headers=headers)

    case.answer = answer
    case.poll()
    case.check_equal()
    case.check_fresh()
