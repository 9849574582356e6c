"""Helpers of the tests of JSON Schemas."""

import json
from decimal import Decimal
from typing import Any

from readplane.model.errors import Fault, InvalidError
from readplane.model.schema import SchemaValidator
from tests.unit.support import compile_schemas


def compile_one(schema: Any) -> SchemaValidator:
    """Compile one schema."""
    return compile_schemas({"c": schema})["c"]


def faults_of(validator: SchemaValidator, text: str) -> tuple[Fault, ...]:
    """Return the faults that a JSON text has."""
    try:
        validator.check_text(text)
    except InvalidError as error:
        return error.faults
    return ()


def fits(schema: Any, value: Any) -> bool:
    """Return whether a value fits a schema."""
    return not faults_of(compile_one(schema), json.dumps(value, default=_print_decimal))


def _print_decimal(value: object) -> float:
    assert isinstance(value, Decimal)
    return float(value)
