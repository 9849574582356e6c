"""Feeds the documents from the items stream, in version order, and mends versions that went down."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

from ..config import PublishSettings, publish_settings
from ..domain.change import Change
from ..domain.collection import document_key
from ..domain.publishing import Mend, decide
from ..stores.aws import client
from ..stores.documents import Documents, S3Documents
from ..stores.items import DynamoItems, Items, image_of
from ..telemetry import Telemetry, start_tracing

WORKERS = 16

Event = dict[str, Any]
Todo = TypeVar("Todo")


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
        the batch needs publishing. Lambda starts again at the first failure: repeats are harmless.
        """
        newest: dict[str, Change] = {}
        mends: dict[str, Mend] = {}
        first: dict[str, str] = {}
        now_ms = time.time_ns() // 1_000_000
        for record in event["Records"]:
            images = record["dynamodb"]
            old, new = image_of(images.get("OldImage")), image_of(images.get("NewImage"))
            todo = decide(old, new, now_ms, self._settings.horizon_ms)
            if todo is None:
                continue
            key = todo.change.key
            first.setdefault(key, images["SequenceNumber"])
            if isinstance(todo, Mend):
                mends[key] = todo
            elif key not in newest or todo.change.version > newest[key].version:
                newest[key] = todo.change
        failed: set[str] = set()
        with ThreadPoolExecutor(WORKERS) as workers:
            failed.update(*workers.map(self._guard(self._publish), newest.items()))
            failed.update(*workers.map(self._guard(self._mend), mends.items()))
        done = len(newest.keys() - failed)
        self._telemetry.event("published", metrics={"DocumentsPublished": done}, records=len(event["Records"]))
        return {"batchItemFailures": [{"itemIdentifier": first[key]} for key in failed]}

    def _guard(self, do: Callable[[Todo], None]) -> Callable[[tuple[str, Todo]], list[str]]:
        """Make ``do`` name the key that it failed for instead of raising, so that one item holds up no other."""

        def guarded(entry: tuple[str, Todo]) -> list[str]:
            key, todo = entry
            try:
                do(todo)
            except Exception as error:
                self._telemetry.failure("publish failed", error, item=key)
                return [key]
            return []

        return guarded

    def _publish(self, change: Change) -> None:
        collection = self._settings.collections.get(change.collection)
        if collection is None:
            # Undeclared since: nothing can read its documents any more, and the item is still there.
            self._telemetry.event("collection is not declared", level="WARN", change_id=change.change_id)
            return
        key = document_key(collection.read, change.collection, change.item_id, change.owner)
        if change.data is None:
            self._documents.remove(key)
        else:
            self._documents.put(key, change.representation(), change.version, collection.cache_control)

    def _mend(self, mend: Mend) -> None:
        if self._items.apply(mend.change) == "applied":
            self._telemetry.event(
                "version went down: put back",
                level="WARN",
                metrics={"RegressionsMended": 1},
                change_id=mend.change.change_id,
            )


@cache
def function() -> Publish:
    """Make the function from its environment, once per sandbox.

    :raises BadSettings: with every problem.
    """
    start_tracing()
    settings = publish_settings()
    items = DynamoItems(client("dynamodb", attempts=5), settings.items_table, horizon_ms=settings.horizon_ms)
    documents = S3Documents(client("s3", attempts=5, connections=WORKERS), settings.documents_bucket)
    return Publish(settings, items, documents, Telemetry("publish", settings.name))


def handler(event: Event, context: object) -> Event:
    """Lambda entry point."""
    return function()(event)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    function()  # during init
