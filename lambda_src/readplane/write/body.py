"""Checks that a request's body is one JSON object that fits the collection's schema, and returns the object's text."""

import json
from collections import Counter
from http import HTTPStatus
from typing import Any

from ..api.problem import ProblemError
from ..model.change import MAX_DATA_BYTES
from ..model.errors import InvalidError
from ..model.schema import MAX_DEPTH, SchemaValidator, check_fits, children_of, depth, pointer_step


class _Duplicate:
    """A placeholder in the parsed body for the values of a name that occurs twice in one object.

    :func:`_find_duplicate` finds the placeholder, so that the error can point at the name.
    """


def check_content_type(value: str | None) -> None:
    """Check that the header ``Content-Type`` is ``application/json``, with or without parameters.

    :raises ProblemError: 415 for any other type, or if the header is missing.
    """
    if (value or "").partition(";")[0].strip().lower() != "application/json":
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be application/json.", parameter="Content-Type"
        )


def parse_body(body: bytes, validate: SchemaValidator) -> str:
    """Check a request body and return its JSON text, on one line.

    :param body: the bytes of the request body.
    :param validate: the collection's compiled schema, from :func:`~readplane.model.schema.compile_schemas`.
    :raises ProblemError: 413 if the body is larger than 256 KiB.
    :raises InvalidError: if the body isn't one JSON object, is nested too deep, has a name twice in one object or
        breaks a rule of the schema.
    """
    if len(body) > MAX_DATA_BYTES:
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {MAX_DATA_BYTES} bytes.")
    text, value, has_duplicates = _parse_json(body)
    # Compute the depth only of a text with many brackets, because computing it is slow. Each level of nesting needs an
    # opening bracket, so a text with few brackets can't be nested too deep.
    if text.count("{") + text.count("[") > MAX_DEPTH and depth(value) > MAX_DEPTH:
        raise _too_deep()
    if "\ufffd" in text:
        # Refuse the character U+FFFD, because it may stand for a damaged part of the body. API Gateway replaces bytes
        # that aren't UTF-8 with U+FFFD before it passes the body to this function.
        raise InvalidError("", "The body is not UTF-8, or holds U+FFFD, which must be written \\ufffd.")
    if has_duplicates:
        raise InvalidError(_find_duplicate(value, "") or "", "The name occurs twice in one object.")
    if not isinstance(value, dict):
        raise InvalidError("", "The body must be one JSON object.")
    check_fits(value, validate)
    # Replace line breaks with spaces, because a change must be one line of the write log. No JSON string changes,
    # because line breaks inside JSON strings are escaped.
    return text.strip().replace("\r", " ").replace("\n", " ")


def _parse_json(body: bytes) -> tuple[str, Any, bool]:
    """Return the body's text, its parsed value, and whether the value contains a :class:`_Duplicate`."""
    has_duplicates = False

    def make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal has_duplicates
        members = dict(pairs)
        if len(members) != len(pairs):
            has_duplicates = True
            counts = Counter(name for name, _ in pairs)
            members[next(name for name, count in counts.items() if count > 1)] = _Duplicate()
        return members

    try:
        text = body.decode()
        value = json.loads(text, object_pairs_hook=make_object, parse_constant=_no_constant)
    except RecursionError as error:
        raise _too_deep() from error
    except UnicodeDecodeError as error:
        raise InvalidError("", "The body is not UTF-8.") from error
    except json.JSONDecodeError as error:
        raise InvalidError("", f"The body is not JSON: look at line {error.lineno}, column {error.colno}.") from error
    except ValueError as error:
        raise InvalidError("", "The body holds a number that is not JSON or has too many digits.") from error
    return text, value, has_duplicates


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _too_deep() -> InvalidError:
    return InvalidError("", f"The body is nested more than {MAX_DEPTH} deep.")


def _find_duplicate(value: object, pointer: str) -> str | None:
    """Return the JSON pointer to the first :class:`_Duplicate` inside ``value``, or ``None`` if there is none.

    :param pointer: the JSON pointer to ``value``.
    """
    if isinstance(value, _Duplicate):
        return pointer
    pointers = (_find_duplicate(child, pointer + pointer_step(name)) for name, child in children_of(value))
    return next((found for found in pointers if found is not None), None)
