"""Serves the lists of a relational collection: plain ones from the items table, the others from the database."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple, Protocol

from ..api.listing import (
    LIST_PARAMETERS,
    cursor_parameter,
    decode_token,
    encode_token,
    list_items,
    page_of,
    parse_limit,
    wrong_cursor,
)
from ..api.problem import ProblemError, bad_parameter
from ..api.request import Request
from ..api.response import Response
from ..api.staleness import Staleness
from ..model.collection import Collection
from ..model.fields import Relational
from ..model.query import RELATIONAL_PARAMETERS, ListQuery, ParameterError, Position, QueryParser
from ..stores.items import Items
from ..stores.relational.errors import NotMigratedError, RelationalError, TooSlowError, UnreachableError
from ..telemetry import Telemetry


class RepresentedItem(Protocol):
    """An item of a page."""

    def representation(self) -> str:
        """Return the JSON text of the item: the body that the item's own route returns."""


class RelationalPages(Protocol):
    """A store of lists that a client filters, sorts or searches."""

    def page(
        self, collection: str, owner: str | None, query: ListQuery
    ) -> tuple[Sequence[RepresentedItem], Position | None]:
        """Return one page of a list, and the position after which the next page starts; ``None`` after the last page.

        :param owner: the owner whose items the list has; ``None`` if this isn't an owner collection.
        :raises RelationalError: if the database doesn't return the page.
        """


class _Fault(NamedTuple):
    """How to respond to an error of the database.

    :param code: the code of the log event, and of the problem document.
    :param detail: one sentence that tells the client why.
    :param retry_after: after how many seconds a retry can succeed.
    """

    error: type[RelationalError]
    code: str
    detail: str
    retry_after: int


_FAULTS = (
    # A paused Aurora cluster needs some 15 seconds to resume, and a reader about as long to take over.
    _Fault(UnreachableError, "no_reader", "No reader of the database can serve this list now.", 20),
    _Fault(NotMigratedError, "not_migrated", "The database doesn't have everything for this list yet.", 60),
    _Fault(TooSlowError, "too_slow", "The database took too long for this list. A narrower filter takes less time.", 5),
    _Fault(RelationalError, "database_failed", "The database could not serve this list.", 5),
)
"""The first one whose class an error has tells how to respond."""


class Lists:
    """The list route of relational collections.

    :param items: the store of plain lists.
    :param pages: the store of all other lists.
    :param relational: the declaration of each collection's fields, by the collection's name.
    """

    def __init__(
        self,
        items: Items,
        pages: RelationalPages,
        relational: Mapping[str, Relational],
        staleness: Staleness,
        telemetry: Telemetry,
    ) -> None:
        self._items = items
        self._pages = pages
        self._parsers = {name: QueryParser(name, declaration) for name, declaration in relational.items()}
        self._staleness = staleness
        self._telemetry = telemetry

    def list_items(self, request: Request, collection: Collection, owner: str | None) -> Response:
        """Return one page of a collection's items. In an owner collection, list only the caller's own items.

        In a cached collection, the response depends only on the path and the declared query parameters, as in `read`.

        :raises ProblemError: 400 that names a wrong parameter, 503 if the database doesn't return the page.
        :raises AwsError: if DynamoDB doesn't return the page.
        """
        if not collection.cached:
            request.refuse_unknown_parameters(*LIST_PARAMETERS, *RELATIONAL_PARAMETERS)
        if request.query.keys().isdisjoint(RELATIONAL_PARAMETERS):
            return list_items(request, collection, owner, self._items, self._staleness)
        parser = self._parsers[collection.name]
        query = _parse(parser, request.query)
        try:
            page, position = self._pages.page(collection.name, owner, query)
        except RelationalError as error:
            raise self._unavailable(error, request, collection) from error
        cursor = None if position is None else encode_token(parser.cursor_of(request.query, position))
        return page_of([item.representation() for item in page], cursor, collection, self._staleness)

    def _unavailable(self, error: RelationalError, request: Request, collection: Collection) -> ProblemError:
        fault = next(fault for fault in _FAULTS if isinstance(error, fault.error))
        self._telemetry.failure(
            fault.code,
            "The database did not return a page of a list.",
            error,
            request_id=request.request_id,
            collection=collection.name,
        )
        # API Gateway caches this 503, too, so a retry before the cache TTL has passed would get it again.
        retry_after = max(fault.retry_after, collection.cache_ttl)
        return ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE, fault.detail, headers={"Retry-After": str(retry_after)}, code=fault.code
        )


def _parse(parser: QueryParser, parameters: Mapping[str, str]) -> ListQuery:
    """Return the page that a request asks for.

    :raises ProblemError: 400 that names a wrong parameter.
    """
    try:
        query = parser.parse(parameters, parse_limit(parameters.get("limit")))
    except ParameterError as error:
        raise bad_parameter(error.parameter, error.detail) from error
    name, text = cursor_parameter(parameters)
    if text is None:
        return query
    try:
        return query._replace(after=parser.position_of(parameters, query, decode_token(text)))
    except ValueError as error:
        raise wrong_cursor(name) from error
