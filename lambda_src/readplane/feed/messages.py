"""Writes the items that SQS messages name to the stores, and reports the messages that have to come again."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

from ..aws.faults import AwsError, back_off
from ..clock import now_ms
from ..entrypoint import Event
from ..model.change import Change
from ..stores.key_queue import STORES, KeyMessage, KeyMessageError, StoreName, parse_keys
from ..stores.table import MAX_KEYS, split_into_batches
from ..telemetry import Telemetry
from .decide import Rows, floor_at, unsettled_rows
from .errors import StoreFaultError
from .fed_stores import FedStore, WriteOutcome
from .item_rows import ItemRows

MAX_ROWS_BYTES = 8 * 1024 * 1024
"""`feed` writes the rows that it has read once they have this size, so that large items don't fill its memory."""

MAX_ROUNDS = 5
"""How often `feed` reads rows again that no version guards, before it leaves them to the next delivery."""

_MAX_SHARE = 0.8
"""The greatest share of the invocation's time that stays free for a write. Work may start in the rest of the time."""

_MAX_LOGGED_KEYS = 10
_FIRST_PAUSE_SECONDS = 0.1
_MAX_PAUSE_SECONDS = 2.0


def _make_threads() -> Executor:
    return ThreadPoolExecutor(len(STORES))


class MessageFeeder:
    """Writes the items that messages name to the stores.

    :param stores: the stores of this Region, by name.
    :param horizon_ms: the horizon, in milliseconds.
    :param make_workers: returns what writes the stores of one batch. A simulation writes them in turn.
    :param clock: returns the current time in Unix milliseconds.
    :param pause: waits before a retry, for at most so many seconds.
    """

    def __init__(
        self,
        rows: ItemRows,
        stores: Mapping[StoreName, FedStore],
        horizon_ms: int,
        telemetry: Telemetry,
        *,
        make_workers: Callable[[], Executor] = _make_threads,
        clock: Callable[[], int] = now_ms,
        pause: Callable[[float], None] = back_off,
    ) -> None:
        self._rows = rows
        self._stores = stores
        self._horizon_ms = horizon_ms
        self._telemetry = telemetry
        self._make_workers = make_workers
        self._now_ms = clock
        self._pause = pause

    def feed_messages(self, messages: Sequence[Event], remaining_ms: Callable[[], int]) -> list[str]:
        """Write the items that the messages name.

        Start no more work after half of the invocation's time, or earlier if a write of the store may take longer than
        the other half. So this method returns before Lambda's timeout. After a timeout nothing would be reported, and
        SQS would deliver the whole batch again.

        A batch holds messages of one store, because each queue has an event source mapping of its own. If it does hold
        messages of several stores, each store is written in a thread of its own, so that a store that is down takes no
        time from another.

        :param remaining_ms: returns how many milliseconds the invocation has left.
        :returns: the ids of the failed messages. SQS delivers only these messages again.
        """
        total_ms = remaining_ms()
        failures, groups = self._parse(messages)
        sent_ms = {message["messageId"]: int(message["attributes"]["SentTimestamp"]) for message in messages}

        def feed_store(name: StoreName) -> list[str]:
            write_ms = self._stores[name].write_seconds * 1000
            least_ms = min(max(total_ms / 2, write_ms), _MAX_SHARE * total_ms)
            return self._feed_store(name, groups[name], sent_ms, lambda: remaining_ms() > least_ms)

        with self._make_workers() as workers:
            return sum(workers.map(feed_store, groups), failures)

    def _feed_store(
        self,
        store: StoreName,
        group: Mapping[str, KeyMessage],
        sent_ms: Mapping[str, int],
        has_time: Callable[[], bool],
    ) -> list[str]:
        """Write the items of one store's messages. Return the ids of the failed messages.

        :param group: the messages, by id.
        :param sent_ms: when each message was sent, in Unix milliseconds.
        """
        floor = floor_at(self._now_ms(), self._horizon_ms)
        work = _StoreFeeder(self._rows, self._stores[store], floor, self._telemetry, self._now_ms, self._pause)
        keys = list(dict.fromkeys(key for message in group.values() for key in message.keys))
        failed = work.feed_keys(keys, has_time)
        self._telemetry.event(
            "keys_fed",
            "The items of a batch of messages are written to a store.",
            level="WARN" if failed else "INFO",
            metrics={
                "KeysFed": len(keys) - len(failed),
                "KeysFailed": len(failed),
                "FieldsNotIndexed": work.fields_not_indexed,
            },
            seconds={"FeedLag": max(0, self._now_ms() - min(sent_ms[message_id] for message_id in group)) / 1000},
            store=store,
            messages=len(group),
        )
        return [message_id for message_id, message in group.items() if not failed.isdisjoint(message.keys)]

    def _parse(self, messages: Sequence[Event]) -> tuple[list[str], dict[StoreName, dict[str, KeyMessage]]]:
        """Return the ids of the messages that nobody can serve, and the other messages of each store, by id."""
        failures: list[str] = []
        groups: dict[StoreName, dict[str, KeyMessage]] = {}
        for message in messages:
            try:
                parsed = parse_keys(message["body"])
                if parsed.store not in self._stores:
                    raise KeyMessageError(f"this Region has no {parsed.store}")
            except KeyMessageError as error:
                failures.append(message["messageId"])
                self._telemetry.event(
                    "message_refused",
                    "A message of a store's queue can't be served; after some deliveries it is a dead letter.",
                    level="ERROR",
                    metrics={"KeysFailed": 1},
                    message_id=message["messageId"],
                    problem=str(error),
                )
                continue
            groups.setdefault(parsed.store, {})[message["messageId"]] = parsed
        return failures, groups


class _StoreFeeder:
    """Writes the items of one batch of messages to one store.

    :ivar fields_not_indexed: how many declared fields the store couldn't index so far.
    """

    def __init__(
        self,
        rows: ItemRows,
        store: FedStore,
        floor: str,
        telemetry: Telemetry,
        clock: Callable[[], int],
        pause: Callable[[float], None],
    ) -> None:
        self._rows = rows
        self._store = store
        self._floor = floor
        self._telemetry = telemetry
        self._now_ms = clock
        self._pause = pause
        self.fields_not_indexed = 0

    def feed_keys(self, keys: Sequence[str], has_time: Callable[[], bool]) -> set[str]:
        """Write the items with the given keys. Return the keys of the items that failed.

        :param keys: different keys. Items of collections that the store doesn't hold are left out.
        :param has_time: returns whether more work may start.
        """
        keys = [key for key in keys if collection_of(key) in self._store.collections]
        failed: set[str] = set()
        part: dict[str, Change | None] = {}
        part_ms, part_bytes = 0, 0
        for chunk in split_into_batches(keys, MAX_KEYS, len):
            read_ms = self._now_ms()
            rows = self._read(chunk) if has_time() else None
            if rows is None:
                failed.update(chunk)
                continue
            part_ms = part_ms if part else read_ms
            part |= rows
            part_bytes += sum(len(change.data or "") for change in rows.values() if change)
            if len(part) > self._store.max_rows - MAX_KEYS or part_bytes > MAX_ROWS_BYTES:
                failed |= self._settle(part, part_ms, has_time)
                part, part_bytes = {}, 0
        return failed | self._settle(part, part_ms, has_time)

    def _settle(self, rows: Rows, read_ms: int, has_time: Callable[[], bool]) -> set[str]:
        """Write rows to the store, until the items table holds what was written. Return the keys that failed.

        Only rows that no version guards are read again (:mod:`.decide`).
        """
        failed: set[str] = set()
        for number in range(MAX_ROUNDS):
            if not rows:
                return failed
            if number and not has_time():
                break
            outcome = self._write(rows, read_ms, has_time)
            if outcome is None:
                return failed | rows.keys()
            failed |= outcome.failed.keys()
            unsettled = unsettled_rows(rows, self._floor) if self._store.is_lasting else {}
            rows, read_ms = {}, self._now_ms()
            for chunk in split_into_batches(unsettled, MAX_KEYS, len):
                again = self._read(chunk)
                if again is None:
                    failed.update(chunk)
                else:
                    rows |= {key: change for key, change in again.items() if change != unsettled[key]}
        return failed | rows.keys()

    def _read(self, keys: Sequence[str]) -> Rows | None:
        """Read rows of the items table. Return ``None`` if this failed."""
        try:
            return self._rows.read_rows(keys)
        except AwsError as error:
            self._telemetry.failure(
                "rows_not_read",
                "The rows of changed items could not be read; their messages come again.",
                error,
                store=self._store.name,
            )
            return None

    def _write(self, rows: Rows, read_ms: int, has_time: Callable[[], bool]) -> WriteOutcome | None:
        """Write rows to the store. While it is down, try again as long as there is time.

        :returns: ``None`` if the store stays down.
        """
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                outcome = self._store.write_rows(rows, read_ms, self._floor)
            except StoreFaultError as error:
                if has_time():
                    self._pause(pause)
                    pause = min(2 * pause, _MAX_PAUSE_SECONDS)
                    continue
                self._fail("store_failed", "A store is down or slow; the messages of its queue come again.", error)
                return None
            except Exception as error:  # noqa: BLE001 (rows that fail must not stop the others of the batch)
                self._fail("rows_not_written", "Rows could not be written; their messages come again.", error)
                return None
            self.fields_not_indexed += outcome.fields_not_indexed
            for code in sorted(set(outcome.failed.values())):
                keys = sorted(key for key in outcome.failed if outcome.failed[key] == code)
                self._telemetry.event(
                    "rows_refused",
                    "The store can't hold some items; after some deliveries their messages are dead letters.",
                    level="ERROR",
                    store=self._store.name,
                    error_code=code,
                    rows=len(keys),
                    keys=keys[:_MAX_LOGGED_KEYS],
                )
            return outcome

    def _fail(self, code: str, message: str, error: Exception) -> None:
        self._telemetry.failure(code, message, error, store=self._store.name)


def collection_of(key: str) -> str:
    """Return the collection's name in the key of an item."""
    return key.split("/", 2)[1]
