"""The JSON Schema of the request bodies. The fake AWS server returns it when a function reads the schemas from S3."""

from typing import Any

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name", "price"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 200},
        "price": {"type": "number", "minimum": 0},
        "currency": {"enum": ["EUR", "USD", "GBP"]},
        "description": {"type": "string", "maxLength": 4000},
        "tags": {"type": "array", "maxItems": 20, "items": {"type": "string", "maxLength": 40}},
    },
    "additionalProperties": False,
}
