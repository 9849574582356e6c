"""What operators' commands put into the write log: lines as a new object, and changes that delete items."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence

from ops.cli.collection_stores import StoredItem, batches_of
from ops.cli.target import RegionalStack, Target
from ops.console import CommandError
from readplane.aws.boto import BotoClient
from readplane.clock import now_ms
from readplane.model.change import API, Change
from readplane.model.timestamp import rfc3339
from readplane.model.version import stamp
from readplane.stores.rows import version_of
from readplane.stores.table import MAX_KEYS, read_records

ACTOR = "operator"
"""The actor of the changes that operators' commands make."""

DELETES = 1000
"""The number of deletes in one object. A command waits until `apply` has applied them before it sends the next object,
so that the changes of clients wait for one such object at most."""

APPLY_SECONDS = 600.0
"""How long a command waits for `apply` to apply one object. A backlog of the write log may be ahead of the object."""

POLL_SECONDS = 0.5
"""How often a command checks whether they are applied."""


def apply_queue(target: Target, stack: RegionalStack, suffix: str = "") -> str:
    """Return the URL of the queue of `apply` in one Region.

    :param suffix: `-dead-letters` for the queue's dead-letter queue
    """
    url: str = target.client("sqs", stack.region).get_queue_url(QueueName=f"{target.name}-apply{suffix}")["QueueUrl"]
    return url


def put_lines(target: Target, stack: RegionalStack, lines: list[bytes]) -> str:
    """Put lines into the write log as a new object, whose changes `apply` then applies. Return the object's key."""
    body = b"".join(line.rstrip(b"\r\n") + b"\n" for line in lines)
    # The key contains a hash of the content. If the same command runs again on the same day, it overwrites this object
    # instead of adding another one.
    key = f"log/redrive/{time.strftime('%Y-%m-%d', time.gmtime())}/{hashlib.sha256(body).hexdigest()[:32]}"
    target.client("s3", stack.region).put_object(Bucket=stack.log_bucket, Key=key, Body=body)
    return key


def delete_of(item: StoredItem) -> Change:
    """Return a change that deletes an item. Its version is above the item's version."""
    now = now_ms()
    version = stamp(now, os.urandom(10), above=[item.version] if item.version else [])
    return Change(version, item.collection, item.item_id, None, ACTOR, API, rfc3339(now), item.owner)


def wait_until_applied(
    target: Target, stack: RegionalStack, changes: Sequence[Change], wait: Callable[[float], None]
) -> None:
    """Wait until the items of one Region have at least the versions of these changes.

    :param wait: waits so many seconds
    :raises CommandError: if that takes longer than APPLY_SECONDS
    """
    client = BotoClient("dynamodb", region=stack.region)
    waiting = {change.key: change.version for change in changes}
    deadline = time.monotonic() + APPLY_SECONDS
    while True:
        for keys in batches_of(list(waiting), MAX_KEYS):
            for record in read_records(client, target.outputs["items_table"], keys, "pk, version", consistent=True):
                key = record["pk"]["S"]
                if (version_of(record) or "") >= waiting[key]:
                    del waiting[key]
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise CommandError(
                f"{len(waiting)} deletes have no effect in {stack.region} yet. They are in the write log. Look at the "
                f"log of {target.name}-apply and at `quarantine list`, then run the command again."
            )
        wait(POLL_SECONDS)
