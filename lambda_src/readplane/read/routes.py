"""What each route of `read` returns: an item, a list, a change's status, a source's freshness, a document."""

from collections.abc import Mapping
from http import HTTPStatus
from json import dumps
from typing import TYPE_CHECKING

from ..api.listing import list_items
from ..api.problem import ProblemError, bad_parameter, not_found
from ..api.request import MIN_VERSION, Request
from ..api.response import Response
from ..api.staleness import Staleness
from ..aws.faults import AwsError
from ..clock import now_ms
from ..model.collection import Collection, Visibility
from ..model.freshness import NEVER_POLLED, DeclaredSource, is_stale
from ..model.keys import document_key, item_key
from ..model.version import is_minimal, is_version, time_ms
from ..stores.documents import Documents
from ..stores.items import Items, answer_of
from ..telemetry import Telemetry
from .status import status_of

if TYPE_CHECKING:  # `read` loads these modules only if it has the setting `cache`
    from ..stores.dax import DaxItems
    from ..stores.item_cache import Answer, CachedItems

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
        cache: "CachedItems | DaxItems | None",
        sources: Mapping[str, DeclaredSource],
        telemetry: Telemetry,
        *,
        pending_ms: int,
    ) -> None:
        """Set the stores and settings that the routes use.

        :param documents: the store of the documents; ``None`` if API Gateway itself serves the documents from S3.
        :param cache: the items that go through the item cache; ``None`` if the stack has none.
        :param sources: the declared sources, by name.
        :param pending_ms: if `read` finds no trace of a change, the change counts as pending up to this age, in ms.
        """
        self._items = items
        self._documents = documents
        self._cache = cache
        self._pending_ms = pending_ms
        self._telemetry = telemetry
        self._staleness = Staleness(items, sources, telemetry)

    def get_item(self, request: Request, collection: Collection, owner: str | None) -> Response:
        """Return one item, or 304 if the caller already has its newest version and the collection isn't cached.

        :raises ProblemError: 409 if a version in ``min_version`` isn't applied yet, 400 if it can't be the item's.
        """
        item_id = request.item_id()
        least = ""
        if request.query:
            if not collection.cached:
                request.refuse_unknown_parameters(MIN_VERSION)
            least = max(request.min_versions(now_ms()), default="")
        item = self._read_item(collection, item_key(collection.name, item_id, owner), least)
        if item[0] < least:
            raise self._not_applied(collection, least, now_ms())
        headers = _item_headers(item, "no-store" if least else collection.cache_control, "item")
        headers |= self._staleness.header(collection)
        return _item_response(request, collection, item, headers)

    def list_items(self, request: Request, collection: Collection, owner: str | None) -> Response:
        """Return one page of a collection's items. In an owner collection, list only the caller's own items."""
        return list_items(request, collection, owner, self._items, self._staleness)

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
        return self._get_document(key, request.header("if-none-match"))

    def get_item_document(self, request: Request, collection: Collection, owner: str | None) -> Response:
        """Return the document of an item, or 304 if the caller already has it and the collection isn't cached.

        A document ignores all query parameters. If API Gateway itself serves the documents from S3, it can't refuse
        them, and `read` does the same.
        """
        item_id = request.item_id()
        edge_only = collection.read == "authenticated"
        if self._documents and self._cache and collection.name in self._cache.collections:
            try:
                item = self._cache.read(item_key(collection.name, item_id, owner), "")
            except AwsError as error:
                self._telemetry.failure("item_not_read", "DynamoDB did not respond, so S3 serves a document.", error)
            else:
                # If there never was such an item, the document may be a snapshot, which is in S3 only.
                if item[1] or is_version(item[0]):
                    cache_control = collection.cache_control if edge_only else collection.document_cache_control
                    return _item_response(request, collection, item, _item_headers(item, cache_control, "document"))
        key = document_key(collection.read, collection.name, item_id, owner)
        etags = None if collection.cached else request.header("if-none-match")
        # The Cache-Control in S3 of a document for every signed-in user is meant for the edge alone.
        return self._get_document(key, etags, collection.cache_control if edge_only else None)

    def _read_item(self, collection: Collection, key: str, least: str) -> "Answer":
        """Return an item's version, its JSON text, and how the item cache answered. What there isn't is empty.

        :param least: the smallest version that the caller accepts, if there is such a version; empty if every one.
        """
        if self._cache and collection.name in self._cache.collections:
            return self._cache.read(key, least)
        # If the caller names a minimum version, make a strongly consistent read, because the caller must see this
        # version as soon as it is applied. Other reads are eventually consistent: they may miss the last moment's
        # writes, but cost half as much.
        return answer_of(self._items.get_item(key, consistent=bool(least)))

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
        has_age = collection.name not in self._staleness.source_of and not is_minimal(version)
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


def _item_headers(item: "Answer", cache_control: str, noun: str) -> dict[str, str]:
    """Return the headers of every response with an item, whatever its status.

    :param noun: what the response is, for a 404.
    :raises ProblemError: 404 if there is no such item.
    """
    _, text, cache_status = item
    headers = {"Cache-Status": cache_status} if cache_status else {}
    if not text:
        problem = not_found(noun)
        problem.headers |= headers
        raise problem
    headers["Cache-Control"] = cache_control
    return headers


def _item_response(request: Request, collection: Collection, item: "Answer", headers: dict[str, str]) -> Response:
    """Return the response with an item's JSON text: 200, or 304 if the caller has the text already."""
    version, text, _ = item
    etag = f'"{version}"'
    headers["ETag"] = etag
    etags = None if collection.cached else request.header("if-none-match")
    if etags and _matches(etags, etag):
        return Response(HTTPStatus.NOT_MODIFIED, "", headers)
    headers["Content-Type"] = "application/json"
    headers["Readplane-Version"] = version
    return Response(HTTPStatus.OK, text, headers)


def _matches(if_none_match: str, etag: str) -> bool:
    # Ignore the prefix W/ of an ETag, which gateways and CDNs may add. RFC 9110 (13.1.2) requires this weak comparison.
    etags = [text.strip().removeprefix("W/") for text in if_none_match.split(",")]
    return etag in etags or "*" in etags
