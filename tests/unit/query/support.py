"""Helpers that pass API Gateway's events to a `query` whose items are in memory."""

from collections.abc import Mapping, Sequence
from typing import Any

from readplane.config import read_settings
from readplane.model.query import ListQuery, Position
from readplane.query.handler import Query, QueryCollection, QuerySettings
from readplane.query.lists import RelationalPages, RepresentedItem
from readplane.stores.relational.errors import RelationalError
from readplane.telemetry import Telemetry
from tests.unit.read.support import SETTINGS as READ_SETTINGS
from tests.unit.read.support import ReadService
from tests.unit.support import CLIENT_ID

RELATIONAL: Mapping[str, Any] = {
    "fields": {
        "price": {"type": "number", "pointer": "/price"},
        "colour": {"type": "text", "pointer": "/colour"},
        "active": {"type": "boolean", "pointer": "/active"},
        "made": {"type": "time", "pointer": "/made"},
    },
    "sort": ["price", "colour", "active", "made"],
    "search": {"fields": ["/name"], "language": "simple"},
}
"""The declaration of every collection, as Terraform passes it."""

DATABASE: Mapping[str, Any] = {"host": "127.0.0.1", "port": 1, "name": "readplane", "user": "query", "tls": False}
"""A database that doesn't exist."""


def settings_of(database: Mapping[str, Any] = DATABASE) -> Mapping[str, Any]:
    """Return the settings of `query` as parsed JSON. It has the collections and sources of the `read` in the tests."""
    return {
        "name": READ_SETTINGS.name,
        "client_ids": [CLIENT_ID],
        "cors_origins": [],
        "items_table": "items",
        "items_index": "i",
        "horizon_days": 30,
        "collections": {
            name: {"read": collection.read, "cache_ttl": collection.cache_ttl, "relational": RELATIONAL}
            for name, collection in READ_SETTINGS.collections.items()
        },
        "sources": {name: source._asdict() for name, source in READ_SETTINGS.sources.items()},
        "database": database,
    }


def parse_settings(values: Mapping[str, Any]) -> QuerySettings:
    """Return the settings of `query` from parsed JSON."""
    settings, problems = read_settings(QuerySettings, values)
    assert not problems
    return settings


SETTINGS = parse_settings(settings_of())
SHOP: QueryCollection = SETTINGS.collections["products"]


class FakePages:
    """A store of pages that records what it is asked for, and returns ``result`` or raises ``fault``."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None, ListQuery]] = []
        self.result: tuple[Sequence[RepresentedItem], Position | None] = [], None
        self.fault: RelationalError | None = None

    def page(
        self, collection: str, owner: str | None, query: ListQuery
    ) -> tuple[Sequence[RepresentedItem], Position | None]:
        self.asked.append((collection, owner, query))
        if self.fault:
            raise self.fault
        return self.result


class QueryService(ReadService):
    """The function `query`, with its items in memory. Call an instance as a :class:`ReadService`."""

    def __init__(self, pages: RelationalPages | None = None, settings: QuerySettings = SETTINGS) -> None:
        super().__init__()
        self.pages = FakePages()
        self.read = Query(settings, self.items, pages or self.pages, Telemetry("query", "demo"))
