"""The entry point of `publish`: it writes documents from the items stream and mends items whose version went down."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from ..aws.boto import BotoClient
from ..clock import now_ms
from ..config import DAY_MS, SettingsError, load_settings
from ..entrypoint import Entrypoint, Event, Function
from ..model.change import Change
from ..model.collection import Collection
from ..model.keys import all_document_keys, document_key
from ..stores.documents import Documents, S3Documents
from ..stores.items import DynamoItems, Items
from ..stores.key_queue import STORES, KeyQueue, SqsKeyQueue
from ..stores.rows import BadRowError, image_of, is_filled
from ..stores.table import TableRecord
from ..stores.versioned_documents import NewerDocuments, S3NewerDocuments
from ..telemetry import Telemetry
from .decide import Decision, ToForget, ToMend, ToPublish, ToRemove, decide, follow
from .heartbeat import report_heartbeats
from .quarantine import RowQuarantine, S3RowQuarantine

WORKERS = 16
"""The number of threads that write documents, mend items and quarantine rows."""


def _make_threads() -> Executor:
    return ThreadPoolExecutor(WORKERS)


class FeedQueue(NamedTuple):
    """The queue of a private store, from which `feed` takes the keys of the items to write.

    :param name: the store's name, ``cache`` or ``database``.
    :param queue_url: the URL of the SQS queue.
    :param collections: the names of the collections whose items the store holds.
    """

    name: str
    queue_url: str
    collections: frozenset[str]


class PublishSettings(NamedTuple):
    """The settings of `publish`.

    :param name: the stack's name.
    :param items_table: the DynamoDB table of the items.
    :param documents_bucket: the S3 bucket of this Region's documents.
    :param log_bucket: the S3 bucket of this Region's write log, which also holds the quarantine.
    :param quarantine_prefix: the prefix of the quarantine's keys in that bucket.
    :param horizon_days: how long a tombstone lives, in days.
    :param collections: the declared collections, by name.
    :param feeds: the queue of each private store of this Region, by the store's name.
    :param second_table: the items table that is kept in step with ``items_table`` while an operator rebuilds the items;
        ``None`` if there is none.
    :param follows_second: whether the second table is the former live table. Otherwise it is being made.
    """

    name: str
    items_table: str
    documents_bucket: str
    log_bucket: str
    quarantine_prefix: str
    horizon_days: int
    collections: Mapping[str, Collection]
    feeds: Mapping[str, FeedQueue] = MappingProxyType({})
    second_table: str | None = None
    follows_second: bool = False

    @property
    def horizon_ms(self) -> int:
        """How long a tombstone lives, in milliseconds."""
        return self.horizon_days * DAY_MS


class SecondTable(NamedTuple):
    """What `publish` needs while there are two items tables.

    :param items: the second items table.
    :param documents: the documents, which `publish` writes from two streams that don't wait for each other.
    """

    items: Items
    documents: NewerDocuments


class MalformedRow(NamedTuple):
    """A malformed row of the items table that a record of the items stream holds.

    :param row: the record's new image, whole.
    :param error: what is malformed in the row.
    """

    row: TableRecord
    error: BadRowError


class Batch(NamedTuple):
    """What `publish` must do about a batch of records of the items stream.

    :param decisions: one decision for each item, by item key.
    :param malformed_rows: the malformed rows in the batch.
    :param first_records: the sequence number of the first record that leads to a decision or holds a malformed row, by
        item key.
    :param forgotten: the collection of each item whose expired tombstone DynamoDB has deleted, by item key. The batch
        may also hold a decision about such an item, because a later record of the batch can put it again.
    """

    decisions: dict[str, Decision]
    malformed_rows: list[MalformedRow]
    first_records: dict[str, str]
    forgotten: dict[str, str]

    def keys_of(self, collections: frozenset[str]) -> list[str]:
        """Return the keys of the items of some collections whose rows a private store must compare with its own.

        The keys of items to mend aren't among them, because the mended write comes back through the items stream.
        """
        keys = {key for key, collection in self.forgotten.items() if collection in collections}
        keys |= {
            key
            for key, decision in self.decisions.items()
            if isinstance(decision, ToPublish) and decision.change.collection in collections
        }
        return sorted(keys)


class Publish:
    """The function `publish`, which writes documents from the records of the items stream.

    :param items: the live items table.
    :param queues: the queue of each private store that the settings name, by the store's name.
    :param second: the second table; given exactly if the settings name one.
    :param make_workers: returns what carries out the decisions of one batch. A simulation carries them out in turn.
    :param clock: returns the current time in Unix milliseconds.
    """

    def __init__(
        self,
        settings: PublishSettings,
        items: Items,
        documents: Documents,
        quarantine: RowQuarantine,
        telemetry: Telemetry,
        queues: Mapping[str, KeyQueue] = MappingProxyType({}),
        *,
        second: SecondTable | None = None,
        make_workers: Callable[[], Executor] = _make_threads,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._settings = settings
        self._items = items
        self._documents = documents
        self._quarantine = quarantine
        self._telemetry = telemetry
        self._queues = queues
        self._second = second
        self._make_workers = make_workers
        self._now_ms = clock

    def __call__(self, event: Event) -> dict[str, Any]:
        """Publish a batch of records of the items stream. If an item fails, report its first record in the batch.

        Lambda sends the batch again from the earliest reported record on. Publishing a record twice is harmless.
        """
        table = table_of(event["Records"])
        is_second = self._second is not None and table == self._settings.second_table
        if table is not None and table != self._settings.items_table and not is_second:
            return self._leave_alone(table)
        batch = self._read_records(event["Records"], is_second=is_second)
        items = self._second.items if self._second and is_second else self._items
        with self._make_workers() as workers:
            failed = self._follow_batch(batch, workers) if is_second else set()
            # Start with the keys, and send those of items whose documents fail too. Otherwise an outage of S3 would
            # also stop the cache and the database.
            sends = [workers.submit(self._send_keys, feed, batch) for feed in self._settings.feeds.values()]
            carry_out = partial(self._carry_out, items)
            failed |= {key for key in workers.map(carry_out, batch.decisions.values()) if key}
            published = sum(
                isinstance(decision, ToPublish) for key, decision in batch.decisions.items() if key not in failed
            )
            failed |= {key for key in workers.map(self._put_aside, batch.malformed_rows) if key}
            failed.update(*(send.result() for send in sends))
        self._telemetry.event(
            "documents_published",
            "A batch of the items stream is published.",
            metrics={"DocumentsPublished": published},
            records=len(event["Records"]),
        )
        return {"batchItemFailures": [{"itemIdentifier": batch.first_records[key]} for key in failed]}

    def _leave_alone(self, table: str) -> dict[str, Any]:
        """Do nothing about records of a table that the settings don't name.

        Lambda starts to read a building table's stream before every alias has the new version of `publish`. It still
        reads a former table's stream when an alias has the version after that table. If `publish` took such records for
        those of the live table, it would write documents from a table that may be unfinished.
        """
        self._telemetry.event(
            "table_not_known",
            "Records of an items table that this version of `publish` doesn't know are left alone.",
            level="WARN",
            table=table,
        )
        return {"batchItemFailures": []}

    def _follow_batch(self, batch: Batch, workers: Executor) -> set[str]:
        """Reduce the decisions about a batch of the second table to those to carry out. Return the keys that failed.

        An item fails if its row of the live table can't be read.
        """
        failed: set[str] = set()
        followed = workers.map(self._follow, list(batch.decisions.values()))
        for key, decision in zip(list(batch.decisions), followed, strict=True):
            if decision is None or isinstance(decision, Exception):
                del batch.decisions[key]
            else:
                batch.decisions[key] = decision
            if isinstance(decision, Exception):
                failed.add(key)
        return failed

    def _follow(self, decision: Decision) -> Decision | Exception | None:
        """Return what is left of a decision about the second table, or the error with which reading the row failed."""
        key = decision.change.key
        try:
            return follow(
                decision,
                lambda: self._items.get_item(key, consistent=True),
                is_former=self._settings.follows_second,
            )
        except Exception as error:  # noqa: BLE001 (one item that fails must not stop the others)
            self._report(error, decision.change)
            return error

    def _read_records(self, records: Sequence[Event], *, is_second: bool) -> Batch:
        """Return one decision for each item, and every malformed row.

        The records of a shard come in order, and Lambda sends the next batch only after this one. So one decision per
        item is enough: the decision about the greatest version in the batch. If several records of the item lead to a
        decision about this version, the decision of the last record counts.

        Don't follow a record of the second table that `rebuild items fill` has written. Leave it out here, because its
        decision must not displace the decision about another record of the item.

        :param is_second: whether the records are from the second table.
        """
        batch = Batch({}, [], {}, {})
        batch_ms = self._now_ms()
        for record in records:
            images = record["dynamodb"]
            old, new = _image_or_error(images.get("OldImage")), _image_or_error(images.get("NewImage"))
            if isinstance(new, BadRowError):  # of the second table too, because it may become the live one
                batch.malformed_rows.append(MalformedRow(images["NewImage"], new))
                batch.first_records.setdefault(new.key, images["SequenceNumber"])
                new = None
            if isinstance(old, BadRowError):  # a write has replaced or deleted the malformed row
                old = None
            change = new or old
            if change is None:
                continue
            is_declared = change.collection in self._settings.collections
            decision = decide(
                old,
                new,
                batch_ms,
                self._settings.horizon_ms,
                is_declared=is_declared,
                old_expires_at=_expires_at(images.get("OldImage")),
            )
            if decision is None:
                continue
            if is_second and is_filled(images.get("NewImage", {})) and not isinstance(decision, ToMend | ToForget):
                continue
            key = decision.change.key
            batch.first_records.setdefault(key, images["SequenceNumber"])
            if isinstance(decision, ToForget):
                # Keep it apart from the decisions. The tombstone's version is greater than that of a put which a later
                # record of the batch may hold, and the put has to be published.
                batch.forgotten[key] = decision.change.collection
                continue
            if key not in batch.decisions or decision.change.version >= batch.decisions[key].change.version:
                batch.decisions[key] = decision
        return batch

    def _carry_out(self, items: Items, decision: Decision) -> str | None:
        """Carry out the decision about one item. Return the item's key if this failed, otherwise ``None``.

        :param items: the items table that the record is about.
        """
        try:
            match decision:
                case ToMend(change):
                    self._mend(items, change)
                case ToPublish(change):
                    self._publish(change, is_live=items is self._items)
                case ToRemove(change):
                    for key in all_document_keys(change.collection, change.item_id, change.owner):
                        self._documents.remove_document(key)
                case _:
                    self._telemetry.event(
                        "collection_not_declared",
                        "The item's collection is no longer declared; its document is left as it is.",
                        level="WARN",
                        change_id=decision.change.change_id,
                    )
        except Exception as error:  # noqa: BLE001 (one item that fails must not stop the others)
            self._report(error, decision.change)
            return decision.change.key
        return None

    def _report(self, error: Exception, change: Change) -> None:
        self._telemetry.failure(
            "publish_failed",
            "A change could not be published; Lambda sends it again.",
            error,
            change_id=change.change_id,
        )

    def _send_keys(self, feed: FeedQueue, batch: Batch) -> list[str]:
        """Send the keys of the batch's items to a private store's queue. Return the keys if this failed."""
        keys = batch.keys_of(feed.collections)
        try:
            self._queues[feed.name].send(keys)
        except Exception as error:  # noqa: BLE001 (a queue that fails must not stop the documents or the other queue)
            self._telemetry.failure(
                "keys_not_sent",
                "The keys of changed items could not be sent to a store's queue; Lambda sends the records again.",
                error,
                store=feed.name,
            )
            return keys
        return []

    def _put_aside(self, malformed: MalformedRow) -> str | None:
        """Put one malformed row in quarantine. Return the row's key if this failed, otherwise ``None``."""
        try:
            self._quarantine.put_row(*malformed)
        except Exception as error:  # noqa: BLE001 (one row that fails must not stop the others)
            self._telemetry.failure(
                "row_not_quarantined",
                "A malformed row could not be put in quarantine; Lambda sends it again.",
                error,
                key=malformed.error.key,
            )
            return malformed.error.key
        self._telemetry.event(
            "row_quarantined",
            "A row of the items table is malformed, so it counts as no item; the whole row is in quarantine.",
            level="WARN",
            metrics={"RowsSkipped": 1},
            key=malformed.error.key,
            detail=malformed.error.detail,
        )
        return None

    def _publish(self, change: Change, *, is_live: bool) -> None:
        collection = self._settings.collections[change.collection]
        key = document_key(collection.read, change.collection, change.item_id, change.owner)
        if collection.moved:
            # Remove the documents that were written before `read` changed. Do this first, so that a document which has
            # become private isn't public if `publish` stops before it writes the new document.
            for other in all_document_keys(change.collection, change.item_id, change.owner):
                if other != key:
                    self._documents.remove_document(other)
        cache_control = collection.document_cache_control
        if self._second is not None:
            self._publish_newer(self._second.documents, key, change, cache_control, is_live=is_live)
        elif change.data is None:
            self._documents.remove_document(key)
        else:
            self._documents.put_document(key, change.representation(), change.version, cache_control)

    def _publish_newer(
        self, documents: NewerDocuments, key: str, change: Change, cache_control: str, *, is_live: bool
    ) -> None:
        """Write or remove an item's document, unless it is newer than the change.

        A record of the live table writes a document of the same version again, as ever. `rebuild documents` depends on
        this. A record of the second table doesn't, because the document is published already.
        """
        if change.data is None:
            documents.remove_older(key, change.version)
            return

        def may_create() -> bool:
            live = self._items.get_item(change.key, consistent=True)
            return live is None or live.version <= change.version

        documents.put_newer(
            key, change.representation(), change.version, cache_control, rewrite=is_live, may_create=may_create
        )

    def _mend(self, items: Items, change: Change) -> None:
        if items.apply(change) == "applied":
            self._telemetry.event(
                "regression_mended",
                "An item was replaced by an older version or removed; `publish` has applied the greater version again.",
                level="WARN",
                metrics={"RegressionsMended": 1},
                change_id=change.change_id,
            )


def table_of(records: Sequence[Event]) -> str | None:
    """Return the name of the items table whose stream a batch of records is from; ``None`` if the records don't say it.

    All records of a batch are from one stream. The records of an operator's command don't name one. They hold rows of
    the live table.
    """
    arn = records[0].get("eventSourceARN", "") if records else ""
    return arn.partition(":table/")[2].partition("/")[0] or None


def _image_or_error(image: TableRecord | None) -> Change | BadRowError | None:
    """Return what :func:`image_of` returns, or the error that it raises."""
    try:
        return image_of(image)
    except BadRowError as error:
        return error


def _expires_at(image: TableRecord | None) -> int | None:
    """Return the time after which DynamoDB may delete the row of an image, in Unix seconds; ``None`` if it has none."""
    text = ((image or {}).get("expires_at") or {}).get("N", "")
    return int(text) if text.isdecimal() else None


def _make_queues(settings: PublishSettings) -> dict[str, KeyQueue]:
    """Return the queue of each private store.

    :raises SettingsError: if the settings name a store that doesn't exist.
    """
    unknown = sorted(settings.feeds.keys() - set(STORES))
    if unknown:
        raise SettingsError(f"feeds must name no other stores than {', '.join(STORES)}: {', '.join(unknown)}")
    if not settings.feeds:
        return {}
    # Give up after 10 seconds. Lambda sends the records again, and the documents of this batch need time too.
    sqs = BotoClient("sqs", read_timeout=3)
    return {
        store: SqsKeyQueue(sqs, settings.feeds[store].queue_url, store) for store in STORES if store in settings.feeds
    }


def make_publish() -> Function:
    """Make `publish` from the settings in its environment.

    :raises SettingsError: if a setting is missing or wrong.
    """
    settings = load_settings(PublishSettings)
    telemetry = Telemetry("publish", settings.name)
    dynamodb = BotoClient("dynamodb", attempts=5)
    s3 = BotoClient("s3", attempts=5, connections=WORKERS)

    def items_in(table: str) -> Items:
        return DynamoItems(dynamodb, table, horizon_ms=settings.horizon_ms, telemetry=telemetry)

    second = None
    if settings.second_table is not None:
        second = SecondTable(items_in(settings.second_table), S3NewerDocuments(s3, settings.documents_bucket))
    items, documents = items_in(settings.items_table), S3Documents(s3, settings.documents_bucket)
    quarantine = S3RowQuarantine(s3, settings.log_bucket, settings.quarantine_prefix)
    publish = Publish(settings, items, documents, quarantine, telemetry, _make_queues(settings), second=second)
    region = os.environ["AWS_REGION"]

    def serve(event: Event, _: Any) -> dict[str, Any]:
        # Report the heartbeats in both tables. In a switch, the schedule that writes them may move before `publish`.
        if table_of(event["Records"]) in (None, settings.items_table, settings.second_table):
            report_heartbeats(event["Records"], region, now_ms(), telemetry)
        return publish(event)

    return serve


handler = Entrypoint(make_publish)
