"""A stand-in for the database behind `query`: it filters, sorts and searches the items of the items table in memory."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from readplane.model.change import Change
from readplane.model.collection import Collection
from readplane.model.fields import Extractor, Relational
from readplane.model.keys import ListPosition, partitions
from readplane.model.query import ListQuery, Position
from readplane.stores.items import Items

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    name: getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")
}
_ALL = 10_000


class MemoryLists:
    """The lists of a database that has what the items table has.

    :param items: the items table.
    :param collections: the collections whose lists `query` serves.
    :param relational: the declaration of each of these collections.
    """

    def __init__(
        self, items: Items, collections: Mapping[str, Collection], relational: Mapping[str, Relational]
    ) -> None:
        self._items = items
        self._collections = collections
        self._fields = {name: list(declared.fields) for name, declared in relational.items()}
        self._extractors = {name: Extractor(declared) for name, declared in relational.items()}

    def page(self, collection: str, owner: str | None, query: ListQuery) -> tuple[list[Change], Position | None]:
        """Return one page of a list, as the database does."""
        shards = partitions(self._collections[collection], owner)
        changes, _ = self._items.list_items(shards, ListPosition(0, None), _ALL, 4.0)
        found = {}
        for change in changes:
            extracted = self._extractors[collection].extract(change.data or "")
            values = dict(zip(self._fields[collection], extracted.values, strict=True))
            if _meets(values, query) and (query.search is None or query.search in (extracted.search or "").split()):
                found[Position(values[query.order] if query.order else None, change.item_id)] = change
        order = _sorted([*found, *([query.after] if query.after and query.after not in found else [])], query)
        following = order[order.index(query.after) + 1 :] if query.after else order
        page = following[: query.limit]
        return [found[position] for position in page], page[-1] if len(following) > len(page) else None


def _meets(values: Mapping[str, Any], query: ListQuery) -> bool:
    """Whether values meet all conditions of a query. A missing value meets none."""
    return all(
        values[condition.field] is not None and _OPERATORS[condition.operator](values[condition.field], condition.value)
        for condition in query.conditions
    )


def _sorted(positions: list[Position], query: ListQuery) -> list[Position]:
    """Return positions in a list's order. Items without a value come last, in either direction."""
    ascending = sorted(
        positions, key=lambda position: (position.value or 0, position.item_id), reverse=query.descending
    )
    return sorted(ascending, key=lambda position: position.value is None)
