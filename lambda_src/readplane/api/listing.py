"""Serves plain lists from the items table's index, and parses the parameters that all lists have.

`read` and `query` both serve plain lists, so both use this module.
"""

import base64
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from ..model.collection import Collection, is_item_id
from ..model.keys import ListPosition, partitions
from ..stores.items import Items
from .problem import ProblemError, bad_parameter
from .request import Request
from .response import Response
from .staleness import Staleness

DEFAULT_LIMIT = 50
MAX_LIMIT = 200

LIST_SECONDS = 4.0
"""A list request starts no further query after this many seconds. The last query may take another 6 s (two attempts
of at most 2.5 s, and the backoff), so the request ends before the function's timeout of 15 s."""

LIST_PARAMETERS = ("limit", "cursor", "next")
"""The query parameters of a plain list."""


def list_items(
    request: Request, collection: Collection, owner: str | None, items: Items, staleness: Staleness
) -> Response:
    """Return one page of a collection's items. In an owner collection, list only the caller's own items.

    :raises ProblemError: 400 that names a wrong parameter.
    """
    if not collection.cached:
        request.refuse_unknown_parameters(*LIST_PARAMETERS)
    shards = partitions(collection, owner)
    start = parse_cursor(request.query, len(shards))
    limit = parse_limit(request.query.get("limit"))
    page, following = items.list_items(shards, start, limit, LIST_SECONDS)
    cursor = encode_cursor(following) if following else None
    return page_of([item.representation() for item in page], cursor, collection, staleness)


def page_of(representations: list[str], cursor: str | None, collection: Collection, staleness: Staleness) -> Response:
    """Return the response that holds one page of a list.

    :param representations: the JSON text of each item.
    :param cursor: the cursor of the next page; ``None`` if this page is the last.
    """
    headers = {"Content-Type": "application/json", "Cache-Control": collection.cache_control}
    headers |= staleness.header(collection)
    text = f'{{"items":[{",".join(representations)}],"next":{json.dumps(cursor)}}}'
    return Response(HTTPStatus.OK, text, headers)


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
    """Return the cursor for a position in a plain list."""
    return encode_token([position.shard, position.after])


def parse_cursor(query: Mapping[str, str], shards: int) -> ListPosition:
    """Return the position in a plain list that the query parameter ``cursor`` stands for.

    If the request has no cursor, return the start of the list.

    A cursor needs no signature, because it holds no key of the items table, only a position in the list. The caller is
    allowed to read every position of the list anyway.

    :param query: the query parameters of the request.
    :param shards: how many partitions the list has.
    :raises ProblemError: 400 if the text isn't a cursor, or names a partition that the list doesn't have, or if
        ``cursor`` and ``next`` differ.
    """
    name, text = cursor_parameter(query)
    if text is None:
        return ListPosition(0, None)
    match decode_token(text):
        case [int(shard), None | str() as after] if (
            not isinstance(shard, bool) and 0 <= shard < shards and (after is None or is_item_id(after))
        ):
            return ListPosition(shard, after)
    raise wrong_cursor(name)


def cursor_parameter(query: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the name and the text of the parameter that holds the cursor; no text if the request has no cursor.

    The parameter ``next`` means the same as ``cursor``, because a page calls its cursor ``next``.

    :raises ProblemError: 400 if ``cursor`` and ``next`` differ.
    """
    name = "cursor" if "cursor" in query else "next"
    text = query.get(name)
    if query.get("next", text) != text:
        raise bad_parameter("next", "next is another name of cursor; send only one of them.")
    return name, text


def wrong_cursor(name: str) -> ProblemError:
    """Return a 400 error for a cursor that no page of this list has returned."""
    return bad_parameter(name, f"{name} must be the `next` of an earlier page of this list.")


def encode_token(value: list[Any]) -> str:
    """Return a JSON list as an opaque text that can be part of a URL."""
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_token(text: str) -> Any:
    """Return the JSON value in a text of :func:`encode_token`, or ``None`` if a client sent something else."""
    try:
        return json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError):  # binascii.Error is a ValueError
        return None
