"""The items: a DynamoDB (global) table that holds, per item, the newest change ever applied to it."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..aws.client import Client
from ..aws.faults import RefusedError, UnansweredError
from ..model.change import Change
from ..model.freshness import Freshness
from ..model.keys import ListPosition, list_key, marker_key, source_key

if TYPE_CHECKING:  # `read` uses nothing else from `table`, so its cold start shouldn't load that module
    from .table import TableRecord

PAGE_BYTES = 1024 * 1024
"""The item data, in bytes, at which a page of a list ends. Lambda returns at most 6 MB, and JSON escapes each quote in
the data with a second byte."""

_BATCH_ATTEMPTS = 3

ApplyOutcome = Literal["applied", "duplicate", "superseded"]


class Items(Protocol):
    """A register of each item's newest change."""

    def get_item(self, key: str, *, consistent: bool = False) -> Change | None:
        """Return an item's newest change, or ``None`` for an unknown item. A deleted item returns its tombstone.

        Makes one call.
        """

    def apply(self, change: Change) -> ApplyOutcome:
        """Apply a change, unless one of the same or a greater version has ever been applied to the item.

        Makes one conditional call.

        :returns: ``applied``; ``duplicate``, if the item already has this version; or ``superseded`` by a greater one.
        """

    def mark_quarantined(self, change: Change, reason: str, now_ms: int) -> None:
        """Write a marker that tells the change's status, ``quarantined``; it expires one horizon after ``now_ms``."""

    def get_change_status(self, key: str, change_id: str) -> tuple[str | None, str | None]:
        """Return the item's version, and the reason why the change is quarantined; ``None`` for either if missing.

        Makes one call.
        """

    def list_items(
        self, partitions: list[str], start: ListPosition, limit: int, seconds: float
    ) -> tuple[list[Change], ListPosition | None]:
        """Return up to ``limit`` living items from ``start`` on, and the next page's start (``None`` at the end).

        :param seconds: after this time the page ends with the items read so far, so that a slow table makes short
            pages, not late ones.
        """

    def get_freshness(self, source: str) -> Freshness | None:
        """Return how fresh a source's items are, or ``None`` before its first poll. Makes one call."""


class DynamoItems:
    """:class:`Items` in a DynamoDB table.

    :param index: the index that lists read. A caller that lists nothing needs none.
    :param horizon_ms: how long tombstones and quarantine markers live, in milliseconds.
    """

    def __init__(self, client: Client, table: str, index: str = "", *, horizon_ms: int) -> None:
        self._client = client
        self._table = table
        self._index = index
        self._horizon_ms = horizon_ms

    def get_item(self, key: str, *, consistent: bool = False) -> Change | None:
        """Return an item's newest change, or ``None`` for an unknown item. A deleted item returns its tombstone."""
        response = self._client.call(
            "GetItem", TableName=self._table, Key={"pk": {"S": key}}, ConsistentRead=consistent
        )
        record = response.get("Item")
        return change_of(record) if record else None

    def apply(self, change: Change) -> ApplyOutcome:
        """Apply a change unless the item already has its version or a greater one."""
        try:
            self._client.call(
                "PutItem",
                TableName=self._table,
                Item=self._record(change),
                ConditionExpression="attribute_not_exists(pk) OR version < :version",
                ExpressionAttributeValues={":version": {"S": change.version}},
                # With this the error returns the stored item, which saves a read of its version.
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except RefusedError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            return "duplicate" if error.members["Item"]["version"]["S"] == change.version else "superseded"
        return "applied"

    def mark_quarantined(self, change: Change, reason: str, now_ms: int) -> None:
        """Write a marker that tells the change's status. It has no index key, so no list shows it."""
        # Count from now, not from the change's own time, at which the marker of an expired change would expire at once.
        expires_at = (now_ms + self._horizon_ms) // 1000
        self._client.call(
            "PutItem",
            TableName=self._table,
            Item={
                "pk": {"S": marker_key(change.key, change.change_id)},
                "reason": {"S": reason},
                "expires_at": {"N": str(expires_at)},
            },
        )

    def get_change_status(self, key: str, change_id: str) -> tuple[str | None, str | None]:
        """Return the item's version and the change's quarantine reason.

        The read is consistent, because a change that was applied must not be reported as pending.
        """
        marker = marker_key(key, change_id)
        request: dict[str, Any] = {
            self._table: {
                "Keys": [{"pk": {"S": key}}, {"pk": {"S": marker}}],
                "ConsistentRead": True,
                "ProjectionExpression": "pk, version, reason",
            }
        }
        records: dict[str, TableRecord] = {}
        for _ in range(_BATCH_ATTEMPTS):
            response = self._client.call("BatchGetItem", RequestItems=request)
            records |= {record["pk"]["S"]: record for record in response["Responses"].get(self._table, [])}
            request = response.get("UnprocessedKeys") or {}
            if not request:
                break
        else:
            raise UnansweredError("UnprocessedKeys", sent=True)
        version = records[key]["version"]["S"] if key in records else None
        reason = records[marker]["reason"]["S"] if marker in records else None
        return version, reason

    def list_items(
        self, partitions: list[str], start: ListPosition, limit: int, seconds: float
    ) -> tuple[list[Change], ListPosition | None]:
        """Return a page of living items. Query partitions until it has ``limit`` items or :data:`PAGE_BYTES` bytes."""
        changes: list[Change] = []
        page_bytes = 0
        deadline = time.monotonic() + seconds
        for shard in range(start.shard, len(partitions)):
            if shard > start.shard and time.monotonic() > deadline:
                return changes, ListPosition(shard, None)
            after = start.after if shard == start.shard else None
            for change in self._query_partition(partitions[shard], after, limit - len(changes)):
                changes.append(change)
                page_bytes += len(change.data or "")
                if len(changes) == limit or page_bytes >= PAGE_BYTES:
                    return changes, ListPosition(shard, change.item_id)
        return changes, None

    def _query_partition(self, partition: str, after: str | None, limit: int) -> Iterator[Change]:
        """Return a partition's items behind the item id ``after``, ``limit`` per query."""
        query: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": self._index,
            "KeyConditionExpression": "list_key = :partition",
            "ExpressionAttributeValues": {":partition": {"S": partition}},
            "Limit": limit,
        }
        if after is not None:
            query["KeyConditionExpression"] += " AND item_id > :after"
            query["ExpressionAttributeValues"][":after"] = {"S": after}
        while True:
            response = self._client.call("Query", **query)
            yield from map(change_of, response["Items"])
            if "LastEvaluatedKey" not in response:
                return
            query["ExclusiveStartKey"] = response["LastEvaluatedKey"]

    def get_freshness(self, source: str) -> Freshness | None:
        """Return how fresh a source's items are.

        A record of the items table holds it, because DynamoDB replicates that table to every Region.
        """
        response = self._client.call("GetItem", TableName=self._table, Key={"pk": {"S": source_key(source)}})
        record = response.get("Item")
        if record is None:
            return None
        return Freshness(*(record[name]["S"] if name in record else None for name in Freshness._fields))

    def _record(self, change: Change) -> dict[str, Any]:
        record: dict[str, Any] = {
            "pk": {"S": change.key},
            "collection": {"S": change.collection},
            "item_id": {"S": change.item_id},
            "version": {"S": change.version},
            # The time of acceptance, even if the representation shows the back office's time, because a tombstone's
            # expiry counts from it.
            "as_of": {"S": change.accepted_at},
            "actor": {"S": change.actor},
            "source": {"S": change.source},
        }
        if change.owner is not None:
            record["owner"] = {"S": change.owner}
        if change.data is None:
            # A tombstone has no index key, so that no list shows it and the index needs no write.
            record["expires_at"] = {"N": str(change.expires_at(self._horizon_ms))}
        else:
            record["data"] = {"S": change.data}
            record["list_key"] = {"S": list_key(change.collection, change.item_id, change.owner)}
        return record


def change_of(record: "TableRecord") -> Change:
    """Return the change that a table record or an image of the items stream (both in DynamoDB JSON) holds."""
    return Change(
        change_id=record["version"]["S"],
        collection=record["collection"]["S"],
        item_id=record["item_id"]["S"],
        data=record["data"]["S"] if "data" in record else None,
        actor=record["actor"]["S"],
        source=record["source"]["S"],
        accepted_at=record["as_of"]["S"],
        owner=record["owner"]["S"] if "owner" in record else None,
    )


def image_of(image: "TableRecord | None") -> Change | None:
    """Return the change in an image of the items stream.

    ``None`` stands for no image, and for a record without a version, which is a quarantine marker or a freshness.
    """
    return change_of(image) if image and "version" in image else None
