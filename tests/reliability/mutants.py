"""Ways to break the product. The simulation must notice each of them within a few seeds.

Each mutant replaces one rule of the product's code with a mistake that somebody could make. A mutant that no seed
notices would show that an invariant is missing, or that the simulation never gets into the situation that it is about.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

from readplane.api.request import Request
from readplane.apply import tally
from readplane.apply.notifications import MessageApplier
from readplane.apply.objects import ObjectApplier
from readplane.apply.quarantine import LineParser, Replay
from readplane.apply.stream import ShardApplier
from readplane.apply.tally import Delivery, DynamoCountedObjects, Tally
from readplane.aws.faults import UnansweredError
from readplane.feed import item_rows, messages
from readplane.feed.decide import Rows
from readplane.feed.errors import StoreFaultError
from readplane.feed.fed_stores import CacheStore, WriteOutcome
from readplane.feed.messages import MessageFeeder
from readplane.model import window
from readplane.model.change import Change, PoisonError
from readplane.model.version import stamp
from readplane.poll import report
from readplane.poll.change_stream import KinesisChangeStream
from readplane.poll.checkpoint import Checkpoint
from readplane.poll.checkpoint_table import DynamoCheckpoints
from readplane.publish import handler as publish_handler
from readplane.publish.decide import Decision, decide
from readplane.publish.handler import Batch, Publish
from readplane.stores import table
from readplane.stores.items import ApplyOutcome, DynamoItems
from readplane.stores.resp import RespError
from readplane.write import handler as write_handler
from readplane.write.log import FirehoseWriteLog

Mutant = Callable[[], AbstractContextManager[object]]

MUTANTS: dict[str, Mutant] = {}


def _mutant(make: Callable[[], AbstractContextManager[object]]) -> Mutant:
    MUTANTS[make.__name__] = make
    return make


@_mutant
def publish_mends_nothing() -> AbstractContextManager[object]:
    """`publish` leaves an item alone that a write of the other Region has made go back."""
    return patch.object(Publish, "_mend", lambda *_: None)


@_mutant
def apply_overwrites() -> AbstractContextManager[object]:
    """A change replaces its item, whatever version that has."""

    def apply(self: DynamoItems, change: Change) -> ApplyOutcome:
        self._client.call("PutItem", TableName=self._table, Item=self._record(change))
        return "applied"

    return patch.object(DynamoItems, "apply", apply)


@_mutant
def window_keeps_the_last() -> AbstractContextManager[object]:
    """Of two changes of an item in one object, `apply` keeps the later one in the object and not the newer one."""

    def keep_last(newest: dict[str, Change], change: Change) -> Change | None:
        previous = newest.get(change.key)
        newest[change.key] = change
        return previous

    return patch.object(window, "keep_newest", keep_last)


@_mutant
def write_takes_a_lost_answer_for_success() -> AbstractContextManager[object]:
    """`write` answers 202 although Firehose hasn't confirmed the line."""
    append = FirehoseWriteLog.append

    def append_somehow(self: FirehoseWriteLog, line: bytes) -> None:
        def call(operation: str, **parameters: Any) -> Any:
            try:
                return client.call(operation, **parameters)
            except UnansweredError:
                return {}

        client = self._client
        with patch.object(self, "_client", type("Client", (), {"call": staticmethod(call)})()):
            append(self, line)

    return patch.object(FirehoseWriteLog, "append", append_somehow)


@_mutant
def write_ignores_named_versions() -> AbstractContextManager[object]:
    """`write` stamps a change with its own clock only."""
    return patch.object(Request, "min_versions", lambda *_: [])


@_mutant
def write_stamps_keyed_posts() -> AbstractContextManager[object]:
    """A POST with ``Idempotency-Key`` gets a version like any other change, so its retry is another change."""

    def version(sub: str, collection: str, key: str, data: str) -> str:
        numbers.append(0)
        return stamp(1_795_000_000_000 + len(numbers), hashlib.sha256(key.encode()).digest()[:10])

    numbers: list[int] = []
    return patch.object(write_handler, "minimal_version", version)


@_mutant
def apply_reports_no_failed_message() -> AbstractContextManager[object]:
    """`apply` reports no message as failed, so SQS deletes it."""
    return _without_failures(MessageApplier, "apply_messages")


@_mutant
def apply_reports_the_last_failed_record() -> AbstractContextManager[object]:
    """`apply` reports the last failed record of a batch of the change stream, and not the first one."""

    def restart(self: ShardApplier, records: Sequence[Any], failed: list[int]) -> list[str]:
        return [records[max(failed)]["kinesis"]["sequenceNumber"]] if failed else []

    return patch.object(ShardApplier, "_restart", restart)


@_mutant
def apply_drops_poison() -> AbstractContextManager[object]:
    """`apply` counts a line that can't be applied, but doesn't keep it."""

    def count(self: LineParser, line: bytes, poison: PoisonError, origin: str, tally: Tally, *_: object) -> None:
        tally["ChangesQuarantined"] += 1

    return patch.object(LineParser, "quarantine", count)


@_mutant
def replay_quarantines() -> AbstractContextManager[object]:
    """`apply` takes the lines of a replayed object for new ones."""
    parse = LineParser.parse_or_quarantine

    def parse_as_new(self: LineParser, line: bytes, origin: str, tally: Tally, *_: object, **__: object) -> Any:
        return parse(self, line, origin, tally)

    return patch.object(LineParser, "parse_or_quarantine", parse_as_new)


@_mutant
def replay_counts() -> AbstractContextManager[object]:
    """`apply` counts the records of a replayed object again."""
    apply_object = ObjectApplier.apply_object

    def apply_and_count(
        self: ObjectApplier, key: str, created_ms: int, delivery: Delivery, replay: Replay | None = None
    ) -> None:
        apply_object(self, key, created_ms, delivery, replay and replay._replace(is_lost=True))

    return patch.object(ObjectApplier, "apply_object", apply_and_count)


@_mutant
def duplicates_count() -> AbstractContextManager[object]:
    """`apply` counts the records of an object each time that it is announced."""
    return patch.object(DynamoCountedObjects, "start_count", lambda *_: True)


@_mutant
def deliveries_at_once_count() -> AbstractContextManager[object]:
    """`apply` counts an object for each delivery of a message, as long as none has finished."""
    return patch.object(tally, "_IS_FREE", "attribute_not_exists(pk) OR message_id = :message")


@_mutant
def tombstones_expire_early() -> AbstractContextManager[object]:
    """A tombstone lives for seconds, and not for the horizon."""

    def expires_at(self: Change, horizon_ms: int) -> int | None:
        return None if self.data is not None else self.age_starts_ms // 1000 + 30

    return patch.object(Change, "expires_at", expires_at)


@_mutant
def publish_reports_no_failed_record() -> AbstractContextManager[object]:
    """`publish` reports no record as failed, so Lambda goes on."""
    publish = Publish.__call__

    def publish_and_go_on(self: Publish, event: Any) -> dict[str, Any]:
        publish(self, event)
        return {"batchItemFailures": []}

    return patch.object(Publish, "__call__", publish_and_go_on)


@_mutant
def publish_skips_equal_versions() -> AbstractContextManager[object]:
    """`publish` takes a row for published if it has the version of the row before.

    Two requests of a POST with ``Idempotency-Key`` have one version, but each was accepted at its own time.
    """

    def skip_equal(old: Change | None, new: Change | None, *words: Any, **options: Any) -> Decision | None:
        is_equal = old is not None and new is not None and old.version == new.version
        return None if is_equal else decide(old, new, *words, **options)

    return patch.object(publish_handler, "decide", skip_equal)


@_mutant
def publish_tells_nothing_of_forgotten_items() -> AbstractContextManager[object]:
    """`publish` sends nothing to the private stores when DynamoDB deletes an expired tombstone."""
    keys_of = Batch.keys_of
    return patch.object(Batch, "keys_of", lambda self, names: keys_of(self._replace(forgotten={}), names))


@_mutant
def feed_reads_cheaply() -> AbstractContextManager[object]:
    """`feed` reads the items table with eventual consistency."""

    def read(*words: Any, consistent: bool, **options: Any) -> Iterable[Any]:
        return table.read_records(*words, consistent=False, **options)

    return patch.object(item_rows, "read_records", read)


@_mutant
def feed_reports_no_failed_message() -> AbstractContextManager[object]:
    """`feed` reports no message as failed, so SQS deletes it."""
    return _without_failures(MessageFeeder, "feed_messages")


@_mutant
def feed_removes_cache_entries() -> AbstractContextManager[object]:
    """`feed` removes an item's entry from the cache, as many caches are kept, and doesn't replace it."""

    def remove(self: CacheStore, rows: Rows, read_ms: int, floor: str) -> WriteOutcome:
        try:
            for key in rows:
                self._entries._client.call(b"DEL", f"{self._entries._prefix}{key}".encode())
        except RespError as error:
            raise StoreFaultError(error.code) from error
        return WriteOutcome()

    return patch.object(CacheStore, "write_rows", remove)


@_mutant
def feed_keeps_the_greatest_version_ever() -> AbstractContextManager[object]:
    """`feed` lets no version replace a greater one, not even one that the items table has forgotten."""
    return patch.object(messages, "floor_at", lambda *_: "")


@_mutant
def feed_writes_what_comes() -> AbstractContextManager[object]:
    """`feed` lets whatever it has read last replace the row of the database."""
    return patch.object(messages, "floor_at", lambda *_: "ffffffff-ffff-7fff-bfff-ffffffffffff")


@_mutant
def poll_takes_refused_changes_for_sent() -> AbstractContextManager[object]:
    """`poll` goes on although Kinesis has refused some changes."""

    def put_once(self: KinesisChangeStream, batch: list[Any], deadline: float) -> None:
        self._client.call("PutRecords", StreamName=self._stream, Records=batch)

    return patch.object(KinesisChangeStream, "_put_batch", put_once)


@_mutant
@contextmanager
def poll_saves_the_checkpoint_first() -> Iterator[None]:
    """`poll` saves its checkpoint before it puts the changes on the change stream."""
    put_changes = KinesisChangeStream.put_changes
    later: list[Callable[[], None]] = []

    def put_later(self: KinesisChangeStream, changes: Iterable[Change], seconds: float) -> None:
        later.append(partial(put_changes, self, list(changes), seconds))

    def then_put(save: Callable[..., None]) -> Callable[..., None]:
        def save_and_put(self: DynamoCheckpoints, checkpoint: Checkpoint, holder: str) -> None:
            waiting, later[:] = list(later), []
            save(self, checkpoint, holder)
            for put in waiting:
                put()

        return save_and_put

    with ExitStack() as patches:
        patches.enter_context(patch.object(KinesisChangeStream, "put_changes", put_later))
        for name in ("save_checkpoint", "release_lease"):
            patches.enter_context(patch.object(DynamoCheckpoints, name, then_put(getattr(DynamoCheckpoints, name))))
        yield


@_mutant
def poll_is_fresh_as_of_the_end() -> AbstractContextManager[object]:
    """`poll` calls a source fresh as of seconds after its first request, when it has read the last page."""
    with_fresh_as_of = Checkpoint.with_fresh_as_of
    return patch.object(Checkpoint, "with_fresh_as_of", lambda self, ms: with_fresh_as_of(self, ms + 3_000))


@_mutant
def poll_measures_no_staleness() -> AbstractContextManager[object]:
    """`poll` measures how long ago it last ran, and not how old the items are."""
    return patch.object(report, "_staleness_seconds", lambda *_: 0.0)


def _without_failures(owner: type, name: str) -> AbstractContextManager[object]:
    """Let a method that returns the ids of what failed return none."""
    method = getattr(owner, name)

    def call_and_forget(*words: Any, **options: Any) -> list[str]:
        method(*words, **options)
        return []

    return patch.object(owner, name, call_and_forget)
