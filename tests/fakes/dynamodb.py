"""A fake of one DynamoDB table: it keeps the items in memory, is fast, and fails in the ways that a test chooses.

The fake supports only the operations, parameters and PartiQL statements that Readplane sends. Anything else fails the
test. So no test can pass with a statement that nobody has looked up in AWS's documentation. If the documentation
doesn't say what DynamoDB does, the fake does what is worse for Readplane.
"""

import re
import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, NamedTuple

from readplane.aws.faults import RefusedError
from tests.fakes.expressions import Item, meets_condition, projected_item, updated_item

MAX_STATEMENTS = 25
MAX_STATEMENT = 8192
MAX_KEYS = 100
MAX_ITEM_BYTES = 400 * 1024
MAX_REQUEST_BYTES = 16 * 1024 * 1024

HOT_CONDITION = "attribute_not_exists(pk) OR version < :version"
"""The condition of nearly every PutItem. The fake has fast code for it, because benchmarks write a million items."""

INDEX_KEY = ("list_key", "item_id")
"""The hash key and the range key of the table's index. An item is in the index only if it has both attributes."""

_KEY_CONDITION = re.compile(rf"{INDEX_KEY[0]} = :\w+( AND {INDEX_KEY[1]} > :\w+)?")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class MemoryDynamo:
    """A fake :class:`readplane.aws.client.Client` of one DynamoDB table whose key is ``pk``. It is thread-safe.

    ``items`` holds the stored items by key. ``calls`` counts the calls by operation.

    A test sets the following hooks to make calls fail or to make reads stale. The fake holds no lock while it calls a
    hook, so a hook may write to the table as a concurrent writer would.

    - ``fail_call(operation)`` returns the error code with which the whole call fails; ``None`` if it succeeds.
    - ``fail_statement(pk)`` returns the error code with which the PartiQL statement for this key fails, such as
      ``ThrottlingError``; ``None`` if it succeeds.
    - ``leave(pk)`` returns True if BatchGetItem must report this key as unprocessed.
    - ``stale(pk)`` returns True if an eventually consistent read must get the item as it was before its last write.

    ``page_size`` is the greatest number of items in a page of a Query or a Scan. ``index`` holds the items that a Query
    finds, so a test can let the index lag behind the table. If ``index`` is ``None``, a Query finds the items of the
    table.
    """

    def __init__(self, table: str = "items", *, consistent_only: bool = False) -> None:
        """Make an empty table.

        :param table: the table's name. The fake refuses a call that names another table.
        :param consistent_only: whether an eventually consistent GetItem fails the test.
        """
        self.table = table
        self.items: dict[str, Item] = {}
        self.calls: Counter[str] = Counter()
        self.fail_call: Callable[[str], str | None] | None = None
        self.fail_statement: Callable[[str], str | None] | None = None
        self.leave: Callable[[str], bool] | None = None
        self.stale: Callable[[str], bool] | None = None
        self.index: Mapping[str, Item] | None = None
        self.page_size: int | None = None
        self._consistent_only = consistent_only
        self._previous: dict[str, Item | None] = {}
        self._lock = threading.Lock()
        self._operations: dict[str, Callable[..., dict[str, Any]]] = {
            "GetItem": self._get_item,
            "PutItem": self._put_item,
            "UpdateItem": self._update_item,
            "Query": self._query,
            "Scan": self._scan,
            "BatchGetItem": self._batch_get_item,
            "BatchExecuteStatement": self._batch_execute_statement,
        }

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Carry out a DynamoDB operation on the table in memory; return the response that DynamoDB would send.

        :raises RefusedError: if DynamoDB would refuse the call, or if the hook ``fail_call`` returns an error code.
        """
        with self._lock:
            self.calls[operation] += 1
        if self.fail_call and (code := self.fail_call(operation)):
            raise RefusedError(code, 500 if code == "InternalServerError" else 400)
        return self._operations[operation](**parameters)

    def _get_item(
        self,
        *,
        TableName: str,  # noqa: N803
        Key: Item,  # noqa: N803
        ConsistentRead: bool = False,  # noqa: N803
        ProjectionExpression: str | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        self._check_table(TableName)
        assert ConsistentRead or not self._consistent_only, "the caller decides by this item: it must read consistently"
        item = self._read(_only_key(Key), ConsistentRead)
        return {} if item is None else {"Item": projected_item(ProjectionExpression, item, _NOTHING)}

    def _put_item(
        self,
        *,
        TableName: str,  # noqa: N803
        Item: Item,  # noqa: N803
        ConditionExpression: str | None = None,  # noqa: N803
        ExpressionAttributeValues: Item = _NOTHING,  # noqa: N803
        ReturnValuesOnConditionCheckFailure: str = "NONE",  # noqa: N803
    ) -> dict[str, Any]:
        self._check_table(TableName)
        _check_size(Item)
        pk = Item["pk"]["S"]
        with self._lock:
            stored_item = self.items.get(pk)
            if ConditionExpression == HOT_CONDITION and (stored_item is None or "S" in stored_item.get("version", ())):
                holds = stored_item is None or stored_item["version"]["S"] < ExpressionAttributeValues[":version"]["S"]
            else:
                holds = _holds(ConditionExpression, stored_item, ExpressionAttributeValues)
            if not holds:
                with_item = ReturnValuesOnConditionCheckFailure == "ALL_OLD" and stored_item
                raise _condition_failed(stored_item if with_item else None)
            self._write(pk, dict(Item))
        return {}

    def _update_item(
        self,
        *,
        TableName: str,  # noqa: N803
        Key: Item,  # noqa: N803
        UpdateExpression: str,  # noqa: N803
        ExpressionAttributeValues: Item = _NOTHING,  # noqa: N803
        ConditionExpression: str | None = None,  # noqa: N803
        ReturnValues: str = "NONE",  # noqa: N803
    ) -> dict[str, Any]:
        self._check_table(TableName)
        pk = _only_key(Key)
        with self._lock:
            stored_item = self.items.get(pk)
            if not _holds(ConditionExpression, stored_item, ExpressionAttributeValues):
                raise _condition_failed(None)
            new = updated_item(UpdateExpression, stored_item or Key, ExpressionAttributeValues, _NOTHING)
            _check_size(new)
            self._write(pk, new)
        attributes = {"NONE": None, "ALL_NEW": new, "ALL_OLD": stored_item}[ReturnValues]
        return {"Attributes": attributes} if attributes else {}

    def _query(
        self,
        *,
        TableName: str,  # noqa: N803
        IndexName: str,  # noqa: N803
        KeyConditionExpression: str,  # noqa: N803
        ExpressionAttributeValues: Item,  # noqa: N803
        ProjectionExpression: str | None = None,  # noqa: N803
        Limit: int | None = None,  # noqa: N803
        ExclusiveStartKey: Item = _NOTHING,  # noqa: N803
    ) -> dict[str, Any]:
        self._check_table(TableName)
        assert IndexName and _KEY_CONDITION.fullmatch(KeyConditionExpression), KeyConditionExpression
        hash_key, range_key = INDEX_KEY
        after = ExclusiveStartKey[range_key]["S"] if ExclusiveStartKey else ""
        with self._lock:
            visible = list((self.items if self.index is None else self.index).values())
        matching = [
            item
            for item in visible
            if hash_key in item
            and range_key in item
            and item[range_key]["S"] > after
            and meets_condition(KeyConditionExpression, item, ExpressionAttributeValues, _NOTHING)
        ]
        matching.sort(key=lambda item: item[range_key]["S"])
        limits = [limit for limit in (Limit, self.page_size) if limit is not None]
        page = matching[: min(limits)] if limits else matching
        response: dict[str, Any] = {"Items": [projected_item(ProjectionExpression, item, _NOTHING) for item in page]}
        if len(page) < len(matching):
            response["LastEvaluatedKey"] = {name: page[-1][name] for name in ("pk", *INDEX_KEY)}
        return response

    def _scan(
        self,
        *,
        TableName: str,  # noqa: N803
        ProjectionExpression: str | None = None,  # noqa: N803
        FilterExpression: str | None = None,  # noqa: N803
        ExpressionAttributeValues: Item = _NOTHING,  # noqa: N803
        Limit: int | None = None,  # noqa: N803
        ExclusiveStartKey: Item | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        self._check_table(TableName)
        with self._lock:
            # A scan returns items in the order of a hash that AWS doesn't document.
            keys = sorted(self.items, key=_hash)
        if ExclusiveStartKey is not None:
            keys = keys[bisect_right(keys, _hash(_only_key(ExclusiveStartKey)), key=_hash) :]
        limits = [limit for limit in (Limit, self.page_size) if limit is not None]
        page = keys[: min(limits)] if limits else keys
        # The filter applies to a page after its size is limited, so a page may be empty.
        items = [
            item
            for item in (self._read(pk, False) for pk in page)
            if item is not None and _holds(FilterExpression, item, ExpressionAttributeValues)
        ]
        response: dict[str, Any] = {"Items": [projected_item(ProjectionExpression, item, _NOTHING) for item in items]}
        if len(page) < len(keys):
            response["LastEvaluatedKey"] = {"pk": {"S": page[-1]}}
        return response

    def _batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803
        ((table, request),) = RequestItems.items()
        self._check_table(table)
        assert request.keys() <= {"Keys", "ProjectionExpression", "ConsistentRead", "ExpressionAttributeNames"}, request
        names = request.get("ExpressionAttributeNames", _NOTHING)
        keys = [_only_key(key) for key in request["Keys"]]
        if not 0 < len(keys) <= MAX_KEYS or len(set(keys)) < len(keys):
            raise _invalid("BatchGetItem takes between 1 and 100 different keys")
        items, unprocessed = [], []
        for pk in keys:
            if self.leave and self.leave(pk):
                unprocessed.append({"pk": {"S": pk}})
            elif item := self._read(pk, request.get("ConsistentRead", False)):
                items.append(projected_item(request.get("ProjectionExpression"), item, names))
        # BatchGetItem returns items in no particular order. Reverse them, so that no caller can rely on their order.
        response: dict[str, Any] = {"Responses": {table: items[::-1]}, "UnprocessedKeys": {}}
        if unprocessed:
            response["UnprocessedKeys"] = {table: {**request, "Keys": unprocessed}}
        return response

    def _batch_execute_statement(self, *, Statements: list[Mapping[str, Any]]) -> dict[str, Any]:  # noqa: N803
        if not 0 < len(Statements) <= MAX_STATEMENTS:
            raise _invalid("BatchExecuteStatement takes between 1 and 25 statements")
        batch = [(_parsed(entry["Statement"]), entry["Parameters"]) for entry in Statements]
        keys = [statement.values(parameters)["pk"]["S"] for statement, parameters in batch if statement]
        if len(set(keys)) < len(keys):
            raise _invalid("two statements write the same item")
        if sum(sum(map(_length, parameters)) for _, parameters in batch) > MAX_REQUEST_BYTES:
            raise _invalid("the request is too large")
        return {"Responses": [self._execute(statement, parameters) for statement, parameters in batch]}

    def _execute(self, statement: "_Statement | None", parameters: list[Mapping[str, str]]) -> dict[str, Any]:
        if statement is None or len(parameters) != statement.marks or statement.table != self.table:
            return _error("ValidationError")
        values = statement.values(parameters)
        pk = values["pk"]["S"]
        if self.fail_statement and (code := self.fail_statement(pk)):
            return _error(code)
        with self._lock:
            stored_item = self.items.get(pk)
            if statement.insert:
                if stored_item:
                    return _error("DuplicateItem", self.table)
                item: Item = values
            else:
                # Fail an UPDATE of a missing item, as DynamoDB does. DynamoDB doesn't insert the item.
                if stored_item is None or not statement.holds(stored_item, parameters):
                    return _error("ConditionalCheckFailed", self.table)
                if not statement.removed <= stored_item.keys():
                    # AWS doesn't document what REMOVE does if the item lacks the attribute. So the fake refuses it.
                    return _error("ValidationError")
                item = {name: value for name, value in stored_item.items() if name not in statement.removed} | values
            if _size(item) > MAX_ITEM_BYTES:
                return _error("ValidationError")
            self._write(pk, item)
        return {"TableName": self.table}

    def _read(self, pk: str, consistent: bool) -> Item | None:
        if not consistent and self.stale and self.stale(pk) and pk in self._previous:
            return self._previous[pk]
        return self.items.get(pk)

    def _write(self, pk: str, item: Item) -> None:
        """Store an item. The caller must hold the lock."""
        if self.stale:
            self._previous[pk] = self.items.get(pk)
        self.items[pk] = item

    def _check_table(self, table: str) -> None:
        if table != self.table:
            raise RefusedError("ResourceNotFoundException", 400)


class _Statement(NamedTuple):
    """A parsed PartiQL statement.

    insert: True for an INSERT; False for an UPDATE, which succeeds only if the item has a given version.
    table: the name of the table that the statement writes.
    names: the names of the attributes that the statement sets, in the order of its parameters.
    removed: the names of the attributes that the statement removes.
    marks: how many parameters the statement takes.
    """

    insert: bool
    table: str
    names: list[str]
    removed: frozenset[str]
    marks: int

    def values(self, parameters: list[Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
        """Return the values of the attributes that the statement sets, and of the item's key ``pk``."""
        values = dict(zip(self.names, parameters, strict=False))
        if not self.insert:
            values["pk"] = parameters[-2]
        return values

    def holds(self, stored_item: Item, parameters: list[Mapping[str, str]]) -> bool:
        """Return whether the stored item has the version that the UPDATE requires."""
        return stored_item.get("version") == parameters[-1]


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


def _hash(pk: str) -> bytes:
    return blake2b(pk.encode(), digest_size=8).digest()


def _only_key(key: Item) -> str:
    ((name, value),) = key.items()
    assert name == "pk", key
    return str(value["S"])


def _holds(condition: str | None, stored_item: Item | None, values: Item) -> bool:
    return condition is None or meets_condition(condition, stored_item or _NOTHING, values, _NOTHING)


def _condition_failed(stored_item: Item | None) -> RefusedError:
    return RefusedError("ConditionalCheckFailedException", 400, {"Item": stored_item} if stored_item else {})


def _check_size(item: Item) -> None:
    assert _size(item) <= MAX_ITEM_BYTES, "DynamoDB takes no item above 400 KB, so the caller must never send one"


def _error(code: str, table: str | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"Error": {"Code": code, "Message": "the fake refuses this statement"}}
    return error if table is None else {**error, "TableName": table}


def _invalid(message: str) -> RefusedError:
    return RefusedError("ValidationException", 400, {"message": message})


def _length(typed: Mapping[str, Any]) -> int:
    (value,) = typed.values()
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    return len(value) if isinstance(value, bytes) else len(str(value))


def _size(item: Item) -> int:
    return sum(len(name) + _length(value) for name, value in item.items())
