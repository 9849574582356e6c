"""Reads which version an item has, so that `write` can refuse a second body under one ``Idempotency-Key``."""

from typing import Protocol

from ..aws.client import Client


class StoredVersions(Protocol):
    """Reads the versions of items from the items table."""

    def get_version(self, key: str) -> str | None:
        """Return the version of the item with this key; ``None`` for an unknown item. A tombstone has a version too.

        :raises AwsError: if the version can't be read.
        """


class DynamoStoredVersions:
    """The :class:`StoredVersions` of a DynamoDB table. Each read is one call to AWS.

    `write` doesn't use :class:`readplane.stores.items.DynamoItems`. Importing that module costs 0.8 ms of every cold
    start, and only a POST with ``Idempotency-Key`` reads. Its reads also return an item's data, up to 256 KiB.
    """

    def __init__(self, client: Client, table: str) -> None:
        self._client = client
        self._table = table

    def get_version(self, key: str) -> str | None:
        """Return an item's version. The read is consistent, so it sees every change applied in this Region."""
        response = self._client.call(
            "GetItem",
            TableName=self._table,
            Key={"pk": {"S": key}},
            ProjectionExpression="version",
            ConsistentRead=True,
        )
        record = response.get("Item")
        # A row whose version is missing or isn't a text is malformed, so it is no item.
        version: str | None = record.get("version", {}).get("S") if record else None
        return version
