"""Helpers that pass API Gateway's events to a `write` whose write log is in memory."""

import json
from typing import Any

from readplane.api.response import respond
from readplane.config import SchemasObject
from readplane.model.schema import compile_schemas
from readplane.telemetry import Telemetry
from readplane.write.handler import Write, WriteSettings
from tests.unit.support import CLIENT_ID, COLLECTIONS, MemoryLog, api_event

SETTINGS = WriteSettings(
    name="demo",
    client_ids=frozenset({CLIENT_ID}),
    cors_origins=("https://app.example.com", "https://admin.example.com"),
    delivery_stream="demo",
    schemas=SchemasObject("b", "k", "0"),
    collections=COLLECTIONS,
)
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}


class WriteService:
    """The function `write`, with its write log in memory.

    Call an instance with an API Gateway event to get the response's status, parsed body and headers.
    """

    def __init__(self) -> None:
        self.log = MemoryLog()
        validators = compile_schemas(dict.fromkeys(COLLECTIONS, SCHEMA))
        self.write = Write(SETTINGS, validators, self.log, Telemetry("write", "demo"))

    def __call__(self, event: Any) -> tuple[int, Any, dict[str, str]]:
        response = respond(event, SETTINGS.cors_origins, self.write.telemetry, self.write)
        return response["statusCode"], json.loads(response["body"]), response["headers"]


def put(body: str | None = '{"name":"x"}', item_id: str = "p-1", collection: str = "products", **more: Any) -> Any:
    """Return the API Gateway event of a PUT request."""
    return api_event("PUT", f"/items/{collection}/{{item_id}}", {"item_id": item_id}, body=body, **more)


def post(key: str | None = None, collection: str = "products", **more: Any) -> Any:
    """Return the API Gateway event of a POST request.

    :param key: the header ``Idempotency-Key``; ``None`` to send the request without this header.
    """
    headers = {"Idempotency-Key": key} if key is not None else {}
    return api_event("POST", f"/items/{collection}", body='{"name":"x"}', headers=headers, **more)
