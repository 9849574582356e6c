"""The state of the relational collections' tables, for operators."""

from collections.abc import Iterable
from typing import Any

from psycopg.errors import QueryCanceled

from .catalog import Catalog
from .connection import Connection, execute
from .tables import SCHEMA, Table

_FIXED = {"owner", "item_id", "version", "as_of", "data", "deleted", "shape"}


def status(connection: Connection, tables: Iterable[Table]) -> dict[str, Any]:
    """Return what each collection's table has and lacks.

    :returns: by collection: ``rows``, ``deleted``, ``outdated`` (rows without values for a declared column),
        ``missing`` (the table, columns and indexes that the next migration makes), ``unused`` (columns that no
        declaration names any more). The first three are ``None`` if the table is so large that counting takes too long.
    """
    catalog = Catalog(connection)
    report: dict[str, Any] = {}
    for table in tables:
        columns = catalog.columns(table.name)
        if not columns:
            report[table.collection] = {"rows": 0, "deleted": 0, "outdated": 0, "missing": ["table"], "unused": []}
            continue
        indexes = catalog.indexes(table.name, valid=True)
        declared = {column.name for column in table.columns}
        wanted = {*declared, *(column.index_name for column in table.columns), table.shape_index}
        rows, deleted, outdated = _counts(connection, table, sorted(declared))
        report[table.collection] = {
            "rows": rows,
            "deleted": deleted,
            "outdated": outdated,
            "missing": sorted(wanted - columns - indexes),
            "unused": sorted(columns - declared - _FIXED),
        }
    return report


def _counts(connection: Connection, table: Table, declared: list[str]) -> tuple[int | None, int | None, int | None]:
    try:
        counts = execute(
            connection,
            "SELECT count(*) FILTER (WHERE NOT deleted), count(*) FILTER (WHERE deleted),"
            f" count(*) FILTER (WHERE NOT deleted AND shape <> ALL (ARRAY (SELECT s.shape FROM {SCHEMA}.shapes s"
            f" WHERE s.collection = %s AND s.columns @> %s::text[]))) FROM {table.name}",
            (table.collection, declared),
        ).fetchone()
    except QueryCanceled:
        return None, None, None
    rows, deleted, outdated = counts or (0, 0, 0)
    return rows, deleted, outdated
