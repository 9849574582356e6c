"""Folds the changes of write-log objects into the items; what can't be applied goes to quarantine."""

import json
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from ..clock import now_ms
from ..config import DAY_MS, load
from ..domain.change import Change, Poison, Window, is_expired, parse_line
from ..domain.collection import Collection
from ..stores.aws import FAULTS, client
from ..stores.bulk import MAX_CHANGES, Bulk, DynamoBulk, parts, sent_bytes
from ..stores.items import Outcome
from ..stores.log_objects import LogObjects, S3LogObjects
from ..stores.notifications import Notifications, SqsNotifications
from ..telemetry import Telemetry

WORKERS = 8
"""Threads that write. With calls of 8 ms this many hide the waiting; twice as many bring nothing, as the interpreter's
one lock is busy by then."""

AHEAD = 2 * WORKERS
"""Parts of an object that are being written or wait for a thread; parsing waits while there are so many."""

MAX_BACKOFF = 900
"""Seconds at most until a failed message comes again; the pauses double from 2 s on."""

METRIC = {"applied": "ChangesApplied", "duplicate": "ChangesDuplicate", "superseded": "ChangesSuperseded"}

Event = dict[str, Any]


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
        items: Bulk,
        log: LogObjects,
        notifications: Notifications,
        telemetry: Telemetry,
    ) -> None:
        self._settings = settings
        self._items = items
        self._log = log
        self._notifications = notifications
        self._telemetry = telemetry
        self._pool = ThreadPoolExecutor(WORKERS)  # its threads start when they are needed, and stay

    def __call__(self, event: Event, remaining_ms: Callable[[], int]) -> Event:
        """Apply each SQS message's objects; name the messages that failed, so that only those come again.

        :param remaining_ms: how long the invocation may still take. One that is cut off would report nothing, and all
            of its batch would come again; so no further object is begun in its second half. (An object fits into
            half: Terraform bounds Firehose's buffer by the function's time-out.)
        """
        half = remaining_ms() / 2
        failures = []
        for number, message in enumerate(event["Records"]):
            if number and remaining_ms() < half:
                seconds = 0
            elif self._applied(message):
                continue
            else:
                seconds = min(MAX_BACKOFF, 2 ** int(message["attributes"]["ApproximateReceiveCount"]))
            self._again_in(message, seconds)
            failures.append({"itemIdentifier": message["messageId"]})
        return {"batchItemFailures": failures}

    def _applied(self, message: Event) -> bool:
        try:
            for key, created_ms in _objects(message):
                self._object(key, created_ms)
        except Exception as error:  # one object that fails must not hold up the others of the batch
            self._telemetry.failure("object failed", error, message_id=message["messageId"])
            # The handler itself doesn't fail, so Lambda's own error metric stays silent.
            self._telemetry.event("to be tried again", level="WARN", metrics={"ObjectsFailed": 1})
            return False
        return True

    def _again_in(self, message: Event, seconds: int) -> None:
        try:
            self._notifications.again_in(message["receiptHandle"], seconds)
        except FAULTS as error:  # then it comes when its visibility time-out is over
            self._telemetry.failure("retry not brought forward", error, message_id=message["messageId"])

    def _object(self, key: str, created_ms: int) -> None:
        tally: Counter[str] = Counter()
        window = Window()
        writing = _Writing(self._items, self._pool)
        try:
            for change in self._changes(key, tally):
                loser = window.fold(change)
                if loser is not None:
                    tally[
                        "ChangesDuplicate" if loser.version == window.version(change.key) else "ChangesSuperseded"
                    ] += 1
                if window.is_full():
                    writing.go_on(window.take())
            outcomes = writing.finish(window.take())
        finally:
            writing.stop()
        number = tally.pop("RecordsHandled", 0)
        tally.update({METRIC[outcome]: count for outcome, count in outcomes.items()})
        self._telemetry.event("applied", metrics=tally, key=key)
        # At the minute when Firehose delivered the object, as its own count of delivered records is, so that the alarm
        # compares like with like however late the object is applied.
        self._telemetry.event("handled", metrics={"RecordsHandled": number}, timestamp_ms=created_ms, key=key)

    def _changes(self, key: str, tally: Counter[str]) -> Iterator[Change]:
        """The changes of an object as they are read; what can't be applied goes to quarantine on the way."""
        number = 0
        try:
            for number, line in enumerate(self._log.lines(key), 1):
                try:
                    change = parse_line(line, self._settings.collections)
                    self._refuse_expired(change)
                except Poison as poison:
                    self._quarantine(line, poison, f"{key}:{number}")
                    tally["ChangesQuarantined"] += 1
                else:
                    yield change
        except Poison as poison:  # the object itself is damaged from here on
            self._quarantine(b"", poison, f"{key}:{number + 1}")
            tally["ChangesQuarantined"] += 1
        tally["RecordsHandled"] = number

    def _refuse_expired(self, change: Change) -> None:
        if not is_expired(change, now_ms(), self._settings.horizon_ms):
            return
        # A replay brings old changes again. Those that the item has seen are settled; only one that would have an
        # effect could resurrect what a tombstone, gone by now, had deleted.
        item = self._items.get(change.key, consistent=True)
        if item is None or item.version < change.version:
            raise Poison("expired", "the change is older than the horizon", change)

    def _quarantine(self, line: bytes, poison: Poison, origin: str) -> None:
        self._log.quarantine(line, poison, origin)
        change_id = poison.change.change_id if poison.change else None
        if poison.change is not None:
            self._items.mark_quarantined(poison.change, poison.reason, now_ms())
        self._telemetry.event(
            "quarantined", level="WARN", reason=poison.reason, detail=poison.detail, origin=origin, change_id=change_id
        )


class _Writing:
    """The changes of one object on their way into the items, a few parts at a time: memory stays the same however
    large the object is.

    Two parts may hold the same item and be written in any order, as may two objects: the store decides.
    """

    def __init__(self, items: Bulk, pool: Executor) -> None:
        self._items = items
        self._pool = pool
        self._parts: deque[Future[Counter[Outcome]]] = deque()
        self._outcomes: Counter[Outcome] = Counter()

    def go_on(self, changes: Iterable[Change]) -> None:
        """Have changes of different items written; wait while :data:`AHEAD` parts are under way."""
        for part in parts(changes, MAX_CHANGES, sent_bytes):
            if len(self._parts) == AHEAD:
                self._outcomes.update(self._parts.popleft().result())
            self._parts.append(self._pool.submit(self._items.apply_all, part))

    def finish(self, changes: Sequence[Change]) -> Counter[Outcome]:
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
    items = DynamoBulk(dynamodb, settings.items_table, horizon_ms=settings.horizon_ms)
    log = S3LogObjects(client("s3", read_timeout=20), settings.log_bucket, settings.quarantine_prefix)
    notifications = SqsNotifications(client("sqs"), settings.queue_url)
    return Apply(settings, items, log, notifications, Telemetry("apply", settings.name))


def handler(event: Event, context: Any) -> Event:
    """Lambda entry point."""
    return function()(event, context.get_remaining_time_in_millis)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    function()  # during init
