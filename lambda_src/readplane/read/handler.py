"""The entry point of `read`: its settings, its AWS clients, and the choice of the route that serves a request."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ..api.problem import not_found, unavailable
from ..api.request import Request
from ..api.response import Response, cors_headers, respond
from ..aws.client import make_client
from ..aws.faults import AwsError
from ..config import DAY_MS, load_settings
from ..entrypoint import Entrypoint, Function
from ..model.collection import Collection
from ..model.freshness import DeclaredSource
from ..stores.documents import Documents, S3Documents
from ..stores.items import DynamoItems, Items
from ..telemetry import Telemetry
from .routes import Routes

if TYPE_CHECKING:  # `read` loads these modules only if it has the setting `cache`
    from ..stores.dax import DaxItems
    from ..stores.item_cache import CachedItems


class ReadSettings(NamedTuple):
    """The settings of `read`.

    :param name: the stack's name.
    :param client_ids: the Cognito clients whose access tokens are accepted.
    :param cors_origins: the web origins whose scripts may read responses.
    :param items_table: the DynamoDB table of the items.
    :param items_index: the index of the items table from which lists are read.
    :param documents_bucket: the S3 bucket of the documents; ``None`` if API Gateway itself serves the documents.
    :param pending_seconds: if `read` finds no trace of a change, the change counts as pending up to this age, in
        seconds.
    :param horizon_days: how long a tombstone lives, in days.
    :param collections: the declared collections, by name.
    :param sources: the declared sources, by name.
    :param cache: the settings of the item cache, as parsed JSON (``CacheSettings``); ``None`` if there is no cache.
    """

    name: str
    client_ids: frozenset[str]
    cors_origins: tuple[str, ...]
    items_table: str
    items_index: str
    documents_bucket: str | None
    pending_seconds: int
    horizon_days: int
    collections: Mapping[str, Collection]
    sources: Mapping[str, DeclaredSource] = MappingProxyType({})
    cache: Any = None

    @property
    def pending_ms(self) -> int:
        """If `read` finds no trace of a change, the change counts as pending up to this age, in milliseconds."""
        return self.pending_seconds * 1000

    @property
    def horizon_ms(self) -> int:
        """How long a tombstone lives, in milliseconds."""
        return self.horizon_days * DAY_MS


class Read:
    """The function `read`.

    Its ``documents`` are ``None`` if API Gateway itself serves the documents from S3, and its ``cache`` is ``None`` if
    the stack has no item cache.
    """

    def __init__(
        self,
        settings: ReadSettings,
        items: Items,
        documents: Documents | None,
        telemetry: Telemetry,
        cache: "CachedItems | DaxItems | None" = None,
    ) -> None:
        self.settings = settings
        self.telemetry = telemetry
        self._routes = Routes(items, documents, cache, settings.sources, telemetry, pending_ms=settings.pending_ms)

    def __call__(self, request: Request) -> Response:
        """Serve a GET or HEAD request. :func:`respond` removes the body from the response to a HEAD request.

        The routes of an item, a change's status, a document and a source make one call to DynamoDB or S3, or none if
        the item cache has the item. The list route makes queries until its page is full. If a source feeds the
        collection, the item and list routes make one more call, which reads the source's freshness. They skip this call
        if the Lambda sandbox has read the freshness in the last five seconds.

        :raises ProblemError: 4xx for a bad request, 503 if DynamoDB or S3 fails.
        """
        source = self._source(request) if "sources" in request.resource else None
        collections = self.settings.collections
        collection = collections[source.collection] if source else request.collection(collections)
        try:
            return self._dispatch(request, collection, source)
        except AwsError as error:
            self.telemetry.failure(
                "store_failed", "A store did not respond to a read.", error, request_id=request.request_id
            )
            # Let the client wait for the cache TTL before it retries. API Gateway caches this 503, too, so an earlier
            # retry would get the same 503 from the cache.
            raise unavailable(max(1, self.cache_ttl(request))) from error

    def cache_ttl(self, request: Request) -> int:
        """Return how long API Gateway may cache the response to a request, in seconds. 0 means not at all.

        It may cache the items, lists and documents of a cached collection. It never caches the status of a change or
        the freshness of a source.
        """
        resource = request.resource
        if resource[0] == "sources" or len(resource) not in (2, 3):
            return 0
        collection = self.settings.collections.get(resource[1])
        return collection.cache_ttl if collection else 0

    def _source(self, request: Request) -> DeclaredSource | None:
        """Return the source that the request's path names, or ``None`` if the path names a collection instead."""
        match request.resource:
            case ("sources", name) | ("documents", "sources", name):
                if name not in self.settings.sources:
                    raise not_found("source")
                return self.settings.sources[name]
        return None

    def _dispatch(self, request: Request, collection: Collection, source: DeclaredSource | None) -> Response:
        cached = self.cache_ttl(request) > 0
        request, owner = request.by_reader(collection, self.settings.client_ids, cached=cached)
        match request.resource[0], len(request.resource):
            case "sources", _ if source:
                return self._routes.get_source(request, source)
            case "documents", _ if source:
                return self._routes.get_source_document(request, collection, source)
            case "items", 2:
                return self._routes.list_items(request, collection, owner)
            case "items", 3:
                return self._routes.get_item(request, collection, owner)
            case "items", 5:
                return self._routes.get_change_status(request, collection, owner)
            case "documents", 3:
                return self._routes.get_item_document(request, collection, owner)
        raise not_found("route")


def make_read() -> Function:
    """Make `read` from the settings in its environment.

    :raises SettingsError: if a setting is missing or wrong.
    """
    settings = load_settings(ReadSettings)
    # Make at most two attempts for a call to DynamoDB or S3. Each takes at most 2.5 s (1 s to connect and 1.5 s to
    # read). If AWS doesn't respond, a quick 503 is better for a client than a long wait.
    dynamodb = make_client("dynamodb", attempts=2, read_timeout=1.5)
    telemetry = Telemetry("read", settings.name)
    items = DynamoItems(
        dynamodb, settings.items_table, settings.items_index, horizon_ms=settings.horizon_ms, telemetry=telemetry
    )
    documents = None
    if settings.documents_bucket:
        documents = S3Documents(make_client("s3", attempts=2, read_timeout=1.5), settings.documents_bucket)
    cache: CachedItems | DaxItems | None = None
    if settings.cache is not None and settings.cache.get("engine") == "dax":
        from ..stores.dax import open_dax_items

        cache = open_dax_items(settings.cache, settings.items_table, items, telemetry)
    elif settings.cache is not None:
        from ..stores.item_cache import open_cached_items

        cache = open_cached_items(settings.cache, items, telemetry)
    read = Read(settings, items, documents, telemetry, cache)
    headers = cors_headers(settings.cors_origins)
    return lambda event, _context: respond(event, headers, read.telemetry, read, cache_ttl=read.cache_ttl)


handler = Entrypoint(make_read)
