"""The Lambda function `poll`: it sends a back office's changes to Kinesis, or stores its snapshot as S3 documents."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ..aws.boto import BotoClient
from ..aws.faults import AwsError
from ..config import DAY_MS, ConfigObject, load_settings
from ..entrypoint import Entrypoint, Event, Function
from ..model.collection import Collection
from ..stores.config_object import load_config
from ..telemetry import Telemetry
from . import report
from .change_stream import KinesisChangeStream
from .checkpoint_table import DynamoCheckpoints
from .declared_sources import DeclaredSource, DeclaredSources
from .errors import LeaseLostError, SourceError
from .events import FreshnessEvent, RedriveEvent, parse_event
from .lease import Lease
from .outcome import PollCounts, PollOutcome
from .poll_stores import PollStores
from .quarantine import S3Quarantine
from .redrive import redrive
from .run import run
from .runtime import REAL, Runtime
from .snapshot_documents import S3SnapshotDocuments
from .source.settings import Source
from .source.translate import Translator
from .sourced_items import DynamoSourcedItems
from .switch import DynamoSwitch
from .upstream.client import BackOfficeClient
from .upstream.oauth2 import AccessTokens
from .upstream.response import Fetch
from .upstream.secret_values import AwsSecretValues


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
    :param config: the S3 object that holds the settings of the sources and the JSON Schemas of their collections.
    :param collections: the collections that the sources feed, by name.
    :param first_region: the Region that polls a source as long as nobody has moved it; ``None`` if only one Region
        polls.
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
    config: ConfigObject
    collections: Mapping[str, Collection]
    first_region: str | None = None

    @property
    def horizon_ms(self) -> int:
        """How many milliseconds a tombstone (the mark of a deleted item) is kept."""
        return self.horizon_days * DAY_MS


class Poll:
    """The function `poll`. Its stores and its access to the back offices are arguments, so that tests can replace them.

    :param name: the name of the Readplane stack.
    :param sources: the sources that Terraform declares.
    :param make_fetch: a function that takes a source, and returns the function that fetches pages from the source's
        back office.
    :param runtime: the clocks and the random bytes of the invocations.
    """

    def __init__(
        self,
        sources: DeclaredSources,
        stores: PollStores,
        make_fetch: Callable[[Source], Fetch],
        telemetry: Telemetry,
        runtime: Runtime = REAL,
    ) -> None:
        self._sources = sources
        self._stores = stores
        self._make_fetch = make_fetch
        self._telemetry = telemetry
        self._runtime = runtime

    def __call__(self, event: Event, remaining_ms: Callable[[], int]) -> dict[str, Any]:
        """Serve one event, which names a source but holds none of its settings (:mod:`.events`).

        :param remaining_ms: a function that returns the milliseconds until Lambda ends the invocation.
        :raises EventError: if `poll` doesn't serve the event, or the event names a source that isn't declared.
        :raises SourceError: if the settings of the source to redrive can't be used. (A poll of such a source fails
            without an error.)
        """
        request = parse_event(event)
        if isinstance(request, FreshnessEvent):
            names = self._sources.names
            return {"staleness": report.measure_staleness(self._stores, names, self._telemetry, self._runtime.now_ms)}
        if isinstance(request, RedriveEvent):
            return self._redrive(self._sources.load(request.source), request.keys, remaining_ms)
        if request.source in self._sources.names and not self._polls_here(request.source):
            return report.poll_response("elsewhere", PollCounts())
        try:
            declared = self._sources.load(request.source)
        except SourceError as error:
            return self._refuse(request.source, error, remaining_ms)
        return self._poll(declared, request.sweep, remaining_ms)

    def _polls_here(self, source: str) -> bool:
        switch = self._stores.switch
        return switch is None or switch.polls_here(source)

    def _refuse(self, source: str, error: SourceError, remaining_ms: Callable[[], int]) -> dict[str, Any]:
        """Report that a source can't be polled, because its settings can't be used.

        The other sources go on. The staleness of this one is measured from now on, so its alarm fires even if the
        source has never been polled.
        """
        now = self._runtime.now_ms()
        holder = self._runtime.random(16).hex()
        checkpoint = self._stores.checkpoints.acquire_lease(source, holder, now, now + remaining_ms())
        if checkpoint is not None:
            first_polled_ms = checkpoint.first_polled_ms or now
            self._stores.checkpoints.release_lease(replace(checkpoint, first_polled_ms=first_polled_ms), holder)
            if checkpoint.paused:
                return report.poll_response("paused", PollCounts())
        self._telemetry.event(
            "source_unusable",
            "The settings of a source can't be used, so the source isn't polled.",
            level="ERROR",
            metrics={"PollsFailed": 1},
            source=source,
            problems=error.problems,
        )
        return report.poll_response("failed", PollCounts(), fault=f"settings: {error}")

    def _redrive(self, declared: DeclaredSource, keys: list[str], remaining_ms: Callable[[], int]) -> dict[str, Any]:
        source = declared.source
        translator = Translator(source, declared.validator)
        # Use half of the remaining time to send the changes. The other half is for removing the quarantine entries.
        seconds = remaining_ms() / 2000
        response = redrive(source, declared.collection, translator, keys, self._stores, seconds, self._runtime.now_ms)
        self._telemetry.event(
            "redriven",
            "The changes of quarantined records are on the change stream.",
            metrics={"RecordsRedriven": response["redriven"]},
            source=source.name,
            failed=len(response["failed"]),
        )
        return response

    def _poll(self, declared: DeclaredSource, sweep: bool, remaining_ms: Callable[[], int]) -> dict[str, Any]:
        source = declared.source
        now = self._runtime.now_ms()
        if sweep:
            # Request the sweep before acquiring the lease. If another poll holds the lease, this poll ends without a
            # sweep, but a later poll finds the request.
            self._stores.checkpoints.request_sweep(source.name, now)
        holder = self._runtime.random(16).hex()
        checkpoint = self._stores.checkpoints.acquire_lease(source.name, holder, now, now + remaining_ms())
        if checkpoint is None:
            self._telemetry.event(
                "poll_already_running", "Another poll holds the source's lease, so this one ends.", source=source.name
            )
            return report.poll_response("running", PollCounts())
        if not checkpoint.first_polled_ms:
            checkpoint = replace(checkpoint, first_polled_ms=now)
        lease = Lease(
            source,
            declared.collection,
            checkpoint,
            holder,
            self._stores,
            self._telemetry,
            remaining_ms,
            self._runtime,
        )
        try:
            outcome = self._run_and_release(lease, declared)
        except LeaseLostError:
            self._telemetry.event(
                "lease_lost",
                "The lease ended or was taken while the poll ran, so the poll sends and saves nothing more.",
                level="WARN",
                source=source.name,
            )
            return report.poll_response("running", lease.counts, fault=lease.fault)
        return report.report_poll(lease, outcome)

    def _run_and_release(self, lease: Lease, declared: DeclaredSource) -> PollOutcome:
        """Poll the source, then release its lease, even if the poll failed.

        After an error no change is lost, because the next poll continues from the saved checkpoint.
        """
        try:
            outcome = run(lease, self._make_fetch, declared.validator)
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


def _fetch_maker(secrets: AwsSecretValues, telemetry: Telemetry) -> Callable[[Source], Fetch]:
    def report_rotation(source: str) -> None:
        telemetry.event(
            "refresh_token_rotated",
            "The authorization server replaces refresh tokens, but poll can't store the new one. Let the server keep "
            "refresh tokens, or use the grant client_credentials.",
            level="WARN",
            source=source,
        )

    tokens = AccessTokens(on_rotation=report_rotation)
    return lambda source: BackOfficeClient(source, secrets, tokens).fetch


def make_poll() -> Function:
    """Create the function `poll` from the settings in its environment, and from the sources' settings in S3.

    :raises SettingsError: if a setting is missing or wrong.
    :raises ValueError: if the object in S3 isn't the one that Terraform wrote.
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
        switch=_make_switch(settings, dynamodb),
    )
    sources = _load_sources(settings, s3)
    telemetry = Telemetry("poll", settings.name)
    poll = Poll(sources, stores, _fetch_maker(AwsSecretValues(), telemetry), telemetry)
    return lambda event, context: poll(event, context.get_remaining_time_in_millis)


def _make_switch(settings: PollSettings, dynamodb: BotoClient) -> DynamoSwitch | None:
    if settings.first_region is None:
        return None
    return DynamoSwitch(dynamodb, settings.items_table, settings.documents[0].region, settings.first_region)


def find_problems() -> list[str]:
    """Return every problem of every source and of its collection's JSON Schema.

    Terraform asks each new version of `poll` for its problems before the version goes live.

    :raises SettingsError: if a setting is missing or wrong.
    """
    return _load_sources(load_settings(PollSettings), BotoClient("s3", attempts=5)).problems()


def _load_sources(settings: PollSettings, s3: BotoClient) -> DeclaredSources:
    return DeclaredSources.from_json(load_config(s3, settings.config), settings.collections)


handler = Entrypoint(make_poll, check=find_problems)
