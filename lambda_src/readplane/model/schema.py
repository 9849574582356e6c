"""Compiles the collections' JSON Schemas, and checks parsed values against them for `write` and `poll`.

`write` checks request bodies itself, because a client could bypass a check in API Gateway. API Gateway's request models
don't check a body whose ``Content-Type`` has no model.

The library jsonschema-rs does the work. It compares numbers exactly, and matches patterns and formats in linear time.
So no value can make it compute for long (tests/unit/write/test_cpu.py).
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import islice
from json import dumps, loads
from typing import Any, NoReturn

from jsonschema_rs import Draft4Validator, Draft6Validator, Draft7Validator, RegexOptions, ValidationError

from .errors import MAX_FAULTS, Fault, InvalidError, invalid, make_pointer

MAX_DEPTH = 100
"""The maximum nesting depth of a request body. Many JSON parsers are recursive and can't parse deep nesting, and every
client must be able to parse an item that `write` accepts."""

_DRAFTS = {
    "http://json-schema.org/draft-04/schema": Draft4Validator,
    "http://json-schema.org/draft-06/schema": Draft6Validator,
    "http://json-schema.org/draft-07/schema": Draft7Validator,
}

DRAFTS = tuple(_DRAFTS)
"""The values that a schema may have as its ``$schema``. A schema without one has the last of them. A ``#`` at the end
is ignored."""

_MAX_LISTED_VALUES = 5_000
"""All faults are listed only of a value with at most this many values inside. Of a larger one, only the first fault is
listed, because the library makes the errors of all faults before it returns the first one."""

_MAX_RECURSION = 5
_MAX_RECURSIVE_VALUES = 200
"""If the schema refers to itself, faults are listed only of a value that has at most so many levels and values. The
library checks a deeper value quickly, but the time that it needs for the errors can double with each level."""

_MAX_RULE_LENGTH = 200
"""The longest rule of a schema that a fault quotes, in characters. Of a longer rule it quotes only the keyword."""

_MAX_EXPONENT = 308
"""A number whose power of ten is greater, or below the negative of this, is outside the range of a double. The library
would calculate with all its digits."""

_needs_conversion = re.compile(r"[0-9]{16}|[0-9][eE]|\\u[dD][89a-fA-F]").search
"""Finds, in a JSON text, what the library doesn't take as it is: numbers that a double can't hold, numbers with an
exponent, and halves of surrogate pairs. It may also find such digits inside strings, which does no harm."""


class SchemaValidator:
    """A compiled JSON Schema.

    :param schema: the schema. Its numbers with a fraction are of the type ``Decimal``, so that they stay exact.
    :raises ValueError: if the schema has an unknown ``$schema``, is malformed, refers to another host, or has a pattern
        with look-around or a back reference. The message says why.
    """

    def __init__(self, schema: Any) -> None:
        draft = schema.get("$schema", DRAFTS[-1]) if isinstance(schema, dict) else DRAFTS[-1]
        make = _DRAFTS.get(draft.rstrip("#").replace("https:", "http:")) if isinstance(draft, str) else None
        if make is None:
            raise ValueError(f"$schema must be one of {', '.join(DRAFTS)}")
        self._schema = schema
        self._accepts_anything = schema in ({}, True)
        self._is_recursive = _is_recursive(schema)
        self._validator = make(
            schema,
            validate_formats=True,
            # Use the library's linear engine. Its other engine knows look-around and back references, and takes
            # exponential time for some patterns.
            pattern_options=RegexOptions(),
            # Don't load a `$ref` to another host, because a cold start would then depend on that host.
            retriever=_refuse_remote,
        )

    def check(self, value: Any, text: str) -> None:
        """Check a parsed value against the schema.

        :param value: the value, as ``json.loads`` returns it with ``parse_float=Decimal``. So numbers keep every digit.
        :param text: the JSON text of the value.
        :raises InvalidError: if the value breaks rules of the schema. The error lists up to
            :data:`~readplane.model.errors.MAX_FAULTS` of them. Its texts quote nothing of the value except member names
            that the schema doesn't allow.
        """
        if self._accepts_anything:
            return
        if _needs_conversion(text):
            value = _convert(value)
        if not self._validator.is_valid(value):
            raise invalid(self._faults(value))

    def check_text(self, text: str) -> None:
        """Parse a JSON text, and check its value against the schema.

        :raises InvalidError: if the value breaks rules of the schema, or has a number that is too large.
        """
        if self._accepts_anything:
            return
        try:
            value = loads(text, parse_float=Decimal)
        except (ArithmeticError, ValueError) as error:
            # Python refuses an integer of more than 4,300 digits, and an exponent of more than 18 digits.
            raise _number_too_large() from error
        self.check(value, text)

    def _faults(self, value: Any) -> list[Fault]:
        if self._is_recursive and (depth(value) > _MAX_RECURSION or _count_values(value) > _MAX_RECURSIVE_VALUES):
            detail = "A rule of the schema is broken. The schema refers to itself, so the place isn't looked for."
            return [Fault("", "schema", detail)]
        if _count_values(value) <= _MAX_LISTED_VALUES:
            return [self._fault(error, value) for error in islice(self._validator.iter_errors(value), MAX_FAULTS)]
        try:
            self._validator.validate(value)
        except ValidationError as error:
            return [self._fault(error, value)]
        raise AssertionError("the same validator has just refused the value")

    def _fault(self, error: ValidationError, value: Any) -> Fault:
        keyword, path, rule = error.kind.name, list(error.instance_path), list(error.schema_path)
        details = error.kind.as_dict()
        # If the schema allows no names at all, the library's error doesn't list the names that it doesn't know.
        if keyword == "falseSchema" and rule[-1:] == ["additionalProperties"] and rule[-2:-1] != ["properties"]:
            keyword, details = "additionalProperties", {"unexpected": _part(value, path)}
        if keyword == "additionalProperties":
            unknown = ", ".join(dumps(name[:60]) for name in islice(details["unexpected"], 5))
            detail = f"The schema doesn't allow these names: {unknown}."
        elif keyword == "required":
            detail = f"The schema requires {dumps(details['property'])} here."
        elif keyword == "falseSchema":
            detail = "The schema allows nothing here."
        else:
            if keyword == "propertyNames":
                path.append(details["error"].instance)
            rule_text = _quote(self._schema, rule)
            detail = f"The schema's {keyword} rule is broken here."
            if rule_text:
                detail = f"The schema says {rule[-1]}: {rule_text} here."
        return Fault(make_pointer(path), _snake_case(keyword), detail)


def compile_usable_schemas(schemas: Mapping[str, Any]) -> tuple[dict[str, SchemaValidator], dict[str, str]]:
    """Compile each collection's JSON Schema, and go on with the others if one can't be compiled.

    :param schemas: the schemas, by collection name. Numbers of the type ``Decimal`` stay exact.
    :returns: the compiled schemas, and for each schema that can't be compiled a sentence that says why; both by
        collection name.
    """
    validators: dict[str, SchemaValidator] = {}
    problems: dict[str, str] = {}
    for name, schema in schemas.items():
        try:
            validators[name] = SchemaValidator(schema)
        except ValidationError as error:
            problems[name] = f"{error.message} (at {make_pointer(error.instance_path) or 'the top'})"
        except Exception as error:  # noqa: BLE001 (whatever one schema does must not stop the other collections)
            problems[name] = str(error) or type(error).__name__
    return validators, problems


def depth(value: object) -> int:
    """Return how deep a parsed JSON value is nested: 0 for a text or an empty list, 1 for a list of texts."""
    levels, level = 0, [value]
    while level := [child for parent in level for child in _children(parent)]:
        levels += 1
    return levels


def _children(value: object) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _count_values(value: object) -> int:
    """Return how many values a JSON value has inside. Stop counting when there are too many to list all faults."""
    count, level = 0, [value]
    while level and count <= _MAX_LISTED_VALUES:
        level = [child for parent in level for child in _children(parent)]
        count += len(level)
    return count


def _convert(value: Any) -> Any:
    """Return a copy of a value that the library takes.

    An ``int`` stands for each ``Decimal`` without a fraction, because the library compares such a ``Decimal`` as a
    double. A ``?`` stands for each half of a surrogate pair, because the library's texts are UTF-8.

    :raises InvalidError: if a number is outside the range of a double. Most JSON parsers make infinity or 0 of it.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return list(map(_convert, value))
    if isinstance(value, dict):
        return {_convert(name): _convert(item) for name, item in value.items()}
    if isinstance(value, Decimal) or type(value) is int:
        if abs(Decimal(value).adjusted()) > _MAX_EXPONENT:
            raise _number_too_large()
        return int(value) if value == int(value) else value
    return value


def _number_too_large() -> InvalidError:
    return InvalidError("", "A number is too large, or too close to 0.", "number_too_large")


def _is_recursive(schema: Any) -> bool:
    """Whether a schema refers to itself, or a part of it does."""
    refs = _refs_in(schema)
    # Of each reference, the references in its target. A reference by id may lead anywhere.
    inner = {ref: _refs_in(_resolve(schema, ref)) if ref.startswith("#") else refs for ref in refs}
    for ref in refs:
        targets: set[str] = set()
        todo = inner[ref]
        while todo:
            targets |= todo
            todo = {target for start in todo for target in inner.get(start, refs)} - targets
        if ref in targets:
            return True
    return False


def _refs_in(schema: Any) -> set[str]:
    refs: set[str] = set()
    level = [schema]
    while level:
        refs |= {part["$ref"] for part in level if isinstance(part, dict) and isinstance(part.get("$ref"), str)}
        level = [child for parent in level for child in _children(parent)]
    return refs


def _resolve(schema: Any, ref: str) -> Any:
    """Return the part of a schema that a reference such as ``#/definitions/name`` leads to; otherwise the schema."""
    part = schema
    for step in ref.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(part, dict) or name not in part:
            return schema
        part = part[name]
    return part


def _quote(schema: Any, path: Iterable[str | int]) -> str | None:
    """Return the JSON text of a schema's part, or ``None`` if it is too long to be quoted, or has an id of its own."""
    try:
        text = dumps(_part(schema, path), default=str)
    except LookupError:
        return None
    return text if len(text) <= _MAX_RULE_LENGTH else None


def _part(value: Any, path: Iterable[str | int]) -> Any:
    for step in path:
        value = value[step]
    return value


def _snake_case(keyword: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in keyword)


def _refuse_remote(uri: str) -> NoReturn:
    raise ValueError(f"$ref to {uri}: a schema must be self-contained")
