"""A fake back office that computes each response from the request's query, and helpers that read all its pages."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from requests.structures import CaseInsensitiveDict

from readplane.model.schema import SchemaValidator
from readplane.poll.continuation import Continuation
from readplane.poll.errors import BackOfficeError
from readplane.poll.source.rules import parse_source
from readplane.poll.source.settings import Source
from readplane.poll.source.translate import TranslatedRecord, Translator
from readplane.poll.upstream.paging.ending import ListEnd
from readplane.poll.upstream.paging.reader import FetchedPage, PageReader
from readplane.poll.upstream.request import BackOfficeRequest
from readplane.poll.upstream.response import BackOfficeResponse
from tests.fakes.source_settings import add_defaults

Row = dict[str, Any]
Query = dict[str, str]

URL = "https://office.test/rows"
SECRET = "s3cr3t-k3y"


class Server:
    """A fake back office, which tests pass to the page reader as its ``fetch`` function.

    Each call returns ``respond(query)`` as JSON, and adds its request to ``requests`` and its ``probe`` to ``probes``.
    A response that is a whole number is an HTTP status: 204 is returned, and any other is raised as an error.
    """

    def __init__(self, respond: Callable[[Query], object]) -> None:
        self.respond = respond
        self.requests: list[BackOfficeRequest] = []
        self.headers: Mapping[str, str] = {}
        self.probes: list[bool] = []
        self.conditions: list[str | None] = []

    @property
    def urls(self) -> list[str]:
        return [request.url for request in self.requests]

    def __call__(
        self,
        request: BackOfficeRequest,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        probe: bool = False,
        deadline: float,
    ) -> BackOfficeResponse:
        self.requests.append(request)
        self.probes.append(probe)
        self.conditions.append(etag)
        payload = self.respond(dict(parse_qsl(urlsplit(request.url).query)))
        headers = CaseInsensitiveDict(self.headers)
        secrets = frozenset([SECRET])
        if payload == 204:
            return BackOfficeResponse(204, b"", headers, request.url, secrets)
        if isinstance(payload, int):
            raise BackOfficeError("status", f"the status is {payload}", status=payload)
        return BackOfficeResponse(200, json.dumps(payload).encode(), headers, request.url, secrets)


class Walk(NamedTuple):
    """A list that was read as a whole.

    ids: the ids of the records, in the order in which they were read.
    end: how the reader found the end of the list.
    """

    ids: list[str]
    end: ListEnd


def source_of(paging: Mapping[str, Any], **settings: Any) -> Source:
    declared = {
        "name": "rows",
        "mode": "changes",
        "collection": "things",
        "url": URL,
        "records": "rows",
        "id": "id",
        "version": {"expression": "at", "format": "unix_ms"},
        "translation": "{n: n}",
        "paging": dict(paging),
        "staleness_budget": 600,
        **settings,
    }
    return parse_source(add_defaults(declared))


def read(
    server: Server, continuation: Continuation | None = None, *, probe: bool = False, **paging: Any
) -> FetchedPage:
    """Read one page of ``server`` with a new reader."""
    source = source_of(paging)
    return reader(server, probe=probe, **paging).read_page(source.main_list(None), continuation)


def reader(server: Server, *, probe: bool = False, **paging: Any) -> PageReader:
    source = source_of(paging)
    return PageReader(source, server, Translator(source, SchemaValidator({})), lambda: 30.0, probe=probe)


def walk_list(server: Server, max_pages: int = 60, source: Source | None = None, **paging: Any) -> Walk:
    """Read all pages of ``server``.

    Each page is read with a new reader, as if another invocation of ``poll`` read it.
    """
    source = source or source_of(paging)
    ids: list[str] = []
    continuation: Continuation | None = None
    for _ in range(max_pages):
        page_reader = PageReader(source, server, Translator(source, SchemaValidator({})), lambda: 30.0, probe=False)
        page = page_reader.read_page(source.main_list(None), continuation)
        assert page.records is not None
        ids += [record.item_id for record in page.records if isinstance(record, TranslatedRecord)]
        continuation = page.continuation
        if continuation is None:
            assert page.end
            return Walk(ids, page.end)
        assert page.end is None
    raise AssertionError("the walk doesn't end")


def walk(server: Server, max_pages: int = 60, **paging: Any) -> list[str]:
    """Read all pages of ``server`` and return the ids of their records."""
    return walk_list(server, max_pages, **paging).ids


def rows(count: int) -> list[Row]:
    return [{"id": f"r{number}", "at": number, "n": number} for number in range(count)]


def ids(count: int) -> list[str]:
    return [f"r{number}" for number in range(count)]


def by_number(listed: list[Row], size: int) -> Callable[[Query], dict[str, Any]]:
    return lambda query: {"rows": listed[(int(query["p"]) - 1) * size : int(query["p"]) * size]}


def by_offset(listed: list[Row], size: int) -> Callable[[Query], dict[str, Any]]:
    return lambda query: {"rows": listed[int(query["o"]) : int(query["o"]) + size]}


def by_pages(pages: Mapping[str, tuple[list[Row], str | None]], parameter: str = "t") -> Callable[[Query], object]:
    """Return a function that responds with the records and the next link or token of one of ``pages``.

    :param pages: the records and the link or token of each page, by the query parameter. The first page is ``""``.
    """

    def respond(query: Query) -> object:
        records, following = pages[query.get(parameter, "")]
        return {"rows": records, "next": following}

    return respond
