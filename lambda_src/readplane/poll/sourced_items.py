"""The items table as `poll` uses it: versions, living items and the freshness of sources.

This code isn't in :mod:`readplane.stores.items`, because the read path imports that module at every cold start.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from ..aws.faults import RefusedError
from ..model.freshness import Freshness
from ..model.keys import source_key
from ..stores.items import DynamoItems
from ..stores.table import MAX_KEYS, read_records, split_into_batches


class SourcedItems(Protocol):
    """The items that sources feed."""

    def get_versions(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the current versions of items and tombstones by their keys. Unknown items are left out.

        One call to the store reads up to 100 keys. The version of a source's tombstone contains the content hash that
        :func:`~readplane.poll.sourced_version.content_hash` returns for a delete.
        """

    def list_living(self, partitions: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Return the id and version of every item that isn't deleted, and read them page by page.

        The store's index is eventually consistent. An item that changes during the listing may be left out, or have
        its previous version.
        """

    def put_freshness(self, source: str, freshness: Freshness) -> Freshness:
        """Publish a source's freshness in every Region. Its ``fresh_as_of`` never goes back.

        :returns: the published freshness. If another poll has published a later ``fresh_as_of``, it has that one.
            Publishing takes one call to the store, or two in that case.
        """


class DynamoSourcedItems(DynamoItems):
    """:class:`SourcedItems` in a DynamoDB table."""

    def get_versions(self, keys: Iterable[str]) -> dict[str, str]:
        """Read the versions with strongly consistent reads, 100 keys a call."""
        return {
            record["pk"]["S"]: record["version"]["S"]
            for batch in split_into_batches(dict.fromkeys(keys), MAX_KEYS, lambda _: 0)
            for record in read_records(self._client, self._table, batch, "pk, version", consistent=True)
        }

    def list_living(self, partitions: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Query the listing index, one partition after another."""
        for partition in partitions:
            query: dict[str, Any] = {
                "TableName": self._table,
                "IndexName": self._index,
                "KeyConditionExpression": "list_key = :partition",
                "ExpressionAttributeValues": {":partition": {"S": partition}},
                # This only makes responses smaller. DynamoDB charges for whole items, and their whole size counts
                # towards the limit of a page.
                "ProjectionExpression": "item_id, version",
            }
            while True:
                response = self._client.call("Query", **query)
                yield from ((record["item_id"]["S"], record["version"]["S"]) for record in response["Items"])
                if "LastEvaluatedKey" not in response:
                    break
                query["ExclusiveStartKey"] = response["LastEvaluatedKey"]

    def put_freshness(self, source: str, freshness: Freshness) -> Freshness:
        """Write the freshness. If a later ``fresh_as_of`` is published already, write again with that one."""
        while True:
            members = {name: {"S": text} for name, text in freshness._asdict().items() if text is not None}
            try:
                self._client.call(
                    "PutItem",
                    TableName=self._table,
                    # This record has no version, so that `publish` doesn't take it for an item.
                    Item={"pk": {"S": source_key(source)}, **members},
                    # A poll releases its lease before it publishes, so another poll may have published by now.
                    ConditionExpression="attribute_not_exists(fresh_as_of) OR fresh_as_of <= :fresh_as_of",
                    ExpressionAttributeValues={":fresh_as_of": {"S": freshness.fresh_as_of or "-"}},
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except RefusedError as refusal:
                if refusal.code != "ConditionalCheckFailedException":
                    raise
                freshness = freshness._replace(fresh_as_of=refusal.members["Item"]["fresh_as_of"]["S"])
            else:
                return freshness
