"""Versions of sourced changes: a UUIDv7 made of a record's modification time, a counter and a hash of its content.

The version depends on the record alone. So whoever polls the same record, however often, makes the same change. The
counter orders different contents of one record within the same millisecond.
"""

import hashlib
import struct

from ..model.version import time_ms

CONTENT_HASH_BITS = 62
"""The low bits of a sourced version, which hold the content hash. UUIDv7 leaves 62 bits behind its variant field."""

MAX_COUNTER = (1 << 12) - 1
"""The greatest counter: UUIDv7 leaves 12 bits (``rand_a``) between its version and variant fields."""


def content_hash(source: str, key: str, data: str | None) -> int:
    """Return the hash of what a record says, 62 bits.

    :param key: the item's key. It is hashed too, so that two items with the same data never share a version.
    :param data: canonical JSON text; ``None`` for a delete.
    """
    return _hash(source, key, "put" if data is not None else "delete", data or "") >> (64 - CONTENT_HASH_BITS)


def key_hash(key: str) -> int:
    """Return the 64-bit hash that stands for an item's key in a checkpoint."""
    return _hash(key)


def sourced_version(ms: int, counter: int, content: int) -> str:
    """Return the version of a record.

    :param ms: the modification time, Unix milliseconds.
    :param counter: 0 for the first content read with that time, 1 for the next one, and so on.
    :param content: the content hash.
    """
    value = (ms << 80) | (0x7 << 76) | (counter << 64) | (0b10 << 62) | content
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def content_of(version: str) -> int:
    """Return the content hash in a sourced version."""
    return int(version[19:23] + version[24:], 16) & ((1 << CONTENT_HASH_BITS) - 1)


def counter_of(version: str) -> int:
    """Return the counter in a sourced version."""
    return int(version[15:18], 16)


def next_version(version: str, content: int) -> str:
    """Return the least version above ``version`` with the content hash ``content``.

    The time stays the same, so that every later modification in the back office wins. Only if the counter is at its
    maximum, the time moves on by a millisecond.
    """
    ms, counter = time_ms(version), counter_of(version)
    if counter < MAX_COUNTER:
        return sourced_version(ms, counter + 1, content)
    return sourced_version(ms + 1, 0, content)


def _hash(*texts: str) -> int:
    # The length before each text keeps ("ab", "c") apart from ("a", "bc"). A JSON text may hold half of a surrogate
    # pair, which plain UTF-8 can't encode.
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    content = b"".join(struct.pack(">I", len(part)) + part for part in encoded)
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")
