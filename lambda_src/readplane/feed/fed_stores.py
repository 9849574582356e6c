"""The stores that `feed` writes: the item cache and the relational database, behind one interface."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from ..model.cache_entry import NO_VERSION
from ..stores.item_cache import EntryStore
from ..stores.key_queue import StoreName
from ..stores.relational.errors import NotMigratedError, RelationalError
from ..stores.relational.writer import MAX_ROWS, STATEMENT_SECONDS, RelationalWriter
from ..stores.resp import RespError
from ..stores.table import MAX_KEYS
from .decide import Rows
from .errors import StoreFaultError

NOT_MIGRATED = "NotMigrated"
"""The code of a row whose collection has no table in the database yet. ``readplane relational migrate`` makes it."""


class WriteOutcome(NamedTuple):
    """What a store did with some rows.

    :param failed: why the store can't hold a row, as a code, by the row's key. The store wrote all others.
    :param fields_not_indexed: how many declared fields the store couldn't index, because of their type or length.
    """

    failed: Mapping[str, str] = MappingProxyType({})
    fields_not_indexed: int = 0


class ForgottenRows(NamedTuple):
    """How many tombstones of an owner's items a store has removed.

    :param removed: the number of tombstones that were removed now.
    :param left: the number of entries of this owner that the store still has.
    """

    removed: int
    left: int


class FedStore(Protocol):
    """A store that `feed` writes.

    :ivar name: the store's name.
    :ivar collections: the names of the collections whose items the store holds.
    :ivar is_lasting: whether an entry stays until `feed` replaces or removes it. If not, it expires after minutes.
    :ivar max_rows: how many rows the store writes at once.
    :ivar write_seconds: about the longest time that one call of :meth:`write_rows` takes, in seconds.
    """

    name: StoreName
    collections: frozenset[str]
    is_lasting: bool
    max_rows: int
    write_seconds: float

    def write_rows(self, rows: Rows, read_ms: int, floor: str) -> WriteOutcome:
        """Write the rows that are newer than the store's entries. Writing a row again is harmless.

        :param rows: rows of the items table, by key. If an item has no row, a lasting store removes its entry.
        :param read_ms: the time before the rows were read, in Unix milliseconds.
        :param floor: an entry with a smaller version yields to any row (:mod:`.decide`).
        :raises StoreFaultError: if the store is down or slow. It may have written some of the rows.
        """

    def read_versions(self, keys: Sequence[str]) -> Mapping[str, str]:
        """Return the version of each key's entry, deleted items included. A key without an entry is left out.

        :raises StoreFaultError: if the store is down or slow.
        """

    def list_versions(self, collection: str, after: str | None, limit: int) -> Sequence[tuple[str, str]] | None:
        """Return the keys and versions of a page of the store's entries, or ``None`` if the store can't list them.

        :param after: the key after which the page begins; ``None`` for the first page.
        :raises StoreFaultError: if the store is down or slow.
        """

    def forget_owner(self, owner: str) -> ForgottenRows:
        """Remove the tombstones of an owner's items.

        :raises StoreFaultError: if the store is down or slow.
        """

    def describe(self) -> Mapping[str, Any]:
        """Return the state of the store, as JSON.

        :raises StoreFaultError: if the store is down or slow.
        """


class CacheStore:
    """The item cache as a :class:`FedStore`.

    The breaker of the reads isn't used here. It would hide a fault, and the message would be lost.
    """

    name: StoreName = "cache"
    is_lasting = False
    max_rows = MAX_KEYS
    write_seconds = 10.0

    def __init__(self, entries: EntryStore, collections: frozenset[str]) -> None:
        self.collections = collections
        self._entries = entries

    def write_rows(self, rows: Rows, read_ms: int, floor: str) -> WriteOutcome:  # noqa: ARG002 (entries expire)
        """Store an entry for each row, unless the cache has a newer one.

        Deleted and missing items get entries, too. If an entry were only removed, a reader that has read the item
        before the delete could put it back. The entry of a missing item has the smallest version, so it replaces no
        entry of an item. It doesn't have to, because a tombstone lives for a day at least, and an entry for minutes.
        """
        try:
            for key, change in rows.items():
                self._entries.put_newer(self._entries.make_entry(key, change, read_ms))
        except RespError as error:
            raise StoreFaultError(error.code) from error
        return WriteOutcome()

    def read_versions(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the versions of the entries that the cache has, one command for each key."""
        try:
            entries = [self._entries.get(key) for key in keys]
        except RespError as error:
            raise StoreFaultError(error.code) from error
        return {entry.key: entry.version for entry in entries if entry is not None and entry.version != NO_VERSION}

    def list_versions(self, collection: str, after: str | None, limit: int) -> None:
        """Return ``None``, because the cache's user may run no command that lists keys."""

    def forget_owner(self, owner: str) -> ForgottenRows:  # noqa: ARG002 (entries expire)
        """Remove nothing, because entries expire after minutes, and the cache's user may list no keys."""
        return ForgottenRows(0, 0)

    def describe(self) -> dict[str, Any]:
        """Read an entry that isn't there, to see whether the cache answers."""
        self.read_versions(["item/"])
        return {"collections": sorted(self.collections)}


class DatabaseStore:
    """The relational database as a :class:`FedStore`."""

    name: StoreName = "database"
    is_lasting = True
    max_rows = MAX_ROWS
    write_seconds = STATEMENT_SECONDS + 10.0

    def __init__(self, writer: RelationalWriter, collections: frozenset[str]) -> None:
        self.collections = collections
        self._writer = writer

    def write_rows(self, rows: Rows, read_ms: int, floor: str) -> WriteOutcome:  # noqa: ARG002 (entries don't expire)
        """Write the rows with one statement for each collection and 1,000 items, and remove what has no row."""
        gone = [key for key, change in rows.items() if change is None]
        try:
            outcome = self._writer.upsert([change for change in rows.values() if change is not None], floor=floor)
            if gone:
                self._writer.remove(gone, floor=floor)
        except NotMigratedError:  # waiting doesn't help, so this is no fault
            return WriteOutcome(dict.fromkeys(rows, NOT_MIGRATED))
        except RelationalError as error:
            raise database_fault(error) from error
        failed = {failure.change.key: failure.code for failure in outcome.failed}
        failed |= {change.key: NOT_MIGRATED for change in outcome.waiting}
        return WriteOutcome(failed, outcome.fields_not_indexed)

    def read_versions(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the versions of the rows of the database, with one statement for each collection."""
        try:
            return self._writer.versions(keys)
        except RelationalError as error:
            raise database_fault(error) from error

    def list_versions(self, collection: str, after: str | None, limit: int) -> list[tuple[str, str]]:
        """Return a page of the rows of a collection's table, in the order of their owners and item ids."""
        try:
            return [(row.key, row.version) for row in self._writer.keys_after(collection, after, limit)]
        except RelationalError as error:
            raise database_fault(error) from error

    def forget_owner(self, owner: str) -> ForgottenRows:
        """Delete the rows of the owner's deleted items."""
        try:
            return ForgottenRows(*self._writer.forget_owner(owner))
        except RelationalError as error:
            raise database_fault(error) from error

    def describe(self) -> dict[str, Any]:
        """Return the number of rows of each collection, and what a migration would have to do."""
        try:
            return self._writer.status()
        except RelationalError as error:
            raise database_fault(error) from error


def database_fault(error: RelationalError) -> StoreFaultError:
    """Return the error that `feed` raises for an error of the database. Neither holds a value of an item."""
    return StoreFaultError(f"{type(error).__name__}: {error.code}")
