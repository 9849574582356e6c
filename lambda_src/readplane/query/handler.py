"""The entry point of `query`: its settings, its AWS client, its database, and the list route that it serves."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from ..api.problem import not_found, unavailable
from ..api.request import Request
from ..api.response import Response, cors_headers, respond
from ..api.staleness import Staleness
from ..aws.client import make_client
from ..aws.faults import AwsError
from ..config import DAY_MS, load_settings
from ..entrypoint import Entrypoint, Function
from ..model.collection import Collection, Visibility
from ..model.fields import Relational
from ..model.freshness import DeclaredSource
from ..stores.items import DynamoItems, Items
from ..stores.relational.lists import RelationalLists
from ..stores.relational.settings import DatabaseSettings
from ..telemetry import Telemetry
from .lists import Lists, RelationalPages


class QueryCollection(NamedTuple):
    """A relational collection.

    :param name: the collection's name.
    :param read: who may read the collection's items.
    :param relational: the fields by which clients may filter, sort and search.
    :param cache_ttl: how long caches may keep a response, in seconds; 0 if caches may not keep it.
    """

    name: str
    read: Visibility
    relational: Relational
    cache_ttl: int = 0


class QuerySettings(NamedTuple):
    """The settings of `query`.

    :param name: the stack's name.
    :param client_ids: the Cognito clients whose access tokens are accepted.
    :param cors_origins: the web origins whose scripts may read responses.
    :param items_table: the DynamoDB table of the items.
    :param items_index: the index of the items table from which plain lists are read.
    :param horizon_days: how long a tombstone lives, in days.
    :param database: how to connect to the database's readers.
    :param collections: the relational collections, by name.
    :param sources: the sources that feed these collections, by name.
    """

    name: str
    client_ids: frozenset[str]
    cors_origins: tuple[str, ...]
    items_table: str
    items_index: str
    horizon_days: int
    database: DatabaseSettings
    collections: Mapping[str, QueryCollection]
    sources: Mapping[str, DeclaredSource] = MappingProxyType({})

    @property
    def relational(self) -> dict[str, Relational]:
        """The declaration of each collection's fields, by the collection's name."""
        return {name: collection.relational for name, collection in self.collections.items()}


class Query:
    """The function `query`.

    :param items: the store of plain lists.
    :param pages: the store of the lists that a client filters, sorts or searches.
    """

    def __init__(self, settings: QuerySettings, items: Items, pages: RelationalPages, telemetry: Telemetry) -> None:
        self._client_ids = settings.client_ids
        self._collections = {
            name: Collection(name, entry.read, cache_ttl=entry.cache_ttl)
            for name, entry in settings.collections.items()
        }
        self.telemetry = telemetry
        staleness = Staleness(items, settings.sources, telemetry)
        self._lists = Lists(items, pages, settings.relational, staleness, telemetry)

    def __call__(self, request: Request) -> Response:
        """Serve a GET or HEAD request. :func:`respond` removes the body from the response to a HEAD request.

        A plain list costs the same calls to DynamoDB as in `read`, and needs no database. Any other list is one
        statement of the database.

        :raises ProblemError: 4xx for a bad request, 503 if DynamoDB or the database fails.
        """
        if len(request.resource) != 2 or request.resource[0] != "items":
            raise not_found("route")
        collection = request.collection(self._collections)
        request, owner = request.by_reader(collection, self._client_ids, cached=collection.cached)
        try:
            return self._lists.list_items(request, collection, owner)
        except AwsError as error:
            self.telemetry.failure(
                "store_failed", "A store did not respond to a read.", error, request_id=request.request_id
            )
            raise unavailable(max(1, collection.cache_ttl)) from error

    def cache_ttl(self, request: Request) -> int:
        """Return how long API Gateway may cache the response to a request, in seconds. 0 means not at all."""
        collection = self._collections.get(request.resource[1]) if len(request.resource) == 2 else None
        return collection.cache_ttl if collection else 0


def make_query() -> Function:
    """Make `query` from the settings in its environment. This connects to no database.

    :raises SettingsError: if a setting is missing or wrong.
    """
    settings = load_settings(QuerySettings)
    # The attempts and timeouts are those of `read`, so a plain list takes as long here as there.
    dynamodb = make_client("dynamodb", attempts=2, read_timeout=1.5)
    telemetry = Telemetry("query", settings.name)
    items = DynamoItems(
        dynamodb,
        settings.items_table,
        settings.items_index,
        horizon_ms=settings.horizon_days * DAY_MS,
        telemetry=telemetry,
    )
    query = Query(settings, items, RelationalLists(settings.database, settings.relational), telemetry)
    headers = cors_headers(settings.cors_origins)
    return lambda event, _context: respond(event, headers, telemetry, query, cache_ttl=query.cache_ttl)


handler = Entrypoint(make_query)
