"""Many changes into the items with few calls: one read shows which changes win, and batches of statements write those.

Table and outcomes are the same as if :meth:`DynamoItems.apply` had applied each change. Every statement is conditional
on what the read saw, so a stale read or a concurrent writer costs an extra call and never a change. When a statement's
condition fails, or DynamoDB doesn't accept the statement, ``apply`` applies its change.

This relies on what AWS documents. BatchExecuteStatement reports an outcome for each statement, in their order. INSERT
fails with DuplicateItem if the key exists, and UPDATE with ConditionalCheckFailed if no item matches its WHERE. The
grammar of PartiQL allows any number of SET and REMOVE clauses in a row. Each statement needs its own permission
(``dynamodb:PartiQLInsert``, ``dynamodb:PartiQLUpdate``), and the call itself needs none. The statements quote the names
of attributes, because some are reserved words.
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
"""Up to this many changes are applied one by one, because the bulk read and its batch are two calls as well, and the
read costs read units."""

MAX_STATEMENTS = 25
"""The most statements of one BatchExecuteStatement. A statement may have 8,192 characters, without its values."""

# Codes of a single statement's error (API_BatchStatementError). The call itself succeeds, so no client retries it.
_APPLY_INSTEAD_CODES = ("ConditionalCheckFailed", "DuplicateItem", "ValidationError")
"""Another writer came in between, or PartiQL refuses what PutItem accepts. Then ``apply`` applies the change."""

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
    """:class:`~readplane.stores.items.Items` that apply many changes at once."""

    def apply_all(self, changes: Sequence[Change]) -> Counter[ApplyOutcome]:
        """Apply up to :data:`MAX_CHANGES` changes of different items, in any order, with the outcomes of ``apply``.

        After an error any of the changes may have been applied, and the caller may apply them all again.

        :returns: how many changes had each outcome. Every change has one.
        :raises RefusedError: at the first change that AWS refuses.
        :raises UnansweredError: when AWS gives no complete response, or defers a statement :data:`MAX_ATTEMPTS` times.
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
        """Read the stored records by key, with their versions and, for tombstones, their expiry.

        The read is eventually consistent, which halves its read units. The statements' conditions catch what it misses.
        """
        return {
            record["pk"]["S"]: record
            for record in read_records(self._client, self._table, keys, "pk, version, expires_at", consistent=False)
        }

    def _insert_statement(self, record: dict[str, Any]) -> dict[str, Any]:
        return {"Statement": _insert_text(self._table, tuple(record)), "Parameters": list(record.values())}

    def _update_statement(self, record: dict[str, Any], stored: TableRecord) -> dict[str, Any]:
        """Return a statement that replaces exactly the record that the read saw.

        A version's content never changes, so the stored record's attributes are certain, and the statement removes by
        name those that the new record lacks. AWS doesn't document the removal of a missing attribute, so the statement
        never removes one.
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
    """Return about how many bytes a change's data takes in a request.

    The request is ASCII JSON, so any other character takes six bytes, and an emoji twelve.
    """
    data = change.data or ""
    return len(data) if data.isascii() else len(data.encode("ascii", "backslashreplace"))


@cache
def _insert_text(table: str, names: tuple[str, ...]) -> str:
    """Return an INSERT, which fails with DuplicateItem if another writer has stored the item meanwhile."""
    members = ",".join(f"'{name}':?" for name in names)
    return f'INSERT INTO "{table}" VALUE {{{members}}}'


@cache
def _update_text(table: str, names: tuple[str, ...], removed: tuple[str, ...]) -> str:
    """Return an UPDATE, which fails with ConditionalCheckFailed if the item has another version by now, or is gone."""
    key, *values = names
    sets = "".join(f' SET "{name}"=?' for name in values)
    removes = "".join(f' REMOVE "{name}"' for name in removed)
    return f'UPDATE "{table}"{sets}{removes} WHERE "{key}"=? AND "version"=?'
