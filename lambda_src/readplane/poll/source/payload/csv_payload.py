"""Reads a response body in CSV, whose first row names the columns (RFC 4180)."""

import csv
import re
from collections.abc import Iterator
from typing import NamedTuple

from ...errors import PageError
from .charsets import DecodedText

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")

MAX_COLUMNS = 4096
"""The maximum number of columns. The same limit holds for the characters of a column's name, because the JSON of every
row repeats the name."""

BYTES_PER_ROW = 12
"""How many bytes of ``max_bytes`` each row of a CSV takes up, even if the row is shorter.

A row becomes an object and then an item, which take up to 700 bytes of memory even if the row is `7,1`. Terraform plans
the memory of `poll` by ``max_bytes``.
"""

# Python's own limit is 131,072 characters, less than an item may have. The source's `max_bytes` limits a field anyway.
csv.field_size_limit(2**31 - 1)


class CsvRows(NamedTuple):
    """The rows of a CSV text.

    columns: the names of the columns.
    rows: each usable row as an object of its texts by column name.
    misfits: each row that has more or fewer fields than there are columns, as the list of its fields; and each row
        whose quotes are malformed, as its text.
    """

    columns: list[str]
    rows: list[dict[str, str]]
    misfits: list[list[str] | str]


def parse_csv(decoded: DecodedText, delimiter: str | None, max_bytes: int) -> CsvRows:
    """Split a CSV text into rows. Empty lines are skipped.

    :param delimiter: the character between two fields; ``None`` means a comma.
    :param max_bytes: the source's setting, by which `poll` has its memory.
    :raises PageError: if there is no header, if two columns have the same name, if there are too many columns or too
        long names, if there are more rows than `poll` has memory for, or if the text ends inside quotes. Then the rest
        of the response may be missing.
    """
    lines = _Lines(decoded.text)
    reader = csv.reader(lines, delimiter=delimiter or ",", strict=True)
    columns: list[str] = []
    rows: list[dict[str, str]] = []
    misfits: list[list[str] | str] = []
    while True:
        _check_count(len(rows) + len(misfits), max_bytes)
        lines.consumed.clear()
        try:
            fields = next(reader, None)
        except csv.Error as error:
            if lines.ended:
                raise PageError(
                    "the CSV ends inside quotes; the response was cut off, or a quote isn't closed"
                ) from error
            if not columns:
                raise PageError("the CSV's header has malformed quotes; double the quotes inside quotes") from error
            misfits.append("".join(lines.consumed))
            continue
        if fields is None:
            break
        if not columns:
            columns = _column_names(fields) if fields else columns
        elif len(fields) == len(columns):
            rows.append(dict(zip(columns, fields, strict=True)))
        elif fields:
            misfits.append(fields)
    if not columns:
        raise PageError("the CSV is empty; it needs a first row that names the columns")
    return CsvRows(columns, rows, misfits)


class _Lines(Iterator[str]):
    """The lines of a text, one after another. It remembers those that the reader has consumed for the current row."""

    def __init__(self, text: str) -> None:
        self._matches = _LINE.finditer(text)
        self.consumed: list[str] = []
        self.ended = False

    def __next__(self) -> str:
        match = next(self._matches, None)
        if match is None:
            self.ended = True
            raise StopIteration
        self.consumed.append(match[0])
        return match[0]


def _column_names(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise PageError("the CSV's header names a column twice; rename one, or leave it out of the export")
    if len(names) > MAX_COLUMNS or max(map(len, names)) > MAX_COLUMNS:
        raise PageError(f"the CSV has more than {MAX_COLUMNS} columns, or so long a name; set payload.delimiter")
    return names


def _check_count(count: int, max_bytes: int) -> None:
    max_rows = max_bytes // BYTES_PER_ROW
    if count > max_rows:
        raise PageError(
            f"the CSV has more than {max_rows} rows, for which poll may lack memory; "
            f"set max_bytes to at least {BYTES_PER_ROW} for each row, or have the export leave rows out"
        )
