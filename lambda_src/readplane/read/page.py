"""Parses the query parameters of a list request (``limit``, ``cursor`` and ``next``), and makes the next cursor."""

import base64
import binascii
import json
from collections.abc import Mapping

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


def parse_cursor(query: Mapping[str, str], shards: int) -> ListPosition:
    """Return the position in a list that the query parameter ``cursor`` stands for.

    The parameter ``next`` means the same, because a page calls its cursor ``next``. If the request has neither, return
    the start of the list.

    A cursor needs no signature, because it holds no key of the items table, only a position in the list. The caller is
    allowed to read every position of the list anyway.

    :param query: the query parameters of the request.
    :param shards: how many partitions the list has.
    :raises ProblemError: 400 if the text isn't a cursor, or names a partition that the list doesn't have, or if
        ``cursor`` and ``next`` differ.
    """
    name = "cursor" if "cursor" in query else "next"
    text = query.get(name)
    if text is None:
        return ListPosition(0, None)
    if query.get("next", text) != text:
        raise bad_parameter("next", "next is another name of cursor; send only one of them.")
    try:
        decoded = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        decoded = None
    match decoded:
        case [int(shard), None | str() as after] if (
            not isinstance(shard, bool) and 0 <= shard < shards and (after is None or is_item_id(after))
        ):
            return ListPosition(shard, after)
    raise bad_parameter(name, f"{name} must be the `next` of an earlier page of this list.")
