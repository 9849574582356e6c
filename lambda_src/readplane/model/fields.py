"""Declared fields of a relational collection: what they are, and their typed values in the JSON text of an item.

`feed` stores the value of each declared field in a column of the database. `query` compares these columns with the
values of a request. Both use this module, so both mean the same by a number, a text, a boolean and a time.

=========  =====================================================  ====================================================
type       JSON value                                             Python value
=========  =====================================================  ====================================================
number     a number: see :data:`MAX_NUMBER_LENGTH`                ``Decimal``, with every digit
text       a string of at most :data:`MAX_TEXT_BYTES` bytes       ``str``; it sorts by code point
boolean    ``true`` or ``false``                                  ``bool``
time       a string: a date and time of RFC 3339                  ``datetime`` in UTC; it keeps microseconds
=========  =====================================================  ====================================================

A field that an item doesn't have, or that is ``null``, has no value. Any other JSON value isn't indexed: the field then
has no value either, and `feed` counts it. So nothing that an item contains can keep the item out of the database.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Any, Final, Literal, NamedTuple

from .exact_json import DuplicateName, number_text, parse_json

FieldType = Literal["number", "text", "boolean", "time"]
FieldValue = Decimal | str | bool | datetime

MAX_TEXT_BYTES = 1_024
"""The maximum size of a text in UTF-8. PostgreSQL refuses a whole row if an index entry has more than 2,704 bytes. An
entry also holds the owner and the item id, which have up to 384 bytes."""

MAX_NUMBER_LENGTH = 1_000
"""The maximum length of a number's JSON text, in characters."""

MAX_MAGNITUDE = 1_000
"""The maximum power of ten of a number's first digit, and the maximum number of its decimal places."""

MAX_SEARCH_BYTES = 64 * 1024
"""The maximum size of an item's search text in UTF-8. The rest isn't indexed. PostgreSQL refuses a ``tsvector`` of more
than 1 MB, and the parser can turn one word into several entries, such as a URL into its host and its path."""

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII)
_ARRAY_INDEX = re.compile("0|[1-9][0-9]{0,8}")
_ABSENT: Final = object()

_EXACT = Context(prec=3 * MAX_MAGNITUDE)
"""Rounds no number of a field."""

_EXPONENT_LENGTH = 8
"""How much longer :func:`print_value` may make a number than it is in an item: by a point and an exponent."""


class Field(NamedTuple):
    """A declared field.

    :param name: the name by which ``filter`` and ``sort`` call the field.
    :param pointer: the JSON pointer (RFC 6901) to the field's value in an item's data.
    """

    name: str
    type: FieldType
    pointer: str


class Search(NamedTuple):
    """What the parameter ``q`` searches.

    :param fields: the JSON pointers to the strings, or lists of strings, that make up the search text; empty for no
        search.
    :param language: the PostgreSQL text search configuration, such as ``simple`` or ``english``.
    """

    fields: tuple[str, ...] = ()
    language: str = "simple"


class Relational(NamedTuple):
    """The declaration of a relational collection. `config.read_settings` reads it from the settings.

    :param fields: the declared fields by name.
    :param sort: the names of the fields by which clients may sort.
    """

    fields: Mapping[str, Field]
    sort: tuple[str, ...] = ()
    search: Search = Search()


class Extracted(NamedTuple):
    """The typed values in one item.

    :param values: the value of each declared field, in the order of the declaration; ``None`` for no value.
    :param search: the search text; ``None`` for a deleted item, or if the collection declares no search.
    :param not_indexed: how many declared values the item has that couldn't be indexed, wholly or in part.
    """

    values: tuple[FieldValue | None, ...]
    search: str | None
    not_indexed: int


class Extractor:
    """Extracts the values of a collection's declared fields from its items. It raises no error, whatever an item holds.

    :param relational: the collection's declaration.
    """

    def __init__(self, relational: Relational) -> None:
        self._fields = [(field.type, _path(field.pointer)) for field in relational.fields.values()]
        self._search = [_path(pointer) for pointer in relational.search.fields]

    def extract(self, data: str) -> Extracted:
        """Return the values in an item's data.

        :param data: the JSON text of one object. A text that can't be parsed, such as one with 100,000 levels, has no
            values.
        """
        try:
            root = parse_json(data)
        except (ValueError, RecursionError):
            return self.nothing(not_indexed=True)
        values: list[FieldValue | None] = []
        not_indexed = 0
        for kind, path in self._fields:
            found = _find(root, path)
            value = None
            if found is not None and found is not _ABSENT:
                value = _typed(kind, found)
                not_indexed += value is None
            values.append(value)
        search, dropped = self._search_text(root)
        return Extracted(tuple(values), search, not_indexed + dropped)

    def nothing(self, *, not_indexed: bool = False) -> Extracted:
        """Return no values, as for a deleted item.

        :param not_indexed: whether to count all declared fields and the search as not indexed.
        """
        count = len(self._fields) + bool(self._search) if not_indexed else 0
        return Extracted((None,) * len(self._fields), None, count)

    def _search_text(self, root: Any) -> tuple[str | None, int]:
        """Return the search text, and how many of its parts were dropped or cut."""
        if not self._search:
            return None, 0
        texts: list[str] = []
        dropped = 0
        for path in self._search:
            found = _find(root, path)
            if found is None or found is _ABSENT:
                continue
            parts = found if type(found) is list else [found]
            strings = [part for part in parts if type(part) is str]
            dropped += len(strings) < len(parts)
            texts += strings
        # Nobody reads this text, so a character that PostgreSQL refuses can become a space or a question mark.
        encoded = "\n".join(texts).replace("\0", " ").encode("utf-8", "replace")
        if len(encoded) > MAX_SEARCH_BYTES:
            encoded = encoded[:MAX_SEARCH_BYTES]
            dropped += 1
        return encoded.decode("utf-8", "ignore"), dropped


def parse_value(kind: FieldType, text: str) -> FieldValue:
    """Return the value that a text of a request stands for. A number and a time have the same form as in JSON.

    :raises ValueError: if no item can have this value in a field of this type. The message says what the value must be,
        and quotes nothing of the text.
    """
    value: FieldValue | None = None
    if kind == "number":
        value = _number(text, MAX_NUMBER_LENGTH + _EXPONENT_LENGTH) if _JSON_NUMBER.fullmatch(text) else None
    elif kind == "boolean":
        value = {"true": True, "false": False}.get(text)
    else:
        value = _typed(kind, text)
    if value is None:
        raise ValueError(_MUST_BE[kind])
    return value


_MUST_BE: Mapping[FieldType, str] = {
    "number": f"it must be a number of at most {MAX_NUMBER_LENGTH} characters and {MAX_MAGNITUDE} places",
    "text": f"it must be a text of at most {MAX_TEXT_BYTES} bytes without the character U+0000",
    "boolean": "it must be true or false",
    "time": "it must be a date and time of RFC 3339, such as 2026-01-31T08:15:00Z",
}


def print_value(value: FieldValue) -> str:
    """Return a text from which :func:`parse_value` makes the same value again."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
    if isinstance(value, Decimal):
        # PostgreSQL returns a number with all its zeros: 1e900 has 901 digits.
        return str(value.normalize(_EXACT))
    return value


def _path(pointer: str) -> tuple[str, ...]:
    return tuple(name.replace("~1", "/").replace("~0", "~") for name in pointer.split("/")[1:])


def _find(value: Any, path: tuple[str, ...]) -> Any:
    """Return the JSON value to which a path leads; ``_ABSENT`` if it leads nowhere.

    The result is a :class:`DuplicateName` if a name on the path occurs twice in one object.
    """
    for name in path:
        if type(value) is dict:
            value = value.get(name, _ABSENT)
        elif type(value) is list and _ARRAY_INDEX.fullmatch(name):
            value = value[int(name)] if int(name) < len(value) else _ABSENT
        elif type(value) is not DuplicateName:
            return _ABSENT
    return value


def _typed(kind: FieldType, value: Any) -> FieldValue | None:
    """Return a JSON value as a value of a field's type; ``None`` if it is none."""
    if kind == "boolean":
        return value if value is True or value is False else None
    if kind == "number":
        text = number_text(value)
        return None if text is None else _number(text)
    if type(value) is not str:
        return None
    return _text(value) if kind == "text" else _time(value)


def _text(text: str) -> str | None:
    if len(text) > MAX_TEXT_BYTES or "\0" in text:
        return None
    try:
        return text if len(text.encode()) <= MAX_TEXT_BYTES else None
    except UnicodeEncodeError:  # a surrogate without its partner
        return None


def _number(text: str, max_length: int = MAX_NUMBER_LENGTH) -> Decimal | None:
    if len(text) > max_length:
        return None
    try:
        number = Decimal(text)
    except ArithmeticError:  # the exponent has too many digits
        return None
    if not number:
        return Decimal(0)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -MAX_MAGNITUDE or abs(number.adjusted()) > MAX_MAGNITUDE:
        return None
    return number


def _time(text: str) -> datetime | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hours, minutes, seconds = map(int, match.groups()[:6])
    fraction, sign, offset_hours, offset_minutes = match.groups()[6:]
    # The second 60 is a leap second. It counts as the first second of the next minute, as in PostgreSQL.
    leap = timedelta(seconds=1) if seconds == 60 else timedelta(0)
    offset = timedelta(hours=int(offset_hours or 0), minutes=int(offset_minutes or 0))
    if offset >= timedelta(days=1) or int(offset_minutes or 0) > 59:
        return None
    try:
        local = datetime(year, month, day, hours, minutes, min(seconds, 59) if leap else seconds, tzinfo=UTC)
        local = local.replace(microsecond=int((fraction or "")[:6].ljust(6, "0"))) + leap
        return local + offset if sign == "-" else local - offset
    except (ValueError, OverflowError):  # there is no such day, or it isn't in the years 1 to 9999
        return None
