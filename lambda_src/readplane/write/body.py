"""Checks that a request's body is one JSON object that fits the collection's schema, and returns the object's text."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from http import HTTPStatus
from itertools import islice
from typing import Any

from ..api.problem import ProblemError
from ..model.change import MAX_DATA_BYTES
from ..model.errors import MAX_FAULTS, Fault, InvalidError, invalid, make_pointer
from ..model.schema import MAX_DEPTH, SchemaValidator, depth


def check_content_type(value: str | None) -> None:
    """Check that the header ``Content-Type`` is ``application/json``, with or without parameters.

    :raises ProblemError: 415 for any other type, or if the header is missing.
    """
    if (value or "").partition(";")[0].strip().lower() != "application/json":
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be application/json.", parameter="Content-Type"
        )


def parse_body(body: bytes, validator: SchemaValidator) -> str:
    """Check a request body and return its JSON text, on one line.

    :param body: the bytes of the request body.
    :param validator: the collection's schema, from :func:`~readplane.model.schema.compile_usable_schemas`.
    :raises ProblemError: 413 if the body is larger than 256 KiB.
    :raises InvalidError: if the body isn't one JSON object, is nested too deep, has a name twice in one object or
        breaks a rule of the schema. The error lists all duplicate names, or all broken rules, up to a maximum.
    """
    if len(body) > MAX_DATA_BYTES:
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {MAX_DATA_BYTES} bytes.")
    text = _decode(body)
    value, has_duplicates = _parse_json(text)
    # Compute the depth only of a text with many brackets, because computing it is slow. Each level of nesting needs an
    # opening bracket, so a text with few brackets can't be nested too deep.
    if text.count("{") + text.count("[") > MAX_DEPTH and depth(value) > MAX_DEPTH:
        raise _too_deep()
    if "\ufffd" in text:
        # Refuse the character U+FFFD, because it may stand for a damaged part of the body. API Gateway replaces bytes
        # that aren't UTF-8 with U+FFFD before it passes the body to this function.
        raise InvalidError("", "The body is not UTF-8, or holds U+FFFD, which must be written \\ufffd.", "not_utf8")
    if has_duplicates:
        raise _duplicate_names(text)
    if not isinstance(value, dict):
        raise InvalidError("", "The body must be one JSON object.", "not_an_object")
    validator.check(value, text)
    # Replace line breaks with spaces, because a change must be one line of the write log. No JSON string changes,
    # because line breaks inside JSON strings are escaped.
    return text.strip().replace("\r", " ").replace("\n", " ")


def _decode(body: bytes) -> str:
    if not body.strip():
        raise InvalidError("", "The body is empty.", "empty_body")
    if body.startswith(b"\xef\xbb\xbf"):
        raise InvalidError("", "The body begins with a byte order mark. Send it without one.", "byte_order_mark")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidError("", "The body is not UTF-8.", "not_utf8") from error


def _parse_json(text: str) -> tuple[Any, bool]:
    """Return the parsed value, and whether a name occurs twice in one of its objects.

    A number with a fraction or an exponent becomes a ``Decimal``, so that the schema's rules check it exactly.
    """
    has_duplicates = False

    def make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal has_duplicates
        members = dict(pairs)
        if len(members) != len(pairs):
            has_duplicates = True
        return members

    try:
        value = json.loads(text, object_pairs_hook=make_object, parse_float=Decimal, parse_constant=_no_constant)
    except RecursionError as error:
        raise _too_deep() from error
    except json.JSONDecodeError as error:
        detail = f"The body is not JSON: look at line {error.lineno}, column {error.colno}."
        raise InvalidError("", detail, "not_json") from error
    except (ArithmeticError, ValueError) as error:
        # Python refuses an integer of more than 4,300 digits, and an exponent of more than 18 digits.
        detail = "The body holds a number whose digits or exponent are too long."
        raise InvalidError("", detail, "number_too_large") from error
    return value, has_duplicates


def _no_constant(name: str) -> None:
    raise InvalidError("", f"The body is not JSON: it holds {name}, which is no number of JSON.", "not_json")


def _too_deep() -> InvalidError:
    return InvalidError("", f"The body is nested more than {MAX_DEPTH} deep.", "too_deep")


class _Members(list[tuple[str, Any]]):
    """The members of a JSON object in the order of the text, with the duplicate names."""


def _duplicate_names(text: str) -> InvalidError:
    """Return an error that lists the names that occur twice in one object, in the order of the text.

    The text is parsed again, because the first parse keeps only one value of each name.
    """
    value = json.loads(text, object_pairs_hook=_Members, parse_int=str, parse_float=str)
    paths = islice(_paths_of_duplicates(value), MAX_FAULTS)
    return invalid(
        [Fault(make_pointer(path), "duplicate_name", "The name occurs twice in one object.") for path in paths]
    )


def _paths_of_duplicates(value: Any) -> Iterator[tuple[str | int, ...]]:
    # Use a stack instead of recursion, because the parser accepts deeper nesting than Python's recursion limit allows.
    todo: list[tuple[Any, tuple[str | int, ...]]] = [(value, ())]
    while todo:
        value, path = todo.pop()
        is_object = isinstance(value, _Members)
        members: Iterable[tuple[str | int, Any]] = value if is_object else enumerate(value)
        if is_object:
            counts = Counter(name for name, _ in value)
            yield from ((*path, name) for name, count in counts.items() if count > 1)
        todo += reversed([(child, (*path, name)) for name, child in members if isinstance(child, list)])
