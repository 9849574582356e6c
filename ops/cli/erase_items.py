"""Removes a user from the items table: the user's items and their tombstones, and the actor of other items."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from ops.cli.collection_stores import StoredItem, batches_of
from ops.cli.erase_text import PSEUDONYM
from ops.cli.publishing import Image, read_images
from ops.cli.target import RegionalStack, Target
from ops.cli.write_log import DELETES, delete_of, put_lines, wait_until_applied
from ops.console import CommandError
from readplane.model.keys import ITEM_PREFIX
from readplane.stores.rows import version_of

POLL_SECONDS = 1.0
"""How often a command looks whether DynamoDB has replicated."""

REPLICATION_SECONDS = 300.0
"""How long a command waits for DynamoDB to replicate."""

MARKER_PREFIX = "quarantine/"

Wait = Callable[[float], None]
Tick = Callable[[], None]
"""Called after each page of a scan, so that a job can keep its lock."""


class UserRow(NamedTuple):
    """A row of the items table that names a user.

    key: the row's key
    version: the item's version; "" if the row has none
    is_owned: whether it is an item of the user
    is_deleted: whether it is a tombstone
    is_expired: whether it is a tombstone of the user that DynamoDB may delete now
    is_actor: whether the user has made the item's newest change
    is_named: whether another item's data or id names the user
    """

    key: str
    version: str
    is_owned: bool
    is_deleted: bool
    is_expired: bool
    is_actor: bool
    is_named: bool

    @property
    def is_marker(self) -> bool:
        """Whether the row says that a change is quarantined."""
        return self.key.startswith(MARKER_PREFIX)


def user_rows(target: Target, stack: RegionalStack, user: str, tick: Tick) -> Iterator[UserRow]:
    """Scan the items table of one Region with consistent reads. Yield the rows that name a user."""
    pages = target.client("dynamodb", stack.region).get_paginator("scan")
    listing = pages.paginate(
        TableName=target.outputs["items_table"],
        ConsistentRead=True,
        FilterExpression="contains(pk, :user) OR actor = :user OR contains(#data, :user)",
        ExpressionAttributeNames={"#data": "data"},
        ExpressionAttributeValues={":user": {"S": user}},
        ProjectionExpression="pk, version, actor, expires_at, #data",
    )
    for page in listing:
        tick()
        for row in page["Items"]:
            key = row["pk"]["S"]
            parts = key.split("/")
            is_owned = key.startswith(ITEM_PREFIX) and len(parts) == 4 and parts[2] == user
            is_named = not is_owned and (user in row.get("data", {}).get("S", "") or user in key)
            yield UserRow(
                key,
                version_of(row) or "",
                is_owned,
                "expires_at" in row,
                is_owned and _is_expired(row),
                not is_owned and row.get("actor", {}).get("S") == user,
                is_named and not key.startswith(MARKER_PREFIX),
            )


def count_rows(target: Target, stack: RegionalStack, user: str, tick: Tick) -> Counter[str]:
    """Count where the items table of one Region names a user."""
    counts: Counter[str] = Counter()
    for row in user_rows(target, stack, user, tick):
        counts["items"] += row.is_owned and not row.is_deleted
        counts["tombstones"] += row.is_owned and row.is_deleted
        counts["actors"] += row.is_actor
        counts["markers"] += row.is_marker
        counts["named"] += row.is_named
    return +counts


def delete_items(target: Target, user: str, wait: Wait, note: Callable[[int], None], tick: Tick) -> int:
    """Delete a user's items through the write log, in every Region, and wait until they are. Return their number.

    :param note: called with the number of items that a batch has deleted
    :raises CommandError: if `apply` doesn't apply the deletes, or items keep coming
    """
    deleted: set[str] = set()
    for _ in range(5):
        found = 0
        for stack in target.regions():
            rows = user_rows(target, stack, user, tick)
            living = (row for row in rows if row.is_owned and not row.is_deleted)
            for batch in batches_of(living, DELETES):
                _apply_deletes(target, batch, wait)
                new = {row.key for row in batch} - deleted
                deleted |= new
                note(len(new))
                found += len(batch)
        if not found:
            return len(deleted)
    raise CommandError("New items of this user keep coming. Who writes them? Find out, then run the command again.")


def _apply_deletes(target: Target, rows: list[UserRow], wait: Wait) -> None:
    deletes = [delete_of(StoredItem(row.key, row.version, "")) for row in rows]
    put_lines(target, target.regional(replica=False), [delete.line() for delete in deletes])
    for stack in target.regions():
        wait_until_applied(target, stack, deletes, wait)


def erase_rows(target: Target, user: str, wait: Wait, tick: Tick) -> Counter[str]:
    """Remove a user's tombstones and quarantine markers from the items table, and replace the user as actor.

    `publish` takes it for a lost write if a tombstone vanishes before it has expired. So let the tombstones expire
    first, wait until every Region has it, and delete them then.

    :raises CommandError: if the user has living items, or DynamoDB doesn't replicate in time
    """
    counts: Counter[str] = Counter()
    primary, *others = target.regions()
    rows = list(user_rows(target, primary, user, tick))
    if any(row.is_owned and not row.is_deleted for row in rows):
        raise CommandError("This user has items again. Run the command again from its beginning: --restart.")
    tombstones = [row for row in rows if row.is_owned]
    for row in tombstones:
        if not row.is_expired:
            _expire(target, primary, row)
        tick()
    for stack in others:
        _wait_until(target, stack, tombstones, wait, lambda image: image is None or _is_expired(image))
    for row in rows:
        if row.is_owned or row.is_marker:
            counts["tombstones" if row.is_owned else "markers"] += _delete(target, primary, row)
        elif row.is_actor:
            counts["actors"] += _replace_actor(target, primary, row, user)
        tick()
    for stack in others:
        gone = [row for row in rows if row.is_owned or row.is_marker]
        _wait_until(target, stack, gone, wait, lambda image: image is None)
        renamed = [row for row in rows if row.is_actor]
        _wait_until(target, stack, renamed, wait, lambda image: image is None or image["actor"] != {"S": user})
    return +counts


def _is_expired(image: Image) -> bool:
    return float(image.get("expires_at", {}).get("N", "inf")) <= time.time()


def _wait_until(
    target: Target, stack: RegionalStack, rows: Sequence[UserRow], wait: Wait, is_done: Callable[[Image | None], bool]
) -> None:
    """Wait until each of these rows is in another Region as it should be."""
    end = time.monotonic() + REPLICATION_SECONDS
    keys = [row.key for row in rows]
    while True:
        images = read_images(target, stack, keys)
        keys = [key for key in keys if not is_done(images.get(key))]
        if not keys:
            return
        if time.monotonic() > end:
            raise CommandError(
                f"The items table in {stack.region} isn't the same as in {target.region} after "
                f"{REPLICATION_SECONDS:.0f} s. Look at `replication-behind`, then run the command again."
            )
        wait(POLL_SECONDS)


def _expire(target: Target, stack: RegionalStack, row: UserRow) -> bool:
    """Let a tombstone expire now."""
    return _carried_out(
        target.client("dynamodb", stack.region).update_item,
        TableName=target.outputs["items_table"],
        Key={"pk": {"S": row.key}},
        UpdateExpression="SET expires_at = :past",
        ConditionExpression="version = :version AND attribute_exists(expires_at)",
        ExpressionAttributeValues={":version": {"S": row.version}, ":past": {"N": str(int(time.time()) - 60)}},
    )


def _delete(target: Target, stack: RegionalStack, row: UserRow) -> bool:
    """Delete a marker, or a tombstone that has expired."""
    condition: dict[str, Any] = {
        "ConditionExpression": "version = :version AND attribute_exists(expires_at)",
        "ExpressionAttributeValues": {":version": {"S": row.version}},
    }
    return _carried_out(
        target.client("dynamodb", stack.region).delete_item,
        TableName=target.outputs["items_table"],
        Key={"pk": {"S": row.key}},
        **({} if row.is_marker else condition),
    )


def _replace_actor(target: Target, stack: RegionalStack, row: UserRow, user: str) -> bool:
    """Replace the user as the actor of another item's newest change."""
    return _carried_out(
        target.client("dynamodb", stack.region).update_item,
        TableName=target.outputs["items_table"],
        Key={"pk": {"S": row.key}},
        UpdateExpression="SET actor = :pseudonym",
        ConditionExpression="actor = :user",
        ExpressionAttributeValues={":pseudonym": {"S": PSEUDONYM}, ":user": {"S": user}},
    )


def _carried_out(call: Callable[..., Any], **request: Any) -> bool:
    """Make a conditional call. Return whether its condition was met."""
    try:
        call(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True
