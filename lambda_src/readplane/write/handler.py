"""Accepts a client's write: authorises it, stamps a change, makes it durable, answers 202."""

import hashlib
import os
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from json import dumps
from typing import Any, NamedTuple

from ..api.caller import Caller, check_may_write
from ..api.problem import ProblemError, bad_parameter
from ..api.request import Event, Request, Response, answer
from ..aws.client import client
from ..clock import now_ms
from ..config import load
from ..model.change import API, Change
from ..model.collection import Collection
from ..model.schema import SchemaValidator, check_content_type, compile_schemas, parse_body
from ..model.timestamp import rfc3339
from ..model.version import stamp
from ..stores.schemas import read_schemas
from ..telemetry import Telemetry
from .log import FirehoseWriteLog, NotAppendedError, WriteLog


class SchemasObject(NamedTuple):
    """Where the collections' JSON Schemas are, and what they must hash to."""

    bucket: str
    key: str
    sha256: str


class WriteSettings(NamedTuple):
    """What Terraform tells the function."""

    name: str
    client_ids: frozenset[str]
    cors_origins: tuple[str, ...]
    delivery_stream: str
    schemas: SchemasObject
    collections: Mapping[str, Collection]


def write_settings() -> WriteSettings:
    """:raises BadSettings: with every problem."""
    return load(
        lambda given: WriteSettings(
            name=given.text("name"),
            client_ids=frozenset(given.texts("client_ids")),
            cors_origins=given.texts("cors_origins"),
            delivery_stream=given.text("delivery_stream"),
            schemas=SchemasObject(
                given.text("schemas", "bucket"), given.text("schemas", "key"), given.text("schemas", "sha256")
            ),
            collections=given.collections(),
        )
    )


class Write:
    """The function, with what it needs handed in."""

    def __init__(
        self, settings: WriteSettings, validators: Mapping[str, SchemaValidator], log: WriteLog, telemetry: Telemetry
    ) -> None:
        self.settings = settings
        self.telemetry = telemetry
        self._validators = validators
        self._log = log

    def __call__(self, request: Request) -> Response:
        """POST, PUT or DELETE of one item: one call to the write log, 202 once it is durable.

        :raises Problem: 4xx for what can't be accepted, 503 where the write log doesn't confirm.
        """
        accepted_ms = now_ms()
        collection = request.collection(self.settings.collections)
        caller = request.caller(self.settings.client_ids)
        check_may_write(caller, collection)
        change = self._change(request, collection, caller, accepted_ms)
        self._append(change, request)
        self.telemetry.event(
            "write_accepted",
            "A write is durable.",
            metrics={"ChangesAccepted": 1},
            collection=collection.name,
            request_id=request.request_id,
            change_id=change.change_id,
        )
        where = f"/v1/items/{collection.name}/{change.item_id}/changes/{change.change_id}"
        accepted = {"change_id": change.change_id, "item_id": change.item_id, "status": "accepted"}
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store", "Location": where}
        return Response(HTTPStatus.ACCEPTED, dumps(accepted), headers)

    def _change(self, request: Request, collection: Collection, caller: Caller, accepted_ms: int) -> Change:
        change_id = stamp(accepted_ms, os.urandom(10), request.min_versions(accepted_ms))
        key = None
        if request.method == "POST":
            key = _idempotency_key(request)
            item_id = _derived_id(caller, collection, key) if key else change_id
        else:
            item_id = request.item_id()
        data = None
        if request.method != "DELETE":
            check_content_type(request.headers.get("content-type"))
            data = parse_body(request.body(), self._validators[collection.name])
        return Change(
            change_id=change_id,
            collection=collection.name,
            item_id=item_id,
            data=data,
            actor=caller.sub,
            source=API,
            accepted_at=rfc3339(accepted_ms),
            owner=caller.sub if collection.owned else None,
        )

    def _append(self, change: Change, request: Request) -> None:
        try:
            self._log.append(change.line())
        except NotAppendedError as error:
            outcome = "not_accepted" if error.refused else "unknown"
            self.telemetry.event(
                "write_not_confirmed",
                "Firehose did not confirm a write.",
                level="ERROR",
                metrics={"ChangesUnconfirmed": 1},
                collection=change.collection,
                request_id=request.request_id,
                change_id=change.change_id,
                outcome=outcome,
                cause=error.cause,
            )
            detail = (
                "The write was not accepted; send it again."
                if error.refused
                else "Whether the write was accepted is unknown; send it again, which is safe."
            )
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                detail,
                headers={"Retry-After": "2"},
                change_id=change.change_id,
                outcome=outcome,
            ) from error


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise bad_parameter("Idempotency-Key", "Idempotency-Key must be 1-255 printable ASCII characters.")
    return key


def _derived_id(caller: Caller, collection: Collection, key: str) -> str:
    # The same retry makes the same item in whichever Region it lands, with no table of keys to reserve it in.
    return hashlib.sha256(f"{caller.sub}\n{collection.name}\n{key}".encode()).hexdigest()[:32]


@cache
def function() -> Write:
    """Make the function from its environment, once per sandbox.

    :raises BadSettings: for settings, ``ValueError`` for schemas that can't be used, each with every problem.
    """
    settings = write_settings()
    schemas = read_schemas(client("s3"), settings.schemas.bucket, settings.schemas.key, settings.schemas.sha256)
    # A collection without a schema takes any object.
    validators = compile_schemas({name: schemas.get(name, {}) for name in settings.collections})
    # Three tries of at most 4 s and the pauses between them: 12.3 s, before the function's own time-out (Terraform
    # refuses less than 13 s) would cut off the answer that says what became of the write.
    log = FirehoseWriteLog(client("firehose", attempts=1, read_timeout=3), settings.delivery_stream)
    return Write(settings, validators, log, Telemetry("write", settings.name))


def handler(event: Event, context: object) -> dict[str, Any]:
    """Lambda entry point."""
    write = function()
    return answer(event, write.settings.cors_origins, write.telemetry, write)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    function()  # during init, which Lambda runs at full CPU and SnapStart keeps, and not in the first request
