"""Compiles the collections' JSON Schemas, and checks parsed values against them for `write` and `poll`.

`write` checks request bodies itself, because a client could bypass a check in API Gateway. API Gateway's request models
don't check a body whose ``Content-Type`` has no model.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import fastjsonschema
from fastjsonschema.draft07 import CodeGeneratorDraft07

from .errors import InvalidError

MAX_DEPTH = 100
"""The maximum nesting depth of a request body. Many JSON parsers are recursive and can't parse deep nesting, and every
client must be able to parse an item that `write` accepts."""

DRAFTS = tuple(f"http://json-schema.org/draft-{draft}/schema" for draft in ("04", "06", "07"))
"""The values that a schema may have as its ``$schema``: the drafts that `fastjsonschema` implements. A ``#`` at the end
is ignored."""

SchemaValidator = Callable[[Any], object]

_ASCII = "(?a)"
_FORMATS = {name: _ASCII + pattern for name, pattern in CodeGeneratorDraft07.FORMAT_REGEXS.items()}
_MAX_RULE_LENGTH = 200
"""The longest rule of a schema that an error message quotes, in characters. If a rule is longer, the message
contains only the rule's name."""


def compile_schemas(schemas: Mapping[str, Any]) -> dict[str, SchemaValidator]:
    """Compile each collection's JSON Schema.

    :param schemas: the schemas, by collection name.
    :raises ValueError: if a schema has an unknown ``$schema`` or can't be compiled. The message lists all such schemas.
    """
    validators: dict[str, SchemaValidator] = {}
    problems: list[str] = []
    for name, schema in schemas.items():
        draft = schema.get("$schema", DRAFTS[-1]) if isinstance(schema, dict) else DRAFTS[-1]
        if not isinstance(draft, str) or draft.rstrip("#").replace("https:", "http:") not in DRAFTS:
            problems.append(f"{name}: $schema must be one of {', '.join(DRAFTS)}")
            continue
        try:
            validators[name] = fastjsonschema.compile(
                _ascii_classes(schema),
                # Don't load a `$ref` to another host, because a cold start would then depend on that host.
                handlers=dict.fromkeys(("http", "https", "ftp", "file"), _no_remote),
                formats=_FORMATS,
                # Don't insert a schema's default values, because that would change the request body.
                use_default=False,
            )
        except Exception as error:  # noqa: BLE001 (a broken schema can make the compiler raise any exception)
            problems.append(f"{name}: the schema can't be compiled ({type(error).__name__}: {error})")
    if problems:
        raise ValueError("; ".join(problems))
    return validators


def check_fits(value: Any, validate: SchemaValidator) -> None:
    """Check a parsed value against its collection's schema.

    :raises InvalidError: if the value breaks a rule of the schema. The error's ``detail`` quotes nothing of the value
        except member names that the schema doesn't allow.
    """
    try:
        validate(value)
    except fastjsonschema.JsonSchemaValueException as error:
        raise InvalidError(_pointer(error.name or "", value), _rule(error)) from error
    except (ArithmeticError, ValueError) as error:
        # The validator computes `multipleOf` with floats. This fails for 1e400 and for an integer of thousands of
        # digits, because a float can't hold such a number.
        raise InvalidError("", "A number is too large for the schema's rules to be checked.") from error


def depth(value: object) -> int:
    """Return how deep a parsed JSON value is nested: 0 for a text, 1 for a list of texts."""
    levels, level = 0, [value]
    while level:
        levels += 1
        level = [child for parent in level for _, child in children_of(parent)]
    return levels - 1


def children_of(value: object) -> list[tuple[str, object]]:
    """Return the names and values in a JSON object, or the indexes and values in a JSON list."""
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, list):
        return [(str(index), child) for index, child in enumerate(value)]
    return []


def pointer_step(name: str) -> str:
    """Return a name as one step of a JSON pointer: a slash and the name, escaped as RFC 6901 requires."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _ascii_classes(schema: Any) -> Any:
    r"""Return a copy of the schema in whose patterns ``\d`` and ``\w`` match ASCII only, as JSON Schema demands."""
    if isinstance(schema, list):
        return [_ascii_classes(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    changed: dict[str, Any] = {}
    for keyword, part in schema.items():
        if keyword in ("const", "default", "enum", "examples"):
            changed[keyword] = part
        elif keyword == "pattern" and isinstance(part, str):
            changed[keyword] = _ASCII + part
        elif keyword == "patternProperties" and isinstance(part, dict):
            changed[keyword] = {_ASCII + pattern: _ascii_classes(rule) for pattern, rule in part.items()}
        else:
            changed[keyword] = _ascii_classes(part)
    return changed


def _no_remote(uri: str) -> None:
    raise ValueError(f"$ref to {uri}: a schema must be self-contained")


def _pointer(path: str, value: object) -> str:
    """Convert the validator's path, such as ``data.a[0].b``, into a JSON pointer, such as ``/a/0/b``.

    The path is ambiguous, because a name may contain dots and brackets. So at each level of ``value``, compare the
    names at this level with the rest of the path, and take the longest name that fits.
    """
    pointer, rest = "", path.removeprefix("data")
    while rest:
        steps = {
            f"[{name}]" if isinstance(value, list) else f".{name}": (name, child) for name, child in children_of(value)
        }
        fitting = [step for step in steps if rest.startswith(step) and rest[len(step) :][:1] in ("", ".", "[")]
        if not fitting:
            break
        step = max(fitting, key=len)
        name, value = steps[step]
        pointer, rest = pointer + pointer_step(name), rest[len(step) :]
    return pointer


def _rule(error: fastjsonschema.JsonSchemaValueException) -> str:
    """Return a sentence that says which rule of the schema is broken.

    Don't use the validator's own message, because it quotes the value.
    """
    rule = error.rule
    definition = error.rule_definition
    if rule == "required" and isinstance(error.value, dict):
        missing = [name for name in definition or () if name not in error.value]
        return f"The schema requires {', '.join(map(json.dumps, missing))} here."
    if rule == "additionalProperties" and isinstance(error.value, dict):
        properties = (error.definition or {}).get("properties", {})
        unknown = [json.dumps(name[:60]) for name in error.value if name not in properties][:5]
        return f"The schema doesn't know every name here; look at {', '.join(unknown)}."
    quoted = json.dumps(definition.removeprefix(_ASCII) if isinstance(definition, str) else definition)
    if len(quoted) > _MAX_RULE_LENGTH:
        return f"The schema's {rule} rule is broken here."
    return f"The schema says {rule}: {quoted} here."
