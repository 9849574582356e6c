"""The settings of a collection, as Terraform declares them, and the rules for item ids and owners."""

import re
from typing import Literal, NamedTuple

Visibility = Literal["public", "authenticated", "owner"]
VISIBILITIES: tuple[Visibility, ...] = ("public", "authenticated", "owner")

_ITEM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,255}")
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,127}")


class Collection(NamedTuple):
    """A collection, as Terraform declares it.

    :param name: the collection's name, which is part of its routes and of its items' keys.
    :param read: who may read the collection's items: everybody, every signed-in user, or only the owner of an item.
    :param write_groups: the Cognito groups whose members may write to the collection. Ignored in an owner collection,
        because every user may write their own items there.
    :param cache_ttl: how long caches may keep a response, in seconds; 0 if caches may not keep it.
    :param edge_ttl: how long the edge may keep a document, in seconds; ``None`` means ``cache_ttl``.
    :param moved: whether ``read`` has ever had another value. Documents may then still lie under the prefix of that
        value.
    """

    name: str
    read: Visibility
    write_groups: tuple[str, ...] = ()
    cache_ttl: int = 0
    moved: bool = False
    edge_ttl: int | None = None

    @property
    def owned(self) -> bool:
        """Whether this is an owner collection, in which each caller reads and writes only their own items."""
        return self.read == "owner"

    @property
    def cached(self) -> bool:
        """Whether API Gateway may cache the collection's items, lists and documents.

        If so, their responses may depend only on what is in the cache key: the path and the declared query parameters.
        The items of an owner are never cached, because the cache key doesn't contain the caller.
        """
        return self.cache_ttl > 0 and self.read != "owner"

    @property
    def cache_control(self) -> str:
        """The ``Cache-Control`` header with which the API sends this collection's items and documents."""
        if self.read == "public":
            return f"public, max-age={self.cache_ttl}"
        if self.read == "authenticated":
            return f"private, max-age={self.cache_ttl}"
        return "private, no-cache"

    @property
    def document_cache_control(self) -> str:
        """The ``Cache-Control`` of this collection's documents in S3, which says how long the edge may keep a copy.

        The edge keeps no copy of a ``private`` document, so documents for every signed-in user say ``max-age`` alone.
        They don't say ``public`` or ``s-maxage``, because then other shared caches could store a response to a request
        with a token (RFC 9111, 3.5). The edge and the API both send clients another header for these documents.
        """
        edge_ttl = self.cache_ttl if self.edge_ttl is None else self.edge_ttl
        if self.read == "public":
            return self.cache_control if edge_ttl == self.cache_ttl else f"{self.cache_control}, s-maxage={edge_ttl}"
        if self.read == "authenticated" and edge_ttl > 0:
            return f"max-age={edge_ttl}"
        return "private, no-cache"


def is_item_id(text: str) -> bool:
    """Whether ``text`` is a valid item id: 1-256 characters ``[A-Za-z0-9._~-]``, the first a letter or digit.

    Such an id has no slash and isn't ``..``. So a key made of a prefix and such an id always stays below that prefix.
    """
    return _ITEM_ID.fullmatch(text) is not None


def is_owner(text: str) -> bool:
    """Whether ``text`` is a valid owner: the ``sub`` of a Cognito token, which is a UUID and never has a slash."""
    return _OWNER.fullmatch(text) is not None
