"""Reads pages of lists from the readers, as `query` does. No statement contains a value: the driver binds them all.

A list that is ordered by a field has two sections: the items that have the field, in the order of its values, and then
those that lack it. Each section is a range of one index, and a page continues at a position in it (keyset pagination).
So a page costs the same anywhere in a list, and an item that doesn't change meanwhile is on exactly one page.
"""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ...model.change import item_text
from ...model.fields import Relational
from ...model.query import ListQuery, Operator, Position
from ..items import PAGE_BYTES, size_in_bytes
from .errors import NoReaderError, NotMigratedError
from .settings import DatabaseSettings
from .tables import SCHEMA, Column, Table

if TYPE_CHECKING:  # the driver's import takes 120 ms, so only the first connection pays for it
    from .connection import Connection, Database

MAX_LAG_SECONDS = 30
"""How far a reader may be behind the writer, in seconds."""

CHECK_SECONDS = 60
"""For how long `query` relies on an index that it found complete, in seconds."""

_CONNECT_SECONDS = 2
_OPERATORS: Mapping[Operator, str] = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}

_LAG = """CASE WHEN pg_last_wal_receive_lsn() <> pg_last_wal_replay_lsn()
    THEN extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 ELSE 0 END"""
"""How many seconds a reader is behind. If it has replayed everything that it received, it isn't behind, however long
ago the last write was. Aurora doesn't have these functions: its readers share the writer's storage."""


class ListedItem(NamedTuple):
    """An item in a list.

    :param data: the JSON text of the item's data, byte for byte as in the items table.
    """

    item_id: str
    collection: str
    version: str
    as_of: str
    data: str

    def representation(self) -> str:
        """Return the JSON text of the item, equal to that of :class:`Change`."""
        return item_text(self.item_id, self.collection, self.version, self.as_of, self.data)


class _Section(NamedTuple):
    """A range of a list.

    :param condition: the SQL condition of the range, with placeholders.
    :param values: the values of the placeholders.
    """

    condition: str
    values: list[Any]


class _Rows(NamedTuple):
    """The rows of one section in a page.

    :param is_complete: whether the section has no further rows.
    :param size: the size of their data in bytes.
    """

    items: list[ListedItem]
    positions: list[Position]
    is_complete: bool
    size: int


class RelationalLists:
    """Reads lists of the relational collections. Only one thread may use it.

    :param collections: the declaration of each relational collection.
    :param clock: the Unix time in seconds. It isn't monotonic time, because that may stand still while Lambda freezes
        a sandbox.
    """

    def __init__(
        self,
        settings: DatabaseSettings,
        collections: Mapping[str, Relational],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._tables = {name: Table(name, relational) for name, relational in collections.items()}
        self._clock = clock
        self._database: Database | None = None
        self._has_lag = True
        self._complete: dict[tuple[str, str], float] = {}  # collection and column: when it was found complete

    def page(self, collection: str, owner: str | None, query: ListQuery) -> tuple[list[ListedItem], Position | None]:
        """Return one page of a list, and the position at which the next one starts; ``None`` if this page is the last.

        A condition matches only items that have the field. A page ends early when its data reaches 1 MiB.

        :param owner: whose items to list; ``None`` unless this is an owner collection.
        :raises NoReaderError: if the server isn't a reader, or is far behind.
        :raises NotMigratedError: if an index that the list needs isn't there, or isn't complete.
        :raises TooSlowError: if the server canceled the statement.
        :raises RelationalError: if the database can't be asked.
        """
        table = self._tables[collection]
        return self._connected().run(lambda connection: self._page(connection, table, owner or "", query))

    def close(self) -> None:
        """Close the connection."""
        if self._database is not None:
            self._database.close()

    def _page(
        self, connection: "Connection", table: Table, owner: str, query: ListQuery
    ) -> tuple[list[ListedItem], Position | None]:
        self._require_indexes(connection, table, query)
        items: list[ListedItem] = []
        positions: list[Position] = []
        size = 0
        for section in _sections(table, query):
            limit, max_bytes = query.limit - len(items), PAGE_BYTES - size
            if limit == 0 or max_bytes <= 0:  # the page is full: find out only whether there are more items
                if self._read(connection, table, owner, query, section, 1, 1).items:
                    return items, positions[-1]
                continue
            rows = self._read(connection, table, owner, query, section, limit, max_bytes)
            items += rows.items
            positions += rows.positions
            size += rows.size
            if not rows.is_complete:
                return items, positions[-1]
        return items, None

    def _read(
        self,
        connection: "Connection",
        table: Table,
        owner: str,
        query: ListQuery,
        section: _Section,
        limit: int,
        max_bytes: int,
    ) -> _Rows:
        from .connection import execute

        statement = _statement(table, query, section.condition, self._lag())
        values: list[Any] = [owner, *(condition.value for condition in query.conditions)]
        values += [query.search] if query.search is not None else []
        values += [*section.values, limit + 1, limit, max_bytes]
        rows = execute(connection, statement, values).fetchall()
        self._check_reader(rows[0][0], rows[0][1])
        found = [
            row[2:] for row in rows if row[2] is not None
        ]  # without an item, there is one row of the server's state
        items = [ListedItem(row[0], table.collection, row[1], row[2], row[3]) for row in found]
        total = rows[0][7] or 0  # this counts the rows up to the next page's first one
        return _Rows(
            items,
            [Position(row[4], row[0]) for row in found],
            total <= len(items),
            sum(size_in_bytes(item.data) for item in items),
        )

    def _lag(self) -> str:
        return _LAG if self._has_lag and not self._settings.reads_from_writer else "0::float8"

    def _check_reader(self, is_reader: bool, lag: float | None) -> None:
        if self._settings.reads_from_writer:
            return
        if not is_reader:
            raise NoReaderError("Writer")
        if lag is not None and lag > MAX_LAG_SECONDS:
            raise NoReaderError("ReaderLag")

    def _check_new_connection(self, connection: "Connection") -> None:
        """Refuse a server that isn't a reader.

        Aurora's reader endpoint leads to the writer if no reader is left.
        """
        from psycopg.errors import FeatureNotSupported

        from .connection import execute

        self._complete.clear()
        self._has_lag = True
        if self._settings.reads_from_writer:
            return
        try:
            row = execute(connection, f"SELECT pg_is_in_recovery(), {_LAG}").fetchone()
        except FeatureNotSupported:  # Aurora
            self._has_lag = False
            row = execute(connection, "SELECT pg_is_in_recovery(), 0::float8").fetchone()
        is_reader, lag = row or (False, None)
        self._check_reader(is_reader, lag)

    def _require_indexes(self, connection: "Connection", table: Table, query: ListQuery) -> None:
        """Refuse a list whose indexes aren't there, aren't valid or lack rows. It would be slow, or lack items."""
        names = {condition.field for condition in query.conditions} | ({query.order} if query.order else set())
        columns = [table.fields[name] for name in sorted(names)]
        if query.search is not None and table.search:
            columns.append(table.search)
        now = self._clock()
        checked = [self._complete.get((table.collection, column.name), 0.0) for column in columns]
        if all(0 <= now - at < CHECK_SECONDS for at in checked):
            return
        complete = _complete_columns(connection, table)
        for column in columns:
            if column.name not in complete:
                raise NotMigratedError(column.name)
            self._complete[table.collection, column.name] = self._clock()

    def _connected(self) -> "Database":
        if self._database is None:
            from .connection import database_of

            self._database = database_of(
                self._settings,
                statement_seconds=self._settings.statement_seconds,
                connect_seconds=_CONNECT_SECONDS,
                check=self._check_new_connection,
            )
        return self._database


def _sections(table: Table, query: ListQuery) -> list[_Section]:
    """Return the ranges of the list from the page's start on."""
    after = query.after
    sign = "<" if query.descending else ">"
    if query.order is None:
        return [_Section("true", []) if after is None else _Section(f"t.item_id {sign} %s", [after.item_id])]
    column = f't."{table.fields[query.order].name}"'
    sections: list[_Section] = []
    if after is None:
        sections.append(_Section(f"{column} IS NOT NULL", []))
    elif after.value is not None:
        kind = table.fields[query.order].array_type
        condition = f"{column} IS NOT NULL AND ({column}, t.item_id) {sign} (%s::{kind}, %s)"
        sections.append(_Section(condition, [after.value, after.item_id]))
    # No item that lacks the field meets a condition on it.
    if all(condition.field != query.order for condition in query.conditions):
        if after is None or after.value is not None:
            sections.append(_Section(f"{column} IS NULL", []))
        else:
            sections.append(_Section(f"{column} IS NULL AND t.item_id {sign} %s", [after.item_id]))
    return sections


def _statement(table: Table, query: ListQuery, section: str, lag: str) -> str:
    """Return the statement of one section of a page. It depends on the declaration and the operators only.

    Its row says whether the server is a reader, and how far it is behind. So a reader that became the writer is
    noticed with the next page, at the cost of no round trip.
    """
    conditions = "".join(
        f" AND t.{_name(table.fields[condition.field])} {_OPERATORS[condition.operator]}"
        f" %s::{table.fields[condition.field].array_type}"
        for condition in query.conditions
    )
    if query.search is not None and table.search:
        matches = f"t.{_name(table.search)} @@ websearch_to_tsquery('{table.language}'::regconfig, %s)"
        conditions += f" AND {matches}"
    way = " DESC" if query.descending else ""
    value, order = "NULL", f"item_id{way}"
    if query.order is not None:
        value = f"t.{_name(table.fields[query.order])}"
        order = f"{value}{way}, t.item_id{way}"
    outer = f"value{way}, item_id{way}" if query.order is not None else f"item_id{way}"
    # The inner query reads the index. Its rows have only the address of long data, so measuring them reads no data.
    return f"""
SELECT server.is_reader, server.lag, p.item_id, p.version, p.as_of, p.data, p.value, p.total
FROM (SELECT pg_is_in_recovery() AS is_reader, {lag} AS lag) AS server
LEFT JOIN (
  SELECT * FROM (
    SELECT r.*, count(*) OVER () AS total, row_number() OVER (ORDER BY {outer}) AS place,
      sum(octet_length(data)) OVER (ORDER BY {outer} ROWS UNBOUNDED PRECEDING) - octet_length(data) AS bytes_before
    FROM (
      SELECT t.item_id, t.version, t.as_of, t.data, {value} AS value FROM {table.name} AS t
      WHERE t.owner = %s AND NOT t.deleted{conditions} AND {section}
      ORDER BY {order} LIMIT %s
    ) AS r
  ) AS w WHERE w.place <= %s AND (w.bytes_before < %s)
) AS p ON true
ORDER BY {outer}
"""


def _complete_columns(connection: "Connection", table: Table) -> set[str]:
    """Return the columns that have a valid index, and for which every row was written."""
    from .connection import execute

    # Find the shapes of the rows by stepping through the index from each shape to the next, because counting all rows
    # would take too long.
    rows = execute(
        connection,
        f"""
WITH RECURSIVE present AS (
  (SELECT shape FROM {table.name} WHERE NOT deleted ORDER BY shape LIMIT 1)
  UNION ALL
  SELECT (SELECT t.shape FROM {table.name} AS t WHERE NOT t.deleted AND t.shape > p.shape ORDER BY t.shape LIMIT 1)
  FROM present AS p WHERE p.shape IS NOT NULL
)
SELECT 'index', ARRAY[c.relname::text]
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  WHERE i.indrelid = to_regclass(%s) AND i.indisvalid AND i.indisready
UNION ALL SELECT 'shape', s.columns
  FROM present p LEFT JOIN {SCHEMA}.shapes s ON s.collection = %s AND s.shape = p.shape
  WHERE p.shape IS NOT NULL
""",
        (table.name, table.collection),
    ).fetchall()
    indexes = {names[0] for kind, names in rows if kind == "index"}
    shapes = [set(names or ()) for kind, names in rows if kind == "shape"]
    if table.shape_index not in indexes:
        return set()
    return {
        column.name
        for column in table.columns
        if column.index_name in indexes and all(column.name in columns for columns in shapes)
    }


def _name(column: Column) -> str:
    return f'"{column.name}"'
