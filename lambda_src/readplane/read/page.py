"""Parses the query parameters ``limit`` and ``cursor`` of a list request, and makes the cursor of the next page."""

import base64
import binascii
import json

from ..api.problem import bad_parameter
from ..model.collection import is_item_id
from ..model.keys import ListPosition

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


def parse_limit(text: str | None) -> int:
    """Return the page size in the query parameter ``limit``, or 50 if the request doesn't have this parameter.

    :raises ProblemError: 400 unless ``limit`` is a whole number from 1 to 200.
    """
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MAX_LIMIT):
        raise bad_parameter("limit", f"limit must be a number from 1 to {MAX_LIMIT}.")
    return int(text)


def encode_cursor(position: ListPosition) -> str:
    """Return the cursor for a position in a list: an opaque text that can be part of a URL."""
    text = json.dumps([position.shard, position.after], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_cursor(text: str | None, shards: int) -> ListPosition:
    """Return the position in a list that the query parameter ``cursor`` stands for.

    If the request has no cursor, return the start of the list. A cursor needs no signature, because it holds no key of
    the items table, only a position in the list. The caller is allowed to read every position of the list anyway.

    :param shards: how many partitions the list has.
    :raises ProblemError: 400 if the text isn't a cursor, or names a partition that the list doesn't have.
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
