"""Reads the settings of a Lambda function from one environment variable, once, at init.

Terraform sets this variable: ``READPLANE_SETTINGS = base64gzip(jsonencode({…}))``. The JSON is compressed, because
Lambda allows 4 KB for all environment variables of a function.

Each function declares its settings as a ``NamedTuple``. The value of a field comes from the JSON member with the
field's name. The annotation of the field says which JSON value this member must have:

=====================================  ==============================================================================
annotation                             JSON
=====================================  ==============================================================================
``str``                                a string that isn't empty
``str | None``                         a string that isn't empty, or ``null``
``int``                                a whole number, 0 or more
``int | None``                         a whole number, 0 or more, or ``null``
``bool``                               ``true`` or ``false``
``tuple[str, ...]``                    a list of strings
``frozenset[str]``                     a list of strings
``Literal["a", "b"]``                  the string ``"a"`` or the string ``"b"``
a ``NamedTuple``                       an object
``tuple[<NamedTuple>, ...]``           a list of objects
``<NamedTuple> | None``                an object, or ``null``
``Mapping[str, <NamedTuple>]``         an object of objects; the name of each inner object becomes its field ``name``
``Any``                                any JSON; the field holds it as it is
=====================================  ==============================================================================

If a field has a default, its JSON member may be missing or ``null``. JSON members that have no field are ignored.
"""

import base64
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import UnionType
from typing import Any, Literal, NamedTuple, TypeVar, cast

VARIABLE = "READPLANE_SETTINGS"
DAY_MS = 24 * 60 * 60 * 1000
"""Milliseconds in a day."""

_GZIP = 31
"""The ``wbits`` argument with which `zlib` reads the GZIP format. Don't import the module `gzip`, because its import
takes longer than decompressing the settings."""

Settings = TypeVar("Settings", bound=tuple[Any, ...])
Path = tuple[str, ...]
"""The path of a value in the settings' JSON: the member names and list indexes from the root to the value. An error
message about a value contains the value's path."""

FieldReader = Callable[[Any, Path], Any]
"""A function that converts a JSON value of the settings to the value of a field. It takes the JSON value and the
value's path."""


class SettingsError(Exception):
    """The function's settings are missing or wrong. The message lists every problem."""


class ConfigObject(NamedTuple):
    """A version of an S3 object that holds settings which are too large for a function's environment.

    :param bucket: the bucket's name.
    :param key: the object's key.
    :param version_id: the version of the object that Terraform wrote for this version of the function.
    :param sha256: the SHA-256 of the version's content, in hex.
    """

    bucket: str
    key: str
    version_id: str
    sha256: str


def load_settings(settings: type[Settings]) -> Settings:
    """Read the function's settings from its environment.

    :param settings: the ``NamedTuple`` class that declares the settings.
    :raises SettingsError: if the environment variable can't be decoded, or a setting is missing or wrong. The message
        lists every problem.
    """
    values, problems = read_settings(settings, decode_settings(os.environ.get(VARIABLE, "")))
    problems += _undeclared_collections(values)
    if problems:
        raise SettingsError(f"{VARIABLE}: " + "; ".join(problems))
    return values


def read_settings(settings: type[Settings], values: Any) -> tuple[Settings, list[str]]:
    """Read settings from parsed JSON, wherever it comes from. Return them, and an error text for each problem.

    If there is a problem, the settings hold placeholders, and the caller must not use them.

    :param settings: the ``NamedTuple`` class that declares the settings.
    """
    reader = _Reader()
    return reader.read_fields(settings, values, ()), reader.problems


def decode_settings(text: str) -> Any:
    """Return the parsed JSON of a function's settings, from the text of its environment variable.

    :raises SettingsError: if the text can't be decoded.
    """
    try:
        return json.loads(zlib.decompress(base64.b64decode(text, validate=True), _GZIP))
    except (ValueError, zlib.error) as error:
        raise SettingsError(f"{VARIABLE} must be base64gzip(jsonencode(…)) of the function's settings") from error


def _undeclared_collections(settings: object) -> Iterator[str]:
    """Yield an error text for each source that belongs to a collection which the settings don't declare."""
    collections = getattr(settings, "collections", None) or ()
    for name, source in (getattr(settings, "sources", None) or {}).items():
        if source and source.collection and source.collection not in collections:
            yield f"sources.{name}.collection must be a declared collection"


class _Reader:
    """Converts the JSON of the settings to the types in the fields' annotations, and collects every problem.

    A placeholder replaces each wrong value, so that reading goes on and finds further problems. No function ever sees a
    placeholder, because the callers of :func:`read_settings` raise an error if there is any problem.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._readers: dict[type, Mapping[str, FieldReader]] = {}
        self._plain: Mapping[Any, FieldReader] = {
            str: self._text,
            int: self._whole_number,
            bool: self._truth_value,
            tuple[str, ...]: self._texts,
            frozenset[str]: self._text_set,
            Any: lambda value, _path: value,
        }

    def read_fields(self, settings: type[Settings], values: Any, path: Path) -> Settings:
        """Return a ``NamedTuple`` of the class ``settings``, with its fields read from the JSON object ``values``."""
        members = values if isinstance(values, dict) else {}
        defaults: Mapping[str, Any] = cast(Any, settings)._field_defaults
        fields: list[Any] = []
        for name, read in self._field_readers(settings).items():
            value = members.get(name)
            if value is None and name in defaults:
                fields.append(defaults[name])
            else:
                fields.append(read(value, (*path, name)))
        return cast(Settings, cast(Any, settings)(*fields))

    def _field_readers(self, settings: type) -> Mapping[str, FieldReader]:
        readers = self._readers.get(settings)
        if readers is None:
            readers = {name: self._reader(annotation) for name, annotation in settings.__annotations__.items()}
            self._readers[settings] = readers
        return readers

    def _reader(self, annotation: Any) -> FieldReader:
        plain = self._plain.get(annotation)
        if plain:
            return plain
        if hasattr(annotation, "_fields"):
            return partial(self.read_fields, annotation)
        if isinstance(annotation, UnionType):
            return partial(_or_none, self._reader(annotation.__args__[0]))
        if annotation.__origin__ is Literal:
            return partial(self._one_of, annotation.__args__)
        if annotation.__origin__ is Mapping:
            return partial(self._entries, annotation.__args__[1])
        return partial(self._objects, annotation.__args__[0])

    def _text(self, value: Any, path: Path) -> Any:
        return value if isinstance(value, str) and value else self._problem(path, "a text that isn't empty")

    def _whole_number(self, value: Any, path: Path) -> Any:
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        return self._problem(path, "a whole number, not negative")

    def _truth_value(self, value: Any, path: Path) -> Any:
        return value if isinstance(value, bool) else self._problem(path, "true or false")

    def _one_of(self, options: tuple[str, ...], value: Any, path: Path) -> Any:
        return value if value in options else self._problem(path, "one of " + ", ".join(options))

    def _texts(self, value: Any, path: Path) -> tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
            return tuple(value)
        self._problem(path, "a list of texts")
        return ()

    def _text_set(self, value: Any, path: Path) -> frozenset[str]:
        return frozenset(self._texts(value, path))

    def _objects(self, member: type[Settings], value: Any, path: Path) -> tuple[Settings, ...]:
        if not isinstance(value, list):
            self._problem(path, "a list")
            return ()
        return tuple(self.read_fields(member, entry, (*path, str(place))) for place, entry in enumerate(value))

    def _entries(self, member: type[Settings], value: Any, path: Path) -> dict[str, Settings | None]:
        if not isinstance(value, dict):
            self._problem(path, "an object")
            return {}
        return {name: self._entry(member, name, entry, (*path, name)) for name, entry in value.items()}

    def _entry(self, member: type[Settings], name: str, entry: Any, path: Path) -> Settings | None:
        if not isinstance(entry, dict):
            self._problem(path, "an object")
            return None
        return self.read_fields(member, {**entry, "name": name}, path)

    def _problem(self, path: Path, must_be: str) -> None:
        self.problems.append(f"{'.'.join(path)} must be {must_be}")


def _or_none(read: FieldReader, value: Any, path: Path) -> Any:
    """Read a value with ``read``, unless it is ``None``."""
    return None if value is None else read(value, path)
