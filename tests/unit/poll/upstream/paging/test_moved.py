"""Tests that the page reader detects records that move between pages, links that form a loop, and stale responses."""

from collections.abc import Iterable
from typing import Any

import pytest

from readplane.poll.errors import BackOfficeError, ListMovedError
from readplane.poll.upstream.paging.ending import ListEnd
from tests.unit.poll.upstream.paging.walks import (
    Query,
    Row,
    Server,
    by_number,
    by_offset,
    by_pages,
    ids,
    read,
    rows,
    source_of,
    walk,
    walk_list,
)

TOKEN: dict[str, Any] = {"style": "token", "next": "next", "parameter": "t"}
LINK: dict[str, Any] = {"style": "link", "next": "next"}


def row(number: int) -> Row:
    return rows(number + 1)[number]


def script(*pages: tuple[Iterable[int], object]) -> Server:
    """Return a server that responds with these pages one after another, whatever the request asks for."""
    responses = iter(pages)

    def respond(query: Query) -> object:
        numbers, following = next(responses)
        return {"rows": [row(number) for number in numbers], "next": following}

    return Server(respond)


def test_an_empty_page_may_lead_on_but_not_back() -> None:
    pages = {"": ([], "1"), "1": (rows(1), "2"), "2": ([], "2")}
    assert walk_list(Server(by_pages(pages)), **TOKEN) == (ids(1), ListEnd("self_link"))


def test_a_run_of_empty_pages_ends_in_doubt_unless_the_operator_allows_it() -> None:
    def respond(query: Query) -> object:
        return {"rows": rows(1) if "t" not in query else [], "next": str(int(query.get("t", "0")) + 1)}

    server = Server(respond)
    assert walk_list(server, **TOKEN) == (ids(1), ListEnd("empty_run", certain=False))
    assert len(server.requests) == 21
    assert walk_list(Server(respond), **TOKEN, max_empty_pages=3) == (ids(1), ListEnd("empty_run"))


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8])
def test_a_walk_in_circles_ends_in_doubt(length: int) -> None:
    def circle(query: Query) -> object:
        at = int(query.get("t", "0"))
        return {"rows": [row(at)], "next": f"?t={3 + (at + 1 - 3) % length if at > 2 else at + 1}"}

    walked = walk_list(Server(circle), **LINK)
    assert set(walked.ids) == set(ids(3 + length))
    # A single page that links to itself isn't a circle, but a sign of the end.
    assert walked.end == (ListEnd("self_link") if length == 1 else ListEnd("loop", certain=False))


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8])
def test_pages_that_return_with_links_that_are_always_new_end_in_doubt(length: int) -> None:
    def respond(query: Query) -> object:
        at = int(query.get("t", "0"))
        return {"rows": [row(at if at < 3 else 3 + (at - 3) % length)], "next": f"?t={at + 1}", "at": at}

    walked = walk_list(Server(respond), **LINK)
    assert set(walked.ids) == set(ids(3 + length)) and walked.end == ListEnd("repeated", certain=False)


def test_a_last_page_that_links_back_to_the_first_page() -> None:
    pages = {"": (rows(1), "1"), "0": (rows(1), "1"), "1": ([row(1)], "2"), "2": ([row(2)], "3"), "3": ([], "")}
    linked = {key: (page, f"?t={to}" if to else "https://office.test/rows") for key, (page, to) in pages.items()}
    assert walk_list(Server(by_pages(linked)), **LINK) == (ids(3), ListEnd("loop"))


def test_a_link_that_leads_back_once_is_requested_once_more() -> None:
    server = script(([0], "?t=1"), ([1], "https://office.test/rows"), ([1], "?t=2"), ([2], None))
    assert walk_list(server, **LINK) == (ids(3), ListEnd("no_next"))


@pytest.mark.parametrize("style", [LINK, {**LINK, "next": None, "header": "X-Next"}])
def test_a_link_page_that_repeats_the_last_one_is_requested_once_more(style: dict[str, Any]) -> None:
    server = script(([0], "?t=1"), ([0], "?t=1"), ([1], "?t=2"), ([2], None))
    assert walk_list(server, **LINK) == (ids(3), ListEnd("no_next"))
    assert len(server.requests) == 4


def test_a_link_page_that_stays_the_same_ends_in_doubt() -> None:
    """The page links to itself, but it is the page before: the real page is hidden by a cache."""
    walked = walk_list(script(([0], "?t=1"), ([1], "?t=2"), ([1], "?t=2"), ([1], "?t=2")), **LINK)
    assert walked.end == ListEnd("repeated", certain=False)


def test_a_repeated_page_with_another_body_that_links_to_itself_is_requested_once_more() -> None:
    numbers = iter(range(10))

    def respond(query: Query) -> object:
        number = next(numbers)
        return {"rows": [row((0, 0, 1)[number])], "next": ("?t=1", "?t=1", None)[number], "now": number}

    assert walk_list(Server(respond), **LINK) == (ids(2), ListEnd("no_next"))


def test_an_empty_page_after_a_repeated_one_is_no_end() -> None:
    with pytest.raises(BackOfficeError, match="repeated a page"):
        walk(script(([0], "?t=1"), ([0], "?t=1"), ([], None)), **LINK)
    with pytest.raises(BackOfficeError, match="repeated a page"):
        walk(script(([0], None), ([0], None), ([], None), ([0], None)), style="page", parameter="p")


def test_a_scroll_token_that_stays_the_same_leads_through_the_whole_list() -> None:
    """Elasticsearch's scroll moves on with every request, so no answer may be thrown away."""
    pages = [([0], "s"), ([1], "s"), ([2], "s"), ([], "s")]
    server = script(*pages)
    assert walk_list(server, **TOKEN) == (ids(3), ListEnd("self_link"))
    assert len(server.requests) == 4


def test_a_scroll_page_that_repeats_is_never_requested_again_and_leaves_doubt() -> None:
    server = script(([0], "s"), ([1], "s"), ([1], "s"), ([3], "s"), ([], "s"))
    walked = walk_list(server, **TOKEN)
    assert walked == (["r0", "r1", "r3"], ListEnd("self_link", certain=False))
    assert len(server.requests) == 5


def test_a_scroll_page_that_repeats_twice_in_a_row_ends_in_doubt() -> None:
    walked = walk_list(script(([0], "s"), ([1], "s"), ([1], "s"), ([1], "s")), **TOKEN)
    assert walked.end == ListEnd("repeated", certain=False)


@pytest.mark.parametrize(
    ("error", "starts_again"),
    [
        (BackOfficeError("timeout", "x", retryable=True), True),
        (BackOfficeError("broken", "x"), True),
        (BackOfficeError("deadline", "x"), True),
        (BackOfficeError("status", "x", status=502, retryable=True), True),
        (BackOfficeError("status", "x", status=503, retryable=True), False),
        (BackOfficeError("status", "x", status=429, retryable=True), False),
        (BackOfficeError("connect", "x", retryable=True), False),
    ],
)
def test_a_scroll_page_whose_answer_was_lost_is_never_asked_for_again(
    error: BackOfficeError, starts_again: bool
) -> None:
    def respond(query: Query) -> object:
        if len(server.requests) > 2:
            raise error
        return {"rows": [row(len(server.requests))], "next": "s"}

    server = Server(respond)
    first = read(server, **TOKEN)
    second = read(server, first.continuation, **TOKEN)
    with pytest.raises(ListMovedError if starts_again else BackOfficeError):
        read(server, second.continuation, **TOKEN)
    assert server.probes == [False, True, True], "the client must not try again by itself"


def test_a_lost_answer_to_the_first_token_starts_the_pass_again() -> None:
    """Only the next answer could show whether the back office moves on with each request."""

    def respond(query: Query) -> object:
        if "t" in query:
            raise BackOfficeError("timeout", "x", retryable=True)
        return {"rows": rows(1), "next": "s"}

    server = Server(respond)
    with pytest.raises(ListMovedError):
        read(server, read(server, **TOKEN).continuation, **TOKEN)
    assert server.probes == [False, True]


def test_a_token_that_names_its_page_is_tried_again() -> None:
    def respond(query: Query) -> object:
        if query.get("t") == "2":
            raise BackOfficeError("timeout", "x", retryable=True)
        return {"rows": [row(int(query.get("t", "0")))], "next": str(int(query.get("t", "0")) + 1)}

    server = Server(respond)
    second = read(server, read(server, **TOKEN).continuation, **TOKEN)
    with pytest.raises(BackOfficeError):
        read(server, second.continuation, **TOKEN)
    assert server.probes == [False, True, False]


def test_an_empty_page_after_a_repeated_scroll_page_is_no_end() -> None:
    with pytest.raises(BackOfficeError, match="repeated a page"):
        walk(script(([0], "s"), ([0], "s"), ([], "s")), **TOKEN)


def test_a_stale_page_of_a_token_that_names_its_page_leaves_no_doubt() -> None:
    server = script(([0], "1"), ([0], "1"), ([1], "2"), ([2], None))
    assert walk_list(server, **TOKEN) == (ids(3), ListEnd("no_next"))


def test_what_the_back_office_says_about_further_pages_counts() -> None:
    more = script(([0], "1"), ([1], "1"))
    assert walk_list(more, **TOKEN, more="next != '1'").end == ListEnd("more")
    with pytest.raises(BackOfficeError, match="names no next page"):
        walk(Server(lambda query: {"rows": rows(1), "next": None, "m": True}), **TOKEN, more="m")
    numbered = Server(lambda query: {"rows": rows(2), "m": query["p"] == "1"})
    assert read(numbered, style="page", parameter="p", more="m").continuation
    pages = Server(
        lambda query: {"rows": rows(6)[2 * int(query["p"]) - 2 : 2 * int(query["p"])], "m": query["p"] < "3"}
    )
    assert walk_list(pages, style="page", parameter="p", more="m") == (ids(6), ListEnd("more"))
    assert len(pages.requests) == 5, "three pages, and two that are read again"
    with pytest.raises(BackOfficeError, match="no records"):
        walk(Server(lambda query: {"rows": [], "m": True}), style="page", parameter="p", more="m")
    # The back office itself says that the list goes on, so a few empty pages aren't its end.
    gaps = Server(lambda query: {"rows": rows(2) if query["p"] == "9" else [], "m": int(query["p"]) < 9})
    assert walk_list(gaps, style="page", parameter="p", more="m") == (ids(2), ListEnd("more"))


@pytest.mark.parametrize("paging", [{}, {"size": 3}])
def test_the_total_ends_the_list_with_a_page_without_records(paging: dict[str, Any]) -> None:
    respond = by_offset(rows(7), 3)
    server = Server(lambda query: {**respond(query), "total": 7})
    assert walk_list(server, style="offset", parameter="o", total="total", **paging) == (ids(7), ListEnd("total"))
    first = walk_list(Server(lambda query: {"rows": [], "total": 0}), style="offset", parameter="o", total="total")
    assert first == ([], ListEnd("total"))


@pytest.mark.parametrize("paging", [{}, {"size": 3}])
@pytest.mark.parametrize("total", ["capped", "of the page", "left"])
@pytest.mark.parametrize("count", [8, 9])
def test_a_total_that_is_smaller_than_the_list_does_not_end_it(paging: dict[str, Any], total: str, count: int) -> None:
    """Elasticsearch counts at most 10,000 rows, other back offices count the page or the rows that are left."""
    respond = by_offset(rows(count), 3)

    def answer(query: Query) -> object:
        page = respond(query)
        totals = {"capped": 6, "of the page": len(page["rows"]), "left": max(0, count - int(query["o"]))}
        return {**page, "total": totals[total]}

    assert walk(Server(answer), style="offset", parameter="o", total="total", **paging) == ids(count)


@pytest.mark.parametrize("behind", [{"rows": [], "total": 6}, 404, 204])
def test_a_total_that_ends_with_a_full_page_is_checked_by_one_more_page(behind: object) -> None:
    respond = by_offset(rows(6), 3)

    def answer(query: Query) -> object:
        page = respond(query)
        return {**page, "total": 6} if page["rows"] else behind

    server = Server(answer)
    walked = walk_list(server, style="offset", parameter="o", size=3, total="total")
    assert walked.ids == ids(6) and walked.end.certain
    assert len([url for url in server.urls if url.endswith("o=6")]) == 1


@pytest.mark.parametrize("count", [6, 8, 11, 24])
@pytest.mark.parametrize("behind", [[], 400])
@pytest.mark.parametrize("paging", [{}, {"total": "total"}])
def test_a_size_that_is_larger_than_the_pages_is_noticed(count: int, behind: object, paging: dict[str, Any]) -> None:
    """With pages of five rows and offsets that grow by ten, every second page would be skipped."""
    respond = by_offset(rows(count), 5)

    def answer(query: Query) -> object:
        page = respond(query)
        return behind if not page["rows"] and behind else {**page, "total": count}

    with pytest.raises(BackOfficeError, match=r"smaller than paging\.size"):
        walk(Server(answer), style="offset", parameter="o", size=10, **paging)
    assert walk(Server(answer), style="offset", parameter="o", size=5, **paging) == ids(count)
    assert walk(Server(by_offset(rows(4), 5)), style="offset", parameter="o", size=10) == ids(4)


@pytest.mark.parametrize("paging", [{"style": "page"}, {"style": "offset", "size": 3}, {"style": "offset"}])
def test_numbers_that_wrap_around_end_the_list(paging: dict[str, Any]) -> None:
    def respond(query: Query) -> object:
        at = int(query["x"])
        start = (at - 1) * 3 % 9 if paging["style"] == "page" else at % 9
        return {"rows": (rows(9) + rows(9))[start : start + 3]}

    walked = walk_list(Server(respond), parameter="x", **paging)
    assert set(walked.ids) == set(ids(9)) and walked.end == ListEnd("repeated")


def refusing(paging: dict[str, Any], status: int, last: int) -> Server:
    """Return a server with five rows on pages of two, which refuses requests for a page behind the page ``last``."""

    def respond(query: Query) -> object:
        at = int(query["x"]) - 1 if paging["style"] == "page" else int(query["x"]) // 2
        return {"rows": rows(5)[2 * at : 2 * at + 2]} if at <= last else status

    return Server(respond)


@pytest.mark.parametrize("paging", [{"style": "page"}, {"style": "offset", "size": 2}])
@pytest.mark.parametrize("status", [400, 404, 410, 416, 422])
def test_a_status_behind_a_short_or_empty_page_ends_the_list(paging: dict[str, Any], status: int) -> None:
    behind_empty = walk_list(refusing(paging, status, 3), parameter="x", **paging)
    assert behind_empty == (ids(5), ListEnd("end_status"))
    # A back office that filters its pages has short pages everywhere.
    behind_short = walk_list(refusing(paging, status, 2), parameter="x", **paging)
    assert behind_short == (ids(5), ListEnd("end_status", certain=False))
    with pytest.raises(BackOfficeError, match=str(status)):
        walk(refusing(paging, status, 1), parameter="x", **paging)
    with pytest.raises(BackOfficeError, match="403"):
        walk(refusing(paging, 403, 2), parameter="x", **paging)


def test_empty_pages_before_an_end_status_are_no_end() -> None:
    def respond(query: Query) -> object:
        page = int(query["p"])
        return 404 if page > 8 else {"rows": [row(page)] if page in (1, 8) else []}

    walked = walk_list(Server(respond), style="page", parameter="p", end_status=[404])
    assert walked == (["r1", "r8"], ListEnd("end_status"))
    endless = walk_list(Server(by_number(rows(1), 1)), style="page", parameter="p", end_status=[404])
    assert endless == (ids(1), ListEnd("empty"))


def test_a_refused_offset_behind_the_last_row_ends_the_list() -> None:
    respond = by_offset(rows(5), 2)
    server = Server(lambda query: respond(query) if int(query["o"]) < 5 else 416)
    assert walk_list(server, style="offset", parameter="o") == (ids(5), ListEnd("end_status"))


@pytest.mark.parametrize("paging", [{"style": "page", "parameter": "p"}, TOKEN, LINK])
@pytest.mark.parametrize("versioned", [True, False])
def test_versions_of_one_record_on_several_pages_are_no_repeat(paging: dict[str, Any], versioned: bool) -> None:
    """An event log with pages of one record may hold the same id on many pages in a row."""
    log = [{"id": "a", "at": at if versioned else 1, "n": at} for at in range(1, 6)]

    def respond(query: Query) -> object:
        at = int(query["p"]) - 1 if "p" in query else int(query.get("t", "0"))
        return {
            "rows": log[at : at + 1],
            "next": None if at >= 4 else f"?t={at + 1}" if paging is LINK else str(at + 1),
        }

    source = source_of(paging, **({} if versioned else {"version": None}))
    walked = walk_list(Server(respond), source=source)
    assert walked.ids == ["a"] * 5 and walked.end.certain


def test_a_link_to_itself_may_lead_through_a_queue() -> None:
    server = script(([0], "/queue"), ([1], "/queue"), ([2], "/queue"), ([3], "/queue"), ([], "/queue"))
    assert walk_list(server, **LINK) == (ids(4), ListEnd("self_link"))
    assert server.probes == [False, False, False, True, True], "a queue moves on with each request"


def test_pages_are_cut_before_they_are_filtered() -> None:
    """ServiceNow leaves out the rows that the user may not read. A short or empty page isn't the end of the list."""
    visible = {0, 1, 9, 13}

    def respond(query: Query) -> object:
        start = int(query["o"])
        return {"rows": [row(number) for number in range(start, min(start + 2, 14)) if number in visible], "total": 14}

    paging: dict[str, Any] = {"style": "offset", "parameter": "o", "size": 2}
    assert walk_list(Server(respond), **paging, total="total") == (["r0", "r1", "r9", "r13"], ListEnd("total"))
    assert walk_list(Server(respond), **paging, max_empty_pages=4) == (["r0", "r1", "r9", "r13"], ListEnd("empty"))
    with pytest.raises(BackOfficeError, match=r"paging\.size"):
        walk(Server(respond), style="offset", parameter="o", total="total")


def test_offsets_that_count_returned_rows_do_not_fit_filtered_pages() -> None:
    def respond(query: Query) -> object:
        start = int(query["o"])
        return {"rows": [row(number) for number in range(start, min(start + 3, 9)) if number != 1]}

    with pytest.raises(ListMovedError, match=r"paging\.size"):
        walk(Server(respond), style="offset", parameter="o")


def test_offsets_may_count_from_one() -> None:
    listed = rows(5)
    server = Server(lambda query: {"rows": listed[int(query["o"]) - 1 : int(query["o"]) + 2]})
    assert walk(server, style="offset", parameter="o", first=1) == ids(5)
    assert server.urls[0].endswith("o=1")
    sized = Server(lambda query: {"rows": listed[int(query["o"]) - 1 : int(query["o"]) + 2]})
    assert walk(sized, style="offset", parameter="o", first=1, size=3) == ids(5)
    zero = Server(lambda query: {"rows": listed[2 * int(query["p"]) : 2 * int(query["p"]) + 2]})
    assert walk(zero, style="page", parameter="p", first=0) == ids(5)


@pytest.mark.parametrize("style", ["page", "offset"])
def test_a_list_that_moves_between_two_pages_is_noticed(style: str) -> None:
    """A deletion on the first page moves a record from the second page to the first page, which was already read.

    Without the check, the pass would never read the record that moved.
    """
    listed = rows(6)
    server = Server({"page": by_number(listed, 2), "offset": by_offset(listed, 3)}[style])
    first = read(server, style=style, parameter=style[0])
    del listed[0]
    with pytest.raises(ListMovedError):
        read(server, first.continuation, style=style, parameter=style[0])
    read(server, style=style, parameter=style[0])


@pytest.mark.parametrize("paging", [{"style": "page", "parameter": "p"}, {"style": "offset", "size": 1}])
def test_an_insertion_that_makes_a_page_repeat_the_one_before_is_no_end(paging: dict[str, Any]) -> None:
    """With one record a page, an insertion at the front makes the third page show the record of the second page."""
    listed = rows(5)
    server = Server(by_number(listed, 1) if paging["style"] == "page" else by_offset(listed, 1))
    paging = {"parameter": "o", **paging}
    first = read(server, **paging)
    second = read(server, first.continuation, **paging)
    listed.insert(0, {"id": "new", "at": 9, "n": 9})
    with pytest.raises(ListMovedError):
        read(server, second.continuation, **paging)


def test_the_page_before_is_read_again_at_an_end_status() -> None:
    listed = rows(4)
    respond = by_number(listed, 2)
    server = Server(lambda query: respond(query) if int(query["p"]) * 2 - 2 < len(listed) else 404)
    paging: dict[str, Any] = {"style": "page", "parameter": "p", "end_status": [404]}
    first = read(server, **paging)
    second = read(server, first.continuation, **paging)
    del listed[0]
    with pytest.raises(ListMovedError):
        read(server, second.continuation, **paging)


@pytest.mark.parametrize("style", ["page", "offset"])
def test_a_record_with_new_content_in_its_old_position_has_not_moved(style: str) -> None:
    listed = rows(6)
    server = Server({"page": by_number(listed, 2), "offset": by_offset(listed, 3)}[style])
    first = read(server, style=style, parameter=style[0])
    for listed_row in listed:
        listed_row["n"] += 100
    assert read(server, first.continuation, style=style, parameter=style[0]).records


@pytest.mark.parametrize("changes", [False, True])
def test_a_last_page_that_is_repeated_for_ever_ends_the_list(changes: bool) -> None:
    def respond(query: Query) -> object:
        page = min(int(query["p"]), 3)
        return {"rows": rows(5)[2 * page - 2 : 2 * page], "page": query["p"] if changes else None}

    walked = walk_list(Server(respond), style="page", parameter="p")
    assert walked == (ids(5), ListEnd("repeated"))


def test_an_empty_page_that_repeats_the_empty_page_before_is_requested_once_more() -> None:
    """It seems to link to itself, but it is the page before, for example from a cache."""
    server = script(([0], "?t=1"), ([], "?t=2"), ([], "?t=2"), ([1], None))
    assert walk_list(server, **LINK) == (ids(2), ListEnd("no_next"))
    token = script(([0], "1"), ([], "2"), ([], "2"), ([1], None))
    assert walk_list(token, **TOKEN) == (ids(2), ListEnd("no_next"))
    twice = script(([0], "?t=1"), ([], "?t=2"), ([], "?t=2"), ([], "?t=2"))
    assert walk_list(twice, **LINK) == (ids(1), ListEnd("self_link"))


@pytest.mark.parametrize("paging", [{"style": "page", "parameter": "t"}, TOKEN])
def test_the_same_ids_on_very_many_pages_end_the_list_in_doubt(paging: dict[str, Any]) -> None:
    """A last page that is repeated for ever with content that always changes has no other sign of the end."""

    def respond(query: Query) -> object:
        at = int(query.get("t", "0"))
        changing = {"id": "r1", "at": 5, "n": len(server.requests)}
        return {"rows": [row(0) if at <= 1 else changing], "next": str(at + 1)}

    server = Server(respond)
    source = source_of(paging, version=None)
    walked = walk_list(server, 120, source=source)
    assert set(walked.ids) == set(ids(2)) and walked.end == ListEnd("repeated", certain=False)


def test_a_second_page_that_repeats_the_first_one_may_mean_that_the_parameter_is_ignored() -> None:
    server = Server(lambda query: {"rows": rows(3)})
    assert walk_list(server, style="page", parameter="p", size=10).end == ListEnd("repeated")
    with pytest.raises(BackOfficeError, match=r"paging\.parameter"):
        walk(server, style="page", parameter="p")
    with pytest.raises(BackOfficeError, match=r"paging\.parameter"):
        walk(server, style="page", parameter="p", size=3)


def test_pages_without_ids_that_are_equal_by_chance_leave_doubt() -> None:
    server = Server(lambda query: {"rows": rows(2) if query["p"] == "1" else [{}, {}]})
    assert walk_list(server, style="page", parameter="p").end == ListEnd("repeated", certain=False)


@pytest.mark.parametrize("versioned", [True, False])
def test_a_repeated_page_may_have_other_view_counters(versioned: bool) -> None:
    def respond(query: Query) -> object:
        page = min(int(query["p"]), 3)
        return {"rows": [{**listed, "views": len(server.requests)} for listed in rows(5)[2 * page - 2 : 2 * page]]}

    server = Server(respond)
    source = source_of({"style": "page", "parameter": "p"}, **({} if versioned else {"version": None}))
    assert walk_list(server, source=source) == (ids(5), ListEnd("repeated"))


def test_a_row_that_moves_behind_the_last_offset_is_noticed() -> None:
    listed = rows(2)
    server = Server(by_offset(listed, 3))
    first = read(server, style="offset", parameter="o")
    second = read(server, first.continuation, style="offset", parameter="o")
    listed.insert(0, {"id": "new", "at": 9, "n": 9})
    with pytest.raises(ListMovedError):
        read(server, second.continuation, style="offset", parameter="o")


@pytest.mark.parametrize("count", [1, 3])
def test_a_back_office_that_ignores_the_offset_is_noticed(count: int) -> None:
    with pytest.raises(BackOfficeError if count == 1 else ListMovedError):
        walk(Server(lambda query: {"rows": rows(count)}), style="offset", parameter="x")


def test_a_record_without_an_id_at_a_pages_edge_is_recognised_by_its_text() -> None:
    listed = rows(4)
    listed[2]["id"] = None
    assert walk(Server(by_offset(listed, 3)), style="offset", parameter="o") == ["r0", "r1", "r3"]
    listed = rows(4)
    listed[1]["id"] = None
    assert walk(Server(by_number(listed, 2)), style="page", parameter="p") == ["r0", "r2", "r3"]
