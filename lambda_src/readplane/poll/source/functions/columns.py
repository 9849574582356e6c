"""An example of a translation class, for responses that list the column names once and each row as a list of values.

SQL gateways and exports often respond in this form. JMESPath can't pair a list of names with a list of values, so the
source of such a back office needs the ``function`` setting. Use the class ``ColumnsAndRows`` as it is, or derive a
class from it::

    class Articles(ColumnsAndRows):
        id_column = "article_no"
        version_column = "changed_at"

To use a class, name it in the source's settings:
``function = "readplane.poll.source.functions.columns:ColumnsAndRows"``.
"""

from collections.abc import Mapping
from typing import Any, TypeGuard

from ...errors import TranslationError
from ..times import parse_time


class ColumnsAndRows:
    """Translates a response ``{"columns": ["id", …], "rows": [[1, …], …], "next": …}`` into one item for each row.

    An item's ``data`` is an object with the row's values by column name. The version column and the deleted column are
    left out.
    """

    versioned = True
    id_column = "id"
    """The name of the column that holds the item's id."""
    version_column = "modified"
    """The name of the column that holds the row's modification time, in RFC 3339 format with an offset."""
    deleted_column = "removed"
    """The name of the column that holds 1 or true if the row is deleted.

    A response may lack this column. Then none of its rows is deleted.
    """

    def page(self, payload: Any) -> tuple[list[Any], str | None]:
        """Return each row as an object, and the next page's link or token.

        :raises TranslationError: if the response isn't an object with ``columns`` and ``rows``, or if a row has more or
            fewer values than there are columns.
        """
        if not isinstance(payload, dict):
            raise TranslationError("the response must be an object")
        columns, rows = payload.get("columns"), payload.get("rows")
        if not _is_list(columns) or not all(isinstance(name, str) for name in columns):
            raise TranslationError("columns must be a list of strings")
        if not _is_list(rows) or not all(_is_list(row) and len(row) == len(columns) for row in rows):
            raise TranslationError("rows must be a list of lists, each as long as the columns")
        return [dict(zip(columns, row, strict=True)) for row in rows], payload.get("next")

    def item(self, record: Any) -> Mapping[str, Any]:
        """Return the id, version, deleted flag and data of the item that one row describes.

        :raises TranslationError: if the version column doesn't hold an RFC 3339 time.
        """
        try:
            version_ms = parse_time(record.get(self.version_column), "rfc3339")
        except ValueError as error:
            raise TranslationError(f"{self.version_column}: {error}") from error
        without_data = (self.version_column, self.deleted_column)
        return {
            "id": record.get(self.id_column),
            "version": version_ms,
            "deleted": record.get(self.deleted_column),
            "data": {name: value for name, value in record.items() if name not in without_data},
        }


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    # Compare the exact type, because `isinstance` would also accept a `DuplicateName`. This subclass of list stands for
    # the value of a name that occurs twice in one JSON object.
    return type(value) is list
