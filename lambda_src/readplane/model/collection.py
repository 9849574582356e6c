"""Collections: what Terraform declares about a set of items, and the keys that follow from it."""

import re
from typing import Literal, NamedTuple

Visibility = Literal["public", "authenticated", "owner"]
VISIBILITIES: tuple[Visibility, ...] = ("public", "authenticated", "owner")

_ITEM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,255}")
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,127}")


class Collection(NamedTuple):
    """One declared collection.

    ``cache_ttl`` is in seconds, 0 for never; ``write_groups`` are the sign-in groups whose members may write, and mean
    nothing in an owner collection, which is written by its owners.
    """

    name: str
    read: Visibility
    write_groups: tuple[str, ...] = ()
    cache_ttl: int = 0

    @property
    def owned(self) -> bool:
        """Whether each caller sees and writes only their own items."""
        return self.read == "owner"

    @property
    def cache_control(self) -> str:
        """The ``Cache-Control`` of an item or document of this collection."""
        if self.read == "public":
            return f"public, max-age={self.cache_ttl}"
        if self.read == "authenticated":
            return f"private, max-age={self.cache_ttl}"
        return "private, no-cache"


def is_item_id(text: str) -> bool:
    """Whether ``text`` may name an item: 1-256 of ``[A-Za-z0-9._~-]``, the first a letter or digit.

    No such name holds a slash or starts with a dot, so a name can't leave its own key prefix.
    """
    return _ITEM_ID.fullmatch(text) is not None


def is_owner(text: str) -> bool:
    """Whether ``text`` may be an owner: the ``sub`` of a Cognito token, a UUID, never anything with a slash."""
    return _OWNER.fullmatch(text) is not None


def item_key(collection: str, item_id: str, owner: str | None) -> str:
    """The items table's key of an item; ``owner`` is given in owner collections only."""
    return f"item/{collection}/{owner}/{item_id}" if owner else f"item/{collection}/{item_id}"


def document_key(read: Visibility, collection: str, item_id: str, owner: str | None) -> str:
    """The S3 key of an item's document, below the prefix that belongs to the collection's visibility."""
    return f"{read}/{collection}/{owner}/{item_id}.json" if owner else f"{read}/{collection}/{item_id}.json"
