"""Reads the rows of a file that is to be imported, and checks each as `write` checks a request's body.

A file holds JSON lines or CSV, in UTF-8, perhaps compressed with GZIP. It is read as a stream, so its size doesn't
matter. Only a hash of each item's key stays in memory, which finds an item that the file has twice.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, cast

from ops.cli.write_log import ACTOR
from ops.console import CommandError
from readplane.api.problem import ProblemError
from readplane.model.change import API, Change
from readplane.model.collection import is_item_id, is_owner
from readplane.model.errors import InvalidError, ModelError
from readplane.model.exact_json import DuplicateNameError, parse_json, print_json, to_number
from readplane.model.keys import item_key
from readplane.model.schema import SchemaValidator
from readplane.model.timestamp import rfc3339
from readplane.model.version import stamp
from readplane.write.body import parse_body

Format = Literal["jsonl", "csv"]

MAX_PROBLEMS = 20
"""How many problems of a file are listed."""

MAX_LINE = 1024 * 1024
"""The maximum length of a line of JSON, and of a cell of CSV, in characters. Data has 256 KiB at most."""

KEY_BYTES = 16
"""How many bytes of the hash of each item's key stay in memory."""

_MEMBERS = frozenset({"id", "owner", "data", "collection", "version", "as_of"})
_GZIP = b"\x1f\x8b"


class Columns(NamedTuple):
    """What the fields of a row mean.

    item_id: the name of the field that holds the item's id. None if each line has the form of an item in the API's
        responses, with the members `id` and `data`.
    owner: the name of the field that holds the item's owner; None if there is none
    keep: whether these two fields stay in the data
    """

    item_id: str | None
    owner: str | None
    keep: bool


class Row(NamedTuple):
    """An item of the file.

    line: the number of the line on which the row ends, counted from 1
    data: the item's data as JSON text
    """

    line: int
    item_id: str
    owner: str | None
    data: str


class RowError(Exception):
    """A row can't be imported. The text says why, and quotes no value of the row."""


class RowReader:
    """Reads the rows of one file for one collection.

    validator: the collection's schema
    properties: the schema's own properties by name, from which the types of the cells of a CSV file follow
    """

    def __init__(
        self,
        path: Path,
        form: Format,
        columns: Columns,
        *,
        collection: str,
        owned: bool,
        validator: SchemaValidator,
        properties: Mapping[str, Any],
    ) -> None:
        self._path, self._form, self._columns = path, form, columns
        self._collection, self._owned = collection, owned
        self._validator = validator
        self._types = {name: _types(rule) for name, rule in properties.items()}

    def check(self, progress: Callable[[int], None]) -> tuple[int, list[str]]:
        """Read the whole file. Return the number of its rows, and its first problems as one sentence each.

        :param progress: called after each row with the number of rows so far
        """
        problems: list[str] = []
        lines: dict[bytes, int] = {}
        count = 0
        for count, row in enumerate(self._rows(), 1):
            if isinstance(row, str):
                problems.append(row)
            else:
                key = item_key(self._collection, row.item_id, row.owner)
                digest = hashlib.blake2b(key.encode(), digest_size=KEY_BYTES).digest()
                first = lines.setdefault(digest, row.line)
                if first != row.line:
                    problems.append(f"line {row.line}: the item is on line {first} already")
            progress(count)
            if len(problems) == MAX_PROBLEMS:
                break
        return count, problems

    def rows(self) -> Iterator[Row]:
        """Yield the rows of a file that has no problems.

        :raises CommandError: if it has one, because somebody has changed the file since it was checked
        """
        for row in self._rows():
            if isinstance(row, str):
                raise CommandError(f"The file was changed meanwhile: {row}.")
            yield row

    def _rows(self) -> Iterator[Row | str]:
        """Yield each row, or a sentence that says why a row can't be imported."""
        with _open(self._path) as stream:
            number = 0
            try:
                lines = self._csv_rows(stream) if self._form == "csv" else _Lines(stream)
            except RowError as error:
                yield str(error)
                return
            while True:
                try:
                    number, fields = next(lines)
                    yield self._row(number, fields)
                except StopIteration:
                    return
                except RowError as error:
                    yield str(error) if str(error).startswith("line ") else f"line {number}: {error}"
                except UnicodeDecodeError:
                    yield f"after line {number}: the text isn't UTF-8"
                    return
                except (csv.Error, EOFError, OSError, zlib.error) as error:
                    yield f"after line {number}: the file can't be read ({type(error).__name__})"
                    return

    def _row(self, number: int, fields: Any) -> Row:
        if not isinstance(fields, dict):
            raise RowError("it isn't one JSON object")
        try:
            item_id, owner, data = self._split(fields)
        except DuplicateNameError as error:
            raise RowError(str(error)) from error
        if not isinstance(item_id, str) or not is_item_id(item_id):
            raise RowError("the id must be 1-256 characters of A-Z a-z 0-9 . _ ~ -, the first a letter or digit")
        if self._owned and (not isinstance(owner, str) or not is_owner(owner)):
            raise RowError("the collection is an owner collection, so each row needs the owner's `sub`")
        if not self._owned and owner is not None:
            raise RowError("only the items of owner collections have an owner")
        try:
            # `write` takes U+FFFD for a damaged part of the body unless it is escaped. The file is valid UTF-8.
            text = parse_body(print_json(data).replace("\ufffd", "\\ufffd").encode(), self._validator)
        except DuplicateNameError as error:
            raise RowError("a name occurs twice in one object") from error
        except InvalidError as error:
            place = f"data{error.pointer}: " if error.pointer else ""
            raise RowError(place + error.detail.replace("The body", "The data")) from error
        except (ModelError, ProblemError, ValueError) as error:
            raise RowError(str(error).replace("The body", "The data")) from error
        return Row(number, item_id, owner, text)

    def _split(self, fields: dict[str, Any]) -> tuple[Any, Any, Any]:
        """Return the item id, the owner and the data of a row."""
        if self._columns.item_id is None:
            unknown = sorted(fields.keys() - _MEMBERS)
            if unknown or "id" not in fields or "data" not in fields:
                raise RowError("it needs the members id and data (and owner), and no others; or use --id-field")
            if fields.get("collection", self._collection) != self._collection:
                raise RowError("it is an item of another collection")
            return fields["id"], fields.get("owner"), fields["data"]
        names = [name for name in (self._columns.item_id, self._columns.owner) if name is not None]
        missing = [name for name in names if fields.get(name) is None]
        if missing:
            raise RowError(f"the field {missing[0]} is missing")
        item_id = fields[self._columns.item_id]
        if isinstance(item_id, int) and not isinstance(item_id, bool):
            item_id = str(item_id)
        owner = None if self._columns.owner is None else fields[self._columns.owner]
        data = fields if self._columns.keep else {name: fields[name] for name in fields if name not in names}
        return item_id, owner, data

    def _csv_rows(self, stream: IO[bytes]) -> Iterator[tuple[int, Any]]:
        """Return the numbers and the fields of the rows. An empty cell means that the row lacks the field.

        :raises RowError: if the first line doesn't name the columns
        """
        csv.field_size_limit(MAX_LINE)
        reader = csv.reader(io.TextIOWrapper(stream, "utf-8-sig", newline=""), strict=True)
        try:
            names = next(reader, [])
        except (UnicodeDecodeError, csv.Error) as error:
            raise RowError("line 1: it isn't CSV in UTF-8") from error
        except (EOFError, OSError, zlib.error) as error:
            raise RowError(f"line 1: the file can't be read ({type(error).__name__})") from error
        if not names or "" in names or len(set(names)) != len(names):
            raise RowError("line 1: it must name each column, and no name twice")
        needed = [name for name in (self._columns.item_id, self._columns.owner) if name and name not in names]
        if needed:
            raise RowError(f"line 1: there is no column {needed[0]}")
        return _Cells(reader, names, {name: self._types.get(name, frozenset()) for name in names}, self._columns)


class _Lines:
    """Iterates over the numbered JSON values of a file. Raises RowError for a line and then goes on with the next."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> tuple[int, Any]:
        while True:
            line = self._stream.readline(MAX_LINE + 1)
            if not line:
                raise StopIteration
            self._number += 1
            if len(line) > MAX_LINE:
                while line and not line.endswith(b"\n"):
                    line = self._stream.readline(MAX_LINE)
                raise RowError(f"line {self._number}: it is longer than {MAX_LINE} bytes")
            if line.isspace():
                continue
            try:
                return self._number, parse_json(line.decode("utf-8-sig" if self._number == 1 else "utf-8"))
            except UnicodeDecodeError as error:
                raise RowError(f"line {self._number}: it isn't UTF-8") from error
            except ValueError as error:
                raise RowError(f"line {self._number}: it isn't one JSON object") from error


class _Cells:
    """Iterates over the numbered rows of a CSV file. Raises RowError for a row and then goes on with the next."""

    def __init__(self, reader: Any, names: list[str], types: Mapping[str, frozenset[str]], columns: Columns) -> None:
        self._reader, self._names, self._types = reader, names, types
        self._texts = {columns.item_id, columns.owner}

    def __iter__(self) -> _Cells:
        return self

    def __next__(self) -> tuple[int, Any]:
        cells: list[str] = next(self._reader)
        while not cells:
            cells = next(self._reader)
        number: int = self._reader.line_num
        if len(cells) != len(self._names):
            raise RowError(f"line {number}: it has {len(cells)} cells, and line 1 has {len(self._names)}")
        fields = {}
        for name, cell in zip(self._names, cells, strict=True):
            if cell != "":
                try:
                    fields[name] = cell if name in self._texts else _value(cell, self._types[name])
                except ValueError as error:
                    raise RowError(f"line {number}: the cell {name} isn't JSON, as the schema wants") from error
        return number, fields


def change_of_row(row: Row, collection: str, started_ms: int) -> Change:
    """Return the change that puts a row's item.

    Its version has the time of the job and a hash of the item and its data. So a job that goes on makes the same
    changes again. A client's later write outranks them, and they outrank the client's earlier writes.
    """
    text = f"{item_key(collection, row.item_id, row.owner)}\n{row.data}"
    version = stamp(started_ms, hashlib.sha256(text.encode()).digest()[:10])
    return Change(version, collection, row.item_id, row.data, ACTOR, API, rfc3339(started_ms), row.owner)


def batches(rows: Iterable[Change], max_bytes: int) -> Iterator[list[bytes]]:
    """Yield lists of lines of the write log, each list with about `max_bytes` at most."""
    lines: list[bytes] = []
    size = 0
    for line in (change.line() for change in rows):
        if lines and size + len(line) > max_bytes:
            yield lines
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield lines


def compress(lines: Iterable[bytes]) -> bytes:
    """Return lines as GZIP, which is the same for the same lines."""
    return gzip.compress(b"".join(lines), mtime=0)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, and decompress it if it is GZIP."""
    with path.open("rb") as raw:
        start = raw.read(len(_GZIP))
        raw.seek(0)
        yield cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if start == _GZIP else raw


def _types(rule: Any) -> frozenset[str]:
    """Return the types that a property's rule names."""
    types = rule.get("type") if isinstance(rule, dict) else None
    return frozenset([types] if isinstance(types, str) else types if isinstance(types, list) else [])


def _value(cell: str, types: frozenset[str]) -> Any:
    """Return the JSON value of a CSV cell: a text, unless the schema names another type that the cell has.

    :raises ValueError: if the schema wants an object or a list, and the cell isn't JSON
    """
    if types & {"integer", "number"} and (number := to_number(cell)) is not None:
        return number
    if "boolean" in types and cell in ("true", "false"):
        return cell == "true"
    if types & {"object", "array"} and "string" not in types:
        return parse_json(cell)
    return cell


def properties_of(schema: Any) -> Mapping[str, Any]:
    """Return the properties that a JSON Schema names at its top."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return properties if isinstance(properties, dict) else {}


def schema_json(text: bytes) -> Any:
    """Parse the object with the collections' JSON Schemas."""
    return json.loads(text, parse_float=Decimal)
