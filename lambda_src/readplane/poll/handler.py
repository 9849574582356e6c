"""The Lambda function `poll`: it sends a back office's changes to Kinesis, or stores its snapshot as S3 documents."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ..aws.boto import BotoClient
from ..aws.faults import AwsError
from ..clock import now_ms
from ..config import DAY_MS, SchemasObject, load_settings
from ..entrypoint import Entrypoint, Event, Function
from ..model.collection import Collection
from ..model.schema import SchemaValidator, compile_schemas
from ..stores.schemas import read_schemas
from ..telemetry import Telemetry
from . import report
from .change_stream import KinesisChangeStream
from .checkpoint_table import DynamoCheckpoints
from .errors import LeaseLostError, SourceError
from .lease import Lease
from .outcome import PollCounts, PollOutcome
from .poll_stores import PollStores
from .quarantine import S3Quarantine
from .redrive import redrive
from .run import run
from .snapshot_documents import S3SnapshotDocuments
from .source.rules import parse_source
from .source.settings import Source
from .source.translate import Translator
from .sourced_items import DynamoSourcedItems
from .upstream.client import BackOfficeClient
from .upstream.response import Fetch
from .upstream.secret_values import AwsSecretValues

_ANYTHING = SchemaValidator({})


class DocumentsBucket(NamedTuple):
    """The S3 bucket that holds the documents of one Region.

    :param region: the Region's name.
    :param bucket: the bucket's name.
    """

    region: str
    bucket: str


class PollSettings(NamedTuple):
    """The settings of `poll`.

    :param name: the name of the Readplane stack.
    :param items_table: the DynamoDB table of the items.
    :param items_index: the index of the items table that lists a collection's items.
    :param checkpoints_table: the DynamoDB table of the sources' checkpoints.
    :param stream: the Kinesis stream that carries changes to `apply`.
    :param log_bucket: the S3 bucket of the write log, which also holds the quarantine.
    :param quarantine_prefix: the key prefix of the quarantine in the bucket of the write log.
    :param documents: the bucket of documents in each Region.
    :param horizon_days: how many days a tombstone (the mark of a deleted item) is kept.
    :param schemas: the S3 object that holds the collections' JSON Schemas.
    :param collections: the declared collections, by name.
    """

    name: str
    items_table: str
    items_index: str
    checkpoints_table: str
    stream: str
    log_bucket: str
    quarantine_prefix: str
    documents: tuple[DocumentsBucket, ...]
    horizon_days: int
    schemas: SchemasObject
    collections: Mapping[str, Collection]

    @property
    def horizon_ms(self) -> int:
        """How many milliseconds a tombstone (the mark of a deleted item) is kept."""
        return self.horizon_days * DAY_MS


class Poll:
    """The function `poll`. Its stores and its access to the back offices are arguments, so that tests can replace them.

    :param validators: the compiled JSON Schema of each collection that has one, by the collection's name.
    :param make_fetch: a function that takes a source, and returns the function that fetches pages from the source's
        back office.
    """

    def __init__(
        self,
        settings: PollSettings,
        validators: Mapping[str, SchemaValidator],
        stores: PollStores,
        make_fetch: Callable[[Source], Fetch],
        telemetry: Telemetry,
    ) -> None:
        self._settings = settings
        self._validators = validators
        self._stores = stores
        self._make_fetch = make_fetch
        self._telemetry = telemetry

    def __call__(self, event: Event, remaining_ms: Callable[[], int]) -> dict[str, Any]:
        """Handle one invocation of `poll`. One of the following members of the event says what to do.

        - ``source``: poll this source. If the event's member ``sweep`` is true, request a sweep first.
        - ``validate``: return every problem in the settings of these sources.
        - ``freshness``: measure the staleness of these sources.
        - ``redrive``: translate quarantined records again, and send their changes. This member contains the ``source``
          of the records and the ``keys`` of their quarantine entries.

        :param remaining_ms: a function that returns the milliseconds until Lambda ends the invocation.
        :raises SourceError: if the settings of the source to poll or redrive can't be used.
        """
        if "validate" in event:
            return {"problems": self._problems(event["validate"])}
        if "freshness" in event:
            names = [source["name"] for source in event["freshness"]]
            return {"staleness": report.measure_staleness(self._stores.checkpoints, names, self._telemetry)}
        if "redrive" in event:
            return self._redrive(event["redrive"], remaining_ms)
        return self._poll(self._parse_source(event["source"]), bool(event.get("sweep")), remaining_ms)

    def _parse_source(self, raw: object) -> Source:
        return parse_source(raw, self._settings.collections)

    def _validator(self, source: Source) -> SchemaValidator:
        """Return the compiled JSON Schema of a source's collection. Without a schema, any data is valid."""
        return self._validators.get(source.collection, _ANYTHING)

    def _problems(self, sources: list[object]) -> list[str]:
        problems: list[str] = []
        for raw in sources:
            try:
                self._parse_source(raw)
            except SourceError as error:
                problems += error.problems
        return problems

    def _redrive(self, request: Event, remaining_ms: Callable[[], int]) -> dict[str, Any]:
        source = self._parse_source(request["source"])
        collection = self._settings.collections[source.collection]
        translator = Translator(source, self._validator(source))
        # Use half of the remaining time to send the changes. The other half is for removing the quarantine entries.
        seconds = remaining_ms() / 2000
        response = redrive(source, collection, translator, request["keys"], self._stores, seconds)
        self._telemetry.event(
            "redriven",
            "The changes of quarantined records are on the change stream.",
            metrics={"RecordsRedriven": response["redriven"]},
            source=source.name,
            failed=len(response["failed"]),
        )
        return response

    def _poll(self, source: Source, sweep: bool, remaining_ms: Callable[[], int]) -> dict[str, Any]:
        now = now_ms()
        if sweep:
            # Request the sweep before acquiring the lease. If another poll holds the lease, this poll ends without a
            # sweep, but a later poll finds the request.
            self._stores.checkpoints.request_sweep(source.name, now)
        holder = os.urandom(16).hex()
        checkpoint = self._stores.checkpoints.acquire_lease(source.name, holder, now, now + remaining_ms())
        if checkpoint is None:
            self._telemetry.event(
                "poll_already_running", "Another poll holds the source's lease, so this one ends.", source=source.name
            )
            return report.poll_response("running", PollCounts())
        if not checkpoint.first_polled_ms:
            checkpoint = replace(checkpoint, first_polled_ms=now)
        collection = self._settings.collections[source.collection]
        lease = Lease(source, collection, checkpoint, holder, self._stores, self._telemetry, remaining_ms)
        try:
            outcome = self._run_and_release(lease)
        except LeaseLostError:
            self._telemetry.event(
                "lease_lost",
                "The lease ended or was taken while the poll ran, so the poll sends and saves nothing more.",
                level="WARN",
                source=source.name,
            )
            return report.poll_response("running", lease.counts, fault=lease.fault)
        return report.report_poll(lease, outcome)

    def _run_and_release(self, lease: Lease) -> PollOutcome:
        """Poll the source, then release its lease, even if the poll failed.

        After an error no change is lost, because the next poll continues from the saved checkpoint.
        """
        try:
            outcome = run(lease, self._make_fetch, self._validator(lease.source))
        except LeaseLostError:
            raise
        except Exception as error:  # noqa: BLE001 - release the lease after any error
            self._telemetry.failure(
                "poll_failed",
                "The poll failed because of AWS or its own code, not because of the back office.",
                error,
                source=lease.source.name,
            )
            lease.fault = _fault_of(error)
            outcome = "failed"
        try:
            lease.release()
        except AwsError as error:
            self._telemetry.failure(
                "lease_release_failed",
                "The lease was not released; it ends at the time when this invocation would have timed out.",
                error,
                source=lease.source.name,
            )
            lease.fault = _fault_of(error)
            outcome = "failed"
        return outcome


def _fault_of(error: Exception) -> str:
    """Return a short description of an error for operators. It doesn't quote the error's message."""
    return f"aws: {error.code}" if isinstance(error, AwsError) else f"internal: {type(error).__name__}"


def _fetch_maker(secrets: AwsSecretValues) -> Callable[[Source], Fetch]:
    return lambda source: BackOfficeClient(source, secrets).fetch


def make_poll() -> Function:
    """Create the function `poll` from the settings in its environment.

    :raises SettingsError: if a setting is missing or wrong.
    :raises ValueError: if the JSON Schemas of the collections can't be used. The message lists every problem.
    """
    settings = load_settings(PollSettings)
    dynamodb = BotoClient("dynamodb", attempts=5)
    s3 = BotoClient("s3", attempts=5)
    stores = PollStores(
        checkpoints=DynamoCheckpoints(dynamodb, settings.checkpoints_table),
        items=DynamoSourcedItems(dynamodb, settings.items_table, settings.items_index, horizon_ms=settings.horizon_ms),
        stream=KinesisChangeStream(BotoClient("kinesis", attempts=5), settings.stream),
        quarantine=S3Quarantine(s3, settings.log_bucket, settings.quarantine_prefix),
        documents={
            entry.region: S3SnapshotDocuments(BotoClient("s3", region=entry.region), entry.bucket)
            for entry in settings.documents
        },
    )
    validators = compile_schemas(read_schemas(s3, *settings.schemas))
    poll = Poll(settings, validators, stores, _fetch_maker(AwsSecretValues()), Telemetry("poll", settings.name))
    return lambda event, context: poll(event, context.get_remaining_time_in_millis)


handler = Entrypoint(make_poll)
