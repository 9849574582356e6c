"""The entry point of `publish`: it writes documents from the items stream and mends items whose version went down."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from ..aws.boto import BotoClient
from ..clock import now_ms
from ..config import DAY_MS, load_settings
from ..entrypoint import Entrypoint, Event, Function
from ..model.change import Change
from ..model.collection import Collection
from ..model.keys import document_key
from ..stores.documents import Documents, S3Documents
from ..stores.items import DynamoItems, Items, image_of
from ..telemetry import Telemetry
from .decide import ToMend, ToPublish, decide

WORKERS = 16
"""The number of threads that write documents and mend items."""


class PublishSettings(NamedTuple):
    """The settings of `publish`.

    :param name: the stack's name.
    :param items_table: the DynamoDB table of the items.
    :param documents_bucket: the S3 bucket of this Region's documents.
    :param horizon_days: how long a tombstone lives, in days.
    :param collections: the declared collections, by name.
    """

    name: str
    items_table: str
    documents_bucket: str
    horizon_days: int
    collections: Mapping[str, Collection]

    @property
    def horizon_ms(self) -> int:
        """How long a tombstone lives, in milliseconds."""
        return self.horizon_days * DAY_MS


class Publish:
    """The function `publish`, which writes documents from the records of the items stream."""

    def __init__(self, settings: PublishSettings, items: Items, documents: Documents, telemetry: Telemetry) -> None:
        self._settings = settings
        self._items = items
        self._documents = documents
        self._telemetry = telemetry

    def __call__(self, event: Event) -> dict[str, Any]:
        """Publish a batch of records of the items stream. If an item fails, report its first record in the batch.

        Lambda sends the batch again from the earliest reported record on. Publishing a record twice is harmless.
        """
        decisions, first_records = self._decide_by_item(event["Records"])
        with ThreadPoolExecutor(WORKERS) as workers:
            failed = [key for key in workers.map(self._carry_out, decisions.values()) if key]
        published = sum(isinstance(decision, ToPublish) for key, decision in decisions.items() if key not in failed)
        self._telemetry.event(
            "documents_published",
            "A batch of the items stream is published.",
            metrics={"DocumentsPublished": published},
            records=len(event["Records"]),
        )
        return {"batchItemFailures": [{"itemIdentifier": first_records[key]} for key in failed]}

    def _decide_by_item(self, records: Sequence[Event]) -> tuple[dict[str, ToPublish | ToMend], dict[str, str]]:
        """Return one decision for each item, and the sequence number of the item's first record, both by item key.

        The records of a shard come in order, and Lambda sends the next batch only after this one. So one decision per
        item is enough: the decision about the greatest version in the batch. If several records of the item lead to a
        decision about this version, the decision of the last record counts.
        """
        decisions: dict[str, ToPublish | ToMend] = {}
        first_records: dict[str, str] = {}
        batch_ms = now_ms()
        for record in records:
            images = record["dynamodb"]
            old, new = image_of(images.get("OldImage")), image_of(images.get("NewImage"))
            decision = decide(old, new, batch_ms, self._settings.horizon_ms)
            if decision is None:
                continue
            key = decision.change.key
            first_records.setdefault(key, images["SequenceNumber"])
            if key not in decisions or decision.change.version >= decisions[key].change.version:
                decisions[key] = decision
        return decisions, first_records

    def _carry_out(self, decision: ToPublish | ToMend) -> str | None:
        """Publish or mend one item. Return the item's key if this failed, otherwise ``None``."""
        try:
            if isinstance(decision, ToMend):
                self._mend(decision.change)
            else:
                self._publish(decision.change)
        except Exception as error:  # noqa: BLE001 (one item that fails must not stop the others)
            self._telemetry.failure(
                "publish_failed",
                "A change could not be published; Lambda sends it again.",
                error,
                change_id=decision.change.change_id,
            )
            return decision.change.key
        return None

    def _publish(self, change: Change) -> None:
        collection = self._settings.collections.get(change.collection)
        if collection is None:
            # Leave the document as it is, because no client can read it. The collection was removed from the settings,
            # and its routes were removed from API Gateway.
            self._telemetry.event(
                "collection_not_declared",
                "The item's collection is no longer declared; its document is left as it is.",
                level="WARN",
                change_id=change.change_id,
            )
            return
        key = document_key(collection.read, change.collection, change.item_id, change.owner)
        if change.data is None:
            self._documents.remove_document(key)
        else:
            self._documents.put_document(key, change.representation(), change.version, collection.cache_control)

    def _mend(self, change: Change) -> None:
        if self._items.apply(change) == "applied":
            self._telemetry.event(
                "regression_mended",
                "An item's version went down; `publish` has applied the greater version again.",
                level="WARN",
                metrics={"RegressionsMended": 1},
                change_id=change.change_id,
            )


def make_publish() -> Function:
    """Make `publish` from the settings in its environment.

    :raises SettingsError: if a setting is missing or wrong.
    """
    settings = load_settings(PublishSettings)
    items = DynamoItems(BotoClient("dynamodb", attempts=5), settings.items_table, horizon_ms=settings.horizon_ms)
    documents = S3Documents(BotoClient("s3", attempts=5, connections=WORKERS), settings.documents_bucket)
    publish = Publish(settings, items, documents, Telemetry("publish", settings.name))
    return lambda event, _: publish(event)


handler = Entrypoint(make_publish)
