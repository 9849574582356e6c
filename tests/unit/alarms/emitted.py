"""Runs the functions in memory, calm and with faults, and collects the metrics that they really emit.

A metric is in a log line in CloudWatch's embedded metric format. So the names, the dimensions and the values are those
of the code, and no list in the tests can differ from them.
"""

import contextlib
import io
import json
from collections.abc import Callable, Mapping
from itertools import chain, repeat
from typing import Any, NamedTuple, cast

from readplane.apply.tally import CountedObjects
from readplane.clock import now_ms
from readplane.feed.fed_stores import DatabaseStore
from readplane.feed.item_rows import ItemRows
from readplane.feed.messages import MessageFeeder
from readplane.model.cache_entry import CacheEntry
from readplane.model.timestamp import rfc3339
from readplane.poll.errors import BackOfficeError
from readplane.probe.handler import Probe, ProbeRequest, ProbeSettings
from readplane.publish.handler import Publish, PublishSettings
from readplane.publish.heartbeat import report_heartbeats
from readplane.stores.item_cache import CachedItems, EntryStore
from readplane.stores.key_queue import print_message
from readplane.stores.resp import Answer, RespClient, RespError
from readplane.telemetry import NAMESPACE, Telemetry
from readplane.write.log import NotAppendedError
from tests.fakes.dynamodb import MemoryDynamo
from tests.unit.apply.support import EVENT, KEY, MemoryCountedObjects, apply_with
from tests.unit.feed.support import MemoryWriter
from tests.unit.mangled_rows import row_of
from tests.unit.poll.support import CHANGES, DAY_MS, ORIGIN, SNAPSHOT, SWEPT, World
from tests.unit.stores.cache_support import KEY as CACHED_KEY
from tests.unit.stores.cache_support import SETTINGS as CACHE
from tests.unit.support import (
    COLLECTIONS,
    NOW_MS,
    MemoryDocuments,
    MemoryItems,
    MemoryLog,
    MemoryRows,
    change,
    kinesis_event,
    stream_record,
)
from tests.unit.write.support import WriteService, put

HERE, THERE = "eu-central-1", "eu-west-1"


class EmittedMetric(NamedTuple):
    """A data point that a function emits.

    :param function: the function that emits it.
    :param dimensions: the names of its dimensions.
    """

    function: str
    name: str
    dimensions: frozenset[str]
    value: float


def emitted(run: Callable[[], object]) -> list[EmittedMetric]:
    """Run a function and return the data points that it emits. One value with two sets of dimensions is two points."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        run()
    points = []
    for line in map(json.loads, output.getvalue().splitlines()):
        for group in line.get("_aws", {}).get("CloudWatchMetrics", []):
            assert group["Namespace"] == NAMESPACE
            for dimensions in group["Dimensions"]:
                assert set(dimensions) <= set(line), "CloudWatch drops a metric whose dimension has no value"
                points += [
                    EmittedMetric(line["function"], unit["Name"], frozenset(dimensions), line[unit["Name"]])
                    for unit in group["Metrics"]
                ]
    return points


def write(failure: Exception | None = None) -> Callable[[], object]:
    """Return a run of `write`, whose write log fails with ``failure``."""
    service = WriteService()
    service.log.failure = failure
    return lambda: service(put())


def write_with_unusable_schema() -> object:
    """Refuse a write of a collection whose schema can't be compiled."""
    service = WriteService()
    service.write._validators = {}
    return service(put())


def apply(*, line: bytes | None = None, fails: bool = False, counted: CountedObjects | None = None) -> object:
    """Apply a write-log object with one line."""
    items = MemoryItems()
    if fails:
        items.fail.add(change().item_id)
    log = MemoryLog({KEY: [line or change().line()]})
    return apply_with(items, log, counted=counted or MemoryCountedObjects())(EVENT)


def apply_again() -> None:
    """Apply a change that is applied already, and one that is older than it."""
    newer, older = change(ms=NOW_MS), change(ms=NOW_MS - 1)
    items = MemoryItems()
    items.by_key[newer.key] = newer
    for entry in (newer, older):
        apply_with(items, MemoryLog({KEY: [entry.line()]}))(EVENT)


def apply_stream(*, fails: bool = False) -> object:
    """Apply a record of the change stream."""
    items = MemoryItems()
    if fails:
        items.fail.add(change().item_id)
    return apply_with(items, MemoryLog())(kinesis_event([change().line()]))


def publish(*records: Any) -> object:
    """Publish records of the items stream; one good record by default."""
    settings = PublishSettings("demo", "t", "d", "b", "quarantine/", 30, COLLECTIONS)
    telemetry = Telemetry("publish", "demo")
    batch = list(records) or [stream_record(None, change())]
    report_heartbeats(batch, HERE, NOW_MS, telemetry)
    return Publish(settings, MemoryItems(), MemoryDocuments(), MemoryRows(), telemetry)({"Records": batch})


def heartbeat(lag_seconds: float = 1) -> Any:
    """Return a record of the items stream about a heartbeat of the other Region."""
    sent_at = rfc3339(NOW_MS - int(lag_seconds * 1000))
    row = {"pk": {"S": f"heartbeat/{THERE}"}, "sent_at": {"S": sent_at}}
    return {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": "1", "NewImage": row, "OldImage": row}}


def malformed_record() -> Any:
    """Return a record of the items stream whose row has a version but no collection."""
    record = stream_record(None, change())
    del record["dynamodb"]["NewImage"]["collection"]
    return record


class Polling:
    """A source that `poll` polls."""

    def __init__(self, source: dict[str, Any] = CHANGES) -> None:
        self.world = World()
        self.source = source

    def poll(self, *, sweep: bool = False) -> Any:
        """Poll once."""
        return self.world(self.source, sweep=sweep)

    def fail(self) -> None:
        """Let the back office refuse connections."""
        self.world.office.fault = BackOfficeError("connect", "ConnectionRefusedError", retryable=True)

    def measure(self) -> Any:
        """Measure the staleness."""
        return self.world.call({"freshness": True})


def poll_with_open_breaker() -> object:
    """Poll a back office that has failed often in a row."""
    polling = Polling()
    polling.fail()
    for _ in range(CHANGES["breaker"]["failures"] - 1):
        with contextlib.redirect_stdout(io.StringIO()):
            polling.poll()
    return polling.poll()


def poll_bad_record() -> object:
    """Poll a record that can't be translated."""
    polling = Polling()
    polling.world.office.row("a", n="bad")
    return polling.poll()


def measure_bad_record() -> object:
    """Measure the staleness of a source of which a record is in quarantine."""
    polling = Polling()
    polling.world.office.row("a", n="bad")
    with contextlib.redirect_stdout(io.StringIO()):
        polling.poll()
    return polling.measure()


def poll_doubtful_list() -> object:
    """Poll a back office that answers every request with the same record and a link to a further page."""
    polling = Polling()
    office = polling.world.office
    row = {"id": "a", "at": NOW_MS - DAY_MS, "n": 1, "gone": False}
    office.answer = lambda _: json.dumps({"rows": [row], "next": f"{ORIGIN}?page={len(office.urls)}"}).encode()
    return polling.poll()


def poll_duplicate_ids() -> object:
    """Poll a list in which one id stands twice."""
    polling = Polling()
    rows = [{"id": "a", "at": NOW_MS - DAY_MS, "n": number, "gone": False} for number in (1, 2)]
    polling.world.office.answer = lambda _: json.dumps({"rows": rows, "next": None}).encode()
    return polling.poll()


def poll_in_another_zone() -> object:
    """Poll a back office that understands the cursor as a time two hours later."""
    polling = Polling()
    office = polling.world.office
    office.row("a")
    with contextlib.redirect_stdout(io.StringIO()):
        polling.poll()
    office.rows.clear()
    return polling.poll()


def refuse_sweep() -> object:
    """Sweep a back office whose listing has become empty."""
    polling = Polling(SWEPT)
    with contextlib.redirect_stdout(io.StringIO()):
        for number in range(10):
            polling.world.office.row(f"row-{number}", NOW_MS - DAY_MS)
        polling.poll()
        polling.world.office.rows.clear()
        polling.poll(sweep=True)
    return polling.poll(sweep=True)


def poll_without_other_region(source: Mapping[str, Any] = CHANGES) -> object:
    """Poll while the other Region's documents can't be written."""
    polling = Polling(dict(source))
    polling.world.regions["eu-west-1"].down = True
    polling.world.office.answer = (lambda url: b"[1]") if source is SNAPSHOT else polling.world.office.answer
    return polling.poll()


def staleness(seconds: float) -> list[EmittedMetric]:
    """Return what `poll` emits about a source whose last complete poll was ``seconds`` ago."""
    polling = Polling()
    with contextlib.redirect_stdout(io.StringIO()):
        polling.poll()
    polling.world.ms = NOW_MS + int(seconds * 1000)
    return emitted(polling.measure)


def mend() -> object:
    """Publish a record in which an item's version went down."""
    newer, older = change(ms=NOW_MS + 1), change(ms=NOW_MS)
    return publish(stream_record(newer, older))


def feed(*, fails: bool = False) -> object:
    """Write an item to the database."""
    table, writer = MemoryDynamo(), MemoryWriter()
    table.items[change().key] = row_of(change())
    writer.is_down = fails
    telemetry = Telemetry("feed", "demo")
    stores: Any = {"database": DatabaseStore(cast(Any, writer), frozenset(COLLECTIONS))}
    message = {
        "messageId": "m",
        "body": print_message("database", [change().key]),
        "attributes": {"SentTimestamp": str(NOW_MS)},
    }
    feeder = MessageFeeder(ItemRows(table, "items", telemetry), stores, 30 * DAY_MS, telemetry)
    times = chain([60_000, 60_000], repeat(0))  # enough for one attempt
    return feeder.feed_messages([message], lambda: next(times))


class CacheClient(RespClient):
    """A client of a cache that has a fresh entry.

    :param error: the code of the error with which each command fails; ``None`` if the cache answers.
    """

    def __init__(self, error: str | None) -> None:
        super().__init__("127.0.0.1", 1, tls=False)
        self._error = error

    def call(self, *words: bytes, seconds: float | None = None) -> Answer:
        """Answer a command, or fail it."""
        if self._error:
            raise RespError(self._error)
        entry = CacheEntry(change().version, now_ms() + 60_000, CACHED_KEY, change().representation())
        return entry.encode(CACHE.max_item_bytes)

    def get(self, key: str, seconds: float | None = None) -> Answer:
        """Answer the command GET, or fail it."""
        return self.call(b"GET", key.encode(), seconds=seconds)


def read_cached(error: str | None = None) -> object:
    """Read an item through the cache."""
    telemetry = Telemetry("read", "demo")
    store = EntryStore(CACHE, CacheClient(error), telemetry)
    return CachedItems(store, MemoryItems(), frozenset({"products"}), telemetry).read(CACHED_KEY, "")


def probe(status: int) -> object:
    """Call an API that responds with a status code."""
    settings = ProbeSettings("demo", {"health": ProbeRequest("health", "https://api.example.com/v1/health")})
    return Probe(settings, Telemetry("probe", "demo"), lambda url, seconds: status)()


RUNS: Mapping[str, Callable[[], object]] = {
    "write": write(),
    "write_unconfirmed": write(NotAppendedError(refused=True, cause="ThrottlingException")),
    "write_with_unusable_schema": write_with_unusable_schema,
    "apply": apply,
    "apply_again": apply_again,
    "apply_fails": lambda: apply(fails=True),
    "apply_quarantines": lambda: apply(line=b"not a change\n"),
    "apply_stream": apply_stream,
    "apply_stream_fails": lambda: apply_stream(fails=True),
    "publish": publish,
    "publish_heartbeat": lambda: publish(heartbeat()),
    "publish_malformed": lambda: publish(malformed_record()),
    "publish_mends": mend,
    "read_cached": read_cached,
    "read_without_cache": lambda: read_cached("ReadTimeoutError"),
    "read_refused_by_cache": lambda: read_cached("WRONGPASS"),
    "feed": feed,
    "feed_fails": lambda: feed(fails=True),
    "probe": lambda: probe(200),
    "probe_fails": lambda: probe(503),
    "poll": lambda: Polling().poll(),
    "poll_bad_record": poll_bad_record,
    "poll_with_open_breaker": poll_with_open_breaker,
    "measure_bad_record": measure_bad_record,
    "poll_doubtful_list": poll_doubtful_list,
    "poll_duplicate_ids": poll_duplicate_ids,
    "poll_in_another_zone": poll_in_another_zone,
    "refuse_sweep": refuse_sweep,
    "poll_without_other_region": poll_without_other_region,
    "snapshot_without_other_region": lambda: poll_without_other_region(SNAPSHOT),
}
"""Name of each run -> the run, calm or with a fault."""


def all_emitted() -> list[EmittedMetric]:
    """Return the data points of all runs."""
    points = staleness(1)
    for run in RUNS.values():
        points += emitted(run)
    return points
