"""Bodies: one JSON object, checked against its collection's schema, kept as the text that came in.

This is the only place where bodies are validated. A model in API Gateway would be a second one, which a
``Content-Type`` that it has no model for slips past.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import fastjsonschema
from fastjsonschema.draft07 import CodeGeneratorDraft07

from ..api.problem import ProblemError, bad_body
from .change import MAX_DATA_BYTES

MAX_DEPTH = 100
"""Deepest nesting of a body. The parser recurses: what `write` accepts, every later reader must be able to parse."""

DRAFTS = tuple(f"http://json-schema.org/draft-{draft}/schema" for draft in ("04", "06", "07"))
"""What ``$schema`` may say (a trailing ``#`` is ignored): the drafts that the validator implements."""

SchemaValidator = Callable[[Any], object]

_ASCII = "(?a)"
_FORMATS = {name: _ASCII + pattern for name, pattern in CodeGeneratorDraft07.FORMAT_REGEXS.items()}


class _Twice:
    """Stands in the parsed body where a name occurs twice, so that its place can be told."""


def check_content_type(value: str | None) -> None:
    """Bodies are ``application/json``, with or without parameters.

    :raises Problem: 415.
    """
    if (value or "").partition(";")[0].strip().lower() != "application/json":
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be application/json.", parameter="Content-Type"
        )


def parse_body(body: bytes, validate: SchemaValidator) -> str:
    """Check a request body and give back its JSON text, on one line.

    :param body: the raw bytes.
    :param validate: the collection's compiled schema, from :func:`compile_schemas`.
    :raises Problem: 413 over 256 KiB; 400 with a ``pointer`` for anything but one object without duplicate names that
        fits the schema.
    """
    if len(body) > MAX_DATA_BYTES:
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {MAX_DATA_BYTES} bytes.")
    twice = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        found = dict(pairs)
        if len(found) != len(pairs):
            twice = True
            times = Counter(name for name, _ in pairs)
            found[next(name for name, count in times.items() if count > 1)] = _Twice()
        return found

    try:
        text = body.decode()
        value = json.loads(text, object_pairs_hook=members, parse_constant=_no_constant)
    except RecursionError as error:
        raise _too_deep() from error
    except UnicodeDecodeError as error:
        raise bad_body("", "The body is not UTF-8.") from error
    except json.JSONDecodeError as error:
        raise bad_body("", f"The body is not JSON: look at line {error.lineno}, column {error.colno}.") from error
    except ValueError as error:
        raise bad_body("", "The body holds a number that is not JSON or has too many digits.") from error
    # Only a text with that many brackets can be that deep: others are spared the walk.
    if text.count("{") + text.count("[") > MAX_DEPTH and depth(value) > MAX_DEPTH:
        raise _too_deep()
    if "\ufffd" in text:
        # API Gateway puts it where bytes aren't UTF-8, before we see them. Who means the character escapes it.
        raise bad_body("", "The body is not UTF-8, or holds U+FFFD, which must be written \\ufffd.")
    if twice:
        raise bad_body(_find_twice(value, "") or "", "The name occurs twice in one object.")
    if not isinstance(value, dict):
        raise bad_body("", "The body must be one JSON object.")
    check_fits(value, validate)
    # A line break inside a JSON text is white space (inside a string it must be escaped), so the text stays the same
    # JSON, digit for digit, on the one line that the write log needs.
    return text.strip().replace("\r", " ").replace("\n", " ")


def check_fits(value: Any, validate: SchemaValidator) -> None:
    """Check a parsed value against its collection's schema.

    :raises Problem: 400 with a ``pointer``; repeats nothing of the value but names that the schema doesn't know.
    """
    try:
        validate(value)
    except fastjsonschema.JsonSchemaValueException as error:
        raise bad_body(_pointer(error.name or "", value), _rule(error)) from error
    except (ArithmeticError, ValueError) as error:
        # `multipleOf` of 1e400, or of an integer with thousands of digits, is beyond the validator's floats.
        raise bad_body("", "A number is too large for the schema's rules to be checked.") from error


def compile_schemas(schemas: Mapping[str, Any]) -> dict[str, SchemaValidator]:
    """Compile each collection's JSON Schema.

    :param schemas: collection name to schema.
    :raises ValueError: one message that lists every schema that can't be used.
    """
    validators: dict[str, SchemaValidator] = {}
    problems: list[str] = []
    for name, schema in schemas.items():
        draft = schema.get("$schema", DRAFTS[-1]) if isinstance(schema, dict) else DRAFTS[-1]
        if not isinstance(draft, str) or draft.rstrip("#").replace("https:", "http:") not in DRAFTS:
            problems.append(f"{name}: $schema must be one of {', '.join(DRAFTS)}")
            continue
        try:
            # Defaults would change what came in; remote references would make a cold start depend on other hosts.
            validators[name] = fastjsonschema.compile(
                _ascii_classes(schema),
                handlers=dict.fromkeys(("http", "https", "ftp", "file"), _no_remote),
                formats=_FORMATS,
                use_default=False,
            )
        except Exception as error:  # the compiler raises whatever a broken schema makes it trip over
            problems.append(f"{name}: the schema can't be compiled ({type(error).__name__}: {error})")
    if problems:
        raise ValueError("; ".join(problems))
    return validators


def _ascii_classes(schema: Any) -> Any:
    """The schema with patterns in which ``\\d`` and ``\\w`` are ASCII, as in JSON Schema's own regular expressions."""
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


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _no_remote(uri: str) -> None:
    raise ValueError(f"$ref to {uri}: a schema must be self-contained")


def _children(value: object) -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, list):
        return [(str(index), child) for index, child in enumerate(value)]
    return []


def depth(value: object) -> int:
    """How deep a parsed value is nested: 0 for a text, 1 for a list of texts."""
    levels, level = 0, [value]
    while level:
        levels += 1
        level = [child for parent in level for _, child in _children(parent)]
    return levels - 1


def _find_twice(value: object, pointer: str) -> str | None:
    if isinstance(value, _Twice):
        return pointer
    found = (_find_twice(child, pointer + _step(name)) for name, child in _children(value))
    return next((place for place in found if place is not None), None)


def _step(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _pointer(place: str, value: object) -> str:
    """Turn the validator's ``data.a[0].b`` into ``/a/0/b``, by the body itself: a name may hold dots and brackets."""
    pointer, rest = "", place.removeprefix("data")
    while rest:
        marks = {
            f"[{name}]" if isinstance(value, list) else f".{name}": (name, child) for name, child in _children(value)
        }
        fitting = [mark for mark in marks if rest.startswith(mark) and rest[len(mark) :][:1] in ("", ".", "[")]
        if not fitting:
            break
        mark = max(fitting, key=len)
        name, value = marks[mark]
        pointer, rest = pointer + _step(name), rest[len(mark) :]
    return pointer


def _rule(error: fastjsonschema.JsonSchemaValueException) -> str:
    # The validator's own message quotes the value; the rule alone tells as much and repeats nothing of the body.
    rule = error.rule
    definition = error.rule_definition
    if rule == "required" and isinstance(error.value, dict):
        missing = [name for name in definition or () if name not in error.value]
        return f"The schema requires {', '.join(map(json.dumps, missing))} here."
    if rule == "additionalProperties" and isinstance(error.value, dict):
        known = (error.definition or {}).get("properties", {})
        unknown = [json.dumps(name[:60]) for name in error.value if name not in known][:5]
        return f"The schema doesn't know every name here; look at {', '.join(unknown)}."
    shown = json.dumps(definition.removeprefix(_ASCII) if isinstance(definition, str) else definition)
    return f"The schema's {rule} rule is broken here." if len(shown) > 200 else f"The schema says {rule}: {shown} here."


def _too_deep() -> ProblemError:
    return bad_body("", f"The body is nested more than {MAX_DEPTH} deep.")
