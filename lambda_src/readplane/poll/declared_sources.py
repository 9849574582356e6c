"""The sources that Terraform declares, with the JSON Schemas of their collections.

Each source is read and compiled when it is first used. So a source or a schema that can't be used stops the polls of
one source only.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from ..model.collection import Collection
from ..model.schema import SchemaValidator, compile_usable_schemas
from .errors import EventError, SourceError
from .source.rules import parse_source
from .source.settings import Source

_ANYTHING = SchemaValidator({})


class DeclaredSource(NamedTuple):
    """A source that can be polled.

    validator: the compiled JSON Schema of the source's collection. Without a schema, any data is valid.
    """

    source: Source
    collection: Collection
    validator: SchemaValidator


class DeclaredSources:
    """The sources that Terraform declares, by name."""

    def __init__(
        self, settings: Mapping[str, Any], schemas: Mapping[str, Any], collections: Mapping[str, Collection]
    ) -> None:
        """Take the sources as they are, and check none of them yet.

        :param settings: the parsed JSON of each source's settings, by the source's name.
        :param schemas: the JSON Schema of each collection that has one, by the collection's name. Numbers with a
            fraction are of the type ``Decimal``.
        :param collections: the collections that the sources feed, by name.
        """
        self._settings = settings
        self._schemas = schemas
        self._collections = collections
        self._loaded: dict[str, DeclaredSource] = {}

    @classmethod
    def from_json(cls, content: bytes, collections: Mapping[str, Collection]) -> "DeclaredSources":
        """Read the sources from the JSON that Terraform writes: an object with the members ``sources`` and ``schemas``.

        :param collections: the collections that the sources feed, by name.
        """
        # Parse the JSON twice. A float would round the schemas' numbers, and a rule such as `minimum` compares exactly.
        # The settings of the sources have floats.
        schemas = json.loads(content, parse_float=Decimal)["schemas"]
        return cls(json.loads(content)["sources"], schemas, collections)

    @property
    def names(self) -> list[str]:
        """The names of all declared sources, whether they can be used or not."""
        return list(self._settings)

    def load(self, name: str) -> DeclaredSource:
        """Return a source that can be polled.

        :raises EventError: if no source with this name is declared.
        :raises SourceError: if the source's settings or the schema of its collection can't be used. The error lists
            every problem.
        """
        if name not in self._loaded:
            if name not in self._settings:
                raise EventError(f"no source {name[:60]} is declared")
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def problems(self) -> list[str]:
        """Return every problem of every source, one text each. Each text starts with ``sources.<name>``."""
        problems: list[str] = []
        for name in self._settings:
            try:
                self.load(name)
            except SourceError as error:
                problems += error.problems
        return problems

    def _load(self, name: str) -> DeclaredSource:
        problems: list[str] = []
        source: Source | None = None
        try:
            source = parse_source({**self._settings[name], "name": name}, self._collections)
        except SourceError as error:
            problems += error.problems
        collection = self._settings[name].get("collection")
        schemas = {collection: self._schemas[collection]} if collection in self._schemas else {}
        validators, faults = compile_usable_schemas(schemas)
        problems += [f"sources.{name}.collection: its schema can't be used: {fault}" for fault in faults.values()]
        if source is None or problems:
            raise SourceError(problems)
        return DeclaredSource(
            source, self._collections[source.collection], validators.get(source.collection, _ANYTHING)
        )
