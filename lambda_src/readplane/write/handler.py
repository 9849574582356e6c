"""The entry point of `write`: it authorises a client's request, makes a change durable and responds with 202."""

import hashlib
import os
from collections.abc import Callable, Mapping
from http import HTTPStatus
from json import dumps
from typing import NamedTuple

from ..api.caller import Caller, check_may_write
from ..api.problem import ProblemError, bad_parameter
from ..api.request import MIN_VERSION, Request
from ..api.response import Response, cors_headers, respond
from ..aws.client import make_client
from ..aws.faults import AwsError
from ..clock import now_ms
from ..config import ConfigObject, load_settings
from ..entrypoint import Entrypoint, Function
from ..model.change import API, Change
from ..model.collection import Collection
from ..model.schema import SchemaValidator, compile_usable_schemas
from ..model.timestamp import rfc3339
from ..model.version import is_minimal, minimal_version, stamp
from ..stores.schemas import read_schemas
from ..telemetry import Telemetry
from .body import check_content_type, parse_body
from .log import FirehoseWriteLog, NotAppendedError, WriteLog
from .refused_headers import refuse_headers
from .stored_versions import DynamoStoredVersions, StoredVersions

_KEY = "Idempotency-Key"
_UNUSABLE = "schema_unusable"
"""The code of the problem document and of the log event if a collection's schema can't be compiled."""


class WriteSettings(NamedTuple):
    """The settings of `write`.

    :param name: the stack's name.
    :param client_ids: the Cognito clients whose access tokens are accepted.
    :param cors_origins: the web origins whose scripts may read responses.
    :param delivery_stream: the Firehose stream that writes changes to the write log.
    :param items_table: the DynamoDB table of the items.
    :param schemas: the S3 object that holds the collections' JSON Schemas.
    :param collections: the collections that clients may write, by name.
    """

    name: str
    client_ids: frozenset[str]
    cors_origins: tuple[str, ...]
    delivery_stream: str
    items_table: str
    schemas: ConfigObject
    collections: Mapping[str, Collection]


class Write:
    """The function `write`.

    Its ``validators`` are the compiled schemas, by collection name. A collection without one is closed for writes.

    :param clock: returns the current time in Unix milliseconds.
    :param random: returns so many random bytes.
    """

    def __init__(
        self,
        settings: WriteSettings,
        validators: Mapping[str, SchemaValidator],
        log: WriteLog,
        versions: StoredVersions,
        telemetry: Telemetry,
        clock: Callable[[], int] = now_ms,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.settings = settings
        self.telemetry = telemetry
        self._validators = validators
        self._log = log
        self._versions = versions
        self._now_ms = clock
        self._random = random

    def __call__(self, request: Request) -> Response:
        """Serve a POST, PUT or DELETE of one item.

        Append a change to the write log, and return 202 as soon as the change is durable.

        :raises ProblemError: 4xx for a request that can't be accepted, 503 if the write log doesn't confirm the change.
        :raises InvalidError: if the body breaks a rule; :func:`respond` turns the error into a 400.
        """
        accepted_ms = self._now_ms()
        collection = request.collection(self.settings.collections)
        caller = request.caller(self.settings.client_ids)
        check_may_write(caller, collection)
        if collection.name not in self._validators:
            raise self._closed(collection, request)
        refuse_headers(request.headers)
        request.refuse_unknown_parameters(MIN_VERSION)
        key = _idempotency_key(request)
        change = self._change(request, collection, caller, accepted_ms, key)
        if key:
            self._refuse_another_body(change, request)
        # Append a retry even if its change is applied already. So the write log of every Region holds each change that
        # this Region acknowledged, and a second line of the same change does no harm.
        self._append(change, request)
        self.telemetry.event(
            "write_accepted",
            "A write is durable.",
            metrics={"ChangesAccepted": 1},
            collection=collection.name,
            request_id=request.request_id,
            change_id=change.change_id,
        )
        # The location is relative to the request's URL, so it is right behind any custom domain, base path or proxy.
        location = f"{change.item_id}/changes/{change.change_id}"
        if request.method == "POST":
            location = f"{collection.name}/{location}"
        body = {"change_id": change.change_id, "item_id": change.item_id, "status": "accepted"}
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store", "Location": location}
        return Response(HTTPStatus.ACCEPTED, dumps(body), headers)

    def _closed(self, collection: Collection, request: Request) -> ProblemError:
        """Return the error for a write to a collection whose schema can't be compiled."""
        self.telemetry.event(
            _UNUSABLE,
            "A write was refused, because the collection's schema can't be compiled.",
            level="ERROR",
            metrics={"SchemasUnusable": 1},
            collection=collection.name,
            request_id=request.request_id,
        )
        detail = "The collection's schema can't be used, so nothing can be checked against it. Writes of it must wait."
        return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "60"}, code=_UNUSABLE)

    def _change(
        self, request: Request, collection: Collection, caller: Caller, accepted_ms: int, key: str | None
    ) -> Change:
        change_id = stamp(accepted_ms, self._random(10), request.min_versions(accepted_ms))
        if request.method == "POST":
            item_id = _derived_id(caller, collection, key) if key else change_id
        else:
            item_id = request.item_id()
        data = None
        if request.method != "DELETE":
            check_content_type(request.header("content-type"))
            data = parse_body(request.body(), self._validators[collection.name])
            if key:
                change_id = minimal_version(caller.sub, collection.name, key, data)
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

    def _refuse_another_body(self, change: Change, request: Request) -> None:
        """Check that no POST with this key and another body is applied to the item.

        The versions of both POSTs have time 0 and differ in their hashes. Any other version of the item comes from a
        later PUT or DELETE. It outranks the POST, so appending the POST changes nothing.

        :raises ProblemError: 422 if the item has the version of another POST.
        """
        try:
            version = self._versions.get_version(change.key)
        except AwsError as error:
            # Accept the change without the check, because reads must not stop writes. The outcome is safe: whatever is
            # appended, the same change wins in both Regions.
            self.telemetry.event(
                "key_not_checked",
                "The item could not be read, so another body under the same Idempotency-Key would not be noticed.",
                level="WARN",
                collection=change.collection,
                request_id=request.request_id,
                change_id=change.change_id,
                cause=error.code,
            )
            return
        if version is not None and version != change.version and is_minimal(version):
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "An earlier POST with this Idempotency-Key had another body. Use a new key for a new item.",
                parameter=_KEY,
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
                else "It is unknown if the write was accepted. Send it again, a POST only with its Idempotency-Key."
            )
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                detail,
                headers={"Retry-After": "2"},
                change_id=change.change_id,
                outcome=outcome,
            ) from error


def _idempotency_key(request: Request) -> str | None:
    """Return the idempotency key of a POST; ``None`` for a POST without one, and for a PUT or DELETE.

    :raises ProblemError: 400 if the key is malformed, or if the request also has the query parameter ``min_version``.
    """
    key = request.header(_KEY.lower()) if request.method == "POST" else None
    if key is None:
        return None
    if not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise bad_parameter(_KEY, "Idempotency-Key must be 1-255 printable ASCII characters.")
    if MIN_VERSION in request.query:
        raise bad_parameter(
            MIN_VERSION,
            "A POST with Idempotency-Key takes no min_version, because its version is below that of any PUT or DELETE.",
        )
    return key


def _derived_id(caller: Caller, collection: Collection, key: str) -> str:
    # Derive the item id from the idempotency key, because a retry with the same key must get the same item id in every
    # Region. A table of used keys wouldn't work, because a retry may come before the new key is in all Regions.
    return hashlib.sha256(f"{caller.sub}\n{collection.name}\n{key}".encode()).hexdigest()[:32]


def _compile(settings: WriteSettings) -> tuple[dict[str, SchemaValidator], dict[str, str]]:
    """Read and compile the schemas of all collections, as :func:`compile_usable_schemas` returns them."""
    schemas = read_schemas(make_client("s3"), settings.schemas)
    # A collection without a schema accepts any JSON object.
    return compile_usable_schemas({name: schemas.get(name, {}) for name in settings.collections})


def check_schemas() -> list[str]:
    """Return each problem with a collection's schema, as one sentence.

    :raises SettingsError: if a setting is missing or wrong.
    """
    _, problems = _compile(load_settings(WriteSettings))
    return [f"The schema of the collection {name} can't be used: {problem}" for name, problem in problems.items()]


def make_write() -> Function:
    """Make `write` from the settings in its environment.

    A schema that can't be compiled closes its own collection only. Terraform's check finds it before this version of
    `write` goes live, so that happens only if somebody moves the alias by hand.

    :raises SettingsError: if a setting is missing or wrong.
    :raises AwsError: if the schemas can't be read.
    """
    settings = load_settings(WriteSettings)
    telemetry = Telemetry("write", settings.name)
    validators, problems = _compile(settings)
    for name in problems:
        telemetry.event(
            _UNUSABLE,
            "The collection's schema can't be compiled, so this version refuses the collection's writes.",
            level="ERROR",
            collection=name,
        )
    # Set `attempts=1`, because `FirehoseWriteLog` itself makes up to three attempts. Each takes at most 4 s (1 s to
    # connect and 3 s to read), and all of them take at most 12.3 s with the backoffs. Before them, a POST with
    # Idempotency-Key reads once, which takes at most 2 s (1 s to connect and 1 s to read). Terraform refuses a function
    # timeout of less than 15 s, so Lambda can't cut off the response that says whether the write was accepted.
    log = FirehoseWriteLog(make_client("firehose", attempts=1, read_timeout=3), settings.delivery_stream)
    # Making a client opens no connection. Only the first POST with Idempotency-Key connects to DynamoDB.
    versions = DynamoStoredVersions(make_client("dynamodb", attempts=1, read_timeout=1), settings.items_table)
    write = Write(settings, validators, log, versions, telemetry)
    headers = cors_headers(settings.cors_origins)
    return lambda event, _context: respond(event, headers, write.telemetry, write)


handler = Entrypoint(make_write, check_schemas)
