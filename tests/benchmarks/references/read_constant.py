"""The floor: a handler that does nothing."""

from typing import Any


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Lambda entry point."""
    return {"statusCode": 204, "headers": {}, "body": "", "isBase64Encoded": False}
