"""Parses and prints JSON without losing a digit of its numbers. JMESPath can search the parsed values."""

import json
import re
from collections.abc import Callable
from json.encoder import encode_basestring  # fast, because it is in C; escapes only what JSON requires
from typing import Any, NoReturn, Self

from .errors import ModelError

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_ESCAPES = re.compile(r'(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))+|\\')
"""Finds escape sequences that follow one another, or a backslash that begins none."""
_MAX_INT_DIGITS = 4_000
"""The longest JSON integer that becomes a Python ``int``, in characters. A longer integer becomes a :class:`Number`.
Python refuses to parse an ``int`` of more than 4,300 digits, because this takes quadratic time."""


class Number(float):
    """A JSON number that keeps its original text. Comparisons, sorting and arithmetic use the nearest float.

    :func:`parse_tolerant_json` also makes a :class:`Number` of ``NaN``, ``Infinity`` and ``-Infinity``.
    """

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        """Make a :class:`Number` from ``text``, which must be a valid JSON number."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __repr__(self) -> str:
        return self.text

    __str__ = __repr__


# Rename the class, because JMESPath's functions check the type of an argument by its class name. They accept "float" as
# a number, but not "Number".
Number.__name__ = "float"


class DuplicateNameError(ModelError, ValueError):
    """Code used the value of a name that occurs twice in one JSON object, so it is unclear which value is meant."""

    def __init__(self) -> None:
        super().__init__("a name occurs twice in one object")


class DuplicateName(list[Any]):
    """A placeholder for the values of a name that occurs twice in one JSON object. Using it raises an error.

    Parsing raises no error, so in a page of records only a record with a duplicate name fails, and only if a JMESPath
    expression uses that name. This class is a subclass of ``list``, because JMESPath would treat a value of an unknown
    type as null and raise no error.
    """

    def __init__(self, values: list[Any]) -> None:
        super().__init__()
        self.all_values = values

    def _refuse(self, *_: Any) -> NoReturn:
        raise DuplicateNameError

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __iter__ = __getitem__ = __len__ = __contains__ = get = values = _refuse


class _Token(str):
    """A piece of JSON text that :func:`print_json` prints unaltered: a bracket, a comma or a member's name."""

    __slots__ = ()


def parse_json(text: str) -> Any:
    """Parse JSON as ``json.loads`` does, but keep the text of numbers and all values of duplicate names.

    :class:`Number` keeps the text of a number. :class:`DuplicateName` keeps the values of a duplicate name.

    :raises ValueError: if the text isn't JSON. The message says what is wrong or where, but quotes nothing of the text.
    """
    return _parse_by(_decode, text)


def parse_tolerant_json(text: str, mark_escape: Callable[[str], str]) -> tuple[Any, bool]:
    """Parse JSON as :func:`parse_json` does, but also accept common faults inside single values.

    The accepted faults are ``NaN`` and ``Infinity``, unescaped control characters in strings, and backslashes that
    begin no escape sequence. So one bad value doesn't make the rest of a response unreadable.

    :param mark_escape: returns the text that replaces a backslash that begins no escape sequence.
    :returns: the value, and whether the text has any of these faults.
    :raises ValueError: if the text has another fault. The message says what is wrong or where, but quotes nothing.
    """
    try:
        return _decode(text), False
    except (ValueError, RecursionError):
        pass
    # Parse again only now, so that responses without a fault are parsed as fast as possible. In JSON, backslashes occur
    # only in strings, so a replacement changes nothing but strings.
    text = _ESCAPES.sub(lambda match: match[0] if len(match[0]) > 1 else mark_escape(match[0]), text)
    return _parse_by(_decode_tolerantly, text), True


def is_finite(value: Any) -> bool:
    """Whether a parsed value is anything but the numbers ``NaN``, ``Infinity`` and ``-Infinity``.

    A :class:`Number` that is too large for a float, such as ``1e400``, is finite.
    """
    return not (isinstance(value, Number) and value.text in _NOT_FINITE)


def _parse_by(decode: Callable[[str], Any], text: str) -> Any:
    try:
        return decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: look at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def print_json(value: Any, *, keep_duplicates: bool = False) -> str:
    """Return a value as canonical JSON: one line, names sorted, no white space, numbers as they were parsed.

    The text can always be encoded as UTF-8, because a surrogate without its partner is escaped.

    :param keep_duplicates: if true, print all values of a name that occurs twice, and the numbers ``NaN`` and
        ``Infinity`` of :func:`parse_tolerant_json`. `poll` uses this to show them in a quarantined record.
    :raises DuplicateNameError: if a name occurs twice and ``keep_duplicates`` is false.
    :raises ValueError: for a value that JSON can't express, such as NaN, Infinity or a set.
    """
    printed: list[str] = []
    # Use a stack instead of recursion, because the parser accepts deeper nesting than Python's recursion limit allows.
    todo: list[Any] = [value]
    while todo:
        value = todo.pop()
        kind = type(value)
        if kind is _Token:
            printed.append(value)
        elif kind is dict:
            todo.append(_Token("}"))
            comma = _Token(",")
            for name in sorted(value, reverse=True):
                member = value[name]
                duplicates = keep_duplicates and type(member) is DuplicateName
                for single in reversed(member.all_values) if duplicates else (member,):
                    todo += (single, _Token(f"{_string(name)}:"), comma)
            if todo[-1] is comma:
                todo.pop()
            printed.append("{")
        elif kind is list:
            todo.append(_Token("]"))
            comma = _Token(",")
            for member in reversed(value):
                todo += (member, comma)
            if todo[-1] is comma:
                todo.pop()
            printed.append("[")
        else:
            printed.append(_scalar(value, keep_duplicates))
    return "".join(printed)


def to_number(value: Any) -> Any:
    """Convert a value to a number, as JMESPath's function ``to_number`` does.

    :returns: ``value`` itself if it is a number; the parsed number if ``value`` is the text of a JSON number; ``None``
        for anything else.
    """
    if isinstance(value, str):
        match = _JSON_NUMBER.fullmatch(value)
        if not match:
            return None
        return _int(value) if match[1] is None and match[2] is None else Number(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def number_text(value: Any) -> str | None:
    """Return the JSON text of a number, or ``None`` if ``value`` isn't a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value.text if isinstance(value, Number) else repr(value)


def _scalar(value: Any, keep_not_finite: bool) -> str:
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, DuplicateName):
        raise DuplicateNameError
    text = number_text(value)
    if text is None:
        raise ValueError(f"JSON knows no {type(value).__name__}")
    if text in ("nan", "inf", "-inf") or (text in _NOT_FINITE and not keep_not_finite):
        raise ValueError("JSON knows no NaN and no Infinity")
    return text


def _string(text: str) -> str:
    quoted: str = encode_basestring(text)
    if quoted.isascii():
        return quoted
    # Escape a surrogate that has no partner, because UTF-8 can't encode it.
    return _LONE_SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def _int(text: str) -> int | Number:
    return Number(text) if len(text) > _MAX_INT_DIGITS or text == "-0" else int(text)


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("it is not JSON: it holds NaN or Infinity")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    values_by_name: dict[str, list[Any]] = {}
    for name, value in pairs:
        values_by_name.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else DuplicateName(values) for name, values in values_by_name.items()}


_decode = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=Number, parse_int=_int, parse_constant=_no_constant
).decode

_decode_tolerantly = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=Number, parse_int=_int, parse_constant=Number, strict=False
).decode
