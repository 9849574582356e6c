"""Helpers that pass API Gateway's events to a `write` whose write log and items are in memory."""

import json
from collections.abc import Mapping
from typing import Any

from readplane.api.response import cors_headers, respond
from readplane.config import ConfigObject
from readplane.telemetry import Telemetry
from readplane.write.handler import Write, WriteSettings
from readplane.write.log import WriteLog
from readplane.write.stored_versions import StoredVersions
from tests.unit.support import CLIENT_ID, COLLECTIONS, MemoryLog, api_event, compile_schemas

SETTINGS = WriteSettings(
    name="demo",
    client_ids=frozenset({CLIENT_ID}),
    cors_origins=("https://app.example.com", "https://admin.example.com"),
    delivery_stream="demo",
    items_table="t",
    schemas=ConfigObject("b", "k", "v", "0"),
    collections=COLLECTIONS,
)
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}


class MemoryVersions:
    """A :class:`readplane.write.stored_versions.StoredVersions` that keeps the versions in a dictionary.

    ``reads`` lists the keys of all reads. If ``failure`` is set, each read raises it.
    """

    def __init__(self) -> None:
        self.by_key: dict[str, str] = {}
        self.reads: list[str] = []
        self.failure: Exception | None = None

    def get_version(self, key: str) -> str | None:
        self.reads.append(key)
        if self.failure:
            raise self.failure
        return self.by_key.get(key)


class WriteService:
    """The function `write` with a write log and with the versions of items, both in memory by default.

    Call an instance with an API Gateway event to get the response's status, parsed body and headers.
    """

    def __init__(self, log: WriteLog | None = None, versions: StoredVersions | None = None) -> None:
        self.log = MemoryLog()
        self.versions = MemoryVersions()
        validators = compile_schemas(dict.fromkeys(COLLECTIONS, SCHEMA))
        telemetry = Telemetry("write", "demo")
        self.write = Write(SETTINGS, validators, log or self.log, versions or self.versions, telemetry)
        self._cors_headers = cors_headers(SETTINGS.cors_origins)

    def __call__(self, event: Any) -> tuple[int, Any, Mapping[str, str]]:
        response = respond(event, self._cors_headers, self.write.telemetry, self.write)
        return response["statusCode"], json.loads(response["body"]), response["headers"]


def put(body: str | None = '{"name":"x"}', item_id: str = "p-1", collection: str = "products", **more: Any) -> Any:
    """Return the API Gateway event of a PUT request."""
    return api_event("PUT", f"/items/{collection}/{{item_id}}", {"item_id": item_id}, body=body, **more)


def delete(item_id: str = "p-1", collection: str = "products", **more: Any) -> Any:
    """Return the API Gateway event of a DELETE request."""
    return api_event("DELETE", f"/items/{collection}/{{item_id}}", {"item_id": item_id}, **more)


def post(key: str | None = None, collection: str = "products", body: str = '{"name":"x"}', **more: Any) -> Any:
    """Return the API Gateway event of a POST request.

    :param key: the header ``Idempotency-Key``; ``None`` to send the request without this header.
    """
    headers = {"Idempotency-Key": key} if key is not None else {}
    return api_event("POST", f"/items/{collection}", body=body, headers=headers | more.pop("headers", {}), **more)
