"""Tests that the page reader reads a whole list in every paging style, and sends each request as it should.

They also test that only the reader's first request is marked as a probe. A probe is the one request that a half-open
circuit breaker allows.
"""

import json
from typing import Any

import pytest

from readplane.poll.checkpoint import ConditionalRequest
from readplane.poll.continuation import Continuation
from readplane.poll.errors import BackOfficeError
from readplane.poll.source.translate import Translator
from readplane.poll.upstream.paging.ending import ListEnd
from readplane.poll.upstream.paging.reader import PageReader
from tests.unit.poll.upstream.paging.walks import (
    URL,
    Query,
    Server,
    by_number,
    by_offset,
    by_pages,
    ids,
    read,
    reader,
    rows,
    source_of,
    walk,
    walk_list,
)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_style_reads_every_record_once_and_ends(count: int, size: int) -> None:
    listed = rows(count)

    def token(query: Query) -> object:
        start = int(query.get("t", "0"))
        return {"rows": listed[start : start + size], "more": start + size if start + size < count else None}

    def link(query: Query) -> object:
        page: Any = token(query)
        return {**page, "more": f"?t={page['more']}" if page["more"] else ""}

    assert walk_list(Server(lambda query: {"rows": listed}), style="none") == (ids(count), ListEnd("one_page"))
    assert walk_list(Server(token), style="token", next="more", parameter="t") == (ids(count), ListEnd("no_next"))
    assert walk_list(Server(link), style="link", next="more") == (ids(count), ListEnd("no_next"))
    assert walk_list(Server(by_number(listed, size)), style="page", parameter="p") == (ids(count), ListEnd("empty"))
    assert walk_list(Server(by_offset(listed, size)), style="offset", parameter="o") == (ids(count), ListEnd("empty"))
    scanned = walk_list(Server(by_offset(listed, size)), style="offset", parameter="o", size=size)
    assert scanned == (ids(count), ListEnd("empty"))


def test_only_the_first_request_probes() -> None:
    server = Server(by_number(rows(3), 2))
    page_reader = reader(server, probe=True, style="page", parameter="p")
    request = source_of({"style": "page", "parameter": "p"}).main_list(None)
    continuation = page_reader.read_page(request, None).continuation
    page_reader.read_page(request, continuation)
    assert server.probes == [True, False, False]


def test_a_request_after_which_the_back_office_may_move_on_is_never_retried() -> None:
    """The second page may be the answer to an earlier request, so it is asked for again. That isn't retried either."""
    server = Server(lambda query: {"rows": [], "next": "t"})
    paging: dict[str, Any] = {"style": "token", "next": "next", "parameter": "t"}
    page_reader, request = reader(server, **paging), source_of(paging).main_list(None)
    page_reader.read_page(request, page_reader.read_page(request, None).continuation)
    assert server.urls == [URL, f"{URL}?t=t", f"{URL}?t=t"]
    assert server.probes == [False, True, True]


def test_the_token_may_stand_in_the_body() -> None:
    server = Server(lambda query: {"rows": rows(1), "next": "t" if len(server.requests) == 1 else None})
    query = "query($after: String) { rows(after: $after) { id } }"
    body = json.dumps({"query": query, "variables": {"after": "{page}"}})
    source = source_of({"style": "token", "next": "next"}, request={"method": "POST", "body": body})
    walk_list(server, source=source)
    first, second = (json.loads(request.body or b"") for request in server.requests)
    assert first["variables"] == {} and second["variables"] == {"after": "t"}
    assert first["query"] == second["query"] == query
    assert {(request.method, request.url) for request in server.requests} == {("POST", URL)}


def test_the_page_number_may_stand_in_the_url_or_be_a_number_in_the_body() -> None:
    server = Server(lambda query: {"rows": rows(2) if server.urls[-1] == f"{URL}/0" else []})
    body = json.dumps({"params": [{"offset": "{page}"}]})
    paging: dict[str, Any] = {"style": "offset", "size": 2, "max_empty_pages": 1}
    source = source_of(paging, url=f"{URL}/{{page}}", request={"method": "POST", "body": body})
    walk_list(server, source=source)
    assert [request.url for request in server.requests[:2]] == [f"{URL}/0", f"{URL}/2"]
    assert json.loads(server.requests[1].body or b"") == {"params": [{"offset": 2}]}


def test_a_status_behind_the_last_page_ends_the_list() -> None:
    def respond(query: Query) -> object:
        page = int(query["p"])
        return {"rows": rows(6)[2 * page - 2 : 2 * page]} if page <= 3 else 404

    walked = walk_list(Server(respond), style="page", parameter="p", end_status=[404, 400])
    assert walked == (ids(6), ListEnd("end_status"))
    with pytest.raises(BackOfficeError, match="end_status"):
        walk(Server(respond), style="page", parameter="p")


@pytest.mark.parametrize("style", ["page", "token", "none"])
def test_an_end_status_for_the_first_page_is_a_fault(style: str) -> None:
    """The status may mean that the URL is wrong, and an empty list would delete all items."""
    with pytest.raises(BackOfficeError, match="404"):
        walk(Server(lambda query: 404), style=style, parameter="p", next="next", end_status=[404])


@pytest.mark.parametrize("style", ["none", "link", "token", "page", "offset"])
def test_204_for_the_first_page_is_an_empty_list(style: str) -> None:
    walked = walk_list(Server(lambda query: 204), style=style, parameter="p")
    assert walked.ids == [] and walked.end.certain


def test_204_for_a_later_page_is_a_fault_unless_it_is_an_end_status() -> None:
    def respond(query: Query) -> object:
        return 204 if "t" in query else {"rows": rows(1), "next": "x"}

    with pytest.raises(BackOfficeError, match="204"):
        walk(Server(respond), style="token", next="next", parameter="t")
    walked = walk_list(Server(respond), style="token", next="next", parameter="t", end_status=[204])
    assert walked == (ids(1), ListEnd("end_status"))


def test_204_is_an_empty_page_of_a_counted_list() -> None:
    server = Server(lambda query: {"rows": rows(1)} if query["p"] == "1" else 204)
    assert walk_list(server, style="page", parameter="p") == (ids(1), ListEnd("empty"))
    assert walk_list(server, style="page", parameter="p", end_status=[204]) == (ids(1), ListEnd("end_status"))


def test_only_a_get_of_a_whole_list_is_conditional() -> None:
    server = Server(lambda query: {"rows": rows(1)})
    server.headers = {"ETag": '"1"'}
    condition = read(server, style="none").conditional_request
    assert condition == ConditionalRequest(URL, '"1"', None)
    post = source_of({"style": "none"}, request={"method": "POST", "body": "{}"})
    page = reader(server, style="none").read_page(post.main_list(None), None, condition)
    assert page.conditional_request is None and server.conditions[-1] is None
    reader(server, style="none").read_page(source_of({"style": "none"}).main_list(None), None, condition)
    assert server.conditions[-1] == '"1"'
    by_header = read(server, style="token", header="X-Next", parameter="t")
    assert by_header.conditional_request is None


def test_the_last_page_names_the_link_with_which_the_next_pass_begins() -> None:
    def respond(query: Query) -> object:
        return {"rows": rows(1), "delta": f"?d=2&k={'s3cr3t-k3y'}"} if "t" in query else {"rows": [], "next": "?t=1"}

    paging: dict[str, Any] = {"style": "link", "next": "next", "delta": "delta"}
    first = read(Server(respond), **paging)
    last = read(Server(respond), first.continuation, **paging)
    assert (first.delta, last.delta, last.end) == (None, f"{URL}?d=2", ListEnd("no_next"))
    server = Server(respond)
    source = source_of(paging)
    reader(server, **paging).read_page(source.delta_list(f"{URL}?d={{cursor}}"), None)
    assert server.urls == [f"{URL}?d=%7Bcursor%7D"]


def test_the_list_of_deleted_records_has_its_own_request_and_paging() -> None:
    deletes = {
        "url": f"{URL}/deleted?since={{cursor}}",
        "records": "rows",
        "id": "id",
        "version": {"expression": "at", "format": "unix_s"},
        "paging": {"style": "token", "next": "next", "parameter": "t"},
    }
    source = source_of({"style": "none"}, deletes=deletes, request={"method": "POST", "body": "{}"})
    server = Server(by_pages({"": (rows(1), "x"), "x": ([], None)}))
    page_reader = PageReader(source, server, Translator.for_deletes(source), lambda: 30.0, probe=False)
    first = page_reader.read_page(source.deletes_list(7_000), None)
    page_reader.read_page(source.deletes_list(7_000), first.continuation)
    assert server.urls == [f"{URL}/deleted?since=7", f"{URL}/deleted?since=7&t=x"]
    assert {request.method for request in server.requests} == {"GET"}


def test_a_continuation_that_another_version_wrote_can_be_read() -> None:
    assert Continuation.from_json({"url": "u", "number": 3, "from_the_future": 1}) == Continuation(url="u", number=3)
