"""Tests that the page reader detects records that move between pages, links that form a loop, and stale responses."""

import pytest

from readplane.poll.errors import BackOfficeError, ListMovedError
from tests.unit.poll.upstream.paging.walks import URL, Query, Server, by_number, by_offset, ids, reader, rows, walk


def test_an_empty_page_may_lead_on_but_not_back() -> None:
    pages = {"0": ([], "1"), "1": (rows(1), "2"), "2": ([], "2")}

    def filtered(query: Query) -> object:
        records, more = pages[query.get("t", "0")]
        return {"rows": records, "more": more}

    assert walk(Server(filtered), style="token", next="more", parameter="t") == ids(1)


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8])
def test_a_walk_in_circles_ends_with_an_error(length: int) -> None:
    def circle(query: Query) -> object:
        at = int(query.get("t", "0"))
        return {"rows": [{"id": f"r{at}", "at": 1, "n": 1}], "more": 3 + (at + 1 - 3) % length if at > 2 else at + 1}

    with pytest.raises(BackOfficeError, match="sent before"):
        walk(Server(circle), style="token", next="more", parameter="t")


def test_a_page_that_repeats_the_last_one_is_requested_once_more() -> None:
    responses = iter([(1, "1"), (1, "1"), (2, None)])

    def stale(query: Query) -> object:
        at, more = next(responses)
        return {"rows": rows(2)[at - 1 : at], "more": more}

    server = Server(stale)
    assert walk(server, style="token", next="more", parameter="t") == ids(2)
    assert len(server.urls) == 3


@pytest.mark.parametrize("style", ["page", "offset"])
def test_a_list_that_moves_between_two_pages_is_noticed(style: str) -> None:
    """A deletion on the first page moves a record from the second page to the first page, which was already read.

    Without the check, the pass would never read the record that moved.
    """
    listed = rows(6)
    respond = {"page": by_number(listed, 2), "offset": by_offset(listed, 3)}[style]
    page_reader = reader(Server(respond), style=style, parameter=style[0])
    first = page_reader.read_page(URL, None)
    del listed[0]
    with pytest.raises(ListMovedError):
        page_reader.read_page(URL, first.continuation)
    page_reader.read_page(URL, None)


@pytest.mark.parametrize("style", ["page", "offset"])
def test_a_record_with_new_content_in_its_old_position_has_not_moved(style: str) -> None:
    listed = rows(6)
    respond = {"page": by_number(listed, 2), "offset": by_offset(listed, 3)}[style]
    page_reader = reader(Server(respond), style=style, parameter=style[0])
    first = page_reader.read_page(URL, None)
    for row in listed:
        row["n"] += 100
    assert page_reader.read_page(URL, first.continuation).records


def test_a_back_office_that_ignores_the_parameter_is_noticed() -> None:
    for style, failure in (("page", BackOfficeError), ("offset", ListMovedError)):
        with pytest.raises(failure):
            walk(Server(lambda query: {"rows": rows(3)}), style=style, parameter="x")


def test_a_record_without_an_id_at_a_pages_edge_is_recognised_by_its_text() -> None:
    listed = rows(4)
    listed[2]["id"] = None
    assert walk(Server(by_offset(listed, 3)), style="offset", parameter="o") == ["r0", "r1", "r3"]
    listed = rows(4)
    listed[1]["id"] = None
    assert walk(Server(by_number(listed, 2)), style="page", parameter="p") == ["r0", "r2", "r3"]
