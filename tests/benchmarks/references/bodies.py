"""Validation of request bodies by fastjsonschema. Its documentation recommends to compile the schema once, at init."""

import json

import fastjsonschema

from .declared import SCHEMA
from .rules import PlainResponse, problem

_validate = fastjsonschema.compile(SCHEMA)


def body_problem(content_type: str | None, body: str) -> PlainResponse | None:
    """Return the error response to an invalid request body, or ``None`` if the body is valid."""
    if (content_type or "").partition(";")[0].strip().lower() != "application/json":
        return problem(415, "The body must be application/json.")
    try:
        _validate(json.loads(body))
    except (ValueError, fastjsonschema.JsonSchemaValueException):
        return problem(400, "The body doesn't fit the schema.")
    return None
