"""One DynamoDB table in memory, fast enough to be driven with hundreds of thousands of writes.

It knows the operations, conditions and statements that ``stores/items.py`` makes, and refuses anything else, so that
no test passes on a statement that nobody has read AWS's documentation for. Where that documentation is silent, the
fake takes the answer that is worse for us.
"""

import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from readplane.aws.faults import RefusedError

MAX_STATEMENTS = 25
MAX_STATEMENT = 8192
MAX_KEYS = 100
MAX_ITEM_BYTES = 400 * 1024
MAX_REQUEST_BYTES = 16 * 1024 * 1024

CONDITION = "attribute_not_exists(pk) OR version < :version"

Item = Mapping[str, Mapping[str, str]]


class FakeDynamo:
    """A :class:`readplane.aws.client.Client` for one table whose key is ``pk``; threads may share it.

    ``items`` is the table, ``calls`` counts the calls by operation. Hooks make it misbehave; they run outside
    the table's lock, so that they may themselves write to it and play another writer:

    - ``fail_call(operation)`` gives the code that the whole call is refused with, or ``None``;
    - ``fail_statement(pk)`` gives the code in one statement's answer (``ThrottlingError``), or ``None``;
    - ``leave(pk)`` says whether BatchGetItem leaves a key unprocessed;
    - ``stale(pk)`` says whether a read that isn't consistent sees the item as it was before its last write.
    """

    def __init__(self, table: str = "items") -> None:
        self.table = table
        self.items: dict[str, Item] = {}
        self.calls: Counter[str] = Counter()
        self.fail_call: Callable[[str], str | None] | None = None
        self.fail_statement: Callable[[str], str | None] | None = None
        self.leave: Callable[[str], bool] | None = None
        self.stale: Callable[[str], bool] | None = None
        self._before: dict[str, Item | None] = {}
        self._lock = threading.Lock()
        self._operations: dict[str, Callable[..., dict[str, Any]]] = {
            "GetItem": self._get_item,
            "PutItem": self._put_item,
            "BatchGetItem": self._batch_get_item,
            "BatchExecuteStatement": self._batch_execute_statement,
        }

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """See :class:`readplane.aws.client.Client`."""
        with self._lock:
            self.calls[operation] += 1
        if self.fail_call and (code := self.fail_call(operation)):
            raise RefusedError(code, 500 if code == "InternalServerError" else 400)
        return self._operations[operation](**parameters)

    def _get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool = False) -> dict[str, Any]:  # noqa: N803
        self._own(TableName)
        item = self._seen(Key["pk"]["S"], ConsistentRead)
        return {} if item is None else {"Item": item}

    def _put_item(
        self,
        *,
        TableName: str,  # noqa: N803
        Item: Item,  # noqa: N803
        ConditionExpression: str | None = None,  # noqa: N803
        ExpressionAttributeValues: Item = MappingProxyType({}),  # noqa: N803
        ReturnValuesOnConditionCheckFailure: str = "NONE",  # noqa: N803
    ) -> dict[str, Any]:
        self._own(TableName)
        if ConditionExpression not in (None, CONDITION) or _size(Item) > MAX_ITEM_BYTES:
            raise _invalid(ConditionExpression or "item too large")
        pk = Item["pk"]["S"]
        with self._lock:
            known = self.items.get(pk)
            if ConditionExpression and known and known["version"]["S"] >= ExpressionAttributeValues[":version"]["S"]:
                shown = {"Item": known} if ReturnValuesOnConditionCheckFailure == "ALL_OLD" else {}
                raise RefusedError("ConditionalCheckFailedException", 400, shown)
            self._write(pk, dict(Item))
        return {}

    def _batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803
        ((table, request),) = RequestItems.items()
        self._own(table)
        keys = [key["pk"]["S"] for key in request["Keys"]]
        if not 0 < len(keys) <= MAX_KEYS or len(set(keys)) < len(keys):
            raise _invalid("between 1 and 100 different keys")
        names = [name.strip() for name in request["ProjectionExpression"].split(",")]
        found, left = [], []
        for pk in keys:
            if self.leave and self.leave(pk):
                left.append({"pk": {"S": pk}})
            elif item := self._seen(pk, request.get("ConsistentRead", False)):
                found.append({name: item[name] for name in names if name in item})
        # AWS gives the items in no particular order.
        answer: dict[str, Any] = {"Responses": {table: found[::-1]}, "UnprocessedKeys": {}}
        if left:
            answer["UnprocessedKeys"] = {table: {**request, "Keys": left}}
        return answer

    def _batch_execute_statement(self, *, Statements: list[Mapping[str, Any]]) -> dict[str, Any]:  # noqa: N803
        if not 0 < len(Statements) <= MAX_STATEMENTS:
            raise _invalid("between 1 and 25 statements")
        told = [(_parsed(entry["Statement"]), entry["Parameters"]) for entry in Statements]
        keys = [parsed.values(parameters)["pk"]["S"] for parsed, parameters in told if parsed]
        if len(set(keys)) < len(keys):
            raise _invalid("two statements for one item")
        if sum(sum(map(_length, parameters)) for _, parameters in told) > MAX_REQUEST_BYTES:
            raise _invalid("request too large")
        return {"Responses": [self._statement(parsed, parameters) for parsed, parameters in told]}

    def _statement(self, parsed: "_Statement | None", parameters: list[Mapping[str, str]]) -> dict[str, Any]:
        if parsed is None or len(parameters) != parsed.marks or parsed.table != self.table:
            return _error("ValidationError")
        values = parsed.values(parameters)
        pk = values["pk"]["S"]
        if self.fail_statement and (code := self.fail_statement(pk)):
            return _error(code)
        with self._lock:
            known = self.items.get(pk)
            if parsed.insert:
                if known:
                    return _error("DuplicateItem", self.table)
                item = values
            else:
                # On AWS too an UPDATE makes no item.
                if known is None or not parsed.holds(known, parameters):
                    return _error("ConditionalCheckFailed", self.table)
                if not parsed.removed <= known.keys():
                    return _error("ValidationError")  # not documented: who removes what isn't there may be refused
                item = {name: value for name, value in known.items() if name not in parsed.removed} | values
            if _size(item) > MAX_ITEM_BYTES:
                return _error("ValidationError")
            self._write(pk, item)
        return {"TableName": self.table}

    def _seen(self, pk: str, consistent: bool) -> Item | None:
        if not consistent and self.stale and self.stale(pk) and pk in self._before:
            return self._before[pk]
        return self.items.get(pk)

    def _write(self, pk: str, item: Item) -> None:
        if self.stale:
            self._before[pk] = self.items.get(pk)
        self.items[pk] = item

    def _own(self, table: str) -> None:
        if table != self.table:
            raise RefusedError("ResourceNotFoundException", 400)


class _Statement(NamedTuple):
    insert: bool
    table: str
    names: list[str]
    """The attributes that the first parameters set, in their order."""
    removed: frozenset[str]
    marks: int
    """How many parameters it takes."""

    def values(self, parameters: list[Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
        """The attributes that the statement sets, and the key."""
        values = dict(zip(self.names, parameters, strict=False))
        if not self.insert:
            values["pk"] = parameters[-2]
        return values

    def holds(self, known: Item, parameters: list[Mapping[str, str]]) -> bool:
        """Whether an item meets the condition beside the key's."""
        return known["version"] == parameters[-1]


_INSERT = re.compile(r"""INSERT INTO "([\w.-]+)" VALUE \{((?:'\w+':\?,?)+)\}""")
_UPDATE = re.compile(r"""UPDATE "([\w.-]+)"((?: SET "\w+"=\?)+)((?: REMOVE "\w+")*) WHERE "pk"=\? AND "version"=\?""")


@cache
def _parsed(statement: str) -> _Statement | None:
    if len(statement) > MAX_STATEMENT:
        return None
    if match := _INSERT.fullmatch(statement):
        names = re.findall(r"'(\w+)'", match[2])
        return _Statement(True, match[1], names, frozenset(), len(names))
    if match := _UPDATE.fullmatch(statement):
        names = re.findall(r'"(\w+)"', match[2])
        return _Statement(False, match[1], names, frozenset(re.findall(r'"(\w+)"', match[3])), len(names) + 2)
    return None


def _error(code: str, table: str | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {"Error": {"Code": code, "Message": "made by the fake"}}
    return answer if table is None else {**answer, "TableName": table}


def _invalid(why: str) -> RefusedError:
    return RefusedError("ValidationException", 400, {"message": why})


def _length(value: Mapping[str, str]) -> int:
    (text,) = value.values()
    return len(text) if text.isascii() else len(text.encode())


def _size(item: Item) -> int:
    return sum(len(name) + _length(value) for name, value in item.items())
