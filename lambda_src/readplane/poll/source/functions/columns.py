"""Answers that name their columns once and then list bare rows, as SQL gateways and exports often do.

JMESPath can't pair two lists, so this is an example of a source's ``function``, to be used as it is or as a base::

    class Articles(ColumnsAndRows):
        id_column = "article_no"
        version_column = "changed_at"

A source names it as ``function = "readplane.poll.source.functions.columns:ColumnsAndRows"``.
"""

from collections.abc import Mapping
from typing import Any, TypeGuard

from ...errors import TranslationError
from ..translate import parse_time


class ColumnsAndRows:
    """Reads ``{"columns": ["id", …], "rows": [[1, …], …], "next": …}``.

    ``data`` is the row as an object, without the two columns that only the feed needs; ``version_column`` holds
    RFC 3339 with an offset, ``deleted_column`` (which may be missing) 1 or true where the row is gone.
    """

    versioned = True
    id_column = "id"
    version_column = "modified"
    deleted_column = "removed"

    def page(self, payload: Any) -> tuple[list[Any], str | None]:
        """See :class:`~readplane.poll.source.settings.SourceFunction`; each record is a row as an object."""
        if not isinstance(payload, dict):
            raise TranslationError("the answer must be an object")
        columns, rows = payload.get("columns"), payload.get("rows")
        if not _is_list(columns) or not all(isinstance(name, str) for name in columns):
            raise TranslationError("columns must be a list of texts")
        if not _is_list(rows) or not all(_is_list(row) and len(row) == len(columns) for row in rows):
            raise TranslationError("rows must be a list of lists, each as long as the columns")
        return [dict(zip(columns, row, strict=True)) for row in rows], payload.get("next")

    def item(self, record: Any) -> Mapping[str, Any]:
        """See :class:`~readplane.poll.source.settings.SourceFunction`."""
        try:
            version_ms = parse_time(record.get(self.version_column), "rfc3339")
        except ValueError as error:
            raise TranslationError(f"{self.version_column}: {error}") from error
        feed_only = (self.version_column, self.deleted_column)
        return {
            "id": record.get(self.id_column),
            "version": version_ms,
            "deleted": record.get(self.deleted_column),
            "data": {name: value for name, value in record.items() if name not in feed_only},
        }


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    # By its very type: what stands where a name occurs twice is a kind of list as well.
    return type(value) is list
