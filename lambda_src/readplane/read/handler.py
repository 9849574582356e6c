"""Answers a client's reads from the stores: item, list, change status, how fresh a source is, and documents where S3
isn't asked directly."""

import os
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from json import dumps
from typing import Any, NamedTuple

from ..api.problem import ProblemError, bad_parameter
from ..api.request import Event, Request, Response, answer, unavailable
from ..aws.client import client
from ..aws.faults import AwsError
from ..clock import now_ms
from ..config import DAY_MS, load
from ..model.collection import Collection, Visibility, document_key, item_key
from ..model.freshness import NEVER, DeclaredSource, Freshness, is_stale
from ..model.version import is_version
from ..stores.documents import Documents, S3Documents
from ..stores.items import DynamoItems, Items
from ..telemetry import Telemetry
from .page import encode_cursor, parse_cursor, parse_limit, partitions
from .status import status_of

LIST_SECONDS = 4.0
"""How long a list may go on to further partitions; its last query may take 6 s more, of the function's 15 s."""

WATERMARK_MS = 5_000
"""How long a sandbox goes by what it last read of a source's freshness: staleness budgets are minutes."""


class ReadSettings(NamedTuple):
    """What Terraform tells the function; ``documents_bucket`` is set where it serves documents too."""

    name: str
    client_ids: frozenset[str]
    cors_origins: tuple[str, ...]
    items_table: str
    items_index: str
    documents_bucket: str | None
    pending_ms: int
    horizon_ms: int
    collections: Mapping[str, Collection]
    sources: Mapping[str, DeclaredSource]


def read_settings() -> ReadSettings:
    """:raises BadSettings: with every problem."""
    return load(
        lambda given: ReadSettings(
            name=given.text("name"),
            client_ids=frozenset(given.texts("client_ids")),
            cors_origins=given.texts("cors_origins"),
            items_table=given.text("items_table"),
            items_index=given.text("items_index"),
            documents_bucket=given.text_or_none("documents_bucket"),
            pending_ms=given.number("pending_seconds") * 1000,
            horizon_ms=given.number("horizon_days") * DAY_MS,
            collections=given.collections(),
            sources=given.sources(),
        )
    )


class Read:
    """The function, with what it needs handed in; ``documents`` only where it serves them."""

    def __init__(self, settings: ReadSettings, items: Items, documents: Documents | None, telemetry: Telemetry) -> None:
        self.settings = settings
        self.telemetry = telemetry
        self._items = items
        self._documents = documents
        self._fed_by = {source.collection: source for source in settings.sources.values()}
        self._watermarks: dict[str, tuple[int, Freshness]] = {}

    def __call__(self, request: Request) -> Response:
        """GET: one call to a store for an item, a status, a document or a source; a list asks until its page is full.

        Now and then one more, for the freshness of the source that feeds the collection.

        :raises Problem: 4xx.
        """
        source = self._source_named(request)
        collections = self.settings.collections
        collection = collections[source.collection] if source else request.collection(collections)
        try:
            return self._serve(request, collection, source)
        except AwsError as error:
            self.telemetry.failure(
                "store_failed", "A store did not answer a read.", error, request_id=request.request_id
            )
            # As long as API Gateway may keep this answer, which it caches like any other.
            raise unavailable(max(1, collection.cache_ttl)) from error

    def _source_named(self, request: Request) -> DeclaredSource | None:
        """The source whose static route was called, of its freshness or of the document that tells of it."""
        match request.resource:
            case ("sources", name) | ("documents", "sources", name):
                if name not in self.settings.sources:
                    raise _not_found("source")
                return self.settings.sources[name]
        return None

    def _serve(self, request: Request, collection: Collection, source: DeclaredSource | None) -> Response:
        # Public routes have no authorizer. Elsewhere the claims are checked even though the gateway let them pass.
        caller = None if collection.read == "public" else request.caller(self.settings.client_ids)
        owner = caller.sub if caller and collection.owned else None
        if source:
            return self._source(request, collection, source)
        match request.resource[0], len(request.resource):
            case "items", 2:
                return self._list(request, collection, owner)
            case "items", 3:
                return self._item(request, collection, owner)
            case "items", 5:
                return self._status(request, collection, owner)
            case "documents", 3:
                key = document_key(collection.read, collection.name, request.item_id(), owner)
                return self._document(request, key)
        raise ProblemError(HTTPStatus.NOT_FOUND, "There is no such route.")

    def _item(self, request: Request, collection: Collection, owner: str | None) -> Response:
        item_id = request.item_id()
        named = request.min_versions(now_ms())
        # A read that names a version must see it if it is there; any other may be a moment behind, at half the price.
        item = self._items.get(item_key(collection.name, item_id, owner), consistent=bool(named))
        if named and (item is None or item.version < max(named)):
            # API Gateway caches every answer, this one too, under a key that holds the named version.
            wait = {"Retry-After": str(max(1, collection.cache_ttl))}
            raise ProblemError(HTTPStatus.CONFLICT, "The named version is not applied yet.", headers=wait)
        if item is None or item.data is None:
            raise _not_found()
        etag = f'"{item.version}"'
        headers = {"ETag": etag, "Cache-Control": "no-store" if named else collection.cache_control}
        headers |= self._staleness(collection)
        if _matches(request.headers.get("if-none-match"), etag):
            return Response(HTTPStatus.NOT_MODIFIED, "", headers)
        headers |= {"Content-Type": "application/json", "Readplane-Version": item.version}
        return Response(HTTPStatus.OK, item.representation(), headers)

    def _list(self, request: Request, collection: Collection, owner: str | None) -> Response:
        spread = partitions(collection, owner)
        start = parse_cursor(request.query.get("cursor"), len(spread))
        limit = parse_limit(request.query.get("limit"))
        items, following = self._items.page(spread, start, limit, LIST_SECONDS)
        text = ",".join(item.representation() for item in items)
        cursor = dumps(encode_cursor(following) if following else None)
        headers = {"Content-Type": "application/json", "Cache-Control": collection.cache_control}
        headers |= self._staleness(collection)
        return Response(HTTPStatus.OK, f'{{"items":[{text}],"next":{cursor}}}', headers)

    def _status(self, request: Request, collection: Collection, owner: str | None) -> Response:
        item_id = request.item_id()
        change_id = request.path.get("change_id", "")
        if not is_version(change_id):
            raise bad_parameter("change_id", "change_id must be one that write answered.")
        version, quarantined = self._items.status(item_key(collection.name, item_id, owner), change_id)
        status = status_of(change_id, version, quarantined, now_ms(), self.settings.pending_ms)
        if status is None:
            raise _not_found("change")
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        return Response(HTTPStatus.OK, dumps({"status": status.status, "reason": status.reason}), headers)

    def _source(self, request: Request, collection: Collection, source: DeclaredSource) -> Response:
        if request.resource[0] == "documents":
            # How fresh a source is isn't any one owner's.
            visibility: Visibility = "public" if collection.read == "public" else "authenticated"
            return self._document(request, document_key(visibility, "sources", source.name, None))
        freshness = self._items.freshness(source.name) or NEVER
        now = now_ms()
        staleness_ms = freshness.staleness_ms(now)
        told = {
            "source": source.name,
            "collection": source.collection,
            "fresh_as_of": freshness.fresh_as_of,
            "staleness": None if staleness_ms is None else staleness_ms / 1000,
            "staleness_budget": source.staleness_budget_ms // 1000,
            "stale": is_stale(freshness, source.staleness_budget_ms, now),
            "breaker": freshness.breaker,
        }
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        return Response(HTTPStatus.OK, dumps(told), headers)

    def _staleness(self, collection: Collection) -> dict[str, str]:
        """The header of an answer from a collection whose source is behind its budget."""
        source = self._fed_by.get(collection.name)
        if source is None:
            return {}
        now = now_ms()
        stale = is_stale(self._watermark(source.name, now), source.staleness_budget_ms, now)
        return {"Readplane-Stale": "true"} if stale else {}

    def _watermark(self, source: str, now: int) -> Freshness:
        read_ms, freshness = self._watermarks.get(source, (0, NEVER))
        if 0 <= now - read_ms < WATERMARK_MS:
            return freshness
        try:
            freshness = self._items.freshness(source) or NEVER
        except AwsError as error:
            # The answer is there, and is given; whether it is stale is told by what was known. Nor is it asked again at
            # once: a store that fails would be waited for by every read.
            self.telemetry.failure(
                "freshness_not_read",
                "The source's freshness was not read; the last known one counts.",
                error,
                source=source,
            )
        self._watermarks[source] = now, freshness
        return freshness

    def _document(self, request: Request, key: str) -> Response:
        condition = request.headers.get("if-none-match")
        document = self._documents.get(key, condition) if self._documents else None
        if document is None:
            raise _not_found("document")
        if document.body is None:
            return Response(HTTPStatus.NOT_MODIFIED, "", document.headers)
        return Response(HTTPStatus.OK, document.body.decode(), document.headers)


def _matches(if_none_match: str | None, etag: str) -> bool:
    # Weak comparison, as RFC 9110 (13.1.2) asks for; gateways and CDNs may add the W/.
    tags = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    return etag in tags or "*" in tags


def _not_found(what: str = "item") -> ProblemError:
    return ProblemError(HTTPStatus.NOT_FOUND, f"There is no such {what}.")


@cache
def function() -> Read:
    """Make the function from its environment, once per sandbox.

    :raises BadSettings: with every problem.
    """
    settings = read_settings()
    # Two tries of at most 2.5 s and a pause between them: a client is better served by a quick 503 and Retry-After.
    dynamodb = client("dynamodb", attempts=2, read_timeout=1.5)
    items = DynamoItems(dynamodb, settings.items_table, settings.items_index, horizon_ms=settings.horizon_ms)
    documents = None
    if settings.documents_bucket:
        documents = S3Documents(client("s3", attempts=2, read_timeout=1.5), settings.documents_bucket)
    return Read(settings, items, documents, Telemetry("read", settings.name))


def handler(event: Event, context: object) -> dict[str, Any]:
    """Lambda entry point."""
    read = function()
    return answer(event, read.settings.cors_origins, read.telemetry, read)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    function()  # during init, which Lambda runs at full CPU and SnapStart keeps, and not in the first request
