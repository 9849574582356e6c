"""Histories of lists that end in an odd way, or never. Each test is named after the fault of its back office.

If `poll` sees the end of a list too early, it loses rows, and a sweep then deletes living items. If `poll` never sees
the end, the source never becomes fresh.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from urllib3 import HTTPHeaderDict

from tests.fakes.apis.server import ApiRequest, ApiResponse, json_response, status_response
from tests.histories.back_office_case import LARGE_SWEEP, LINK, OFFSET, PAGE, TOKEN, Answer, Body, Case, same_url, split

Rows = list[dict[str, Any]]

LINK_HEADER = {"style": "link"}
STYLES: dict[str, dict[str, Any]] = {"page": PAGE, "offset": OFFSET, "link": LINK, "token": TOKEN}

LAST = 2
"""The number of the last page, if a list of eight rows has three rows a page. The first page has the number 0."""


def _read(
    case: Case, paging: Mapping[str, Any], answer: Answer, *, rows: int = 8, hidden: range = range(0), **settings: Any
) -> None:
    """Poll a full list until it has been read, and check that the items equal the rows.

    :param hidden: the numbers of the rows that the back office never returns.
    """
    case.fill(rows)
    case.declare_listing(paging=paging, **settings)
    case.answer = answer
    case.poll_until_complete()
    case.check_equal({row["id"]: row["n"] for row in _without(hidden, case.list_rows())})
    case.check_ends()
    case.check_fresh()


def _without(hidden: range, rows: Rows) -> Rows:
    return [row for row in rows if row["n"] not in hidden]


def _page(case: Case, number: int, size: int = 3) -> Rows:
    """Return a page of the list. A page behind the last has no rows."""
    return case.list_rows()[number * size : (number + 1) * size]


def _number(request: ApiRequest) -> int:
    """Return the number of the page that a request asks for.

    The parameter ``page`` counts from 1. The values of ``token`` and ``p``, which the back office sets, count from 0.
    """
    if "page" in request.query:
        return int(request.query["page"]) - 1
    return int(request.query.get("token", request.query.get("p", 0)))


def _link(request: ApiRequest, number: int, last: int = LAST) -> str | None:
    """Return the link to a page; ``None`` for a page behind the last."""
    return same_url(request, p=number) if number <= last else None


def _offset(request: ApiRequest) -> int:
    return int(request.query.get("offset", 0))


def _scroll(case: Case, split_rows: Callable[[Rows], list[Rows]], last_token: str | None) -> Answer:
    """Return a back office that remembers how far it was read. Its token is the same on every page."""
    pages: list[Rows] = []

    def answer(request: ApiRequest) -> Body:
        if "token" not in request.query:
            pages[:] = split_rows(case.list_rows(int(request.query.get("since", 0))))
        rows = pages.pop(0) if pages else []
        return {"rows": rows, "next": "S" if pages else last_token}

    return answer


def _linked_by_header(case: Case, headers: Callable[[str | None], Mapping[str, str]]) -> Answer:
    """Return a back office whose pages are arrays of rows.

    :param headers: a function from the link to the next page, or ``None`` on the last page, to a response's headers.
    """

    def answer(request: ApiRequest) -> ApiResponse:
        number = _number(request)
        return json_response(_page(case, number), headers=headers(_link(request, number + 1)))

    return answer


# A list goes on behind a page that looks like the last.


@pytest.mark.parametrize("last_token", ["S", None], ids=["ends_with_an_empty_page", "ends_without_a_token"])
def test_a_scroll_token_that_stays_the_same_loses_no_page(case: Case, last_token: str | None) -> None:
    _read(case, TOKEN, _scroll(case, lambda rows: split(rows, 2), last_token), rows=7)


def test_a_sweep_over_a_scroll_token_that_stays_the_same_deletes_no_living_item(case: Case) -> None:
    case.fill(9)
    case.declare(paging=TOKEN, sweep=LARGE_SWEEP)
    case.answer = _scroll(case, lambda rows: split(rows, 2), "S")
    case.poll_until_complete()
    case.sweep(3)
    case.check_equal()
    case.check_nothing_deleted()
    case.check_ends()


def test_a_scroll_that_sends_a_page_twice_loses_no_later_page(case: Case) -> None:
    _read(case, TOKEN, _scroll(case, lambda rows: [rows[:2], rows[:2], rows[2:4], rows[4:]], None), rows=6)


@pytest.mark.parametrize("hidden", [range(1, 20, 2), range(8, 12)], ids=["half_of_each_page", "a_whole_page"])
def test_an_offset_that_counts_hidden_rows_loses_no_visible_row(case: Case, hidden: range) -> None:
    def answer(request: ApiRequest) -> Body:
        return {"rows": _without(hidden, case.list_rows()[_offset(request) :][:4])}

    _read(case, OFFSET | {"size": 4}, answer, rows=20, hidden=hidden)


def test_a_numbered_page_without_visible_rows_loses_no_later_page(case: Case) -> None:
    hidden = range(8, 12)
    _read(
        case,
        PAGE,
        lambda request: {"rows": _without(hidden, _page(case, _number(request), 4))},
        rows=20,
        hidden=hidden,
    )


def test_an_empty_first_page_loses_no_later_page(case: Case) -> None:
    _read(case, PAGE, lambda request: {"rows": _page(case, _number(request) - 1, 4) if _number(request) else []})


def test_five_empty_linked_pages_lose_no_later_page(case: Case) -> None:
    def answer(request: ApiRequest) -> Body:
        number = _number(request)
        pages = [case.list_rows()[:4], *[[]] * 5, case.list_rows()[4:]]
        return {"rows": pages[number], "next": _link(request, number + 1, last=6)}

    _read(case, LINK, answer)


@pytest.mark.parametrize("style", STYLES)
def test_pages_of_one_row_lose_no_row(case: Case, style: str) -> None:
    def answer(request: ApiRequest) -> Body:
        number = _offset(request) or _number(request)
        following = {"link": _link(request, number + 1, last=4), "token": number + 1 if number < 4 else None}
        return {"rows": _page(case, number, 1), "next": following.get(style)}

    _read(case, STYLES[style] | ({"size": 1} if style == "offset" else {}), answer, rows=5)


def test_an_unknown_page_size_of_one_row_by_offset_is_no_silent_loss(case: Case) -> None:
    case.fill(5)
    case.declare_listing(paging=OFFSET)
    case.answer = lambda request: {"rows": case.list_rows()[_offset(request) :][:1]}
    case.poll(6)
    case.check(case.values == case.truth() or not case.fresh, "the source is fresh, although rows are lost")


def test_an_empty_page_behind_a_page_that_was_sent_twice_is_not_the_end(case: Case) -> None:
    case.fill(8)
    glitches: list[Body] = [{"rows": _page(case, 1, 2), "next": "2"}, {"rows": [], "next": None}]

    def answer(request: ApiRequest) -> Body:
        number = _number(request)
        if number == 2 and glitches:
            return glitches.pop(0)
        return {"rows": _page(case, number, 2), "next": str(number + 1) if number < 3 else None}

    case.declare_listing(paging=TOKEN)
    case.answer = answer
    case.poll()
    case.check(case.values == case.truth() or not case.fresh, "the source is fresh, although rows are lost")
    case.poll_until_complete()
    case.check_equal()
    case.check_nothing_deleted()
    case.check_ends()


# Link headers in every spelling that RFC 8288 allows.


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(r'<{url}>; title="a, b; c=\"d\""; rel="next"', id="a_title_with_commas_and_quotes"),
        pytest.param('<{url}>; rel="last next"', id="several_relations"),
        pytest.param('<{url}> ; rel = "next"', id="spaces"),
        pytest.param("<{url}>;REL=Next", id="upper_case_without_quotes"),
        pytest.param('</rows?f=a,b>; rel="prev", <{url}&f=a,b;c>; rel="next"', id="commas_in_the_urls"),
        pytest.param("<{url}>; crossorigin; title*=UTF-8''x%2Cy; rel=\"next\"", id="a_parameter_without_a_value"),
        pytest.param(', ,<{url}>; rel="next",', id="empty_elements"),
    ],
)
def test_a_link_header_in_an_unusual_spelling_loses_no_page(case: Case, header: str) -> None:
    _read(
        case,
        LINK_HEADER,
        _linked_by_header(case, lambda link: {"Link": header.format(url=link)} if link else {}),
        records="@",
    )


def test_a_second_relation_of_a_link_is_not_followed(case: Case) -> None:
    linked = _linked_by_header(
        case, lambda link: {"Link": '</help>; rel="help"; rel="next"' + (f', <{link}>; rel="next"' if link else "")}
    )
    help_page = [{"id": "help", "n": 1}]
    _read(case, LINK_HEADER, lambda request: help_page if request.path == "/help" else linked(request), records="@")


def test_a_next_link_in_the_second_link_header_loses_no_page(case: Case) -> None:
    def headers(link: str | None) -> HTTPHeaderDict:
        headers = HTTPHeaderDict({"Link": '</rows>; rel="first"'})
        if link:
            headers.add("Link", f'<{link}>; rel="next"')
        return headers

    _read(case, LINK_HEADER, _linked_by_header(case, headers), records="@")


def test_a_link_relation_of_another_name_loses_no_page(case: Case) -> None:
    relation = "http://api.example/rels/Following"
    _read(
        case,
        LINK_HEADER | {"rel": relation.lower()},
        _linked_by_header(case, lambda link: {"Link": f'<{link}>; rel="{relation}"'} if link else {}),
        records="@",
    )


def test_a_link_header_without_a_usable_link_is_a_fault_and_not_the_end(case: Case) -> None:
    case.fill(8)
    case.declare_listing(records="@", paging=LINK_HEADER)
    case.answer = _linked_by_header(case, lambda link: {"Link": f'{link}; rel="next"'} if link else {})
    case.poll(6)
    case.check_not_fresh()
    case.check("Link" in case.fault, "the fault doesn't name the Link header")


# Back offices that say where the end is.


def test_a_token_in_a_header_loses_no_page(case: Case) -> None:
    def answer(request: ApiRequest) -> ApiResponse:
        number = _number(request)
        headers = {"x-next-token": str(number + 1)} if number < LAST else {}
        return json_response({"rows": _page(case, number)}, headers=headers)

    _read(case, {"style": "token", "header": "X-Next-Token", "parameter": "token"}, answer)


def test_a_page_without_visible_rows_before_the_total_loses_no_later_page(case: Case) -> None:
    hidden = range(4, 8)

    def answer(request: ApiRequest) -> Body:
        return {"rows": _without(hidden, case.list_rows()[_offset(request) :][:4]), "total": 9}

    _read(case, OFFSET | {"size": 4, "total": "total"}, answer, rows=9, hidden=hidden)


def test_three_empty_pages_with_more_behind_them_lose_no_later_page(case: Case) -> None:
    def answer(request: ApiRequest) -> Body:
        number = _number(request)
        pages = {0: case.list_rows()[:4], 4: case.list_rows()[4:]}
        return {"rows": pages.get(number, []), "more": number < 4}

    _read(case, PAGE | {"more": "more"}, answer)


def test_more_without_a_next_link_is_a_fault_and_not_the_end(case: Case) -> None:
    case.fill(8)
    case.declare_listing(paging=LINK | {"more": "more"})
    case.answer = lambda request: {"rows": case.list_rows()[:4], "more": True, "next": None}
    case.poll(5)
    case.check_not_fresh()
    case.check("more" in case.fault, "the fault doesn't name the setting 'more'")


def test_a_next_link_on_a_page_with_nothing_more_is_not_followed(case: Case) -> None:
    def answer(request: ApiRequest) -> Body:
        number = _number(request)
        return {"rows": _page(case, min(LAST, number)), "next": same_url(request, p=number + 1), "more": number < LAST}

    _read(case, LINK | {"more": "more"}, answer)
    case.check(all(_number(request) <= LAST for request in case.requests), "a link behind the end was followed")


@pytest.mark.parametrize("status", [400, 404])
def test_an_end_status_behind_the_last_page_ends_the_list(case: Case, status: int) -> None:
    def answer(request: ApiRequest) -> Body | ApiResponse:
        rows = _page(case, _number(request))
        return {"rows": rows} if rows else json_response({}, status)

    _read(case, PAGE | {"end_status": [status]}, answer)


def test_a_404_behind_the_last_page_is_a_fault_that_names_end_status(case: Case) -> None:
    def answer(request: ApiRequest) -> Body | ApiResponse:
        rows = _page(case, _number(request))
        return {"rows": rows} if rows else json_response({}, 404)

    case.fill(9)
    case.declare_listing(paging=PAGE)
    case.answer = answer
    case.poll(5)
    case.check("end_status" in case.fault, "the fault doesn't name the setting 'end_status'")


def test_a_204_behind_the_last_page_ends_the_list(case: Case) -> None:
    def answer(request: ApiRequest) -> Body | ApiResponse:
        rows = _page(case, _number(request))
        return {"rows": rows} if rows else status_response(204)

    _read(case, PAGE, answer)


# A list goes on for ever.


@pytest.mark.parametrize("size", [3, 5], ids=["three_pages", "two_pages"])
def test_a_last_page_that_is_repeated_for_ever_ends_the_list(case: Case, size: int) -> None:
    last = len(split([{}] * 8, size)) - 1
    _read(case, PAGE, lambda request: {"rows": _page(case, min(_number(request), last), size)})


def test_a_repeated_last_page_with_a_clock_in_it_ends_the_list(case: Case) -> None:
    _read(case, PAGE, lambda request: {"rows": _page(case, min(_number(request), LAST)), "now": len(case.requests)})


def test_a_repeated_last_page_whose_rows_count_their_views_ends_the_list(case: Case) -> None:
    def answer(request: ApiRequest) -> Body:
        rows = _page(case, min(_number(request), LAST))
        return {"rows": [{**row, "views": len(case.requests)} for row in rows]}

    _read(case, PAGE, answer)


def test_a_repeated_last_page_that_links_to_a_new_page_each_time_ends_the_list(case: Case) -> None:
    def answer(request: ApiRequest) -> Body:
        number = _number(request)
        return {"rows": _page(case, min(number, LAST)), "next": same_url(request, p=number + 1), "page": number}

    _read(case, LINK, answer)


def test_a_sweep_over_a_repeated_last_page_deletes_no_living_item(case: Case) -> None:
    def answer(request: ApiRequest) -> Body:
        number = _number(request)
        pages = split(case.list_rows(int(request.query.get("since", 0))), 3)
        return {"rows": pages[min(number, len(pages) - 1)], "next": same_url(request, p=number + 1)}

    case.fill(8)
    case.declare(sweep=LARGE_SWEEP)
    case.answer = answer
    case.poll_until_complete()
    case.sweep(3)
    case.put("new", 77)
    case.poll(3)
    case.check_equal()
    case.check_nothing_deleted()
    case.check_ends()


def test_a_last_page_that_links_to_itself_ends_the_list(case: Case) -> None:
    def answer(request: ApiRequest) -> Body:
        number = _number(request)
        return {"rows": _page(case, number), "next": _link(request, min(LAST, number + 1))}

    _read(case, LINK, answer)


def test_a_last_page_whose_token_leads_to_itself_ends_the_list(case: Case) -> None:
    def answer(request: ApiRequest) -> Body:
        number = _number(request)
        return {"rows": _page(case, number), "next": str(min(LAST, number + 1))}

    _read(case, TOKEN, answer)


def test_empty_pages_with_new_tokens_for_ever_end_the_list(case: Case) -> None:
    _read(case, TOKEN, lambda request: {"rows": _page(case, _number(request)), "next": _number(request) + 1})


def test_an_offset_behind_the_end_that_returns_the_last_page_ends_the_list(case: Case) -> None:
    _read(case, OFFSET | {"size": 3}, lambda request: {"rows": case.list_rows()[min(_offset(request), 6) :][:3]})


@pytest.mark.parametrize("style", STYLES)
def test_a_last_page_that_is_followed_by_the_first_ends_the_list(case: Case, style: str) -> None:
    def answer(request: ApiRequest) -> Body:
        number = _offset(request) // 3 or _number(request)
        following = (number + 1) % 3
        link: object = {"link": f"/rows?p={following}", "token": str(following)}.get(style)
        return {"rows": _page(case, number % 3), "next": link}

    _read(case, STYLES[style] | ({"size": 3} if style == "offset" else {}), answer)


def test_a_page_parameter_that_is_ignored_costs_few_requests(case: Case) -> None:
    case.fill(8)
    case.declare_listing(paging=PAGE | {"parameter": "pgae"})
    case.answer = lambda request: {"rows": case.list_rows()}
    case.poll(6)
    is_complete = case.values == case.truth() and case.fresh
    case.check(is_complete or "parameter" in case.fault, "rows are lost, and the fault doesn't name the parameter")
    case.check(len(case.requests) < 60, f"{len(case.requests)} requests are too many")


def test_an_ignored_page_parameter_that_hides_rows_is_a_fault_that_names_the_parameter(case: Case) -> None:
    case.fill(8)
    case.declare_listing(paging=PAGE | {"parameter": "pgae", "size": 5})
    case.answer = lambda request: {"rows": case.list_rows()[:5]}
    case.poll(6)
    case.check_not_fresh()
    case.check("parameter" in case.fault, "the fault doesn't name the parameter")
