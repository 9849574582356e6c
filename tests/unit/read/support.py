"""Helpers that pass API Gateway's events to a `read` whose items and documents are in memory."""

import json
from typing import Any, Protocol

import pytest

from readplane.api.request import Request
from readplane.api.response import Response, respond
from readplane.aws.faults import UnansweredError
from readplane.model.collection import Collection
from readplane.model.freshness import DeclaredSource, Freshness
from readplane.model.timestamp import rfc3339
from readplane.read.handler import Read, ReadSettings
from readplane.telemetry import Telemetry
from tests.unit.support import CLIENT_ID, COLLECTIONS, NOW_MS, MemoryDocuments, MemoryItems, api_event

# The source `market` feeds `prices`. No source feeds the other two collections.
_MORE_COLLECTIONS = {
    "prices": Collection("prices", "authenticated", cache_ttl=30),
    "reports": Collection("reports", "authenticated", ("editors",), cache_ttl=30),
    "notices": Collection("notices", "public", ("editors",)),
}

SETTINGS = ReadSettings(
    name="demo",
    client_ids=frozenset({CLIENT_ID}),
    cors_origins=(),
    items_table="t",
    items_index="i",
    documents_bucket="d",
    pending_seconds=900,
    horizon_days=30,
    collections=COLLECTIONS | _MORE_COLLECTIONS,
    sources={
        "shop": DeclaredSource("shop", "products", 60),
        "desk": DeclaredSource("desk", "orders", 60),
        "people": DeclaredSource("people", "profiles", 60),
        "market": DeclaredSource("market", "prices", 60),
    },
)
ITEM = "/items/products/{item_id}"


class ServingFunction(Protocol):
    """A function that serves GET requests: `read` or `query`."""

    telemetry: Telemetry

    def __call__(self, request: Request) -> Response: ...

    def cache_ttl(self, request: Request) -> int: ...


class ReadService:
    """The function `read`, with its items and documents in memory.

    Call an instance with a route to get the response's status, parsed body and headers. With ``anonymous``, the request
    has no access token.
    """

    def __init__(self) -> None:
        self.items = MemoryItems()
        self.documents = MemoryDocuments()
        self.read: ServingFunction = Read(SETTINGS, self.items, self.documents, Telemetry("read", "demo"))

    def __call__(
        self,
        resource: str,
        path: dict[str, str] | None = None,
        *,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        claims: dict[str, object] | None = None,
        anonymous: bool = False,
        method: str = "GET",
    ) -> tuple[int, Any, dict[str, str]]:
        event = api_event(method, resource, path, query=query, headers=headers, claims=claims)
        if anonymous:
            del event["requestContext"]["authorizer"]
        response = respond(event, {}, self.read.telemetry, self.read, cache_ttl=self.read.cache_ttl)
        body = json.loads(response["body"]) if response["body"] else None
        return response["statusCode"], body, response["headers"]


class ClockedService(ReadService):
    """A :class:`ReadService` whose clock the test sets, and which records each read of a source's freshness."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.now_ms = NOW_MS
        self.freshness_reads: list[str] = []
        self.fault: UnansweredError | None = None
        for module in ("api.staleness", "read.routes"):
            monkeypatch.setattr(f"readplane.{module}.now_ms", lambda: self.now_ms)
        monkeypatch.setattr(self.items, "get_freshness", self.get_freshness)

    def get_freshness(self, source: str) -> Freshness | None:
        self.freshness_reads.append(source)
        if self.fault:
            raise self.fault
        return self.items.sources.get(source)


def fresh(age_ms: int, breaker: str = "closed") -> Freshness:
    """Return a source's freshness whose ``fresh_as_of`` is ``age_ms`` milliseconds before :data:`NOW_MS`."""
    return Freshness(rfc3339(NOW_MS - age_ms), breaker, rfc3339(NOW_MS))
