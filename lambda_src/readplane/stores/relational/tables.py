"""The names of the tables, columns and indexes that hold the relational collections.

::

    readplane.<collection>      one row per item, deleted ones too
        owner, item_id          the primary key; owner is '' unless this is an owner collection
        version, as_of, data    the item; data is its JSON text, which PostgreSQL never parses
        deleted                 a deleted item keeps its version, so that an older change can't bring it back
        shape                   which columns the row's values were extracted for
        <field>_<hash>          the value of a declared field, NULL for none
        search_<hash>           the search text as a tsvector
    readplane.shapes            shape -> its columns
    readplane.state             how often the tables were changed

The hash in a column's name is that of the field's type and pointer. So a declaration that changes gets a new column,
and the old column stays as it is while older versions of the functions use it. Rows of which the shape lacks a column
were written before the column was there. A list that needs the column waits until there are no such rows.

All names are made of ``a-z``, ``0-9`` and ``_``. So a statement can contain them, and it contains no value.
"""

import re
from hashlib import sha256
from typing import NamedTuple

from ...model.fields import FieldType, Relational

SCHEMA = "readplane"
FEED, QUERY = "feed", "query"

SQL_TYPES: dict[FieldType, str] = {
    "number": "numeric",
    "text": 'text COLLATE "C"',
    "boolean": "boolean",
    "time": "timestamptz",
}
"""The SQL type of each field type. The collation "C" sorts UTF-8 by code point, as Python does, and no update of a
library changes it. An index with another collation is corrupt after such an update."""

_NOT_IN_NAMES = re.compile("[^a-z0-9_]")


class Column(NamedTuple):
    """A column for a declared field, or for the search text.

    :param sql_type: the column's SQL type, collation included.
    :param array_type: the type of the array from which an upsert reads the column's values.
    :param index_name: the name of the index of this column.
    """

    name: str
    sql_type: str
    array_type: str
    index_name: str


class Table:
    """The table of one relational collection.

    :param collection: the collection's name.
    :param relational: its declaration.
    """

    def __init__(self, collection: str, relational: Relational) -> None:
        self.collection = collection
        self.table = _clean(collection)  # a collection's name has no "_", so two collections never share a table
        self.name = f'{SCHEMA}."{self.table}"'
        self.fields = {
            name: self._column(name, f"{field.type} {field.pointer}", SQL_TYPES[field.type])
            for name, field in relational.fields.items()
        }
        self.language = _clean(relational.search.language)
        declared_search = "\n".join([self.language, *relational.search.fields])
        self.search = self._column("search", declared_search, "tsvector") if relational.search.fields else None
        self.shape_index = self._index_name("shape")

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the fields, in the order of the declaration, and then that of the search text, if any."""
        return (*self.fields.values(), *([self.search] if self.search else []))

    def _column(self, name: str, definition: str, sql_type: str) -> Column:
        column = f"{_clean(name)[:32]}_{_hash(definition)}"
        array_type = "text" if sql_type == "tsvector" else sql_type.partition(" ")[0]
        return Column(column, sql_type, array_type, self._index_name(column))

    def _index_name(self, column: str) -> str:
        return f"{self.table[:20]}_{column[:30]}_{_hash(f'{self.table} {column}')}"  # PostgreSQL cuts it at 63 bytes


def shape_of(columns: tuple[Column, ...]) -> str:
    """Return the shape of rows that have values for these columns."""
    return _hash(" ".join(sorted(column.name for column in columns)))


def _clean(name: str) -> str:
    return _NOT_IN_NAMES.sub("_", name.lower())


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:10]
