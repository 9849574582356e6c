"""Many changes into the items with few calls: one read tells what can win, batches of conditional statements write it.

What is left in the table, and what is told of it, is what :meth:`DynamoItems.apply` would leave and tell. Every
statement is conditional on what the read saw, so a read that is out of date, or another writer in between, costs a
call and never a change: where a statement fails its condition, or is one that DynamoDB doesn't take, ``apply`` decides.

What AWS documents, and this rests on: BatchExecuteStatement answers each statement for itself, in their order; INSERT
fails with DuplicateItem where the key is there, UPDATE with ConditionalCheckFailed where its WHERE holds for no item;
by its grammar SET and REMOVE may follow each other any number of times. Each statement needs its own permission
(``dynamodb:PartiQLInsert``, ``dynamodb:PartiQLUpdate``), the call itself none. Names are quoted as some are reserved.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol, TypeVar

from ..aws.client import Client
from ..aws.faults import RefusedError, UnansweredError, pause
from ..model.change import Change
from .items import ApplyOutcome, DynamoItems, Items, TableRecord

MAX_CHANGES = 100
"""Most changes of one call of :meth:`BulkItems.apply_all`: the keys that one BatchGetItem takes."""

SINGLY = 2
"""So few changes are put one by one: the read and its batch are two calls already, and the read costs read units."""

STATEMENTS = 25
"""Most statements of one BatchExecuteStatement. A statement's own limit is 8,192 characters; values don't count."""

BATCH_BYTES = 1024 * 1024
"""About the most data in one BatchExecuteStatement, by :func:`sent_bytes`. Its limit isn't documented
(BatchWriteItem's is 16 MB); this much keeps the request's text, and its time on the wire, small."""

TRIES = 8
"""Tries of a statement that AWS puts off, and reads in a row that get nothing; with their pauses, 3 s on average."""

_PAUSE = 0.05
_LONGEST_PAUSE = 2.0

# The codes of one statement's error (API_BatchStatementError). The call itself succeeds, so no client retries these.
_PUT_INSTEAD = ("ConditionalCheckFailed", "DuplicateItem", "ValidationError")
"""Somebody else was there in between, or PartiQL doesn't take what PutItem may: the single put decides."""

_PASSING = (
    "InternalServerError",
    "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
    "ThrottlingError",
    "TransactionConflict",
)

_LIVING_ONLY: tuple[str, ...] = ("data", "list_key")
_TOMBSTONE_ONLY: tuple[str, ...] = ("expires_at",)


Thing = TypeVar("Thing")


class BulkItems(Items, Protocol):
    """:class:`~readplane.stores.items.Items` that take many changes at once."""

    def apply_all(self, changes: Sequence[Change]) -> Counter[ApplyOutcome]:
        """Fold up to :data:`MAX_CHANGES` changes of different items in, in any order; the same outcomes as ``apply``'s.

        :returns: how many changes had each outcome; all are counted.
        :raises Refused: at the first change that can't be written; any others may have been. All may come again.
        :raises Unanswered: likewise.
        """


class _Write(NamedTuple):
    change: Change
    statement: dict[str, Any]


class DynamoBulkItems(DynamoItems):
    """:class:`BulkItems` over DynamoDB."""

    def apply_all(self, changes: Sequence[Change]) -> Counter[ApplyOutcome]:
        """See :class:`BulkItems`."""
        outcomes: Counter[ApplyOutcome] = Counter()
        if len(changes) <= SINGLY:
            outcomes.update(map(self.apply, changes))
            return outcomes
        seen = self._seen([change.key for change in changes])
        writes = []
        for change in changes:
            record = self._record(change)
            known = seen.get(record["pk"]["S"])
            if known is None:
                writes.append(_Write(change, self._insert(record)))
            elif known["version"]["S"] < change.version:
                writes.append(_Write(change, self._update(record, known)))
            else:
                outcomes["duplicate" if known["version"]["S"] == change.version else "superseded"] += 1
        for batch in parts(writes, STATEMENTS, lambda write: sent_bytes(write.change)):
            self._write(batch, outcomes)
        return outcomes

    def _seen(self, keys: list[str]) -> dict[str, TableRecord]:
        """What the table holds of these keys: version, and whether it is a tombstone.

        Eventually consistent, for half the read units: what it misses, the statements' conditions find.
        """
        return {
            record["pk"]["S"]: record
            for record in read_all(self._client, self._table, keys, "pk, version, expires_at", consistent=False)
        }

    def _insert(self, record: dict[str, Any]) -> dict[str, Any]:
        return {"Statement": _insertion(self._table, tuple(record)), "Parameters": list(record.values())}

    def _update(self, record: dict[str, Any], known: TableRecord) -> dict[str, Any]:
        """Replace exactly the record that the read saw.

        A version stands for one content for ever, so its attributes are known, and those that the new one doesn't have
        can be removed by name. AWS doesn't say what removing an absent attribute does; this never does.
        """
        removed = _TOMBSTONE_ONLY if "expires_at" in known else _LIVING_ONLY
        if removed[0] in record:
            removed = ()
        statement = _replacement(self._table, tuple(record), removed)
        return {"Statement": statement, "Parameters": [*record.values(), record["pk"], known["version"]][1:]}

    def _write(self, batch: list[_Write], outcomes: Counter[ApplyOutcome]) -> None:
        for attempt in range(TRIES):
            if attempt:
                _pause(attempt)
            answer = self._client.call("BatchExecuteStatement", Statements=[write.statement for write in batch])
            again = []
            # In the statements' order.
            for write, told in zip(batch, answer["Responses"], strict=True):
                code = told["Error"]["Code"] if "Error" in told else None
                if code is None:
                    outcomes["applied"] += 1
                elif code in _PUT_INSTEAD:
                    outcomes[self.apply(write.change)] += 1
                elif code in _PASSING:
                    again.append(write)
                else:
                    raise RefusedError(code, 400, told["Error"])
            if not again:
                return
            batch = again
        raise UnansweredError("UnprocessedStatements", sent=True)


def read_all(
    client: Client, table: str, keys: list[str], attributes: str, *, consistent: bool
) -> Iterator[TableRecord]:
    """What the table holds of up to :data:`MAX_CHANGES` different keys, in no particular order.

    :param attributes: a projection expression.
    :raises Unanswered: when :data:`TRIES` reads in a row get nothing; :class:`RefusedError` as any call.
    """
    request: dict[str, Any] = {
        table: {
            "Keys": [{"pk": {"S": key}} for key in keys],
            "ProjectionExpression": attributes,
            "ConsistentRead": consistent,
        }
    }
    attempt = 0
    while attempt < TRIES:
        answer = client.call("BatchGetItem", RequestItems=request)
        records = answer["Responses"].get(table, [])
        yield from records
        request = answer.get("UnprocessedKeys") or {}
        if not request:
            return
        # A read ends at 16 MB, and at 1 MB of one partition, counted in whole items: large ones take many.
        attempt = 0 if records else attempt + 1
        _pause(attempt)
    raise UnansweredError("UnprocessedKeys", sent=True)


def sent_bytes(change: Change) -> int:
    """About the bytes of its data in a request, whose text is ASCII: a letter beyond that is six, an emoji twelve."""
    data = change.data or ""
    return len(data) if data.isascii() else len(data.encode("ascii", "backslashreplace"))


def parts(things: Iterable[Thing], most: int, size: Callable[[Thing], int]) -> Iterator[list[Thing]]:
    """Cut things into lists of at most ``most``, and of :data:`BATCH_BYTES` where it is more than one."""
    part: list[Thing] = []
    total = 0
    for thing in things:
        length = size(thing)
        if part and (len(part) == most or total + length > BATCH_BYTES):
            yield part
            part, total = [], 0
        part.append(thing)
        total += length
    if part:
        yield part


@cache
def _insertion(table: str, names: tuple[str, ...]) -> str:
    """Fails with DuplicateItem where there is an item by now."""
    members = ",".join(f"'{name}':?" for name in names)
    return f'INSERT INTO "{table}" VALUE {{{members}}}'


@cache
def _replacement(table: str, names: tuple[str, ...], removed: tuple[str, ...]) -> str:
    """Fails with ConditionalCheckFailed where the item is another by now, or gone: an UPDATE makes none."""
    key, *values = names
    sets = "".join(f' SET "{name}"=?' for name in values)
    removes = "".join(f' REMOVE "{name}"' for name in removed)
    return f'UPDATE "{table}"{sets}{removes} WHERE "{key}"=? AND "version"=?'


def _pause(attempt: int) -> None:
    pause(min(_LONGEST_PAUSE, _PAUSE * 2**attempt))
