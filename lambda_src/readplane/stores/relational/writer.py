"""Writes items into the database, as `feed` does: many in one statement, the newest version of each wins."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ...model.change import Change
from ...model.fields import Extractor, Relational
from ...model.keys import ITEM_PREFIX, item_key
from ..table import split_into_batches
from .errors import NotMigratedError
from .settings import DatabaseSettings
from .tables import Table

if TYPE_CHECKING:  # the driver's import takes 120 ms, so only the first connection pays for it
    from .connection import Connection, Database
    from .upsert import Description, Fault, Row

MAX_ROWS = 1_000
"""The maximum number of rows in one statement."""

MAX_BYTES = 8 * 1024 * 1024
"""The approximate maximum size of the data in one statement."""

STATEMENT_SECONDS = 30
"""After how many seconds the server cancels a statement of the role `feed`."""

_CONNECT_SECONDS = 5
_ATTEMPTS = 5


class RowFailure(NamedTuple):
    """A change that the database refuses because of what it holds. Trying again doesn't help.

    :param code: the SQLSTATE, or the class of the driver's error.
    """

    change: Change
    code: str


class UpsertOutcome(NamedTuple):
    """What an upsert did.

    :param written: how many rows it wrote.
    :param unchanged: how many changes were not newer than their row, or than another change of the same call.
    :param fields_not_indexed: how many declared values of the changes have no entry in their column.
    :param failed: the changes that the database refuses.
    :param waiting: the changes of collections whose table isn't there yet. They must come again.
    """

    written: int = 0
    unchanged: int = 0
    fields_not_indexed: int = 0
    failed: tuple[RowFailure, ...] = ()
    waiting: tuple[Change, ...] = ()


class RelationalVersion(NamedTuple):
    """The version of an item in the database.

    :param key: the item's key, as in the items table.
    """

    key: str
    version: str
    is_deleted: bool


class RelationalWriter:
    """Writes the items of the relational collections. Only one thread may use it.

    :param collections: the declaration of each relational collection.
    """

    def __init__(self, settings: DatabaseSettings, collections: Mapping[str, Relational]) -> None:
        self._settings = settings
        self._tables = {name: Table(name, relational) for name, relational in collections.items()}
        self._extractors = {name: Extractor(relational) for name, relational in collections.items()}
        self._database: Database | None = None
        self._description: Description | None = None

    def upsert(self, changes: Sequence[Change], *, floor: str = "") -> UpsertOutcome:
        """Write the changes that are newer than their rows. A deleted item stays as a row with a version.

        A row of the same version is written again if it has no values for a column that is there now. If the database
        refuses a change, the statement is cut in halves until that change fails alone.

        Calling this method twice has the effect of calling it once.

        :param changes: changes of relational collections, in any order.
        :param floor: a version below which a row doesn't count: any change replaces it.
        :raises RelationalError: if the database can't take the changes now. Some may be written.
        """
        newest: dict[str, Change] = {}
        for change in changes:
            other = newest.get(change.key)
            if other is None or other.version < change.version:
                newest[change.key] = change
        by_collection: dict[str, list[Change]] = {}
        # All calls write rows in the same order, so that two of them can't deadlock.
        for change in sorted(newest.values(), key=_order):
            by_collection.setdefault(change.collection, []).append(change)
        tally = _Tally()
        tally.unchanged = len(changes) - len(newest)
        for collection, batch in by_collection.items():
            for rows in self._parts(collection, batch, tally):
                self._write(self._tables[collection], rows, floor, tally)
        return UpsertOutcome(
            tally.written, tally.unchanged, tally.fields_not_indexed, tuple(tally.failed), tuple(tally.waiting)
        )

    def remove(self, keys: Sequence[str], *, floor: str) -> int:
        """Delete rows whose version is below ``floor``. Return their number.

        :param keys: keys of items that the items table no longer has.
        """
        return sum(
            len(
                self._execute(
                    f"DELETE FROM {table.name} AS t USING unnest(%s::text[], %s::text[]) AS k (owner, item_id)"
                    " WHERE t.owner = k.owner AND t.item_id = k.item_id AND t.version < %s RETURNING 1",
                    (owners, ids, floor),
                )
            )
            for table, owners, ids in self._by_table(keys)
        )

    def forget_owner(self, owner: str) -> tuple[int, int]:
        """Delete the rows of an owner's deleted items. Return their number, and the number of the owner's other rows.

        A table that isn't there yet has no rows.
        """
        removed = left = 0
        for table in self._tables.values():
            try:
                removed += len(
                    self._execute(f"DELETE FROM {table.name} WHERE owner = %s AND deleted RETURNING 1", (owner,))
                )
                ((count,),) = self._execute(f"SELECT count(*) FROM {table.name} WHERE owner = %s", (owner,))
                left += count
            except NotMigratedError:
                continue
        return removed, left

    def versions(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the versions of the items that have a row, deleted ones too, by key."""
        return {
            item_key(table.collection, item_id, owner or None): version
            for table, owners, ids in self._by_table(keys)
            for owner, item_id, version in self._execute(
                f"SELECT t.owner, t.item_id, t.version FROM {table.name} AS t"
                " JOIN unnest(%s::text[], %s::text[]) AS k (owner, item_id)"
                " ON t.owner = k.owner AND t.item_id = k.item_id",
                (owners, ids),
            )
        }

    def keys_after(self, collection: str, after: str | None, limit: int) -> list[RelationalVersion]:
        """Return a page of a collection's rows, in the order of owner and item id.

        :param after: the key of the last row of the previous page; ``None`` for the first page.
        :param limit: the maximum number of rows. A shorter page is the last.
        """
        _, owner, item_id = _split(after) if after else ("", "", "")
        rows = self._execute(
            f"SELECT owner, item_id, version, deleted FROM {self._tables[collection].name}"
            " WHERE (owner, item_id) > (%s, %s) ORDER BY owner, item_id LIMIT %s",
            (owner, item_id, limit),
        )
        return [RelationalVersion(item_key(collection, row[1], row[0] or None), row[2], row[3]) for row in rows]

    def status(self) -> dict[str, Any]:
        """Return the state of each collection's table, as values of JSON. It counts rows, so it may take a while."""
        from .status import status

        return self._connected().run(lambda connection: status(connection, self._tables.values()))

    def close(self) -> None:
        """Close the connection."""
        if self._database is not None:
            self._database.close()

    def _parts(self, collection: str, batch: list[Change], tally: "_Tally") -> "Iterator[list[Row]]":
        """Yield rows for one statement each."""
        from .upsert import Row

        extractor = self._extractors[collection]
        for part in split_into_batches(batch, MAX_ROWS, lambda change: len(change.data or ""), MAX_BYTES):
            rows: list[Row] = []
            for change in part:
                extracted = extractor.nothing() if change.data is None else extractor.extract(change.data)
                tally.fields_not_indexed += extracted.not_indexed
                rows.append(Row(change, extracted))
            yield rows

    def _write(self, table: Table, rows: "list[Row]", floor: str, tally: "_Tally") -> None:
        """Write rows of one collection. Cut them in halves if a value of one of them makes the statement fail."""
        from .upsert import Fault

        outcome = self._attempt(table, rows, floor)
        if outcome is None:
            tally.waiting += [row.change for row in rows]
        elif not isinstance(outcome, Fault):
            tally.written += outcome
            tally.unchanged += len(rows) - outcome
        elif len(rows) > 1:
            middle = len(rows) // 2
            self._write(table, rows[:middle], floor, tally)
            self._write(table, rows[middle:], floor, tally)
        else:
            self._write_without_values(table, rows[0], outcome.code, floor, tally)

    def _write_without_values(self, table: Table, row: "Row", code: str, floor: str, tally: "_Tally") -> None:
        """Write a refused row again without the values of its fields, so that at least its data is in the database."""
        nothing = self._extractors[table.collection].nothing(not_indexed=True)
        if row.extracted == nothing or row.change.data is None:
            tally.failed.append(RowFailure(row.change, code))
            return
        tally.fields_not_indexed += nothing.not_indexed - row.extracted.not_indexed
        self._write(table, [row._replace(extracted=nothing)], floor, tally)

    def _attempt(self, table: Table, rows: "list[Row]", floor: str) -> "int | Fault | None":
        """Write rows in one statement. Return how many of them were newer; ``None`` if the table isn't there."""
        from .upsert import Fault, describe, upsert

        def work(connection: "Connection") -> "int | Fault | None":
            for _ in range(_ATTEMPTS):
                description = self._description
                if description is None or table.collection not in description.targets:
                    description = self._description = describe(connection, self._tables.values())
                target = description.targets.get(table.collection)
                if target is None:
                    return None
                outcome = upsert(connection, target, rows, floor)
                if isinstance(outcome, Fault):
                    return outcome
                written, number = outcome
                if number == description.number:
                    return written
                # The tables were changed after they were described. Write the rows again, for all columns.
                self._description = None
            raise NotMigratedError("the tables keep changing")

        try:
            return self._connected().run(work)
        except NotMigratedError:
            self._description = None
            raise

    def _execute(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        from .connection import execute

        return self._connected().run(lambda connection: execute(connection, statement, values).fetchall())

    def _connected(self) -> "Database":
        if self._database is None:
            from .connection import database_of

            self._database = database_of(
                self._settings, statement_seconds=STATEMENT_SECONDS, connect_seconds=_CONNECT_SECONDS
            )
        return self._database

    def _by_table(self, keys: Sequence[str]) -> Iterator[tuple[Table, list[str], list[str]]]:
        """Yield each table with the owners and the item ids of its keys. Skip keys of other collections."""
        pairs: dict[str, list[tuple[str, str]]] = {}
        for key in keys:
            collection, owner, item_id = _split(key)
            if collection in self._tables:
                pairs.setdefault(collection, []).append((owner, item_id))
        for collection, items in pairs.items():
            yield self._tables[collection], [owner for owner, _ in items], [item_id for _, item_id in items]


class _Tally:
    """The counts of one upsert."""

    def __init__(self) -> None:
        self.written = self.unchanged = self.fields_not_indexed = 0
        self.failed: list[RowFailure] = []
        self.waiting: list[Change] = []


def _order(change: Change) -> tuple[str, str, str]:
    return change.collection, change.owner or "", change.item_id


def _split(key: str) -> tuple[str, str, str]:
    """Return the collection, the owner ('' for none) and the item id in an item's key."""
    collection, *owner, item_id = key.removeprefix(ITEM_PREFIX).split("/")
    return collection, "/".join(owner), item_id
