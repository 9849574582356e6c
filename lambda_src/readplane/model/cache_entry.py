"""The entries of the item cache, and their form as bytes.

An entry is one text: the item's version (36 characters), the Unix milliseconds until which the entry is fresh (13
digits), the length of the item's key (3 digits), the key, and the item's JSON text. The key is part of the entry, so
that a response that belongs to another request is recognised and never reaches a client.
"""

NO_VERSION = "00000000-0000-0000-0000-000000000000"
"""The version of an entry that says that DynamoDB has no such item. It is smaller than every version of a change."""

_TOO_LARGE = "!"
"""Stands in an entry for the text of an item that is too large for the cache. No JSON text starts with it."""


class CacheEntry:
    """What the item cache says about one item.

    This class isn't a NamedTuple, because defining a NamedTuple adds 0.1 ms to every cold start.

    :ivar version: the item's version; :data:`NO_VERSION` if DynamoDB has no such item.
    :ivar fresh_until_ms: the time until which the entry may answer a read, in Unix milliseconds.
    :ivar key: the item's key in the items table.
    :ivar text: the item's JSON text; empty if the item is deleted or doesn't exist.
    :ivar is_too_large: whether the item is too large for the cache. The entry then holds its version but not its text.
    """

    __slots__ = ("fresh_until_ms", "is_too_large", "key", "text", "version")

    def __init__(self, version: str, fresh_until_ms: int, key: str, text: str) -> None:
        self.version = version
        self.fresh_until_ms = fresh_until_ms
        self.key = key
        self.text = text
        self.is_too_large = text == _TOO_LARGE

    def encode(self, max_item_bytes: int) -> bytes:
        """Return the entry's bytes.

        :param max_item_bytes: the maximum length of an item's text, in bytes. An entry for a longer text says that the
            item is too large, because such an entry still has to replace the entry of an older version.
        """
        text = self.text.encode()
        if len(text) > max_item_bytes:
            text = _TOO_LARGE.encode()
        return f"{self.version}{self.fresh_until_ms:013}{len(self.key):03}{self.key}".encode() + text


def parse_entry(value: bytes, key: str) -> CacheEntry:
    """Return the entry in a value of the cache.

    :param key: the key of the item that was asked for.
    :raises ValueError: if the value isn't an entry of this item.
    """
    text = value.decode()
    end = 52 + len(key)
    if not text.startswith(key, 52) or int(text[49:52]) != len(key):
        raise ValueError("the entry is of another item")
    return CacheEntry(text[:36], int(text[36:49]), key, text[end:])
