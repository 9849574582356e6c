"""A fake back office that computes each response from the request's query, and helpers that read all its pages."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from readplane.model.schema import SchemaValidator
from readplane.poll.source.rules import parse_source
from readplane.poll.source.translate import TranslatedRecord, Translator
from readplane.poll.upstream.paging.reader import PageReader
from readplane.poll.upstream.response import BackOfficeResponse
from tests.fakes.source_settings import add_defaults

Row = dict[str, Any]
Query = dict[str, str]

URL = "https://office.test/rows"


class Server:
    """A fake back office, which tests pass to the page reader as its ``fetch`` function.

    Each call returns ``respond(query)`` as JSON, and adds its ``url`` to ``urls`` and its ``probe`` to ``probes``.
    """

    def __init__(self, respond: Callable[[Query], object]) -> None:
        self.respond = respond
        self.urls: list[str] = []
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
        self.urls.append(url)
        self.probes.append(probe)
        payload = self.respond(dict(parse_qsl(urlsplit(url).query)))
        return BackOfficeResponse(200, json.dumps(payload).encode(), self.headers, url)


def reader(server: Server, probe: bool = False, **paging: Any) -> PageReader:
    declared = {
        "name": "rows",
        "mode": "changes",
        "collection": "things",
        "url": URL,
        "records": "rows",
        "id": "id",
        "version": {"expression": "at", "format": "unix_ms"},
        "translation": "{n: n}",
        "paging": paging,
        "staleness_budget": 600,
    }
    source = parse_source(add_defaults(declared))
    return PageReader(source, server, Translator(source, SchemaValidator({})), lambda: 30.0, probe=probe)


def walk(server: Server, max_pages: int = 50, **paging: Any) -> list[str]:
    """Read all pages of ``server`` and return the ids of their records.

    Each page is read with a new reader, as if another invocation of ``poll`` read it.
    """
    ids: list[str] = []
    continuation: str | None = None
    for _ in range(max_pages):
        page = reader(server, **paging).read_page(URL, continuation)
        assert page.records is not None
        ids += [record.item_id for record in page.records if isinstance(record, TranslatedRecord)]
        continuation = page.continuation
        if continuation is None:
            return ids
    raise AssertionError("the walk doesn't end")


def rows(count: int) -> list[Row]:
    return [{"id": f"r{number}", "at": number, "n": number} for number in range(count)]


def ids(count: int) -> list[str]:
    return [f"r{number}" for number in range(count)]


def by_number(listed: list[Row], size: int) -> Callable[[Query], object]:
    return lambda query: {"rows": listed[(int(query["p"]) - 1) * size : int(query["p"]) * size]}


def by_offset(listed: list[Row], size: int) -> Callable[[Query], object]:
    return lambda query: {"rows": listed[int(query["o"]) : int(query["o"]) + size]}
