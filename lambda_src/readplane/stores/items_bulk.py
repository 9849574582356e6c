"""The bulk way to apply changes: many changes with few calls.

One read shows which changes win. Then batches of PartiQL statements write those changes. The table and the outcomes are
the same as if :meth:`DynamoItems.apply` had applied each change. Every statement is conditional on what the read
returned. So a stale read or a concurrent writer costs an extra call, but never loses a change. If a statement's
condition fails, or if DynamoDB doesn't accept the statement, ``apply`` applies the change instead.

AWS documents the behaviour that this module relies on:

- BatchExecuteStatement reports an outcome for each statement, in the order of the statements.
- INSERT fails with DuplicateItem if the key exists. UPDATE fails with ConditionalCheckFailed if no item matches its
  WHERE clause.
- The grammar of PartiQL allows any number of SET and REMOVE clauses in a row.
- Each kind of statement needs a permission (``dynamodb:PartiQLInsert``, ``dynamodb:PartiQLUpdate``). The call itself
  needs none.

The statements quote the names of attributes, because some names are reserved words.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol

from ..aws.faults import RefusedError, UnansweredError
from ..model.change import Change
from .items import ApplyOutcome, DynamoItems, Items
from .table import (
    MAX_ATTEMPTS,
    MAX_KEYS,
    TableRecord,
    back_off_exponentially,
    read_records,
    split_into_batches,
)

MAX_CHANGES = MAX_KEYS
"""The most changes per call of :meth:`BulkItems.apply_all`, because it reads their items with one BatchGetItem."""

MAX_SINGLE_CHANGES = 2
"""Up to this many changes are applied one by one. The bulk way would also make two calls, one to read and one to write,
and its read would cost read units."""

MAX_STATEMENTS = 25
"""The most statements in one BatchExecuteStatement. A statement may have up to 8,192 characters, without its values."""

# The error codes that a single statement may have (API_BatchStatementError in AWS's reference). The call itself
# succeeds, so the client doesn't retry it.
_APPLY_INSTEAD_CODES = ("ConditionalCheckFailed", "DuplicateItem", "ValidationError")
"""After these codes ``apply`` applies the change. Either another writer has changed the item after the read, or PartiQL
refuses something that PutItem accepts."""

_TRANSIENT_CODES = (
    "InternalServerError",
    "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
    "ThrottlingError",
    "TransactionConflict",
)

_LIVING_ONLY: tuple[str, ...] = ("data", "list_key")
_TOMBSTONE_ONLY: tuple[str, ...] = ("expires_at",)


class BulkItems(Items, Protocol):
    """:class:`~readplane.stores.items.Items` that can also apply many changes at once."""

    def apply_all(self, changes: Sequence[Change]) -> Counter[ApplyOutcome]:
        """Apply up to :data:`MAX_CHANGES` changes of different items, in any order, with the outcomes of ``apply``.

        If it raises an error, some of the changes may have been applied. The caller may apply them all again.

        :returns: the number of changes with each outcome. Every change has one outcome.
        :raises RefusedError: at the first change that AWS refuses.
        :raises UnansweredError: if no complete response arrives, or if a statement has a transient error
            :data:`MAX_ATTEMPTS` times.
        """


class _Write(NamedTuple):
    change: Change
    statement: dict[str, Any]


class DynamoBulkItems(DynamoItems):
    """:class:`BulkItems` in a DynamoDB table."""

    def apply_all(self, changes: Sequence[Change]) -> Counter[ApplyOutcome]:
        """Apply up to :data:`MAX_CHANGES` changes of different items, in any order."""
        outcomes: Counter[ApplyOutcome] = Counter()
        if len(changes) <= MAX_SINGLE_CHANGES:
            outcomes.update(map(self.apply, changes))
            return outcomes
        stored_records = self._read_stored([change.key for change in changes])
        writes = []
        for change in changes:
            record = self._record(change)
            stored = stored_records.get(record["pk"]["S"])
            if stored is None:
                writes.append(_Write(change, self._insert_statement(record)))
            elif stored["version"]["S"] < change.version:
                writes.append(_Write(change, self._update_statement(record, stored)))
            else:
                outcomes["duplicate" if stored["version"]["S"] == change.version else "superseded"] += 1
        for batch in split_into_batches(writes, MAX_STATEMENTS, lambda write: sent_bytes(write.change)):
            self._write_batch(batch, outcomes)
        return outcomes

    def _read_stored(self, keys: list[str]) -> dict[str, TableRecord]:
        """Return the stored records by key, each with its version and, if it is a tombstone, its expiry.

        The read is eventually consistent, which halves its read units. If it returns an old version or misses an item,
        the condition of the statement fails.
        """
        return {
            record["pk"]["S"]: record
            for record in read_records(self._client, self._table, keys, "pk, version, expires_at", consistent=False)
        }

    def _insert_statement(self, record: dict[str, Any]) -> dict[str, Any]:
        return {"Statement": _insert_text(self._table, tuple(record)), "Parameters": list(record.values())}

    def _update_statement(self, record: dict[str, Any], stored: TableRecord) -> dict[str, Any]:
        """Return a statement that replaces the stored record, if it still has the version that the read returned.

        A version's content never changes, so that version determines which attributes the stored record has. The
        statement removes those attributes that the new record lacks. It never removes an attribute that the stored
        record lacks, because AWS doesn't document what happens then.
        """
        removed = _TOMBSTONE_ONLY if "expires_at" in stored else _LIVING_ONLY
        if removed[0] in record:
            removed = ()
        statement = _update_text(self._table, tuple(record), removed)
        return {"Statement": statement, "Parameters": [*record.values(), record["pk"], stored["version"]][1:]}

    def _write_batch(self, batch: list[_Write], outcomes: Counter[ApplyOutcome]) -> None:
        for attempt in range(MAX_ATTEMPTS):
            if attempt:
                back_off_exponentially(attempt)
            response = self._client.call("BatchExecuteStatement", Statements=[write.statement for write in batch])
            deferred = []
            for write, result in zip(batch, response["Responses"], strict=True):
                code = result["Error"]["Code"] if "Error" in result else None
                if code is None:
                    outcomes["applied"] += 1
                elif code in _APPLY_INSTEAD_CODES:
                    outcomes[self.apply(write.change)] += 1
                elif code in _TRANSIENT_CODES:
                    deferred.append(write)
                else:
                    raise RefusedError(code, 400, result["Error"])
            if not deferred:
                return
            batch = deferred
        raise UnansweredError("UnprocessedStatements", sent=True)


def sent_bytes(change: Change) -> int:
    """Return the approximate number of bytes that a change's data takes in a request.

    The request is ASCII JSON, so a character outside ASCII takes six bytes, and an emoji takes twelve.
    """
    data = change.data or ""
    return len(data) if data.isascii() else len(data.encode("ascii", "backslashreplace"))


@cache
def _insert_text(table: str, names: tuple[str, ...]) -> str:
    """Return an INSERT statement. It fails with DuplicateItem if another writer has stored the item since the read."""
    members = ",".join(f"'{name}':?" for name in names)
    return f'INSERT INTO "{table}" VALUE {{{members}}}'


@cache
def _update_text(table: str, names: tuple[str, ...], removed: tuple[str, ...]) -> str:
    """Return an UPDATE statement.

    It fails with ConditionalCheckFailed if the item no longer exists, or has another version than at the read.
    """
    key, *values = names
    sets = "".join(f' SET "{name}"=?' for name in values)
    removes = "".join(f' REMOVE "{name}"' for name in removed)
    return f'UPDATE "{table}"{sets}{removes} WHERE "{key}"=? AND "version"=?'
