"""Reads the back offices: what changed there becomes changes on Kinesis, a snapshot becomes a document."""

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from ..aws.boto import BotoClient
from ..aws.faults import AwsError
from ..clock import now_ms
from ..config import DAY_MS, load
from ..model.collection import Collection
from ..model.schema import SchemaValidator, compile_schemas
from ..stores.schemas import read_schemas
from ..telemetry import Telemetry
from . import report
from .change_stream import KinesisChangeStream
from .checkpoint_table import DynamoCheckpoints
from .errors import LeaseLostError, SourceError
from .lease import Fetch, Lease, PollCounts, PollStores
from .quarantine import S3Quarantine
from .redrive import redrive
from .run import PollOutcome, run
from .snapshot_documents import S3SnapshotDocuments
from .source.settings import Source, parse_source
from .source.translate import Translator
from .sourced_items import DynamoSourcedItems
from .upstream.client import BackOfficeClient
from .upstream.secret_values import AwsSecretValues

Event = dict[str, Any]


class DocumentsBucket(NamedTuple):
    """One Region's documents."""

    region: str
    bucket: str


class PollSettings(NamedTuple):
    """What Terraform tells the function."""

    name: str
    items_table: str
    items_index: str
    checkpoints_table: str
    stream: str
    log_bucket: str
    quarantine_prefix: str
    documents: tuple[DocumentsBucket, ...]
    horizon_ms: int
    schemas: Mapping[str, str]
    collections: Mapping[str, Collection]


def poll_settings() -> PollSettings:
    """:raises BadSettings: with every problem."""
    return load(
        lambda given: PollSettings(
            name=given.text("name"),
            items_table=given.text("items_table"),
            items_index=given.text("items_index"),
            checkpoints_table=given.text("checkpoints_table"),
            stream=given.text("stream"),
            log_bucket=given.text("log_bucket"),
            quarantine_prefix=given.text("quarantine_prefix"),
            documents=tuple(
                DocumentsBucket(place.text("region"), place.text("bucket")) for place in given.parts("documents")
            ),
            horizon_ms=given.number("horizon_days") * DAY_MS,
            schemas={name: given.text("schemas", name) for name in ("bucket", "key", "sha256")},
            collections=given.collections(),
        )
    )


class Poll:
    """The function, with what it needs handed in.

    :param validators: each collection's compiled schema.
    :param upstream: makes what asks a source's back office.
    """

    def __init__(
        self,
        settings: PollSettings,
        validators: Mapping[str, SchemaValidator],
        stores: PollStores,
        upstream: Callable[[Source], Fetch],
        telemetry: Telemetry,
    ) -> None:
        self._settings = settings
        self._validators = validators
        self._stores = stores
        self._upstream = upstream
        self._telemetry = telemetry

    def __call__(self, event: Event, remaining_ms: Callable[[], int]) -> Event:
        """Do what the event names: ``source`` (poll it), ``validate``, ``freshness`` or ``redrive``.

        :param remaining_ms: how long the invocation may still take.
        :raises BadSource: when the settings of the source to poll or redrive can't be used.
        """
        if "validate" in event:
            return {"problems": self._problems(event["validate"])}
        if "freshness" in event:
            return self._tell_staleness(event["freshness"])
        if "redrive" in event:
            return self._redrive(event["redrive"], remaining_ms)
        return self._poll(self._source(event["source"]), bool(event.get("sweep")), remaining_ms)

    def _source(self, raw: object) -> Source:
        return parse_source(raw, self._settings.collections)

    def _validate(self, source: Source) -> SchemaValidator:
        """Its collection's schema; one without takes any object."""
        return self._validators.get(source.collection, bool)

    def _problems(self, sources: list[object]) -> list[str]:
        problems: list[str] = []
        for raw in sources:
            try:
                self._source(raw)
            except SourceError as bad:
                problems += bad.problems
        return problems

    def _tell_staleness(self, sources: list[Event]) -> Event:
        """A metric per source from its checkpoint: a poll that never comes can't tell that it is late."""
        told = {}
        for source in sources:
            name = source["name"]
            checkpoint = self._stores.checkpoints.get(name)
            if checkpoint is None:
                continue
            # Before the first whole pass it is at least as stale as that takes.
            since_ms = checkpoint.fresh_as_of_ms or checkpoint.begun_ms
            if since_ms:
                told[name] = max(0, now_ms() - since_ms) / 1000
                self._telemetry.event(
                    "staleness_measured",
                    "How stale a source's items are.",
                    seconds={"Staleness": told[name]},
                    source=name,
                )
        return {"staleness": told}

    def _redrive(self, wanted: Event, remaining_ms: Callable[[], int]) -> Event:
        source = self._source(wanted["source"])
        collection = self._settings.collections[source.collection]
        translator = Translator(source, self._validate(source))
        seconds = remaining_ms() / 2000
        answer = redrive(source, collection, translator, wanted["keys"], self._stores, seconds)
        self._telemetry.event(
            "redriven",
            "Quarantined records are on the change stream again.",
            metrics={"RecordsRedriven": answer["redriven"]},
            source=source.name,
            failed=len(answer["failed"]),
        )
        return answer

    def _poll(self, source: Source, sweep_now: bool, remaining_ms: Callable[[], int]) -> Event:
        now = now_ms()
        if sweep_now:  # before the lease is asked for, so that whoever holds it, or comes next, sweeps
            self._stores.checkpoints.request_sweep(source.name, now)
        owner = os.urandom(16).hex()
        checkpoint = self._stores.checkpoints.acquire(source.name, owner, now, now + remaining_ms())
        if checkpoint is None:
            self._telemetry.event("poll_already_running", "Another poll holds the source.", source=source.name)
            return _answer("running", PollCounts())
        session = Lease(
            source,
            self._settings.collections[source.collection],
            checkpoint,
            owner,
            self._stores,
            self._telemetry,
            remaining_ms,
        )
        if not checkpoint.begun_ms:
            session.keep(begun_ms=now)
        try:
            outcome = self._guarded(session)
        except LeaseLostError:
            self._telemetry.event(
                "lease_lost", "Another poll took the source's lease.", level="WARN", source=source.name
            )
            return _answer("running", session.tally)
        return self._told(session, outcome)

    def _guarded(self, session: Lease) -> PollOutcome:
        """Poll and give the lease back; a fault of ours loses nothing, and the next poll tries again."""
        try:
            outcome = run(session, self._upstream, self._validate(session.source))
        except LeaseLostError:
            raise
        except Exception as error:
            self._telemetry.failure(
                "poll_failed", "A poll failed for a reason of ours.", error, source=session.source.name
            )
            session.tally.fault = type(error).__name__
            outcome = "failed"
        try:
            session.release()
        except AwsError as error:  # it is over when the invocation would have been
            self._telemetry.failure(
                "lease_release_failed",
                "The lease was not released; it ends by itself when its time is over.",
                error,
                source=session.source.name,
            )
            session.tally.fault = type(error).__name__
            outcome = "failed"
        return outcome

    def _told(self, session: Lease, outcome: PollOutcome) -> Event:
        """Tell what has been done, in logs, metrics and the answer."""
        source, tally, checkpoint = session.source, session.tally, session.checkpoint
        if outcome not in ("paused", "open"):
            report.tell(session)
        since_ms = checkpoint.fresh_as_of_ms or checkpoint.begun_ms
        self._telemetry.event(
            "polled",
            "A poll is done.",
            source=source.name,
            outcome=outcome,
            pages=tally.pages,
            metrics={
                "PollsCompleted": int(outcome in ("completed", "not_modified")),
                "PollsFailed": int(outcome == "failed"),
                "RecordsPolled": tally.records,
                "ChangesPolled": tally.changes,
                "RecordsQuarantined": tally.quarantined,
                "BreakerOpen": int(checkpoint.breaker(source.breaker.failures, now_ms()) != "closed"),
                "SweepMissing": tally.missing,
                "SweepRefused": tally.refused,
            },
            seconds={"Staleness": max(0, now_ms() - since_ms) / 1000},
        )
        return _answer(outcome, tally, sweeping=checkpoint.sweep is not None)


def _answer(outcome: PollOutcome, tally: PollCounts, *, sweeping: bool = False) -> Event:
    return {
        "outcome": outcome,
        "pages": tally.pages,
        "records": tally.records,
        "changes": tally.changes,
        "quarantined": tally.quarantined,
        "missing": tally.missing,
        "sweeping": sweeping,
        "sweep_refused": bool(tally.refused),
        "fault": tally.fault,
    }


def _fetch(secrets: AwsSecretValues) -> Callable[[Source], Fetch]:
    return lambda source: BackOfficeClient(source, secrets).fetch


@cache
def function() -> Poll:
    """Make the function from its environment, once per sandbox.

    :raises BadSettings: with every problem.
    """
    settings = poll_settings()
    dynamodb = BotoClient("dynamodb", attempts=5)
    s3 = BotoClient("s3", attempts=5)
    stores = PollStores(
        checkpoints=DynamoCheckpoints(dynamodb, settings.checkpoints_table),
        items=DynamoSourcedItems(dynamodb, settings.items_table, settings.items_index, horizon_ms=settings.horizon_ms),
        stream=KinesisChangeStream(BotoClient("kinesis", attempts=5), settings.stream),
        quarantine=S3Quarantine(s3, settings.log_bucket, settings.quarantine_prefix),
        documents={
            place.region: S3SnapshotDocuments(BotoClient("s3", region=place.region), place.bucket)
            for place in settings.documents
        },
    )
    validators = compile_schemas(read_schemas(s3, **settings.schemas))
    return Poll(settings, validators, stores, _fetch(AwsSecretValues()), Telemetry("poll", settings.name))


def handler(event: Event, context: Any) -> Event:
    """Lambda entry point."""
    return function()(event, context.get_remaining_time_in_millis)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    function()  # during init
