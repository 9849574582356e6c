"""JSON whose numbers keep their text: read, worked on by JMESPath, printed again digit for digit."""

import json
import re
from json.encoder import encode_basestring  # written in C in CPython; quotes, escapes nothing else
from typing import Any, NoReturn

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_INT_DIGITS = 4_000
"""Python refuses to turn longer texts into integers (4,300), since that takes quadratic time."""


class Number(float):
    """A JSON number that remembers its ``text``; compares, sorts and calculates as the nearest float."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> "Number":
        """Take what the JSON grammar calls a number."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __repr__(self) -> str:
        return self.text

    __str__ = __repr__


# JMESPath tells a value's type by the name of its class: by its own, it would refuse it where it takes numbers.
Number.__name__ = "float"


class DuplicateNameError(ValueError):
    """A value was looked at whose name occurs twice in its object, so that nobody knows which one is meant."""

    def __init__(self) -> None:
        super().__init__("a name occurs twice in one object")


class DuplicateName(list[Any]):
    """Stands where a name occurs twice, and refuses to be looked at; what doesn't look at it goes on.

    Hence one bad record among many spoils only itself. A list, since JMESPath takes whatever it can't look into for
    nothing at all.
    """

    def __init__(self, values: list[Any]) -> None:
        super().__init__()
        self.all_values = values

    def _refuse(self, *_: Any) -> NoReturn:
        raise DuplicateNameError

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __iter__ = __getitem__ = __len__ = __contains__ = get = values = _refuse


class _Token(str):
    """A piece of printed JSON that stands between values."""

    __slots__ = ()


def parse_json(text: str) -> Any:
    """Parse JSON into what ``json.loads`` makes of it, but for :class:`Number` and :class:`DuplicateName`.

    :raises ValueError: for what isn't JSON; says where, quotes nothing.
    """
    try:
        return _decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: look at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def print_json(value: Any, *, twice: bool = False) -> str:
    """Print canonical JSON: names sorted, no white space, numbers as they came, on one line, as UTF-8 can hold it.

    :param twice: print a name that occurs twice as often as it came, to show what was refused.
    :raises NameTwice: without ``twice``, when a name occurs twice.
    :raises ValueError: for what JSON has no text for: NaN, Infinity, anything but JSON's own kinds of values.
    """
    printed: list[str] = []
    # A stack, not recursion: what was parsed may be nested deeper than Python's frames may be.
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
                members = (
                    reversed(value[name].all_values) if twice and type(value[name]) is DuplicateName else (value[name],)
                )
                for member in members:
                    todo += (member, _Token(f"{_string(name)}:"), comma)
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
            printed.append(_scalar(value))
    return "".join(printed)


def to_number(value: Any) -> Any:
    """JMESPath's ``to_number``: a number as it is, a text that is a JSON number as that, ``None`` for the rest."""
    if isinstance(value, str):
        match = _JSON_NUMBER.fullmatch(value)
        if not match:
            return None
        return _int(value) if match[1] is None and match[2] is None else Number(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def number_text(value: Any) -> str | None:
    """The text of a number, ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value.text if isinstance(value, Number) else repr(value)


def _scalar(value: Any) -> str:
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
    if text in ("nan", "inf", "-inf"):
        raise ValueError("JSON knows no NaN and no Infinity")
    return text


def _string(text: str) -> str:
    quoted: str = encode_basestring(text)
    if quoted.isascii():
        return quoted
    # Half of a surrogate pair can be written in JSON, and not in UTF-8.
    return _LONE_SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def _int(text: str) -> int | Number:
    return Number(text) if len(text) > _MAX_INT_DIGITS or text == "-0" else int(text)


def _no_constant(name: str) -> NoReturn:
    raise ValueError("it is not JSON: it holds NaN or Infinity")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    every: dict[str, list[Any]] = {}
    for name, value in pairs:
        every.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else DuplicateName(values) for name, values in every.items()}


_decode = json.JSONDecoder(
    object_pairs_hook=_members, parse_float=Number, parse_int=_int, parse_constant=_no_constant
).decode
