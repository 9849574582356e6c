"""Bodies checked by JSON Schema, which is compiled at init, as the validator's documentation recommends."""

import json

import fastjsonschema

from tests.benchmarks.references.declared import SCHEMA
from tests.benchmarks.references.rules import Answer, problem

_validate = fastjsonschema.compile(SCHEMA)


def unfit(content_type: str | None, body: str) -> Answer | None:
    """The answer to a body that doesn't fit; ``None`` for one that does."""
    if (content_type or "").partition(";")[0].strip().lower() != "application/json":
        return problem(415, "The body must be application/json.")
    try:
        _validate(json.loads(body))
    except (ValueError, fastjsonschema.JsonSchemaValueException):
        return problem(400, "The body doesn't fit the schema.")
    return None
