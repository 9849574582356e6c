"""Folds changes into the items: those of write-log objects and of the change stream; poison goes to quarantine."""

import json
import os
from base64 import b64decode
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from datetime import datetime
from functools import cache, partial
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote_plus

from ..aws.client import client
from ..aws.faults import AwsError, RefusedError
from ..clock import now_ms
from ..config import DAY_MS, load
from ..model.change import Change, PoisonError, Window, is_expired, parse_line
from ..model.collection import Collection
from ..stores.items import ApplyOutcome
from ..stores.items_bulk import MAX_CHANGES, BulkItems, DynamoBulkItems, parts, sent_bytes
from ..telemetry import Telemetry
from .objects import LogObjects, S3LogObjects
from .queue import ApplyQueue, SqsApplyQueue

WORKERS = 8
"""Threads that write. With calls of 8 ms this many hide the waiting; twice as many bring nothing, as the interpreter's
one lock is busy by then."""

AHEAD = 2 * WORKERS
"""Parts of an object that are being written or wait for a thread; parsing waits while there are so many."""

MAX_BACKOFF = 900
"""Seconds at most until a failed message comes again; the pauses double from 2 s on."""

REDRIVEN = "log/redrive/"
"""Where operators put lines that are to be applied again; Firehose delivered none of these."""

METRIC = {"applied": "ChangesApplied", "duplicate": "ChangesDuplicate", "superseded": "ChangesSuperseded"}

Event = dict[str, Any]
Done = TypeVar("Done")


class ApplySettings(NamedTuple):
    """What Terraform tells the function."""

    name: str
    items_table: str
    queue_url: str
    log_bucket: str
    quarantine_prefix: str
    horizon_ms: int
    collections: Mapping[str, Collection]


def apply_settings() -> ApplySettings:
    """:raises BadSettings: with every problem."""
    return load(
        lambda given: ApplySettings(
            name=given.text("name"),
            items_table=given.text("items_table"),
            queue_url=given.text("queue_url"),
            log_bucket=given.text("log_bucket"),
            quarantine_prefix=given.text("quarantine_prefix"),
            horizon_ms=given.number("horizon_days") * DAY_MS,
            collections=given.collections(),
        )
    )


class Apply:
    """The function, with what it needs handed in."""

    def __init__(
        self,
        settings: ApplySettings,
        items: BulkItems,
        log: LogObjects,
        notifications: ApplyQueue,
        telemetry: Telemetry,
    ) -> None:
        self._settings = settings
        self._items = items
        self._log = log
        self._notifications = notifications
        self._telemetry = telemetry
        self._pool = ThreadPoolExecutor(WORKERS)  # its threads start when they are needed, and stay

    def __call__(self, event: Event, remaining_ms: Callable[[], int]) -> Event:
        """Apply what an SQS message's objects, or a shard's records, hold; name what must come again.

        :param remaining_ms: how long the invocation may still take. One that is cut off would report nothing, and all
            of its batch would come again; so nothing further is begun in its second half.
        """
        records = event["Records"]  # of one event source: a mapping makes its own batches
        apply = self._shard if records[0].get("eventSource") == "aws:kinesis" else self._messages
        return {"batchItemFailures": [{"itemIdentifier": failed} for failed in apply(records, remaining_ms)]}

    def _messages(self, messages: list[Event], remaining_ms: Callable[[], int]) -> list[str]:
        """Apply each message's objects; give back the ids of those that failed, so that only they come again.

        (An object fits into half the time: Terraform bounds Firehose's buffer by the function's time-out.)
        """
        half = remaining_ms() / 2
        failures = []
        for number, message in enumerate(messages):
            if number and remaining_ms() < half:
                seconds = 0
            elif self._applied(message):
                continue
            else:
                seconds = min(MAX_BACKOFF, 2 ** int(message["attributes"]["ApproximateReceiveCount"]))
            self._again_in(message, seconds)
            failures.append(message["messageId"])
        return failures

    def _shard(self, records: list[Event], remaining_ms: Callable[[], int]) -> list[str]:
        """Apply records of one shard; give back where Lambda must start again, if anywhere.

        Lambda goes back to the lowest sequence number that is reported, and sends all behind it again. So no failure
        stops what stands behind it: of an item that is done already, a repeat only costs a read.
        """
        all_ms = remaining_ms()
        # Much poison takes long to put away. Were no time left to write what stands among it, the same batch would come
        # again and get no further.
        tries = _Tries(self._telemetry, lambda: remaining_ms() < 3 / 4 * all_ms)
        tally: Counter[str] = Counter()
        window = Window()  # one, however wide: the event is in memory anyway, and 6 MB at most
        places: dict[str, int] = {}  # of the changes that can win
        for place, record in enumerate(records):
            line, origin = b64decode(record["kinesis"]["data"]), f"stream/{record['eventID']}"
            change = tries.run([place], partial(self._change, line, origin, tally))
            if change and _fold(window, change, tally) is not change:
                places[change.key] = place
        tries.is_late = lambda: remaining_ms() < all_ms / 2
        cut = parts(window.take(), MAX_CHANGES, sent_bytes)
        for outcomes in self._pool.map(lambda part: self._written(part, places, tries), cut):
            tally.update(_counted(outcomes))
        self._telemetry.event(
            "changes_applied",
            "Changes are applied to their items.",
            metrics=tally,
            records=len(records),
            first=records[0]["eventID"],
        )
        if not tries.failed:
            return []
        # The handler itself doesn't fail, so Lambda's own error metric stays silent.
        self._telemetry.event(
            "retry_requested",
            "Part of the batch comes again.",
            level="WARN",
            metrics={"ChangesFailed": len(tries.failed)},
        )
        again: str = records[min(tries.failed)]["kinesis"]["sequenceNumber"]
        return [again]

    def _written(self, part: list[Change], places: Mapping[str, int], tries: "_Tries") -> Counter[ApplyOutcome]:
        """Have changes of different items written, one by one where DynamoDB refuses one: it stops no other."""

        def write() -> Counter[ApplyOutcome]:
            try:
                return self._items.apply_all(part)
            except RefusedError:
                if len(part) == 1:
                    raise
            return sum((self._written([change], places, tries) for change in part), Counter())

        return tries.run([places[change.key] for change in part], write) or Counter()

    def _applied(self, message: Event) -> bool:
        try:
            for key, created_ms in _objects(message):
                self._object(key, created_ms)
        except Exception as error:  # one object that fails must not hold up the others of the batch
            self._telemetry.failure(
                "object_failed",
                "A write-log object could not be applied; its message comes again.",
                error,
                message_id=message["messageId"],
            )
            # The handler itself doesn't fail, so Lambda's own error metric stays silent.
            self._telemetry.event(
                "retry_requested", "Part of the batch comes again.", level="WARN", metrics={"ObjectsFailed": 1}
            )
            return False
        return True

    def _again_in(self, message: Event, seconds: int) -> None:
        try:
            self._notifications.again_in(message["receiptHandle"], seconds)
        except AwsError as error:  # then it comes when its visibility time-out is over
            self._telemetry.failure(
                "retry_not_scheduled",
                "The retry of a message was not brought forward; it comes after its visibility time-out.",
                error,
                message_id=message["messageId"],
            )

    def _object(self, key: str, created_ms: int) -> None:
        tally: Counter[str] = Counter()
        window = Window()
        writing = _Writing(self._items, self._pool)
        try:
            for change in self._changes(key, tally):
                _fold(window, change, tally)
                if window.is_full():
                    writing.go_on(window.take())
            outcomes = writing.finish(window.take())
        finally:
            writing.stop()
        number = tally.pop("RecordsHandled", 0)
        tally.update(_counted(outcomes))
        self._telemetry.event("changes_applied", "Changes are applied to their items.", metrics=tally, key=key)
        if key.startswith(REDRIVEN):
            return
        # At the minute when Firehose delivered the object, as its own count of delivered records is, so that the alarm
        # compares like with like however late the object is applied.
        self._telemetry.event(
            "object_handled",
            "All lines of a write-log object are handled.",
            metrics={"RecordsHandled": number},
            timestamp_ms=created_ms,
            key=key,
        )

    def _changes(self, key: str, tally: Counter[str]) -> Iterator[Change]:
        """The changes of an object as they are read; what can't be applied goes to quarantine on the way."""
        number = 0
        try:
            for number, line in enumerate(self._log.lines(key), 1):
                change = self._change(line, f"{key}:{number}", tally)
                if change:
                    yield change
        except PoisonError as poison:  # the object itself is damaged from here on
            self._quarantine(b"", poison, f"{key}:{number + 1}", tally)
        tally["RecordsHandled"] = number

    def _change(self, line: bytes, origin: str, tally: Counter[str]) -> Change | None:
        """The change in a line; ``None`` for one that can't be applied, which is in quarantine then."""
        try:
            change = parse_line(line, self._settings.collections)
            self._refuse_expired(change)
        except PoisonError as poison:
            self._quarantine(line, poison, origin, tally)
            return None
        return change

    def _refuse_expired(self, change: Change) -> None:
        if not is_expired(change, now_ms(), self._settings.horizon_ms):
            return
        # A replay brings old changes again. Those that the item has seen are settled; only one that would have an
        # effect could resurrect what a tombstone, gone by now, had deleted.
        item = self._items.get(change.key, consistent=True)
        if item is None or item.version < change.version:
            raise PoisonError("expired", "the change is older than the horizon", change)

    def _quarantine(self, line: bytes, poison: PoisonError, origin: str, tally: Counter[str]) -> None:
        self._log.quarantine(line, poison, origin)
        change_id = poison.change.change_id if poison.change else None
        if poison.change is not None:
            self._items.mark_quarantined(poison.change, poison.reason, now_ms())
        tally["ChangesQuarantined"] += 1
        self._telemetry.event(
            "quarantined",
            "A change or record is in quarantine.",
            level="WARN",
            reason=poison.reason,
            detail=poison.detail,
            origin=origin,
            change_id=change_id,
        )


class _Writing:
    """The changes of one object on their way into the items, a few parts at a time: memory stays the same however
    large the object is.

    Two parts may hold the same item and be written in any order, as may two objects: the store decides.
    """

    def __init__(self, items: BulkItems, pool: Executor) -> None:
        self._items = items
        self._pool = pool
        self._parts: deque[Future[Counter[ApplyOutcome]]] = deque()
        self._outcomes: Counter[ApplyOutcome] = Counter()

    def go_on(self, changes: Iterable[Change]) -> None:
        """Have changes of different items written; wait while :data:`AHEAD` parts are under way."""
        for part in parts(changes, MAX_CHANGES, sent_bytes):
            if len(self._parts) == AHEAD:
                self._outcomes.update(self._parts.popleft().result())
            self._parts.append(self._pool.submit(self._items.apply_all, part))

    def finish(self, changes: Sequence[Change]) -> Counter[ApplyOutcome]:
        """Have the last changes written; give back what became of all."""
        last = list(parts(changes, MAX_CHANGES, sent_bytes))
        if len(last) == 1 and not self._parts:  # most objects are small, and need no other thread
            self._outcomes.update(self._items.apply_all(last[0]))
            return self._outcomes
        self.go_on(changes)
        while self._parts:
            self._outcomes.update(self._parts.popleft().result())
        return self._outcomes

    def stop(self) -> None:
        """Begin no further part, and wait for those under way: nothing writes once the object has failed."""
        for part in self._parts:
            part.cancel()
        wait(self._parts)


def _counted(outcomes: Mapping[ApplyOutcome, int]) -> Counter[str]:
    return Counter({METRIC[outcome]: count for outcome, count in outcomes.items()})


class _Tries:
    """What is tried of a batch, as long as there is time, and what of it must come again."""

    def __init__(self, telemetry: Telemetry, is_late: Callable[[], bool]) -> None:
        self.failed: list[int] = []
        """Places in the batch; threads append to it."""
        self.is_late = is_late
        self._telemetry = telemetry

    def run(self, places: list[int], job: Callable[[], Done]) -> Done | None:
        """Do what concerns the records at these places; ``None`` where it fails, or comes too late."""
        try:
            if not self.is_late():
                return job()
        except Exception as error:  # one that fails must not hold up the others
            self._telemetry.failure(
                "records_failed",
                "Records of the change stream could not be applied; Lambda sends them again.",
                error,
                records=str(len(places)),
            )
        self.failed += places
        return None


def _fold(window: Window, change: Change, tally: Counter[str]) -> Change | None:
    """Fold a change in; count, and give back, the one that drops out."""
    loser = window.fold(change)
    if loser is not None:
        tally["ChangesDuplicate" if loser.version == window.version(change.key) else "ChangesSuperseded"] += 1
    return loser


def _objects(message: Event) -> Iterator[tuple[str, int]]:
    """The object keys and creation times (Unix ms) of an S3 notification; its test event names none."""
    for record in json.loads(message["body"]).get("Records", []):
        created = datetime.fromisoformat(record["eventTime"])
        yield unquote_plus(record["s3"]["object"]["key"]), int(created.timestamp() * 1000)


@cache
def function() -> Apply:
    """Make the function from its environment, once per sandbox.

    :raises BadSettings: with every problem.
    """
    settings = apply_settings()
    dynamodb = client("dynamodb", attempts=5, connections=WORKERS)
    items = DynamoBulkItems(dynamodb, settings.items_table, horizon_ms=settings.horizon_ms)
    log = S3LogObjects(client("s3", read_timeout=20), settings.log_bucket, settings.quarantine_prefix)
    notifications = SqsApplyQueue(client("sqs"), settings.queue_url)
    return Apply(settings, items, log, notifications, Telemetry("apply", settings.name))


def handler(event: Event, context: Any) -> Event:
    """Lambda entry point."""
    return function()(event, context.get_remaining_time_in_millis)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    function()  # during init
