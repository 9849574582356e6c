"""The keys under which items, documents, quarantine markers and the freshness of sources are stored.

Lists are read from an index of the items table. This module also names the partitions of that index. A collection has
:data:`SHARDS` partitions, and a hash of the item id chooses an item's partition. One partition accepts about 1,000
writes a second. If a partition got more writes, DynamoDB would throttle the whole table. In an owner collection, all
items of one owner share one partition.

An item always keeps its partition and its position in the partition, whatever changes are applied to it. So a client
that reads all pages of a list sees an item exactly once if the item exists during the whole time.
"""

import zlib
from typing import NamedTuple

from .collection import Collection, Visibility

SHARDS = 8
"""The number of partitions that a collection has in the index of the items table. Never change this number, because
stored items would stay in their old partitions, and lists would not find them there."""


ITEM_PREFIX = "item/"
"""The prefix of every item's key in the items table. The keys of other records have other prefixes.

The filter of the items stream (terraform/modules/region/mappings.tf) names this prefix and :data:`HEARTBEAT_PREFIX`.
"""

HEARTBEAT_PREFIX = "heartbeat/"
"""The prefix of the keys of heartbeats. The rest of such a key is the Region that writes the heartbeat. Terraform's
module `heartbeat` knows this key too."""


class ListPosition(NamedTuple):
    """The position in a list at which the next page starts.

    :param shard: the number of the index partition, counted from 0.
    :param after: the last item id of the previous page; ``None`` if the next page starts at the partition's beginning.
    """

    shard: int
    after: str | None


def item_key(collection: str, item_id: str, owner: str | None) -> str:
    """Return an item's key in the items table; ``owner`` is ``None`` if the collection isn't an owner collection."""
    return f"{ITEM_PREFIX}{collection}/{owner}/{item_id}" if owner else f"{ITEM_PREFIX}{collection}/{item_id}"


def source_key(source: str) -> str:
    """Return the key of the record in the items table that holds a source's freshness. This record isn't an item."""
    return f"source/{source}"


def switch_key(source: str) -> str:
    """Return the key of the record in the items table that says which Region polls a source. It isn't an item."""
    return f"switch/{source}"


def heartbeat_key(region: str) -> str:
    """Return the key of a Region's heartbeat, a record of the items table with which the other Region measures the lag.

    This record isn't an item.
    """
    return HEARTBEAT_PREFIX + region


def counted_key(object_key: str) -> str:
    """Return the key of the record in the items table that says that a write-log object is counted.

    This record isn't an item.
    """
    return f"object/{object_key}"


def marker_key(item: str, change_id: str) -> str:
    """Return the key of a change's quarantine marker in the items table.

    The marker gives the change the status ``quarantined``.

    :param item: the key of the change's item, from :func:`item_key`.
    """
    return f"quarantine/{change_id}/{item}"


def document_key(read: Visibility, collection: str, item_id: str, owner: str | None) -> str:
    """Return the S3 key of an item's document. The key starts with the visibility of the item's collection.

    The rest of the key is the path under which the edge serves the document. CloudFront puts the visibility before the
    path, so nothing has to rewrite a request. (The owner in the key of an owner's document isn't part of the path that
    a client sends: ``edge_auth`` inserts it.)
    """
    return f"{read}/documents/{collection}/{owner}/{item_id}" if owner else f"{read}/documents/{collection}/{item_id}"


def all_document_keys(collection: str, item_id: str, owner: str | None) -> list[str]:
    """Return every S3 key that an item's document can have, whoever may read its collection now or could before.

    An item with an owner has only one such key, because Terraform refuses to turn an owner collection into a shared
    one, or a shared one into an owner collection.
    """
    reads: tuple[Visibility, ...] = ("owner",) if owner else ("public", "authenticated")
    return [document_key(read, collection, item_id, owner) for read in reads]


def list_key(collection: str, item_id: str, owner: str | None) -> str:
    """Return the key of the index partition that holds an item. Lists are read from this index of the items table."""
    if owner:
        return f"{collection}/{owner}"
    return f"{collection}/{zlib.crc32(item_id.encode()) % SHARDS}"


def partitions(collection: Collection, owner: str | None) -> list[str]:
    """Return the index partitions from which a list is read, in order.

    In an owner collection, this is only the partition of ``owner``.
    """
    if collection.owned:
        return [f"{collection.name}/{owner}"]
    return [f"{collection.name}/{shard}" for shard in range(SHARDS)]
