"""Publish items again: let the function `publish` write the documents of items as the items table holds them now."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from ops.cli.invoke import LIVE, call
from ops.cli.target import RegionalStack, Target
from ops.console import CommandError
from ops.jobs import refusal_of
from readplane.stores.table import MAX_KEYS, split_into_batches

MAX_TRIES = 5
"""The maximum number of times that an item is published. If the item changes during each, `publish_items` fails."""

THROTTLE_SECONDS = 2.0
"""If Lambda throttles `publish`, wait this many seconds before the next try. The items stream needs `publish` too."""

MAX_THROTTLES = 60
"""The maximum number of times in a row that Lambda may throttle one invocation."""

PUBLISHED_AT_ONCE = 100
"""The number of items that one task of `publish_many` publishes."""

WORKERS = 4
"""How many invocations of `publish` `publish_many` makes at once. The items stream needs `publish` as well."""

Image = dict[str, Any]
"""An item in DynamoDB JSON, with all its attributes."""


def publish_many(target: Target, stack: RegionalStack, keys: Sequence[str]) -> Iterator[int]:
    """Publish items in one Region as `publish_items` does, a few batches at a time. Yield the size of each batch.

    :raises CommandError: if `publish` fails, or an item keeps changing; batches that nobody has begun are left out
    """
    batches = [keys[start : start + PUBLISHED_AT_ONCE] for start in range(0, len(keys), PUBLISHED_AT_ONCE)]
    with ThreadPoolExecutor(WORKERS) as workers:
        tasks = [(workers.submit(publish_items, target, stack, batch), len(batch)) for batch in batches]
        try:
            for task, count in tasks:
                task.result()
                yield count
        finally:
            for task, _ in tasks:
                task.cancel()


def publish_items(target: Target, stack: RegionalStack, keys: Sequence[str]) -> None:
    """Publish items in one Region as the items table holds them now.

    A living item's document is written, and a deleted item's document is removed. An item that isn't in the table is
    left out, because `publish` removed its document before DynamoDB removed its tombstone.

    `publish` may handle a newer change of the same item at the same time. So read each item again afterwards, and
    publish it again if it has another version. In the end no older document replaces a newer one.

    :param keys: keys of the items table, such as `item/products/p-1`
    :raises CommandError: if `publish` fails, or an item changes during each of MAX_TRIES tries
    """
    images = read_images(target, stack, keys)
    for _ in range(MAX_TRIES):
        for batch in split_into_batches(images.items(), MAX_KEYS, lambda entry: len(json.dumps(entry[1]))):
            _publish(target, stack, batch)
        stored = read_images(target, stack, list(images))
        images = {pk: image for pk, image in stored.items() if image.get("version") != images[pk].get("version")}
        if not images:
            return
    raise CommandError(f"{', '.join(sorted(images)[:3])}: {len(images)} items keep changing. Try again.")


def read_images(target: Target, stack: RegionalStack, keys: Sequence[str]) -> dict[str, Image]:
    """Return the items of one Region by their keys. Leave out a key that the items table doesn't hold."""
    table = target.outputs["items_table"]
    images: dict[str, Image] = {}
    for start in range(0, len(keys), MAX_KEYS):
        wanted = [{"pk": {"S": key}} for key in keys[start : start + MAX_KEYS]]
        request: dict[str, Any] = {table: {"Keys": wanted, "ConsistentRead": True}}
        while request:
            response = target.client("dynamodb", stack.region).batch_get_item(RequestItems=request)
            images |= {image["pk"]["S"]: image for image in response["Responses"].get(table, [])}
            request = response.get("UnprocessedKeys") or {}
            if request and not response["Responses"].get(table):
                time.sleep(0.5)  # DynamoDB throttles the table
    return images


def _publish(target: Target, stack: RegionalStack, batch: Sequence[tuple[str, Image]]) -> None:
    """Invoke `publish` once with an event as the items stream sends it. It holds one record for each item."""
    records = [
        {
            "eventName": "MODIFY",
            "dynamodb": {"Keys": {"pk": {"S": pk}}, "NewImage": image, "SequenceNumber": str(number)},
        }
        for number, (pk, image) in enumerate(batch, 1)
    ]
    function = f"{target.name}-publish:{LIVE}"
    for attempt in range(1, MAX_THROTTLES + 1):
        try:
            failures = call(target, function, {"Records": records}, stack.region)["batchItemFailures"]
            break
        except ClientError as error:
            if error.response["Error"]["Code"] != "TooManyRequestsException" or attempt == MAX_THROTTLES:
                raise CommandError(f"{function} in {stack.region} can't be invoked. {refusal_of(error)}") from error
            time.sleep(THROTTLE_SECONDS)
    if failures:
        pk = batch[int(failures[0]["itemIdentifier"]) - 1][0]
        raise CommandError(
            f"{pk} can't be published ({len(failures)} items in all). The log of {function} in {stack.region} says why."
        )
