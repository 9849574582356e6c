"""Evaluates DynamoDB's condition, update and projection expressions on one item in memory.

The rules are those that AWS documents. Except for ``<>``, a comparison of values of different types is false. Every
comparison with an absent attribute is false. An update that reads an absent attribute is refused, unless
``if_not_exists`` gives a default. An unknown function or clause fails the test.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from readplane.aws.faults import RefusedError

Item = Mapping[str, Mapping[str, Any]]
"""An item in DynamoDB's JSON: ``{"version": {"S": "..."}, "count": {"N": "1"}}``."""

RESERVED = {"data", "owner", "source"}
"""The names of the items table's attributes that are reserved words of DynamoDB."""

_TOKEN = re.compile(r"\s*([#:]?\w+|<>|<=|>=|[=<>(),+-])")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def meets_condition(condition: str, item: Item, values: Item, names: Mapping[str, str]) -> bool:
    """Return whether an item meets a condition expression.

    :param item: the stored item; empty if there is no stored item.
    :param values: the request's ``ExpressionAttributeValues``.
    :param names: the request's ``ExpressionAttributeNames``.
    """
    return _Expression(condition, item, values, names).condition()


def updated_item(update: str, item: Item, values: Item, names: Mapping[str, str]) -> Item:
    """Return an item as an update expression leaves it.

    :param item: the stored item; only the key's attributes if there is no stored item.
    :raises RefusedError: if the expression reads an attribute that the item lacks.
    """
    return _Expression(update, item, values, names).update()


def projected_item(projection: str | None, item: Item, names: Mapping[str, str]) -> Item:
    """Return the attributes of an item that a projection lists, or all if the projection is ``None``."""
    if projection is None:
        return item
    listed = [name.strip() for name in projection.split(",")]
    assert not RESERVED & set(listed), f"DynamoDB refuses a reserved word in a projection: {projection}"
    listed = [names.get(name, name) for name in listed]
    return {name: item[name] for name in listed if name in item}


@cache
def _tokens(text: str) -> list[str]:
    tokens: list[str] = _TOKEN.findall(text)
    assert "".join(tokens) == re.sub(r"\s", "", text), text
    return tokens


class _Expression:
    """A parser of one expression. While it parses the expression, it also evaluates the expression on one item."""

    def __init__(self, text: str, item: Item, values: Item, names: Mapping[str, str]) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._item = item
        self._values = values
        self._names = names

    def condition(self) -> bool:
        result = self._disjunction()
        assert self._at == len(self._tokens), self._tokens[self._at :]
        return result

    def update(self) -> Item:
        new = dict(self._item)
        while self._at < len(self._tokens):
            clause = self._next()
            while True:
                name = self._name(self._next())
                if clause == "SET":
                    assert self._next() == "="
                    new[name] = self._sum()
                elif clause == "REMOVE":
                    new.pop(name, None)
                elif clause in ("ADD", "DELETE"):
                    self._change_set(new, name, adds=clause == "ADD")
                else:
                    raise AssertionError(f"unknown clause {clause}")
                if not self._skip(","):
                    break
        return new

    def _change_set(self, new: dict[str, Mapping[str, Any]], name: str, *, adds: bool) -> None:
        """Add numbers to a set of numbers, or remove them from it. A set that becomes empty is removed as a whole."""
        numbers, changed = set(new.get(name, {"NS": []})["NS"]), set(self._present_operand()["NS"])
        numbers = numbers | changed if adds else numbers - changed
        new.pop(name, None)
        if numbers:
            new[name] = {"NS": sorted(numbers)}

    def _disjunction(self) -> bool:
        result = self._conjunction()
        while self._skip("OR"):
            result = self._conjunction() or result
        return result

    def _conjunction(self) -> bool:
        result = self._term()
        while self._skip("AND"):
            result = self._term() and result
        return result

    def _term(self) -> bool:
        if self._skip("NOT"):
            return not self._term()
        if self._skip("("):
            result = self._disjunction()
            assert self._skip(")")
            return result
        if self._tokens[self._at] in ("attribute_exists", "attribute_not_exists"):
            expected = self._next() == "attribute_exists"
            assert self._skip("(")
            exists = self._name(self._next()) in self._item
            assert self._skip(")")
            return exists == expected
        if self._skip("begins_with"):
            assert self._skip("(")
            text = self._operand() or {}
            assert self._skip(",")
            prefix = self._operand() or {}
            assert self._skip(")")
            return "S" in text and "S" in prefix and str(text["S"]).startswith(prefix["S"])
        left = self._operand()
        comparison = _COMPARISONS[self._next()]
        right = self._operand()
        return left is not None and right is not None and _compare(comparison, left, right)

    def _sum(self) -> Mapping[str, Any]:
        value = self._present_operand()
        while self._at < len(self._tokens) and self._tokens[self._at] in "+-":
            sign = self._next()
            other = Decimal(self._present_operand()["N"])
            value = {"N": str(Decimal(value["N"]) + (other if sign == "+" else -other))}
        return value

    def _present_operand(self) -> Mapping[str, Any]:
        if self._skip("if_not_exists"):
            assert self._skip("(")
            name = self._name(self._next())
            assert self._skip(",")
            default = self._present_operand()
            assert self._skip(")")
            return self._item.get(name, default)
        value = self._operand()
        if value is None:
            raise RefusedError("ValidationException", 400, {"message": "an operand of the update is absent"})
        return value

    def _operand(self) -> Mapping[str, Any] | None:
        token = self._next()
        return self._values[token] if token.startswith(":") else self._item.get(self._name(token))

    def _name(self, token: str) -> str:
        name = self._names[token] if token.startswith("#") else token
        assert re.fullmatch(r"\w+", name), name
        return name

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def _skip(self, token: str) -> bool:
        """Skip the next token of the expression if it equals ``token``; return whether it does."""
        if self._at < len(self._tokens) and self._tokens[self._at] == token:
            self._at += 1
            return True
        return False


def _compare(comparison: Callable[[Any, Any], bool], left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    ((left_type, left_value),) = left.items()
    ((right_type, right_value),) = right.items()
    if left_type != right_type:
        return comparison is _COMPARISONS["<>"]
    if left_type == "N":
        return comparison(Decimal(left_value), Decimal(right_value))
    return comparison(left_value, right_value)
