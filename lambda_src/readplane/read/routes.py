"""What each route of `read` returns: an item, a list, a change's status, a source's freshness, a document."""

from collections.abc import Mapping
from http import HTTPStatus
from json import dumps

from ..api.problem import ProblemError, bad_parameter, not_found
from ..api.request import MIN_VERSION, Request
from ..api.response import Response
from ..aws.faults import AwsError
from ..clock import now_ms
from ..model.collection import Collection, Visibility
from ..model.freshness import NEVER_POLLED, DeclaredSource, Freshness, is_stale
from ..model.keys import document_key, item_key, partitions
from ..model.version import is_minimal, time_ms
from ..stores.documents import Documents
from ..stores.items import Items
from ..telemetry import Telemetry
from .page import encode_cursor, parse_cursor, parse_limit
from .status import status_of

LIST_SECONDS = 4.0
"""A list request starts no further query after this many seconds. The last query may take another 6 s (two attempts
of at most 2.5 s, and the backoff), so the request ends before the function's timeout of 15 s."""

FRESHNESS_REUSE_MS = 5_000
"""How long a Lambda sandbox reuses a source's freshness before it reads the freshness from DynamoDB again, in
milliseconds. Freshness that is a few seconds old is good enough, because staleness budgets are minutes."""

_NOT_CACHED = {"Content-Type": "application/json", "Cache-Control": "no-store"}


class Routes:
    """The routes of `read`. Each public method returns the response of one route.

    The caller of the method finds the request's collection, source and owner, and passes them as arguments.

    In a cached collection, the response of an item, a list or a document depends only on the path and the declared
    query parameters, because only these are in API Gateway's cache key. So no request can change what another client
    gets. The route reads no header, and it ignores unknown query parameters.
    """

    def __init__(
        self,
        items: Items,
        documents: Documents | None,
        sources: Mapping[str, DeclaredSource],
        telemetry: Telemetry,
        *,
        pending_ms: int,
    ) -> None:
        """Set the stores and settings that the routes use.

        :param documents: the store of the documents; ``None`` if API Gateway itself serves the documents from S3.
        :param sources: the declared sources, by name.
        :param pending_ms: if `read` finds no trace of a change, the change counts as pending up to this age, in ms.
        """
        self._items = items
        self._documents = documents
        self._telemetry = telemetry
        self._pending_ms = pending_ms
        self._source_of = {source.collection: source for source in sources.values()}
        self._freshness_by_source: dict[str, tuple[int, Freshness]] = {}

    def get_item(self, request: Request, collection: Collection, owner: str | None) -> Response:
        """Return one item, or 304 if the caller already has its newest version and the collection isn't cached.

        :raises ProblemError: 409 if a version in ``min_version`` isn't applied yet, 400 if it can't be the item's.
        """
        item_id = request.item_id()
        if not collection.cached:
            request.refuse_unknown_parameters(MIN_VERSION)
        now = now_ms()
        min_versions = request.min_versions(now)
        # If the caller names a minimum version, make a strongly consistent read, because the caller must see this
        # version as soon as it is applied. Other reads are eventually consistent: they may miss the last moment's
        # writes, but cost half as much.
        item = self._items.get_item(item_key(collection.name, item_id, owner), consistent=bool(min_versions))
        if min_versions and (item is None or item.version < max(min_versions)):
            raise self._not_applied(collection, max(min_versions), now)
        if item is None or item.data is None:
            raise not_found("item")
        etag = f'"{item.version}"'
        headers = {"ETag": etag, "Cache-Control": "no-store" if min_versions else collection.cache_control}
        headers |= self._staleness_header(collection)
        if not collection.cached and _matches(request.headers.get("if-none-match"), etag):
            return Response(HTTPStatus.NOT_MODIFIED, "", headers)
        headers |= {"Content-Type": "application/json", "Readplane-Version": item.version}
        return Response(HTTPStatus.OK, item.representation(), headers)

    def list_items(self, request: Request, collection: Collection, owner: str | None) -> Response:
        """Return one page of a collection's items. In an owner collection, list only the caller's own items."""
        if not collection.cached:
            request.refuse_unknown_parameters("limit", "cursor", "next")
        shards = partitions(collection, owner)
        start = parse_cursor(request.query, len(shards))
        limit = parse_limit(request.query.get("limit"))
        items, following = self._items.list_items(shards, start, limit, LIST_SECONDS)
        text = ",".join(item.representation() for item in items)
        cursor = dumps(encode_cursor(following) if following else None)
        headers = {"Content-Type": "application/json", "Cache-Control": collection.cache_control}
        headers |= self._staleness_header(collection)
        return Response(HTTPStatus.OK, f'{{"items":[{text}],"next":{cursor}}}', headers)

    def get_change_status(self, request: Request, collection: Collection, owner: str | None) -> Response:
        """Return the status of a change. Respond 404 to an id that can't belong to an accepted change."""
        request.refuse_unknown_parameters()
        item_id, change_id = request.item_id(), request.change_id()
        version, reason = self._items.get_change_status(item_key(collection.name, item_id, owner), change_id)
        status = status_of(change_id, version, reason, now_ms(), self._pending_ms)
        if status is None:
            raise not_found("change")
        return Response(HTTPStatus.OK, dumps({"status": status.status, "reason": status.reason}), _NOT_CACHED)

    def get_source(self, request: Request, source: DeclaredSource) -> Response:
        """Return a source's freshness, its staleness and the state of its breaker."""
        request.refuse_unknown_parameters()
        freshness = self._items.get_freshness(source.name) or NEVER_POLLED
        now = now_ms()
        staleness_ms = freshness.staleness_ms(now)
        body = {
            "source": source.name,
            "collection": source.collection,
            "fresh_as_of": freshness.fresh_as_of,
            "staleness": None if staleness_ms is None else staleness_ms / 1000,
            "staleness_budget": source.staleness_budget,
            "stale": is_stale(freshness, source.staleness_budget_ms, now),
            "breaker": freshness.breaker,
        }
        return Response(HTTPStatus.OK, dumps(body), _NOT_CACHED)

    def get_source_document(self, request: Request, collection: Collection, source: DeclaredSource) -> Response:
        """Return the document that holds a source's freshness."""
        # In an owner collection, each item is readable only by its owner. But freshness belongs to no owner, so every
        # signed-in user may read the freshness of the collection's source.
        visibility: Visibility = "public" if collection.read == "public" else "authenticated"
        key = document_key(visibility, "sources", source.name, None)
        return self._get_document(key, request.headers.get("if-none-match"))

    def get_item_document(self, request: Request, collection: Collection, owner: str | None) -> Response:
        """Return the document of an item, or 304 if the caller already has it and the collection isn't cached.

        A document ignores all query parameters. If API Gateway itself serves the documents from S3, it can't refuse
        them, and `read` does the same.
        """
        key = document_key(collection.read, collection.name, request.item_id(), owner)
        # The Cache-Control in S3 of a document for every signed-in user is meant for the edge alone.
        cache_control = collection.cache_control if collection.read == "authenticated" else None
        return self._get_document(
            key, None if collection.cached else request.headers.get("if-none-match"), cache_control
        )

    def _get_document(self, key: str, etags: str | None, cache_control: str | None = None) -> Response:
        document = self._documents.get_document(key, etags) if self._documents else None
        if document is None:
            raise not_found("document")
        if cache_control:
            document.headers["Cache-Control"] = cache_control
        if document.body is None:
            return Response(HTTPStatus.NOT_MODIFIED, "", document.headers)
        return Response(HTTPStatus.OK, document.body.decode(), document.headers)

    def _not_applied(self, collection: Collection, version: str, now: int) -> ProblemError:
        """Return the error for an item that is older than a version which the caller named.

        :param version: the greatest version in ``min_version``.
        """
        # A client's change is applied or quarantined soon. So if a version is old, but the item doesn't have it, a
        # retry would wait for it forever. The version of a back office's record is the time of its last modification,
        # and the version of a keyed POST has the time 0. Such a change may be on its way however old its version is.
        has_age = collection.name not in self._source_of and not is_minimal(version)
        if has_age and now - time_ms(version) > self._pending_ms:
            return bad_parameter(
                MIN_VERSION,
                "The named version isn't this item's: the item doesn't have it, and it is too old to be on its way.",
            )
        # Let the client wait for the collection's cache TTL before it retries. API Gateway caches this 409, too, under
        # a key that includes the named version, so an earlier retry would get the same 409 from the cache.
        return ProblemError(
            HTTPStatus.CONFLICT,
            "The named version is not applied yet.",
            headers={"Retry-After": str(max(1, collection.cache_ttl))},
            parameter=MIN_VERSION,
        )

    def _staleness_header(self, collection: Collection) -> dict[str, str]:
        """Return the header ``Readplane-Stale`` if the collection's source exceeds its staleness budget.

        Return no header otherwise, or if no source feeds the collection.
        """
        source = self._source_of.get(collection.name)
        if source is None:
            return {}
        now = now_ms()
        stale = is_stale(self._freshness(source.name, now), source.staleness_budget_ms, now)
        return {"Readplane-Stale": "true"} if stale else {}

    def _freshness(self, source: str, now: int) -> Freshness:
        """Return a source's freshness. Read it again if the last read is at least :data:`FRESHNESS_REUSE_MS` ago."""
        read_ms, freshness = self._freshness_by_source.get(source, (0, NEVER_POLLED))
        if 0 <= now - read_ms < FRESHNESS_REUSE_MS:
            return freshness
        try:
            freshness = self._items.get_freshness(source) or NEVER_POLLED
        except AwsError as error:
            # Don't fail the request, because its items have been read. Judge staleness by the last known freshness. Use
            # that freshness for another five seconds (FRESHNESS_REUSE_MS). Otherwise, every request during an outage of
            # DynamoDB would wait for DynamoDB.
            self._telemetry.failure(
                "freshness_not_read",
                "The source's freshness was not read; the last known one counts.",
                error,
                source=source,
            )
        self._freshness_by_source[source] = now, freshness
        return freshness


def _matches(if_none_match: str | None, etag: str) -> bool:
    # Ignore the prefix W/ of an ETag, which gateways and CDNs may add. RFC 9110 (13.1.2) requires this weak comparison.
    etags = [text.strip().removeprefix("W/") for text in (if_none_match or "").split(",")]
    return etag in etags or "*" in etags
