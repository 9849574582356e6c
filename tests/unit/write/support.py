"""Helpers that call `write` with API Gateway's events and a write log in memory."""

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
    """`write` with a write log in memory. Call it with an API event to get the status, parsed body and headers."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        validators = compile_schemas(dict.fromkeys(COLLECTIONS, SCHEMA))
        self.write = Write(SETTINGS, validators, self.log, Telemetry("write", "demo"))

    def __call__(self, event: Any) -> tuple[int, Any, dict[str, str]]:
        response = respond(event, SETTINGS.cors_origins, self.write.telemetry, self.write)
        return response["statusCode"], json.loads(response["body"]), response["headers"]


def put(body: str | None = '{"name":"x"}', item_id: str = "p-1", collection: str = "products", **more: Any) -> Any:
    """Return the event of a PUT."""
    return api_event("PUT", f"/items/{collection}/{{item_id}}", {"item_id": item_id}, body=body, **more)


def post(key: str | None = None, collection: str = "products", **more: Any) -> Any:
    """Return the event of a POST; ``key`` is its ``Idempotency-Key``, if it has one."""
    headers = {"Idempotency-Key": key} if key is not None else {}
    return api_event("POST", f"/items/{collection}", body='{"name":"x"}', headers=headers, **more)
