"""Parses the parameters with which a client filters, sorts and searches a list, and makes the list's cursors.

``filter`` is a list of conditions, separated by commas. A condition is ``field:operator:value``, and an item must meet
all of them. The value is everything after the second colon. In it, a backslash stands before each comma or backslash
that belongs to the value, and may stand before a colon.

``sort`` is the name of a field, or ``-`` and the name for the descending order. ``q`` is a text to search for.

An item that lacks a field, or whose value has another type than the declared one, meets no condition on this field.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, get_args

from .collection import is_item_id
from .errors import ModelError
from .fields import FieldValue, Relational, parse_value, print_value

Operator = Literal["eq", "ne", "lt", "le", "gt", "ge"]
OPERATORS: tuple[Operator, ...] = get_args(Operator)

RANGE_OPERATORS = frozenset({"lt", "le", "gt", "ge"})

RELATIONAL_PARAMETERS = ("filter", "sort", "q")
"""The query parameters of a list that only the database can serve."""

MAX_CONDITIONS = 8
MAX_FILTER = 4_096
"""The maximum length of ``filter``, in characters."""

MAX_SEARCH = 500
"""The maximum length of ``q``, in characters. PostgreSQL refuses a word of more than 2,046 bytes, and 500 characters
have at most 2,000 bytes."""

_CURSOR_FORMAT = 1
_HASH_LENGTH = 16


class ParameterError(ModelError):
    """A query parameter of a list breaks a rule.

    :param parameter: the parameter's name.
    :param detail: the rule in one sentence, without a text of the client.
    """

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(f"{parameter}: {detail}")
        self.parameter = parameter
        self.detail = detail


class Condition(NamedTuple):
    """A condition on one field of an item.

    :param field: the name of a declared field.
    :param value: the value to compare with. It has the field's type.
    """

    field: str
    operator: Operator
    value: FieldValue


class Position(NamedTuple):
    """The position in a sorted list after which the next page starts.

    :param value: the value of the field :attr:`ListQuery.order` in the previous page's last item. ``None`` if this item
        lacks the field, or if the list is in the order of the ids.
    :param item_id: the id of this item.
    """

    value: FieldValue | None
    item_id: str


class ListQuery(NamedTuple):
    """One page of a list that is filtered, sorted or searched.

    The list has the items that meet all conditions and match the search text.

    The list is in the order of the values of the field :attr:`order`. Items with equal values are in the order of their
    ids. If the list is descending, both orders are reversed. Items that lack the field come last in either case.

    :param sort: the name of the field that the client sorts by, or ``None``.
    :param search: the text to search for, or ``None``.
    :param limit: the maximum number of items in the page.
    :param after: where the page starts; ``None`` for the first page.
    """

    conditions: tuple[Condition, ...]
    sort: str | None
    descending: bool
    search: str | None
    limit: int
    after: Position | None = None

    @property
    def order(self) -> str | None:
        """The name of the field that orders the list, or ``None`` if the ids do.

        Without ``sort`` this is the field of the first range condition, because its index then gives the range and the
        order at once. In the order of the ids, the database would have to look at items outside the range, too.
        """
        ranges = (condition.field for condition in self.conditions if condition.operator in RANGE_OPERATORS)
        return self.sort or next(ranges, None)


class QueryParser:
    """Parses the parameters of one collection's lists.

    :param collection: the collection's name.
    :param relational: the declared fields, sort fields and search fields of the collection.
    """

    def __init__(self, collection: str, relational: Relational) -> None:
        self._collection = collection
        self._relational = relational

    def parse(self, parameters: Mapping[str, str], limit: int) -> ListQuery:
        """Return the first page of the list that the parameters ``filter``, ``sort`` and ``q`` describe.

        :raises ParameterError: at the first wrong parameter.
        """
        for name in RELATIONAL_PARAMETERS:
            if not _is_clean(parameters.get(name, "")):
                raise ParameterError(name, f"{name} must be Unicode text without the character U+0000.")
        sort, descending = self._sort(parameters.get("sort"))
        return ListQuery(
            self._conditions(parameters.get("filter")), sort, descending, self._search(parameters.get("q")), limit
        )

    def _conditions(self, text: str | None) -> tuple[Condition, ...]:
        if text is None:
            return ()
        if len(text) > MAX_FILTER:
            raise ParameterError("filter", f"filter must have at most {MAX_FILTER} characters.")
        parts = _split_conditions(text)
        if len(parts) > MAX_CONDITIONS:
            raise ParameterError("filter", f"filter must have at most {MAX_CONDITIONS} conditions.")
        return tuple(self._condition(*part) for part in parts)

    def _condition(self, name: str, operator: str, text: str) -> Condition:
        field = self._relational.fields.get(name)
        if field is None:
            raise ParameterError("filter", _one_of("The field of a condition", self._relational.fields))
        operators: tuple[Operator, ...] = ("eq", "ne") if field.type == "boolean" else OPERATORS
        for allowed in operators:
            if allowed == operator:
                try:
                    return Condition(name, allowed, parse_value(field.type, text))
                except ValueError as error:
                    raise ParameterError("filter", f"The value of {name} is wrong: {error}.") from None
        raise ParameterError("filter", _one_of(f"The operator of {name}", operators))

    def _sort(self, text: str | None) -> tuple[str | None, bool]:
        if text is None:
            return None, False
        name = text.removeprefix("-")
        if name not in self._relational.sort:
            raise ParameterError("sort", _one_of("sort, apart from a leading minus,", self._relational.sort))
        return name, name != text

    def _search(self, text: str | None) -> str | None:
        if text is None:
            return None
        if not self._relational.search.fields:
            raise ParameterError("q", "This collection has no search.")
        if len(text) > MAX_SEARCH or not text.strip():
            raise ParameterError("q", f"q must have 1 to {MAX_SEARCH} characters that aren't all spaces.")
        return text

    def cursor_of(self, parameters: Mapping[str, str], position: Position) -> list[Any]:
        """Return the content of the cursor for the page after ``position``, as a JSON list.

        A cursor needs no signature. Every value in it is bound as a parameter of a statement, and the owner comes from
        the access token. So a forged cursor shows nothing that another query wouldn't show to the same caller.

        :param parameters: the parameters of the list.
        """
        value = None if position.value is None else print_value(position.value)
        return [_CURSOR_FORMAT, self._hash(parameters), value, position.item_id]

    def position_of(self, parameters: Mapping[str, str], query: ListQuery, cursor: object) -> Position:
        """Return the position that a cursor stands for.

        :param cursor: the parsed JSON of the cursor.
        :raises ValueError: if this isn't a cursor of :meth:`cursor_of` for the same ``filter``, ``sort`` and ``q``.
        """
        match cursor:
            case [int(version), str(query_hash), None | str() as text, str(item_id)] if (
                version is not True
                and version == _CURSOR_FORMAT
                and query_hash == self._hash(parameters)
                and is_item_id(item_id)
            ):
                if text is None:
                    return Position(None, item_id)
                if query.order is not None and _is_clean(text):
                    return Position(parse_value(self._relational.fields[query.order].type, text), item_id)
        raise ValueError("not a cursor of this list")

    def _hash(self, parameters: Mapping[str, str]) -> str:
        """Return a hash of everything that decides which items a list has, and in which order."""
        parts = [self._collection, *(parameters.get(name) for name in RELATIONAL_PARAMETERS)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_HASH_LENGTH]


def _split_conditions(text: str) -> list[tuple[str, str, str]]:
    """Split a filter into conditions, each of which is a field, an operator and a value without escapes."""
    conditions: list[list[str]] = [[""]]
    characters = iter(text)
    for character in characters:
        parts = conditions[-1]
        if character == "\\":
            escaped = next(characters, "")
            if len(parts) < 3 or escaped not in (",", ":", "\\"):
                raise ParameterError("filter", "A backslash must stand before a comma, colon or backslash of a value.")
            parts[-1] += escaped
        elif character == ",":
            conditions.append([""])
        elif character == ":" and len(parts) < 3:
            parts.append("")
        else:
            parts[-1] += character
    if any(len(parts) != 3 for parts in conditions):
        raise ParameterError("filter", "filter must be field:operator:value, or several of these with commas between.")
    return [(name, operator, value) for name, operator, value in conditions]


def _is_clean(text: str) -> bool:
    """Whether PostgreSQL can store a text. It can't store U+0000 or half of a surrogate pair."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _one_of(subject: str, names: Iterable[str]) -> str:
    return f"{subject} must be one of: {', '.join(names) or 'none in this collection'}."
