"""The bodies' schema.

It is part of the code here. Ours reads it from S3 at init, a call and a connection more than any reference makes, since
Terraform, not a build, hands it over.
"""

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
