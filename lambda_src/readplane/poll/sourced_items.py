"""The items table as `poll` uses it: versions of items, items that aren't deleted, and the freshness of sources.

This code isn't in :mod:`readplane.stores.items`, because the function `read` imports that module at every cold start.
More code there would slow its cold starts down.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from ..aws.faults import RefusedError, back_off
from ..model.freshness import Freshness
from ..model.keys import source_key
from ..model.timestamp import is_timestamp
from ..stores.items import DynamoItems
from ..stores.rows import version_of
from ..stores.table import MAX_KEYS, read_records, split_into_batches
from .checkpoint import Position


class SourcedItems(Protocol):
    """The interface of the store of items that sources feed."""

    def get_versions(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the current version of each item or tombstone (the mark of a deleted item) under ``keys``, by key.

        One call to DynamoDB reads up to 100 keys. If a source's delete made a tombstone, the tombstone's version
        contains the content hash that :func:`~readplane.poll.sourced_version.content_hash` returns for ``data=None``.
        """

    def list_living(self, partitions: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Return the id and version of every item that isn't deleted. The items are read page by page.

        The table's index is eventually consistent. If an item changes during the listing, the item may be left out or
        may have its previous version.
        """

    def get_freshness(self, source: str) -> Freshness | None:
        """Return a source's published freshness, or ``None`` before the source's first poll."""

    def put_freshness(self, source: str, freshness: Freshness, position: Position) -> Freshness:
        """Publish a source's freshness in the items table, which is in every Region. ``fresh_as_of`` never goes back.

        :param position: where another Region can take the source over. It is published in the same write.
        :returns: the published freshness. If another poll has already published a later ``fresh_as_of``, the result has
            that later time. Publishing takes one call to DynamoDB, or two calls if there is a later time.
        """


class DynamoSourcedItems(DynamoItems):
    """The items that sources feed, in a DynamoDB table.

    :ivar pause: waits before a retry, for at most so many seconds. A simulation replaces it.
    """

    pause = staticmethod(back_off)

    def get_versions(self, keys: Iterable[str]) -> dict[str, str]:
        """Read the versions with strongly consistent reads, up to 100 keys per call.

        A row without a valid version is malformed. It is left out, so that the source's record makes a new change,
        which replaces the row.
        """
        return {
            record["pk"]["S"]: version
            for batch in split_into_batches(dict.fromkeys(keys), MAX_KEYS, lambda _: 0)
            for record in read_records(
                self._client, self._table, batch, "pk, version", consistent=True, pause=self.pause
            )
            if (version := version_of(record)) is not None
        }

    def list_living(self, partitions: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Query the index that lists items, one partition after another."""
        for partition in partitions:
            query: dict[str, Any] = {
                "TableName": self._table,
                "IndexName": self._index,
                "KeyConditionExpression": "list_key = :partition",
                "ExpressionAttributeValues": {":partition": {"S": partition}},
                # The projection makes the responses smaller. It saves neither cost nor pages, because DynamoDB charges
                # for whole items, and counts their whole size towards the size limit of a page.
                "ProjectionExpression": "item_id, version",
            }
            while True:
                response = self._client.call("Query", **query)
                for record in response["Items"]:
                    version = version_of(record)
                    if version is not None:  # a row without a valid version is malformed, so it is no item
                        yield record["item_id"]["S"], version
                if "LastEvaluatedKey" not in response:
                    break
                query["ExclusiveStartKey"] = response["LastEvaluatedKey"]

    def put_freshness(self, source: str, freshness: Freshness, position: Position) -> Freshness:
        """Write the freshness. If a later ``fresh_as_of`` is already stored, write again with that later time."""
        condition = "attribute_not_exists(fresh_as_of) OR fresh_as_of <= :fresh_as_of"
        values = {":fresh_as_of": {"S": freshness.fresh_as_of or "-"}}
        place: dict[str, Any] = {}
        if position.watermark_ms is not None:
            place["settled_watermark"] = {"N": str(position.watermark_ms)}
        if position.fingerprint is not None:
            place["fingerprint"] = {"S": position.fingerprint}
        while True:
            members = {name: {"S": text} for name, text in freshness._asdict().items() if text is not None}
            try:
                self._client.call(
                    "PutItem",
                    TableName=self._table,
                    # The freshness has no attribute `version`, so that `publish` doesn't take it for an item.
                    Item={"pk": {"S": source_key(source)}, **members, **place},
                    # A poll releases its lease before it publishes the freshness. So the next poll may already have
                    # published a later `fresh_as_of`, which this poll must not overwrite.
                    ConditionExpression=condition,
                    ExpressionAttributeValues=values,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except RefusedError as refusal:
                if refusal.code != "ConditionalCheckFailedException":
                    raise
                stored = refusal.members["Item"]["fresh_as_of"]
                if is_timestamp(stored.get("S", "")):
                    freshness = freshness._replace(fresh_as_of=stored["S"])
                    values = {":fresh_as_of": stored}
                else:  # somebody wrote the record by hand; replace exactly this value
                    condition, values = "fresh_as_of = :fresh_as_of", {":fresh_as_of": stored}
            else:
                return freshness
