"""The statement that writes many items at once, made for the columns that a table has at the moment."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import psycopg

from ...model.change import Change
from ...model.fields import Extracted
from .connection import Connection, execute, is_retryable
from .tables import SCHEMA, Table, shape_of

_ATTEMPTS = 4
_ROW_FAULTS = ("22", "23", "54")
"""The classes of the SQLSTATEs that a value causes: data exception, constraint violation, limit exceeded."""

_DESCRIBE = f"""
SELECT 'state', '', '', number FROM {SCHEMA}.state
UNION ALL SELECT 'shape', collection, shape, 0 FROM {SCHEMA}.shapes
UNION ALL SELECT 'column', c.relname, a.attname, 0 FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  WHERE c.relnamespace = to_regnamespace('{SCHEMA}') AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
"""


class Row(NamedTuple):
    """A change with its extracted values."""

    change: Change
    extracted: Extracted


class Fault(NamedTuple):
    """A value of one of the rows made the statement fail, so it wrote no row.

    :param code: the SQLSTATE, or the class of the driver's error.
    """

    code: str


class Target(NamedTuple):
    """A table, as it is at the moment.

    :param statement: the statement that writes rows, with a placeholder for each list of values.
    :param shape: the shape of the rows that it writes.
    :param places: the places of the columns' values among the values of :class:`Extracted`.
    :param searches: whether the statement takes the search texts.
    """

    statement: str
    shape: str
    places: tuple[int, ...]
    searches: bool


class Description(NamedTuple):
    """What the database has at the moment.

    :param number: how often the tables were changed.
    :param targets: by collection, what its table is; a collection without a table is missing.
    """

    number: int
    targets: dict[str, Target]


def describe(connection: Connection, tables: Iterable[Table]) -> Description:
    """Return which tables and columns there are.

    A column that isn't there yet is left out. So a function with a new declaration goes on writing before the migration
    has run.
    """
    number = 0
    shapes: set[tuple[str, str]] = set()
    columns: dict[str, set[str]] = {}
    for kind, owner, name, count in execute(connection, _DESCRIBE):
        if kind == "state":
            number = count
        elif kind == "shape":
            shapes.add((owner, name))
        else:
            columns.setdefault(owner, set()).add(name)
    targets: dict[str, Target] = {}
    for table in tables:
        if table.table in columns:
            targets[table.collection] = target = _target(table, columns[table.table])
            if (table.collection, target.shape) not in shapes:
                register(connection, table, columns[table.table])
    return Description(number, targets)


def register(connection: Connection, table: Table, existing: set[str]) -> None:
    """Record which columns rows of a shape have values for. `lists` looks it up."""
    columns = tuple(column for column in table.columns if column.name in existing)
    execute(
        connection,
        f"INSERT INTO {SCHEMA}.shapes (collection, shape, columns) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (table.collection, shape_of(columns), sorted(column.name for column in columns)),
    )


def upsert(connection: Connection, target: Target, rows: Sequence[Row], floor: str) -> tuple[int, int] | Fault:
    """Write rows in one statement. Return how many of them were newer, and how often the tables were changed.

    :param rows: rows of different items, sorted by owner and item id.
    """
    changes = [row.change for row in rows]
    lists: list[Sequence[object]] = [
        [change.owner or "" for change in changes],
        [change.item_id for change in changes],
        [change.version for change in changes],
        [change.as_of for change in changes],
        [change.data for change in changes],
        *([row.extracted.values[place] for row in rows] for place in target.places),
        *([[row.extracted.search for row in rows]] if target.searches else []),
    ]
    attempt = 0
    while True:
        attempt += 1
        try:
            row = execute(connection, target.statement, [target.shape, *lists, floor]).fetchone()
        except psycopg.Error as error:
            if is_retryable(error) and attempt < _ATTEMPTS:
                continue
            if isinstance(error, psycopg.DataError) or (error.sqlstate or "")[:2] in _ROW_FAULTS:
                return Fault(error.sqlstate or type(error).__name__)
            raise
        except UnicodeEncodeError as error:
            return Fault(type(error).__name__)
        written, number = row or (0, 0)
        return written, number


def _target(table: Table, existing: set[str]) -> Target:
    fields = list(table.fields.values())
    places = tuple(place for place, column in enumerate(fields) if column.name in existing)
    search = table.search if table.search and table.search.name in existing else None
    columns = [fields[place] for place in places]
    names = [f'"{column.name}"' for column in (*columns, *([search] if search else []))]
    fixed = ["owner", "item_id", "version", "as_of", "data"]
    selected = [*fixed, *(f'"{column.name}"' for column in columns)]
    arrays = ["text"] * len(fixed) + [column.array_type for column in columns]
    values = [f"u.{name}" for name in selected]
    if search:
        selected.append("search")
        arrays.append("text")
        values.append(f"to_tsvector('{table.language}'::regconfig, u.search)")
    stored = [*fixed, *names]
    assignments = ", ".join(f"{name} = excluded.{name}" for name in [*stored[2:], "deleted", "shape"])
    statement = f"""
WITH written AS (
  INSERT INTO {table.name} AS t ({", ".join(stored)}, deleted, shape)
  SELECT {", ".join(values)}, u.data IS NULL, %s
  FROM unnest({", ".join(f"%s::{kind}[]" for kind in arrays)}) AS u ({", ".join(selected)})
  ON CONFLICT (owner, item_id) DO UPDATE SET {assignments}
  WHERE t.version < greatest(excluded.version, %s)
    OR (t.version = excluded.version AND t.shape <> excluded.shape)
  RETURNING 1
)
SELECT (SELECT count(*) FROM written), (SELECT number FROM {SCHEMA}.state)
"""
    shape = shape_of((*columns, *([search] if search else [])))
    return Target(statement, shape, places, search is not None)
