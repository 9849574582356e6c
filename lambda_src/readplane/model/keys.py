"""Keys: where an item, a document, a source's freshness and a quarantine marker are stored, and how lists are split.

The listing index of a collection has :data:`SHARDS` partitions, chosen by a hash of the item id. One index partition
takes about 1,000 writes a second, and a busier one would throttle the table behind it. All items of one owner are in
one partition. An item stays in its partition, under its id, through every change. So a client that reads all partitions
in order sees each item that exists throughout exactly once.
"""

import zlib
from typing import NamedTuple

from .collection import Collection, Visibility

SHARDS = 8
"""Partitions of a collection's listing index. Never change this number, because stored items stay in the partition that
the old number gave them, and lists would look for them elsewhere."""


class ListPosition(NamedTuple):
    """A place in a list, from which the next page starts.

    :param shard: the number of the partition.
    :param after: the item id to continue after; ``None`` for the start of the partition.
    """

    shard: int
    after: str | None


def item_key(collection: str, item_id: str, owner: str | None) -> str:
    """Return the items table's key of an item; ``owner`` is ``None`` outside owner collections."""
    return f"item/{collection}/{owner}/{item_id}" if owner else f"item/{collection}/{item_id}"


def source_key(source: str) -> str:
    """Return the items table's key of a source's freshness, which is no item, because it has no version."""
    return f"source/{source}"


def marker_key(item: str, change_id: str) -> str:
    """Return the items table's key of a change's quarantine marker; ``item`` is the key of the change's item."""
    return f"quarantine/{change_id}/{item}"


def document_key(read: Visibility, collection: str, item_id: str, owner: str | None) -> str:
    """Return the S3 key of an item's document, which starts with the collection's visibility."""
    return f"{read}/{collection}/{owner}/{item_id}.json" if owner else f"{read}/{collection}/{item_id}.json"


def list_key(collection: str, item_id: str, owner: str | None) -> str:
    """Return the index partition of an item."""
    if owner:
        return f"{collection}/{owner}"
    return f"{collection}/{zlib.crc32(item_id.encode()) % SHARDS}"


def partitions(collection: Collection, owner: str | None) -> list[str]:
    """Return the index partitions of a collection, or of one owner's items in it, in the order of a list."""
    if collection.owned:
        return [f"{collection.name}/{owner}"]
    return [f"{collection.name}/{shard}" for shard in range(SHARDS)]
