"""A DynamoDB table with hash key ``pk`` in memory, which evaluates expressions as AWS documents them.

Only what is documented: a comparison with an attribute that isn't there, or is of another type, is false; an operand of
an update that isn't there is an error; ``if_not_exists`` and ``attribute_not_exists`` are the ways around. Anything
else that it doesn't know fails the test.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from readplane.aws.faults import RefusedError

MAX_ITEM_BYTES = 400 * 1024

Item = dict[str, dict[str, Any]]

_TOKEN = re.compile(r"\s*([#:]?\w+|<>|<=|>=|[=<>(),+-])")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


class FakeTable:
    """A :class:`readplane.aws.client.Client` for one table."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.items: dict[str, Item] = {}

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """See :class:`readplane.aws.client.Client`."""
        operations: dict[str, Callable[..., dict[str, Any]]] = {
            "GetItem": self._get,
            "PutItem": self._put,
            "UpdateItem": self._update,
            "DeleteItem": self._delete,
            "BatchWriteItem": self._batch_write,
            "BatchGetItem": self._batch_get,
        }
        return operations[operation](**parameters)

    def _get(self, *, TableName: str, Key: Item, ConsistentRead: bool = False, **given: Any) -> dict[str, Any]:  # noqa: N803
        assert TableName == self.table and set(Key) == {"pk"}
        assert ConsistentRead, "who decides by a checkpoint must not read an old one"
        item = self.items.get(Key["pk"]["S"])
        return {"Item": _projected(item, given)} if item else {}

    def _put(self, *, TableName: str, Item: Item, **given: Any) -> dict[str, Any]:  # noqa: N803
        assert TableName == self.table
        assert _size(Item) <= MAX_ITEM_BYTES
        pk = Item["pk"]["S"]
        self._check(pk, given)
        self.items[pk] = dict(Item)
        return {}

    def _delete(self, *, TableName: str, Key: Item, **given: Any) -> dict[str, Any]:  # noqa: N803
        assert TableName == self.table and set(Key) == {"pk"}
        self._check(Key["pk"]["S"], given)
        self.items.pop(Key["pk"]["S"], None)
        return {}

    def _update(self, *, TableName: str, Key: Item, UpdateExpression: str, **given: Any) -> dict[str, Any]:  # noqa: N803
        assert TableName == self.table and set(Key) == {"pk"}
        pk = Key["pk"]["S"]
        self._check(pk, given)
        old = self.items.get(pk)
        new = _Expression(UpdateExpression, old or dict(Key), given).update()
        assert _size(new) <= MAX_ITEM_BYTES
        self.items[pk] = new
        returned = {"ALL_NEW": new, "ALL_OLD": old}.get(given.get("ReturnValues", "NONE"))
        return {"Attributes": returned} if returned else {}

    def _batch_write(self, *, RequestItems: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:  # noqa: N803
        ((table, requests),) = RequestItems.items()
        assert 0 < len(requests) <= 25
        for request in requests:
            ((kind, parameters),) = request.items()
            self.call({"PutRequest": "PutItem", "DeleteRequest": "DeleteItem"}[kind], TableName=table, **parameters)
        return {"UnprocessedItems": {}}

    def _batch_get(self, *, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803
        ((table, request),) = RequestItems.items()
        assert table == self.table and 0 < len(request["Keys"]) <= 100
        found = [self.items[key["pk"]["S"]] for key in request["Keys"] if key["pk"]["S"] in self.items]
        return {"Responses": {table: [_projected(item, request) for item in found[::-1]]}, "UnprocessedKeys": {}}

    def _check(self, pk: str, given: Mapping[str, Any]) -> None:
        condition = given.get("ConditionExpression")
        known = self.items.get(pk)
        if condition is None or _Expression(condition, known or {}, given).condition():
            return
        shown = given.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and known
        raise RefusedError("ConditionalCheckFailedException", 400, {"Item": known} if shown else {})


class _Expression:
    """One expression, evaluated on one item while it is read."""

    def __init__(self, text: str, item: Item, given: Mapping[str, Any]) -> None:
        self._tokens = _TOKEN.findall(text)
        assert "".join(self._tokens) == re.sub(r"\s", "", text), text
        self._at = 0
        self._item = item
        self._names = given.get("ExpressionAttributeNames", {})
        self._values = given.get("ExpressionAttributeValues", {})

    def condition(self) -> bool:
        held = self._either()
        assert self._at == len(self._tokens), self._tokens[self._at :]
        return held

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
                elif clause == "ADD":
                    new[name] = _added(self._item.get(name), self._operand())
                else:
                    raise AssertionError(clause)
                if not self._took(","):
                    break
        return new

    def _either(self) -> bool:
        held = self._both()
        while self._took("OR"):
            held = self._both() or held
        return held

    def _both(self) -> bool:
        held = self._one()
        while self._took("AND"):
            held = self._one() and held
        return held

    def _one(self) -> bool:
        if self._took("NOT"):
            return not self._one()
        if self._took("("):
            held = self._either()
            assert self._took(")")
            return held
        if self._tokens[self._at] in ("attribute_exists", "attribute_not_exists"):
            wanted = self._next() == "attribute_exists"
            assert self._took("(")
            exists = self._name(self._next()) in self._item
            assert self._took(")")
            return exists == wanted
        left = self._operand()
        comparison = _COMPARISONS[self._next()]
        right = self._operand()
        return left is not None and right is not None and _comparable(comparison, left, right)

    def _sum(self) -> dict[str, Any]:
        value = self._present()
        while self._at < len(self._tokens) and self._tokens[self._at] in "+-":
            sign = self._next()
            other = Decimal(self._present()["N"])
            value = {"N": str(Decimal(value["N"]) + (other if sign == "+" else -other))}
        return value

    def _present(self) -> dict[str, Any]:
        if self._took("if_not_exists"):
            assert self._took("(")
            name = self._name(self._next())
            assert self._took(",")
            other = self._present()
            assert self._took(")")
            return self._item.get(name, other)
        value = self._operand()
        if value is None:
            raise RefusedError("ValidationException", 400, {"message": "an operand isn't there"})
        return value

    def _operand(self) -> dict[str, Any] | None:
        token = self._next()
        if token.startswith(":"):
            value: dict[str, Any] = self._values[token]
            return value
        return self._item.get(self._name(token))

    def _name(self, token: str) -> str:
        name: str = self._names[token] if token.startswith("#") else token
        assert re.fullmatch(r"\w+", name), name
        return name

    def _next(self) -> str:
        self._at += 1
        token: str = self._tokens[self._at - 1]
        return token

    def _took(self, token: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == token:
            self._at += 1
            return True
        return False


def _comparable(comparison: Callable[[Any, Any], bool], left: dict[str, Any], right: dict[str, Any]) -> bool:
    ((left_type, left_value),) = left.items()
    ((right_type, right_value),) = right.items()
    if left_type != right_type:
        return comparison is _COMPARISONS["<>"]
    if left_type == "N":
        return comparison(Decimal(left_value), Decimal(right_value))
    return comparison(left_value, right_value)


def _added(known: dict[str, Any] | None, value: dict[str, Any] | None) -> dict[str, Any]:
    assert value is not None
    ((kind, added),) = value.items()
    if known is None:
        return value
    if kind == "N":
        return {"N": str(Decimal(known["N"]) + Decimal(added))}
    return {kind: sorted({*known[kind], *added})}


def _projected(item: Item, given: Mapping[str, Any]) -> Item:
    expression = given.get("ProjectionExpression")
    if expression is None:
        return dict(item)
    names = [
        given.get("ExpressionAttributeNames", {}).get(name.strip(), name.strip()) for name in expression.split(",")
    ]
    return {name: item[name] for name in names if name in item}


def _size(item: Mapping[str, Any]) -> int:
    return sum(len(name) + sum(len(str(value)) for value in typed.values()) for name, typed in item.items())
