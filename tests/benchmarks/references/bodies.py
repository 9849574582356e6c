"""The check of a body by its JSON Schema, which is compiled at init as fastjsonschema's documentation recommends."""

import json

import fastjsonschema

from .declared import SCHEMA
from .rules import PlainResponse, problem

_validate = fastjsonschema.compile(SCHEMA)


def body_problem(content_type: str | None, body: str) -> PlainResponse | None:
    """Return the response to an invalid body; ``None`` for a valid one."""
    if (content_type or "").partition(";")[0].strip().lower() != "application/json":
        return problem(415, "The body must be application/json.")
    try:
        _validate(json.loads(body))
    except (ValueError, fastjsonschema.JsonSchemaValueException):
        return problem(400, "The body doesn't fit the schema.")
    return None
