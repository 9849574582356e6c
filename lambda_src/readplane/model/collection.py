"""Collections: what Terraform declares about a set of items, and which names items and owners may have."""

import re
from typing import Literal, NamedTuple

Visibility = Literal["public", "authenticated", "owner"]
VISIBILITIES: tuple[Visibility, ...] = ("public", "authenticated", "owner")

_ITEM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,255}")
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,127}")


class Collection(NamedTuple):
    """One declared collection.

    :param name: the name, which is part of its routes and keys.
    :param read: who may read its items.
    :param write_groups: the Cognito groups whose members may write. Ignored in an owner collection, because every
        user may write their own items there.
    :param cache_ttl: how many seconds caches may keep a response; 0 if they may not.
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
        """The ``Cache-Control`` header of this collection's items and documents."""
        if self.read == "public":
            return f"public, max-age={self.cache_ttl}"
        if self.read == "authenticated":
            return f"private, max-age={self.cache_ttl}"
        return "private, no-cache"


def is_item_id(text: str) -> bool:
    """Whether ``text`` may name an item: 1-256 characters ``[A-Za-z0-9._~-]``, the first a letter or digit.

    Such a name has no slash and doesn't start with a dot, so it can't point outside its own key prefix.
    """
    return _ITEM_ID.fullmatch(text) is not None


def is_owner(text: str) -> bool:
    """Whether ``text`` may be an owner: the ``sub`` of a Cognito token, which is a UUID and never has a slash."""
    return _OWNER.fullmatch(text) is not None
