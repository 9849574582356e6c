"""Reads a source's settings from JSON by the annotations of the settings' classes.

The annotation of a field says which JSON value the member of the same name must have:

=============================  ========================================================================================
annotation                     JSON
=============================  ========================================================================================
``str``                        a string that isn't empty
``int``                        a whole number
``float``                      a number
``Literal["a", "b"]``          the string ``"a"`` or the string ``"b"``
``bool``                       true or false
``tuple[int, ...]``            a list of whole numbers
``Mapping[str, str]``          an object of strings
``Expression``                 a string with a JMESPath expression, which is compiled
``TimeFormat``                 a string that names a time format, or a pattern that can be parsed and printed
``Zone``                       a string that names a time zone
``SourceFunction``             a string that names a translation class, which is imported
another dataclass              an object
one of the above ``| None``    the same; the member may also be missing or ``null``
=============================  ========================================================================================

An object may have no members other than the fields of its class.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

from .expression import Expression, compile_expression
from .function import load_function
from .settings import SourceFunction
from .times import TIME_FORMATS, TimeFormat, Zone, check_pattern, check_zone

Settings = TypeVar("Settings")


class SettingsReader:
    """Reads JSON objects into dataclasses, and collects an error text for each value that has the wrong type.

    A wrong value is replaced by ``None``, so that the reader finds further problems. So nobody may use what the reader
    returned if there is any problem.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        """One text for each problem. Each text starts with the path of the value."""

    def read_object(self, settings: type[Settings], value: Any, path: str) -> Settings | None:
        """Return an instance of the dataclass ``settings``, with its fields read from a JSON object.

        :param value: the parsed JSON. It isn't checked yet, so it may be a value of any type.
        :param path: the path of the object, such as ``sources.products.paging``.
        """
        if not isinstance(value, Mapping):
            self._add_problem(path, "must be an object")
            return None
        annotations = {field.name: field.type for field in fields(cast(Any, settings))}
        for name in value:
            if name not in annotations:
                self._add_problem(f"{path}.{str(name)[:60]}", "no such field")
        members = {name: self._member(kind, value.get(name), f"{path}.{name}") for name, kind in annotations.items()}
        return settings(**members)

    def _member(self, annotation: Any, value: Any, path: str) -> Any:
        if get_origin(annotation) in (Union, UnionType):  # `Literal[…] | None` is a Union, `str | None` a UnionType
            return None if value is None else self._member(get_args(annotation)[0], value, path)
        if value is None:
            self._add_problem(path, "is needed")
            return None
        if get_origin(annotation) is Mapping:
            return self._strings(value, path)
        if get_origin(annotation) is tuple:
            return self._whole_numbers(value, path)
        if is_dataclass(annotation) and annotation is not Expression:
            return self.read_object(cast(type, annotation), value, path)
        return self._value(annotation, value, path)

    def _strings(self, value: Any, path: str) -> Mapping[str, str] | None:
        if not isinstance(value, Mapping):
            self._add_problem(path, "must be an object")
            return None
        return {name: self._value(str, text, f"{path}.{str(name)[:60]}") for name, text in value.items()}

    def _whole_numbers(self, value: Any, path: str) -> tuple[int, ...] | None:
        if not isinstance(value, list):
            self._add_problem(path, "must be a list")
            return None
        return tuple(self._value(int, number, f"{path}[{at}]") for at, number in enumerate(value))

    def _value(self, annotation: Any, value: Any, path: str) -> Any:
        try:
            if get_origin(annotation) is Literal:
                return _choice(value, get_args(annotation))
            return _READERS[annotation](value)
        except ValueError as error:
            self._add_problem(path, str(error))
            return None

    def _add_problem(self, path: str, text: str) -> None:
        self.problems.append(f"{path}: {text}")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a string that isn't empty")
    return value


def _whole_number(value: Any) -> int:
    if type(value) is not int:  # `isinstance` would accept true and false
        raise ValueError("must be a whole number")
    return value


def _number(value: Any) -> float:
    if type(value) is not int and type(value) is not float:
        raise ValueError("must be a number")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _time_format(value: Any) -> TimeFormat:
    if not isinstance(value, str) or (value not in TIME_FORMATS and "%" not in value):
        raise ValueError(f"must be one of {', '.join(TIME_FORMATS)}, or a pattern such as %Y-%m-%d %H:%M:%S")
    if value not in TIME_FORMATS:
        check_pattern(value)
    return TimeFormat(value)


def _zone(value: Any) -> Zone:
    name = _text(value)
    check_zone(name)
    return Zone(name)


def _choice(value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}")
    return cast(str, value)


def _expression(value: Any) -> Expression:
    text = _text(value)
    try:
        return compile_expression(text)
    except ValueError as error:
        raise ValueError(f"isn't JMESPath: {error}") from error


_READERS: Mapping[Any, Callable[[Any], Any]] = {
    str: _text,
    int: _whole_number,
    float: _number,
    bool: _flag,
    TimeFormat: _time_format,
    Zone: _zone,
    Expression: _expression,
    SourceFunction: lambda value: load_function(_text(value)),
}
"""The functions that read a value, by its annotation. Each raises a ``ValueError`` that says what is wrong."""
