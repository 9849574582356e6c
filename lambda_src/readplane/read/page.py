"""Lists: the index partitions that a collection is spread over, and the cursor that walks them.

A collection's listing index has :data:`SHARDS` partitions, chosen by a hash of the item id, because one index partition
takes about 1,000 writes a second and would throttle the table behind it. An owner's items are one partition. An item
stays in its partition, under its id, through every change: so whatever exists throughout a walk is seen exactly once.
"""

import base64
import binascii
import json
import zlib
from typing import NamedTuple

from ..api.problem import bad_parameter
from ..model.collection import Collection, is_item_id

SHARDS = 8
"""Partitions per collection. Fixed: an item written under another number would be looked for in the wrong place."""

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


class ListPosition(NamedTuple):
    """Where a walk stands: in partition ``shard``, behind item ``after`` (``None``: at the partition's start)."""

    shard: int
    after: str | None


def list_key(collection: str, item_id: str, owner: str | None) -> str:
    """The index partition of an item."""
    if owner:
        return f"{collection}/{owner}"
    return f"{collection}/{zlib.crc32(item_id.encode()) % SHARDS}"


def partitions(collection: Collection, owner: str | None) -> list[str]:
    """The index partitions that hold a collection, or one owner's part of it, in the order of a walk."""
    if collection.owned:
        return [f"{collection.name}/{owner}"]
    return [f"{collection.name}/{shard}" for shard in range(SHARDS)]


def parse_limit(text: str | None) -> int:
    """The page size that a request names.

    :raises Problem: 400 unless it is a number from 1 to 200.
    """
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MAX_LIMIT):
        raise bad_parameter("limit", f"limit must be a number from 1 to {MAX_LIMIT}.")
    return int(text)


def encode_cursor(place: ListPosition) -> str:
    """The opaque text that names ``place`` in a URL."""
    text = json.dumps([place.shard, place.after], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_cursor(text: str | None, shards: int) -> ListPosition:
    """The place that a request's cursor names; the start without one.

    A cursor holds no key, only a place within what the route and the caller may see anyway, so it needs no signature.

    :param shards: how many partitions the walk has.
    :raises Problem: 400 for anything that :func:`encode_cursor` doesn't make.
    """
    if text is None:
        return ListPosition(0, None)
    try:
        decoded = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        decoded = None
    match decoded:
        case [int(shard), None | str() as after] if (
            not isinstance(shard, bool) and 0 <= shard < shards and (after is None or is_item_id(after))
        ):
            return ListPosition(shard, after)
    raise bad_parameter("cursor", "cursor must be the `next` of an earlier page of this list.")
