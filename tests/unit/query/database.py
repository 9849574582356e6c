"""A real database for tests of `query`: its tables, its items, and a `query` that reads from its reader."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from ops.local.postgres import Node, Postgres
from readplane.api.response import respond
from readplane.model.change import Change
from readplane.model.query import ListQuery, Position
from readplane.query.lists import RepresentedItem
from readplane.stores.relational.lists import RelationalLists
from readplane.stores.relational.settings import PASSWORD
from tests.fakes.stores import empty_database
from tests.unit.query.support import SETTINGS, QueryService
from tests.unit.stores.relational.support import Stores
from tests.unit.support import api_event

_LOG_ENTRY = re.compile(r"^\d{4}-\d\d-\d\d .*?(?=^\d{4}-\d\d-\d\d |\Z)", re.MULTILINE | re.DOTALL)
_STATEMENT = re.compile(r"LOG:  (?:execute [^:]*|statement): (.*)", re.DOTALL)


class Database:
    """A PostgreSQL with the tables of the collections in :data:`SETTINGS`.

    :param patch: sets the passwords in the environment, where the functions look for them.
    """

    def __init__(self, servers: Postgres, patch: pytest.MonkeyPatch) -> None:
        self.servers = servers
        self._patch = patch
        empty_database(servers)
        self._stores = Stores(servers, patch, SETTINGS.relational)
        assert self._stores.migrate().done

    def write(self, changes: Iterable[Change]) -> None:
        """Write changes as `feed` does, and wait until the reader has them."""
        outcome = self._stores.write(*changes)
        assert not outcome.failed and not outcome.waiting
        self._stores.wait()

    def service(self, port: int | None = None, **settings: Any) -> QueryService:
        """Return a `query` that reads from a port; from the reader's by default."""
        database = self._stores.settings("query", port=port or self.servers.reader_port, **settings)
        password = self.servers.passwords["query"]
        return QueryService(
            _Pages(RelationalLists(database, SETTINGS.relational), lambda: self._patch.setenv(PASSWORD, password))
        )


class _Pages:
    """The lists of a database. `query` finds its own password, although `feed` has another one in these tests."""

    def __init__(self, lists: RelationalLists, set_password: Callable[[], None]) -> None:
        self._lists = lists
        self._set_password = set_password

    def page(
        self, collection: str, owner: str | None, query: ListQuery
    ) -> tuple[Sequence[RepresentedItem], Position | None]:
        self._set_password()
        return self._lists.page(collection, owner, query)


def get(service: QueryService, collection: str, query: dict[str, str], **claims: object) -> tuple[int, Any]:
    """Return the status and the body of a list. Every number in the body is the text that the response has."""
    event = api_event("GET", f"/items/{collection}", query=query, claims=claims)
    response = respond(event, {}, service.read.telemetry, service.read, cache_ttl=service.read.cache_ttl)
    return response["statusCode"], json.loads(response["body"], parse_float=str, parse_int=str)


def walk(service: QueryService, collection: str, query: dict[str, str], **claims: object) -> list[Any]:
    """Return all items of a list, page by page."""
    items: list[Any] = []
    while True:
        status, body = get(service, collection, query, **claims)
        assert status == 200, (query, body)
        assert len(body["items"]) <= int(query.get("limit", 50))
        items += body["items"]
        if body["next"] is None:
            return items
        assert body["items"], "only a last page may be empty"
        query = {**query, "cursor": body["next"]}


def statements(node: Node, position: int = 0) -> set[str]:
    """Return the texts of all statements in a server's log from a position on."""
    with node.log.open("rb") as log:
        log.seek(position)
        text = log.read().decode(errors="replace")
    found = (_STATEMENT.search(entry) for entry in _LOG_ENTRY.findall(text))
    return {match[1].strip() for match in found if match}


def connections_of_query(node: Node, position: int = 0) -> int:
    """Return how many connections of the role `query` a server's log has from a position on."""
    return node.log.read_bytes()[position:].count(b"connection authorized: user=query")
