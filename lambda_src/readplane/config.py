"""Settings: what Terraform tells a function, read and checked once, at init.

They travel as ``READPLANE_SETTINGS = base64gzip(jsonencode({…}))``, since all of a Lambda's environment is 4 KB.
"""

import base64
import json
import os
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar, cast

from .domain.collection import VISIBILITIES, Collection, Visibility

VARIABLE = "READPLANE_SETTINGS"
_DAY_MS = 24 * 60 * 60 * 1000
_GZIP = 31  # the window bits by which zlib knows GZIP: the module `gzip` takes longer to import than this to run

Settings = TypeVar("Settings")
Value = TypeVar("Value")


class BadSettings(Exception):
    """The function can't start; the message lists every problem at once."""


class Schemas(NamedTuple):
    """Where the collections' JSON Schemas are, and what they must hash to."""

    bucket: str
    key: str
    sha256: str


class WriteSettings(NamedTuple):
    """What ``write`` needs to know."""

    name: str
    client_ids: frozenset[str]
    cors_origins: tuple[str, ...]
    delivery_stream: str
    schemas: Schemas
    collections: Mapping[str, Collection]


class ReadSettings(NamedTuple):
    """What ``read`` needs to know; ``documents_bucket`` is set where it serves documents too."""

    name: str
    client_ids: frozenset[str]
    cors_origins: tuple[str, ...]
    items_table: str
    items_index: str
    documents_bucket: str | None
    pending_ms: int
    horizon_ms: int
    collections: Mapping[str, Collection]


class ApplySettings(NamedTuple):
    """What ``apply`` needs to know."""

    name: str
    items_table: str
    queue_url: str
    log_bucket: str
    quarantine_prefix: str
    horizon_ms: int
    collections: Mapping[str, Collection]


class PublishSettings(NamedTuple):
    """What ``publish`` needs to know."""

    name: str
    items_table: str
    documents_bucket: str
    horizon_ms: int
    collections: Mapping[str, Collection]


def write_settings() -> WriteSettings:
    """:raises BadSettings: with every problem."""
    return _load(
        lambda given: WriteSettings(
            name=given.text("name"),
            client_ids=frozenset(given.texts("client_ids")),
            cors_origins=given.texts("cors_origins"),
            delivery_stream=given.text("delivery_stream"),
            schemas=Schemas(
                given.text("schemas", "bucket"), given.text("schemas", "key"), given.text("schemas", "sha256")
            ),
            collections=given.collections(),
        )
    )


def read_settings() -> ReadSettings:
    """:raises BadSettings: with every problem."""
    return _load(
        lambda given: ReadSettings(
            name=given.text("name"),
            client_ids=frozenset(given.texts("client_ids")),
            cors_origins=given.texts("cors_origins"),
            items_table=given.text("items_table"),
            items_index=given.text("items_index"),
            documents_bucket=given.text_or_none("documents_bucket"),
            pending_ms=given.number("pending_seconds") * 1000,
            horizon_ms=given.number("horizon_days") * _DAY_MS,
            collections=given.collections(),
        )
    )


def apply_settings() -> ApplySettings:
    """:raises BadSettings: with every problem."""
    return _load(
        lambda given: ApplySettings(
            name=given.text("name"),
            items_table=given.text("items_table"),
            queue_url=given.text("queue_url"),
            log_bucket=given.text("log_bucket"),
            quarantine_prefix=given.text("quarantine_prefix"),
            horizon_ms=given.number("horizon_days") * _DAY_MS,
            collections=given.collections(),
        )
    )


def publish_settings() -> PublishSettings:
    """:raises BadSettings: with every problem."""
    return _load(
        lambda given: PublishSettings(
            name=given.text("name"),
            items_table=given.text("items_table"),
            documents_bucket=given.text("documents_bucket"),
            horizon_ms=given.number("horizon_days") * _DAY_MS,
            collections=given.collections(),
        )
    )


def _load(build: Callable[["_Given"], Settings]) -> Settings:
    given = _Given(_decode(os.environ.get(VARIABLE, "")))
    settings = build(given)
    if given.problems:
        raise BadSettings(f"{VARIABLE}: " + "; ".join(given.problems))
    return settings


def _decode(text: str) -> Any:
    try:
        return json.loads(zlib.decompress(base64.b64decode(text, validate=True), _GZIP))
    except (ValueError, zlib.error) as error:
        raise BadSettings(f"{VARIABLE} must be base64gzip(jsonencode(…)) of the function's settings") from error


class _Given:
    """The settings as they came; collects a problem for each that is missing or of the wrong kind."""

    def __init__(self, values: Any) -> None:
        self._values = values
        self.problems: list[str] = []

    def text(self, *path: str) -> str:
        value = self._at(path)
        if isinstance(value, str) and value:
            return value
        return self._problem(path, "a text that isn't empty", "")

    def text_or_none(self, *path: str) -> str | None:
        return None if self._at(path) is None else self.text(*path)

    def texts(self, *path: str) -> tuple[str, ...]:
        value = self._at(path)
        if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
            return tuple(value)
        return self._problem(path, "a list of texts", ())

    def number(self, *path: str) -> int:
        value = self._at(path)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        return self._problem(path, "a whole number, not negative", 0)

    def collections(self) -> dict[str, Collection]:
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

    def _at(self, path: tuple[str, ...]) -> Any:
        value = self._values
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def _problem(self, path: tuple[str, ...], must_be: str, instead: Value) -> Value:
        self.problems.append(f"{'.'.join(path)} must be {must_be}")
        return instead
