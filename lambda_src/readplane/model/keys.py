"""Keys: where an item, a document, a source's freshness and a quarantine marker are stored, and how lists are split.

Lists read an index of the items table. In this index a collection has :data:`SHARDS` partitions, and a hash of the item
id chooses an item's partition. One partition takes about 1,000 writes a second, and DynamoDB would throttle the whole
table if one got more. In an owner collection, all items of one owner share one partition.

No change moves an item to another partition or to another place in its partition. So a client that reads all partitions
in order sees an item exactly once if the item exists during the whole time.
"""

import zlib
from typing import NamedTuple

from .collection import Collection, Visibility

SHARDS = 8
"""The number of partitions that a collection has in the index. Never change it. Stored items would stay in the
partitions that the old number gave them, and lists would look for them elsewhere."""


class ListPosition(NamedTuple):
    """A place in a list, from which the next page starts.

    :param shard: the number of the partition.
    :param after: the item id to continue after; ``None`` for the start of the partition.
    """

    shard: int
    after: str | None


def item_key(collection: str, item_id: str, owner: str | None) -> str:
    """Return an item's key in the items table; ``owner`` is ``None`` outside owner collections."""
    return f"item/{collection}/{owner}/{item_id}" if owner else f"item/{collection}/{item_id}"


def source_key(source: str) -> str:
    """Return the key of a source's freshness in the items table. That record isn't an item: it has no version."""
    return f"source/{source}"


def marker_key(item: str, change_id: str) -> str:
    """Return the key of a change's quarantine marker in the items table; ``item`` is the key of the change's item."""
    return f"quarantine/{change_id}/{item}"


def document_key(read: Visibility, collection: str, item_id: str, owner: str | None) -> str:
    """Return the S3 key of an item's document, which starts with the collection's visibility."""
    return f"{read}/{collection}/{owner}/{item_id}.json" if owner else f"{read}/{collection}/{item_id}.json"


def list_key(collection: str, item_id: str, owner: str | None) -> str:
    """Return the index partition that holds an item."""
    if owner:
        return f"{collection}/{owner}"
    return f"{collection}/{zlib.crc32(item_id.encode()) % SHARDS}"


def partitions(collection: Collection, owner: str | None) -> list[str]:
    """Return the index partitions of a collection, or of one owner's items in it, in the order that lists read."""
    if collection.owned:
        return [f"{collection.name}/{owner}"]
    return [f"{collection.name}/{shard}" for shard in range(SHARDS)]
