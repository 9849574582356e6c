"""The entry point of `write`: it authorises a client's request, makes a change durable and responds with 202."""

import hashlib
import os
from collections.abc import Mapping
from http import HTTPStatus
from json import dumps
from typing import NamedTuple

from ..api.caller import Caller, check_may_write
from ..api.problem import ProblemError, bad_parameter
from ..api.request import Request
from ..api.response import Response, respond
from ..aws.client import make_client
from ..clock import now_ms
from ..config import SchemasObject, load_settings
from ..entrypoint import Entrypoint, Function
from ..model.change import API, Change
from ..model.collection import Collection
from ..model.schema import SchemaValidator, compile_schemas
from ..model.timestamp import rfc3339
from ..model.version import stamp
from ..stores.schemas import read_schemas
from ..telemetry import Telemetry
from .body import check_content_type, parse_body
from .log import FirehoseWriteLog, NotAppendedError, WriteLog


class WriteSettings(NamedTuple):
    """The settings of `write`.

    :param name: the stack's name.
    :param client_ids: the Cognito clients whose access tokens are accepted.
    :param cors_origins: the web origins whose scripts may read responses.
    :param delivery_stream: the Firehose stream that writes changes to the write log.
    :param schemas: the S3 object that holds the collections' JSON Schemas.
    :param collections: the collections that clients may write, by name.
    """

    name: str
    client_ids: frozenset[str]
    cors_origins: tuple[str, ...]
    delivery_stream: str
    schemas: SchemasObject
    collections: Mapping[str, Collection]


class Write:
    """The function `write`. Its ``validators`` are the compiled schemas, by collection name."""

    def __init__(
        self, settings: WriteSettings, validators: Mapping[str, SchemaValidator], log: WriteLog, telemetry: Telemetry
    ) -> None:
        self.settings = settings
        self.telemetry = telemetry
        self._validators = validators
        self._log = log

    def __call__(self, request: Request) -> Response:
        """Serve a POST, PUT or DELETE of one item.

        Append a change to the write log, and return 202 as soon as the change is durable.

        :raises ProblemError: 4xx for a request that can't be accepted, 503 if the write log doesn't confirm the change.
        :raises InvalidError: if the body breaks a rule; :func:`respond` turns the error into a 400.
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
        location = f"/v1/items/{collection.name}/{change.item_id}/changes/{change.change_id}"
        body = {"change_id": change.change_id, "item_id": change.item_id, "status": "accepted"}
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store", "Location": location}
        return Response(HTTPStatus.ACCEPTED, dumps(body), headers)

    def _change(self, request: Request, collection: Collection, caller: Caller, accepted_ms: int) -> Change:
        change_id = stamp(accepted_ms, os.urandom(10), request.min_versions(accepted_ms))
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
    # Derive the item id from the idempotency key, because a retry with the same key must get the same item id in every
    # Region. A table of used keys wouldn't work, because a retry may come before the new key is in all Regions.
    return hashlib.sha256(f"{caller.sub}\n{collection.name}\n{key}".encode()).hexdigest()[:32]


def make_write() -> Function:
    """Make `write` from the settings in its environment.

    :raises SettingsError: if a setting is missing or wrong.
    :raises ValueError: if a collection's schema can't be compiled. The message lists every such schema.
    """
    settings = load_settings(WriteSettings)
    schemas = read_schemas(make_client("s3"), *settings.schemas)
    # A collection without a schema accepts any JSON object.
    validators = compile_schemas({name: schemas.get(name, {}) for name in settings.collections})
    # Set `attempts=1`, because `FirehoseWriteLog` itself makes up to three attempts. Each takes at most 4 s (1 s to
    # connect and 3 s to read), and all of them take at most 12.3 s with the backoffs. Terraform refuses a function
    # timeout of less than 13 s, so Lambda can't cut off the response that says whether the write was accepted.
    log = FirehoseWriteLog(make_client("firehose", attempts=1, read_timeout=3), settings.delivery_stream)
    write = Write(settings, validators, log, Telemetry("write", settings.name))
    return lambda event, _context: respond(event, settings.cors_origins, write.telemetry, write)


handler = Entrypoint(make_write)
