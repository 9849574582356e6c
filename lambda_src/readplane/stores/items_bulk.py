"""Apply many changes to the items table in bulk, with few calls to DynamoDB.

One read of the stored versions shows which changes are newer than the stored ones. Then batches of PartiQL statements
write these newer changes.

The table ends up the same as if :meth:`DynamoItems.apply` had applied each change, because every statement is
conditional on what the read returned. So a stale read or a concurrent writer costs an extra call, but never loses a
change. Only an outcome may differ: if a stale read returns a change's own version although the item has a greater one
by now, the change counts as a duplicate and not as superseded.

If a statement's condition fails, or if DynamoDB doesn't accept the statement, :meth:`DynamoItems.apply` applies the
change instead. It also applies a change to a malformed row, because its PutItem replaces the whole row, while an UPDATE
leaves attributes behind. The read doesn't return an item's data. So if only the data or another attribute that isn't
read is malformed, a change with the row's own version counts as a duplicate; a newer change replaces the row.

AWS documents the behaviour that this module relies on:

- BatchExecuteStatement reports an outcome for each statement, in the order of the statements.
- INSERT fails with DuplicateItem if the key exists. UPDATE fails with ConditionalCheckFailed if no item matches its
  WHERE clause.
- The grammar of PartiQL allows any number of SET and REMOVE clauses in a row.
- Each kind of statement needs a permission (``dynamodb:PartiQLInsert``, ``dynamodb:PartiQLUpdate``).
  BatchExecuteStatement itself needs no permission.

The statements quote the names of attributes, because some names are reserved words of DynamoDB.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol

from ..aws.faults import RefusedError, UnansweredError, back_off
from ..model.change import Change
from .items import ApplyOutcome, DynamoItems, Items
from .rows import version_of
from .table import (
    MAX_ATTEMPTS,
    MAX_KEYS,
    TableRecord,
    back_off_exponentially,
    read_records,
    split_into_batches,
)

MAX_CHANGES = MAX_KEYS
"""The maximum number of changes per call of :meth:`BulkItems.apply_all`. It equals the maximum number of keys of a
BatchGetItem, because ``apply_all`` reads the items of all its changes with one BatchGetItem."""

MAX_SINGLE_CHANGES = 2
"""``apply_all`` applies up to this many changes one by one, with one call each. Applying two changes in bulk would also
take two calls (one read, one write), and the read would cost extra."""

MAX_STATEMENTS = 25
"""The maximum number of statements in one BatchExecuteStatement. A statement may have up to 8,192 characters, not
counting the values of its parameters."""

# The next two constants hold error codes of a single statement in a batch (API_BatchStatementError in AWS's reference).
# The call of the batch itself succeeds, so the AWS client doesn't retry it.
_APPLY_INSTEAD_CODES = ("ConditionalCheckFailed", "DuplicateItem", "ValidationError")
"""If a statement fails with one of these codes, :meth:`DynamoItems.apply` applies its change instead. Either another
writer has changed the item since it was read, or PartiQL refuses something that PutItem accepts."""

_TRANSIENT_CODES = (
    "InternalServerError",
    "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
    "ThrottlingError",
    "TransactionConflict",
)

_READ_ATTRIBUTES = "pk, version, #owner, list_key, expires_at"
"""The version, and the attributes whose presence decides what an UPDATE must remove."""

_READ_NAMES = {"#owner": "owner"}

_LIVING_ONLY: tuple[str, ...] = ("data", "list_key")
_TOMBSTONE_ONLY: tuple[str, ...] = ("expires_at",)


class BulkItems(Items, Protocol):
    """An :class:`~readplane.stores.items.Items` store that can also apply many changes at once."""

    def apply_all(self, changes: Sequence[Change]) -> Counter[ApplyOutcome]:
        """Apply up to :data:`MAX_CHANGES` changes of different items, in any order.

        The items end up the same as if ``apply`` had applied each change. If this method raises an error, some of the
        changes may have been applied. The caller may safely apply all of them again.

        :returns: the number of changes with each outcome. Every change has exactly one outcome.
        :raises RefusedError: at the first change that AWS refuses.
        :raises UnansweredError: if no complete response arrives, or if a statement has a transient error
            :data:`MAX_ATTEMPTS` times.
        """


class _Write(NamedTuple):
    change: Change
    statement: dict[str, Any]


class DynamoBulkItems(DynamoItems):
    """:class:`BulkItems` in a DynamoDB table.

    :ivar pause: waits before a retry, for at most so many seconds. A simulation replaces it.
    """

    pause = staticmethod(back_off)

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
                continue
            version = version_of(stored)
            if version is not None and version > change.version:
                outcomes["superseded"] += 1
            elif version is None or not _can_update(stored, record):
                outcomes[self.apply(change)] += 1
            elif version < change.version:
                writes.append(_Write(change, self._update_statement(record, stored)))
            else:
                outcomes["duplicate"] += 1
        for batch in split_into_batches(writes, MAX_STATEMENTS, lambda write: sent_bytes(write.change)):
            self._write_batch(batch, outcomes)
        return outcomes

    def _read_stored(self, keys: list[str]) -> dict[str, TableRecord]:
        """Read the records that the table holds for ``keys``, with the attributes :data:`_READ_ATTRIBUTES`.

        The read is eventually consistent, which halves its read units. If the read returns an old version or misses an
        item, no change is lost, because the condition of the statement that writes the change fails.

        :returns: the records by key. A key without a record is left out.
        """
        return {
            record["pk"]["S"]: record
            for record in read_records(
                self._client,
                self._table,
                keys,
                _READ_ATTRIBUTES,
                consistent=False,
                names=_READ_NAMES,
                pause=self.pause,
            )
        }

    def _insert_statement(self, record: dict[str, Any]) -> dict[str, Any]:
        return {"Statement": _insert_text(self._table, tuple(record)), "Parameters": list(record.values())}

    def _update_statement(self, record: dict[str, Any], stored: TableRecord) -> dict[str, Any]:
        """Return a statement that replaces the stored record.

        The statement fails if the stored record no longer has the version that ``_read_stored`` returned.

        The content of a version never changes, so the version determines which attributes the stored record has. The
        statement removes the attributes that the new record lacks. It never removes an attribute that the stored record
        lacks, because AWS doesn't document what DynamoDB does in that case.
        """
        removed: tuple[str, ...] = ()
        if "data" not in record and "list_key" in stored:
            removed = _LIVING_ONLY
        elif "data" in record and "expires_at" in stored:
            removed = _TOMBSTONE_ONLY
        statement = _update_text(self._table, tuple(record), removed)
        return {"Statement": statement, "Parameters": [*record.values(), record["pk"], stored["version"]][1:]}

    def _write_batch(self, batch: list[_Write], outcomes: Counter[ApplyOutcome]) -> None:
        for attempt in range(MAX_ATTEMPTS):
            if attempt:
                back_off_exponentially(attempt, self.pause)
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


def _can_update(stored: TableRecord, record: TableRecord) -> bool:
    """Whether an UPDATE turns a stored record into ``record``, so that no attribute of the stored record stays behind.

    The stored record must be a living item or a tombstone, and its owner must be that of ``record``. A tombstone over a
    tombstone needs a PutItem, because a malformed tombstone may hold data, which the read doesn't return. This is rare.
    """
    is_living, is_tombstone = "list_key" in stored, "expires_at" in stored
    is_delete = "expires_at" in record and stored["version"] != record["version"]
    return is_living != is_tombstone and not (is_tombstone and is_delete) and stored.get("owner") == record.get("owner")


def sent_bytes(change: Change) -> int:
    """Return the approximate number of bytes that a change's data takes in a request.

    The request is JSON in ASCII, so a character outside ASCII takes six bytes, and an emoji takes twelve.
    """
    data = change.data or ""
    return len(data) if data.isascii() else len(data.encode("ascii", "backslashreplace"))


@cache
def _insert_text(table: str, names: tuple[str, ...]) -> str:
    """Return an INSERT statement for an item that ``_read_stored`` didn't find.

    It fails with DuplicateItem if the item exists, because another writer has stored it, or because the read was stale.
    """
    members = ",".join(f"'{name}':?" for name in names)
    return f'INSERT INTO "{table}" VALUE {{{members}}}'


@cache
def _update_text(table: str, names: tuple[str, ...], removed: tuple[str, ...]) -> str:
    """Return an UPDATE statement for an item that ``_read_stored`` found.

    It fails with ConditionalCheckFailed if the item no longer exists, or if it has another version than
    ``_read_stored`` returned.
    """
    key, *values = names
    sets = "".join(f' SET "{name}"=?' for name in values)
    removes = "".join(f' REMOVE "{name}"' for name in removed)
    return f'UPDATE "{table}"{sets}{removes} WHERE "{key}"=? AND "version"=?'
