"""Settings: what Terraform tells a function, read and checked once, at init.

They travel as ``READPLANE_SETTINGS = base64gzip(jsonencode({…}))``, since all of a Lambda's environment is 4 KB.
"""

import base64
import json
import os
import zlib
from collections.abc import Callable
from typing import Any, TypeVar, cast

from .model.collection import VISIBILITIES, Collection, Visibility
from .model.freshness import DeclaredSource

VARIABLE = "READPLANE_SETTINGS"
DAY_MS = 24 * 60 * 60 * 1000
"""Milliseconds of a day."""

_GZIP = 31  # the window bits by which zlib knows GZIP: the module `gzip` takes longer to import than this to run

Settings = TypeVar("Settings")
Value = TypeVar("Value")


class SettingsError(Exception):
    """The function can't start; the message lists every problem at once."""


def load(build: Callable[["SettingsReader"], Settings]) -> Settings:
    """Read the function's settings from its environment.

    :param build: makes them of what is given; its values are of the right kinds, or the settings are refused.
    :raises BadSettings: with every problem.
    """
    given = SettingsReader(_decode(os.environ.get(VARIABLE, "")))
    settings = build(given)
    if given.problems:
        raise SettingsError(f"{VARIABLE}: " + "; ".join(given.problems))
    return settings


def _decode(text: str) -> Any:
    try:
        return json.loads(zlib.decompress(base64.b64decode(text, validate=True), _GZIP))
    except (ValueError, zlib.error) as error:
        raise SettingsError(f"{VARIABLE} must be base64gzip(jsonencode(…)) of the function's settings") from error


class SettingsReader:
    """The settings as they came; collects a problem for each that is missing or of the wrong kind."""

    def __init__(self, values: Any) -> None:
        self._values = values
        self.problems: list[str] = []

    def text(self, *path: str) -> str:
        """A text that isn't empty, at ``path``."""
        value = self._at(path)
        if isinstance(value, str) and value:
            return value
        return self._problem(path, "a text that isn't empty", "")

    def text_or_none(self, *path: str) -> str | None:
        """A text that isn't empty, or ``None``."""
        return None if self._at(path) is None else self.text(*path)

    def texts(self, *path: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self._at(path)
        if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
            return tuple(value)
        return self._problem(path, "a list of texts", ())

    def number(self, *path: str) -> int:
        """A whole number, not negative."""
        value = self._at(path)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        return self._problem(path, "a whole number, not negative", 0)

    def parts(self, *path: str) -> list["SettingsReader"]:
        """A list of objects, each to be asked for its members."""
        values = self._at(path)
        if not isinstance(values, list):
            values = self._problem(path, "a list", [])
        parts = [SettingsReader(value) for value in values]
        for part in parts:
            part.problems = self.problems
        return parts

    def collections(self) -> dict[str, Collection]:
        """The declared collections, by name."""
        declared = self._at(("collections",))
        if not isinstance(declared, dict):
            return self._problem(("collections",), "an object", {})
        return {name: self._collection(name, entry) for name, entry in declared.items()}

    def _collection(self, name: str, entry: Any) -> Collection:
        path = ("collections", name)
        if not isinstance(entry, dict):
            return self._problem(path, "an object", Collection(name, "owner"))
        read = entry.get("read")
        if read not in VISIBILITIES:
            read = self._problem((*path, "read"), "one of " + ", ".join(VISIBILITIES), "owner")
        return Collection(
            name=name,
            read=cast(Visibility, read),
            write_groups=self.texts(*path, "write_groups") if "write_groups" in entry else (),
            cache_ttl=self.number(*path, "cache_ttl") if "cache_ttl" in entry else 0,
        )

    def sources(self) -> dict[str, DeclaredSource]:
        """The declared sources, by name; none where nothing is said of any."""
        declared = self._at(("sources",))
        if declared is None:
            return {}
        if not isinstance(declared, dict):
            return self._problem(("sources",), "an object", {})
        return {name: self._source(name) for name in declared}

    def _source(self, name: str) -> DeclaredSource:
        path = ("sources", name)
        collection = self.text(*path, "collection")
        if collection and self._at(("collections", collection)) is None:
            self._problem((*path, "collection"), "a declared collection", None)
        return DeclaredSource(name, collection, self.number(*path, "staleness_budget") * 1000)

    def _at(self, path: tuple[str, ...]) -> Any:
        value = self._values
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def _problem(self, path: tuple[str, ...], must_be: str, instead: Value) -> Value:
        self.problems.append(f"{'.'.join(path)} must be {must_be}")
        return instead
