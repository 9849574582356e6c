"""The versions of the changes that come from sources.

A version is a UUIDv7 that contains a record's modification time, a counter and a hash of the record's content. Polling
the same record again gives the same version, and so the same change. The counter orders different contents of one
record that have the same modification time.
"""

import hashlib
import struct

from ..model.version import time_ms

CONTENT_HASH_BITS = 62
"""The size of the content hash in bits. It fills the low bits of a version, after the variant field of the UUIDv7."""

MAX_COUNTER = (1 << 12) - 1
"""The greatest counter in a version. The counter takes the 12 bits (``rand_a``) before a UUIDv7's variant field."""


def content_hash(source: str, key: str, data: str | None) -> int:
    """Return the 62-bit hash of a record's content, source and item key.

    :param key: the item's key. The hash covers it, so that two items with the same data don't get the same version.
    :param data: the record's data as canonical JSON text; ``None`` for a delete.
    """
    return _hash(source, key, "put" if data is not None else "delete", data or "") >> (64 - CONTENT_HASH_BITS)


def key_hash(key: str) -> int:
    """Return the 64-bit hash that stands for an item's key in a checkpoint and in a set of listed items."""
    return _hash(key)


def sourced_version(ms: int, counter: int, content: int) -> str:
    """Return the version of the change that applies a record's content to its item.

    :param ms: the record's modification time, Unix milliseconds.
    :param counter: 0 for the first content that was read with this time, 1 for the second one, and so on.
    :param content: the record's content hash.
    """
    value = (ms << 80) | (0x7 << 76) | (counter << 64) | (0b10 << 62) | content
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def content_of(version: str) -> int:
    """Return the content hash that a sourced version contains."""
    return int(version[19:23] + version[24:], 16) & ((1 << CONTENT_HASH_BITS) - 1)


def counter_of(version: str) -> int:
    """Return the counter that a sourced version contains."""
    return int(version[15:18], 16)


def next_version(version: str, content: int) -> str:
    """Return a version just above ``version`` that contains the content hash ``content``.

    The counter increases by 1. The time stays the same, so that a later modification in the back office still gets a
    greater version and wins. If the counter is already at its maximum, the time increases by a millisecond instead.
    """
    ms, counter = time_ms(version), counter_of(version)
    if counter < MAX_COUNTER:
        return sourced_version(ms, counter + 1, content)
    return sourced_version(ms + 1, 0, content)


def _hash(*texts: str) -> int:
    # Put the length before each text, so that ("ab", "c") and ("a", "bc") have different hashes. Use `surrogatepass`,
    # because a JSON text may contain half of a surrogate pair, which plain UTF-8 can't encode.
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    content = b"".join(struct.pack(">I", len(part)) + part for part in encoded)
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")
