"""The entry point of `publish`: it writes documents from the items stream and mends items whose version went down."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
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
from ..stores.rows import BadRowError, image_of
from ..stores.table import TableRecord
from ..telemetry import Telemetry
from .decide import Decision, ToForget, ToMend, ToPublish, ToRemove, decide
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
    """

    name: str
    items_table: str
    documents_bucket: str
    log_bucket: str
    quarantine_prefix: str
    horizon_days: int
    collections: Mapping[str, Collection]
    feeds: Mapping[str, FeedQueue] = MappingProxyType({})

    @property
    def horizon_ms(self) -> int:
        """How long a tombstone lives, in milliseconds."""
        return self.horizon_days * DAY_MS


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

    :param queues: the queue of each private store that the settings name, by the store's name.
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
        make_workers: Callable[[], Executor] = _make_threads,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._settings = settings
        self._items = items
        self._documents = documents
        self._quarantine = quarantine
        self._telemetry = telemetry
        self._queues = queues
        self._make_workers = make_workers
        self._now_ms = clock

    def __call__(self, event: Event) -> dict[str, Any]:
        """Publish a batch of records of the items stream. If an item fails, report its first record in the batch.

        Lambda sends the batch again from the earliest reported record on. Publishing a record twice is harmless.
        """
        batch = self._read_records(event["Records"])
        with self._make_workers() as workers:
            # Start with the keys, and send those of items whose documents fail too. Otherwise an outage of S3 would
            # also stop the cache and the database.
            sends = [workers.submit(self._send_keys, feed, batch) for feed in self._settings.feeds.values()]
            failed = {key for key in workers.map(self._carry_out, batch.decisions.values()) if key}
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

    def _read_records(self, records: Sequence[Event]) -> Batch:
        """Return one decision for each item, and every malformed row.

        The records of a shard come in order, and Lambda sends the next batch only after this one. So one decision per
        item is enough: the decision about the greatest version in the batch. If several records of the item lead to a
        decision about this version, the decision of the last record counts.
        """
        batch = Batch({}, [], {}, {})
        batch_ms = self._now_ms()
        for record in records:
            images = record["dynamodb"]
            old, new = _image_or_error(images.get("OldImage")), _image_or_error(images.get("NewImage"))
            if isinstance(new, BadRowError):
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

    def _carry_out(self, decision: Decision) -> str | None:
        """Carry out the decision about one item. Return the item's key if this failed, otherwise ``None``."""
        try:
            match decision:
                case ToMend(change):
                    self._mend(change)
                case ToPublish(change):
                    self._publish(change)
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
            self._telemetry.failure(
                "publish_failed",
                "A change could not be published; Lambda sends it again.",
                error,
                change_id=decision.change.change_id,
            )
            return decision.change.key
        return None

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

    def _publish(self, change: Change) -> None:
        collection = self._settings.collections[change.collection]
        key = document_key(collection.read, change.collection, change.item_id, change.owner)
        if collection.moved:
            # Remove the documents that were written before `read` changed. Do this first, so that a document which has
            # become private isn't public if `publish` stops before it writes the new document.
            for other in all_document_keys(change.collection, change.item_id, change.owner):
                if other != key:
                    self._documents.remove_document(other)
        if change.data is None:
            self._documents.remove_document(key)
        else:
            cache_control = collection.document_cache_control
            self._documents.put_document(key, change.representation(), change.version, cache_control)

    def _mend(self, change: Change) -> None:
        if self._items.apply(change) == "applied":
            self._telemetry.event(
                "regression_mended",
                "An item was replaced by an older version or removed; `publish` has applied the greater version again.",
                level="WARN",
                metrics={"RegressionsMended": 1},
                change_id=change.change_id,
            )


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
    items = DynamoItems(dynamodb, settings.items_table, horizon_ms=settings.horizon_ms, telemetry=telemetry)
    documents = S3Documents(s3, settings.documents_bucket)
    quarantine = S3RowQuarantine(s3, settings.log_bucket, settings.quarantine_prefix)
    publish = Publish(settings, items, documents, quarantine, telemetry, _make_queues(settings))
    region = os.environ["AWS_REGION"]

    def serve(event: Event, _: Any) -> dict[str, Any]:
        report_heartbeats(event["Records"], region, now_ms(), telemetry)
        return publish(event)

    return serve


handler = Entrypoint(make_publish)
