"""Feeds the documents from the items stream, in version order, and mends versions that went down."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple

from ..aws.boto import BotoClient
from ..clock import now_ms
from ..config import DAY_MS, load
from ..model.change import Change
from ..model.collection import Collection, document_key
from ..stores.documents import Documents, S3Documents
from ..stores.items import DynamoItems, Items, image_of
from ..telemetry import Telemetry
from .decide import ToMend, ToPublish, decide

WORKERS = 16

Event = dict[str, Any]


class PublishSettings(NamedTuple):
    """What Terraform tells the function."""

    name: str
    items_table: str
    documents_bucket: str
    horizon_ms: int
    collections: Mapping[str, Collection]


def publish_settings() -> PublishSettings:
    """:raises BadSettings: with every problem."""
    return load(
        lambda given: PublishSettings(
            name=given.text("name"),
            items_table=given.text("items_table"),
            documents_bucket=given.text("documents_bucket"),
            horizon_ms=given.number("horizon_days") * DAY_MS,
            collections=given.collections(),
        )
    )


class Publish:
    """The function, with what it needs handed in."""

    def __init__(self, settings: PublishSettings, items: Items, documents: Documents, telemetry: Telemetry) -> None:
        self._settings = settings
        self._items = items
        self._documents = documents
        self._telemetry = telemetry

    def __call__(self, event: Event) -> Event:
        """Publish a batch of stream records; name the first record of every item that failed.

        A shard's records come in order and the next batch waits for this one, so only the greatest version per item of
        the batch needs anything done, by the last record that tells of it. Lambda starts again at the first failure:
        repeats are harmless.
        """
        todos: dict[str, ToPublish | ToMend] = {}
        first: dict[str, str] = {}
        seen_ms = now_ms()
        for record in event["Records"]:
            images = record["dynamodb"]
            old, new = image_of(images.get("OldImage")), image_of(images.get("NewImage"))
            todo = decide(old, new, seen_ms, self._settings.horizon_ms)
            if todo is None:
                continue
            key = todo.change.key
            first.setdefault(key, images["SequenceNumber"])
            if key not in todos or todo.change.version >= todos[key].change.version:
                todos[key] = todo
        with ThreadPoolExecutor(WORKERS) as workers:
            failed = [key for key in workers.map(self._do, todos.values()) if key]
        published = sum(isinstance(todo, ToPublish) for key, todo in todos.items() if key not in failed)
        self._telemetry.event(
            "documents_published",
            "A batch of the items stream is published.",
            metrics={"DocumentsPublished": published},
            records=len(event["Records"]),
        )
        return {"batchItemFailures": [{"itemIdentifier": first[key]} for key in failed]}

    def _do(self, todo: ToPublish | ToMend) -> str | None:
        """Do what a record asks for; give back the item's key if that failed, so that one item holds up no other."""
        try:
            if isinstance(todo, ToMend):
                self._mend(todo.change)
            else:
                self._publish(todo.change)
        except Exception as error:
            self._telemetry.failure(
                "publish_failed",
                "A change could not be published; Lambda sends it again.",
                error,
                change_id=todo.change.change_id,
            )
            return todo.change.key
        return None

    def _publish(self, change: Change) -> None:
        collection = self._settings.collections.get(change.collection)
        if collection is None:
            # Undeclared since: nothing can read its documents any more, and the item is still there.
            self._telemetry.event(
                "collection_not_declared",
                "The item's collection is no longer declared; its document stays as it is.",
                level="WARN",
                change_id=change.change_id,
            )
            return
        key = document_key(collection.read, change.collection, change.item_id, change.owner)
        if change.data is None:
            self._documents.remove(key)
        else:
            self._documents.put(key, change.representation(), change.version, collection.cache_control)

    def _mend(self, change: Change) -> None:
        if self._items.apply(change) == "applied":
            self._telemetry.event(
                "regression_mended",
                "An item's version went down; the greater one is applied again.",
                level="WARN",
                metrics={"RegressionsMended": 1},
                change_id=change.change_id,
            )


@cache
def function() -> Publish:
    """Make the function from its environment, once per sandbox.

    :raises BadSettings: with every problem.
    """
    settings = publish_settings()
    items = DynamoItems(BotoClient("dynamodb", attempts=5), settings.items_table, horizon_ms=settings.horizon_ms)
    documents = S3Documents(BotoClient("s3", attempts=5, connections=WORKERS), settings.documents_bucket)
    return Publish(settings, items, documents, Telemetry("publish", settings.name))


def handler(event: Event, context: object) -> Event:
    """Lambda entry point."""
    return function()(event)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    function()  # during init
