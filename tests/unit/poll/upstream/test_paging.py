"""Pages of every style: how one leads to the next, and what is noticed when they don't fit together."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from readplane.poll.errors import BackOfficeError, ListMovedError
from readplane.poll.source.settings import parse_source
from readplane.poll.source.translate import TranslatedRecord, Translator
from readplane.poll.upstream.client import BackOfficeResponse
from readplane.poll.upstream.pages import Pages, validators_of
from tests.unit.poll.test_run import CHANGES, ORIGIN

Row = dict[str, Any]


class Server:
    """Answers by a function of the query; ``asked`` tells what it was asked."""

    def __init__(self, answer: Callable[[dict[str, str]], object]) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.headers: dict[str, str] = {}
        self.probes: list[bool] = []

    def __call__(
        self,
        url: str,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        probe: bool = False,
        deadline: float,
    ) -> BackOfficeResponse:
        self.asked.append(url)
        self.probes.append(probe)
        answer = self.answer(dict(parse_qsl(urlsplit(url).query)))
        return BackOfficeResponse(200, json.dumps(answer).encode(), self.headers, url)


def pages(server: Server, probe: bool = False, **paging: Any) -> Pages:
    source = parse_source({**CHANGES, "url": ORIGIN, "paging": paging})
    return Pages(source, server, Translator(source, bool), lambda: 30.0, probe=probe)


def walk(server: Server, most: int = 50, **paging: Any) -> list[str]:
    """The ids that a walk reads."""
    found: list[str] = []
    place: str | None = None
    for _ in range(most):
        read = pages(server, **paging).read(ORIGIN, place)
        assert read.records is not None
        found += [record.item_id for record in read.records if isinstance(record, TranslatedRecord)]
        place = read.place
        if place is None:
            return found
    raise AssertionError("it doesn't end")


def rows(count: int) -> list[Row]:
    return [{"id": f"r{number}", "at": number, "n": number} for number in range(count)]


def ids(count: int) -> list[str]:
    return [f"r{number}" for number in range(count)]


def by_number(listed: list[Row], size: int) -> Callable[[dict[str, str]], object]:
    return lambda query: {"rows": listed[(int(query["p"]) - 1) * size : int(query["p"]) * size]}


def by_offset(listed: list[Row], size: int) -> Callable[[dict[str, str]], object]:
    return lambda query: {"rows": listed[int(query["o"]) : int(query["o"]) + size]}


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7])
def test_every_style_reads_every_record_once_and_ends(count: int) -> None:
    listed = rows(count)

    def token(query: dict[str, str]) -> object:
        at = int(query.get("t", "0"))
        return {"rows": listed[at : at + 2], "more": at + 2 if at + 2 < count else None}

    def link(query: dict[str, str]) -> object:
        page: Any = token(query)
        return {**page, "more": f"?t={page['more']}" if page["more"] else ""}

    assert walk(Server(lambda query: {"rows": listed}), style="none") == ids(count)
    assert walk(Server(token), style="token", next="more", parameter="t") == ids(count)
    assert walk(Server(link), style="link", next="more") == ids(count)
    assert walk(Server(by_number(listed, 2)), style="page", parameter="p") == ids(count)
    assert walk(Server(by_offset(listed, 3)), style="offset", parameter="o") == ids(count)


def test_the_link_may_stand_in_the_header() -> None:
    server = Server(lambda query: {"rows": rows(1)})
    server.headers = {"Link": f'<{ORIGIN}?x=0>; rel="first", </rows?x=1>; rel="next"'}
    read = pages(server, style="link").read(ORIGIN, None)
    assert read.place and json.loads(read.place)["url"] == f"{ORIGIN}?x=1"


def test_a_short_page_ends_nothing() -> None:
    sizes = iter([1, 2, 1, 3, 0])
    at = 0

    def short(query: dict[str, str]) -> object:
        nonlocal at
        size = next(sizes)
        at += size
        return {"rows": rows(7)[at - size : at], "more": at if at < 7 else None}

    assert walk(Server(short), style="token", next="more", parameter="t") == ids(7)


def test_an_empty_page_may_lead_on_but_not_in_circles() -> None:
    answers = {"0": ([], "1"), "1": (rows(1), "2"), "2": ([], "2")}

    def filtered(query: dict[str, str]) -> object:
        found, more = answers[query.get("t", "0")]
        return {"rows": found, "more": more}

    assert walk(Server(filtered), style="token", next="more", parameter="t") == ids(1)


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8])
def test_a_walk_in_circles_ends_with_a_fault(length: int) -> None:
    def circle(query: dict[str, str]) -> object:
        at = int(query.get("t", "0"))
        return {"rows": [{"id": f"r{at}", "at": 1, "n": 1}], "more": 3 + (at + 1 - 3) % length if at > 2 else at + 1}

    with pytest.raises(BackOfficeError, match="was there before"):
        walk(Server(circle), style="token", next="more", parameter="t")


def test_a_page_that_was_there_before_is_asked_for_again() -> None:
    answers = iter([(1, "1"), (1, "1"), (2, None)])

    def stale(query: dict[str, str]) -> object:
        at, more = next(answers)
        return {"rows": rows(2)[at - 1 : at], "more": more}

    server = Server(stale)
    assert walk(server, style="token", next="more", parameter="t") == ids(2)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    "link", ["https://elsewhere.test/rows", "http://office.test/rows", "//elsewhere.test/", "https://office.test:444/"]
)
def test_a_link_that_leaves_the_origin_is_a_fault(link: str) -> None:
    with pytest.raises(BackOfficeError, match="origin"):
        walk(Server(lambda query: {"rows": rows(1), "more": link}), style="link", next="more")


@pytest.mark.parametrize("style", ["page", "offset"])
def test_a_list_that_moves_between_two_pages_is_noticed(style: str) -> None:
    """Were it not, the record that has moved to the first page would never be read."""
    listed = rows(6)
    by = {"page": by_number(listed, 2), "offset": by_offset(listed, 3)}[style]
    server = Server(by)
    reader = pages(server, style=style, parameter=style[0])
    first = reader.read(ORIGIN, None)
    del listed[0]
    with pytest.raises(ListMovedError):
        reader.read(ORIGIN, first.place)
    reader.read(ORIGIN, None)


@pytest.mark.parametrize("style", ["page", "offset"])
def test_a_record_that_changes_where_it_stands_has_not_moved(style: str) -> None:
    listed = rows(6)
    by = {"page": by_number(listed, 2), "offset": by_offset(listed, 3)}[style]
    reader = pages(Server(by), style=style, parameter=style[0])
    first = reader.read(ORIGIN, None)
    for row in listed:
        row["n"] += 100
    assert reader.read(ORIGIN, first.place).records


def test_a_parameter_that_is_not_heeded_is_noticed() -> None:
    for style, failure in (("page", BackOfficeError), ("offset", ListMovedError)):
        with pytest.raises(failure):
            walk(Server(lambda query: {"rows": rows(3)}), style=style, parameter="x")


def test_poison_at_a_pages_edge_is_known_by_what_it_is() -> None:
    listed = rows(4)
    listed[2]["id"] = None
    assert walk(Server(by_offset(listed, 3)), style="offset", parameter="o") == ["r0", "r1", "r3"]
    listed = rows(4)
    listed[1]["id"] = None
    assert walk(Server(by_number(listed, 2)), style="page", parameter="p") == ["r0", "r2", "r3"]


def test_only_the_first_request_probes() -> None:
    server = Server(by_number(rows(3), 2))
    reader = pages(server, probe=True, style="page", parameter="p")
    place = reader.read(ORIGIN, None).place
    reader.read(ORIGIN, place)
    assert server.probes == [True, False, False]


MODIFIED = "Tue, 17 Nov 2026 08:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "known"),
    [
        ({}, None),
        ({"ETag": '"1"'}, ('"1"', None)),
        ({"Last-Modified": MODIFIED, "Date": "Tue, 17 Nov 2026 08:01:00 GMT"}, (None, MODIFIED)),
        ({"Last-Modified": MODIFIED, "Date": "Tue, 17 Nov 2026 08:00:59 GMT"}, None),
        ({"Last-Modified": MODIFIED}, None),
        ({"Last-Modified": "yesterday", "Date": MODIFIED}, None),
        ({"Last-Modified": "Tue, 17 Nov 2026 08:00:00 -0000", "Date": "Tue, 17 Nov 2026 08:01:00 GMT"}, None),
    ],
)
def test_what_may_hide_a_modification_names_no_answer(headers: dict[str, str], known: Any) -> None:
    found = validators_of(ORIGIN, BackOfficeResponse(200, b"", headers, ORIGIN))
    assert (found and (found.etag, found.last_modified)) == known
