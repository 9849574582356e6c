"""Versions. A version is the id of a change: a UUIDv7 (RFC 9562, section 5.7), which starts with a time.

The lower-case text of a UUIDv7 sorts like its 128 bits, so every store compares versions as plain strings.

A version is made in one of three ways. :func:`stamp` makes the versions of most changes of clients.
:func:`minimal_version` makes that of a POST with ``Idempotency-Key``. `poll` makes those of the changes from a back
office (`poll/sourced_version.py`).
"""

import re
from collections.abc import Iterable
from hashlib import sha256

MAX_AHEAD_MS = 5_000
"""How far the time of a version in a request may lie in the future, in milliseconds.

The clocks of Lambda's sandboxes differ only by milliseconds, so no honest version is further ahead. The limit is short
because of dishonest ones: a write that names a version from the future gets a greater version. Until that time has
come, the write outranks the later writes of everybody else.
"""

MAX_SOURCE_AHEAD_MS = 5 * 60 * 1000
"""How far the modification time of a back office's record may lie in the future, in milliseconds. This limit is longer
than :data:`MAX_AHEAD_MS`, because the clock of a back office may be minutes ahead, and only one source feeds a
collection. So such a time locks nobody else out."""

_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TIME_0 = "00000000-0000-7"


def is_version(text: str) -> bool:
    """Whether ``text`` is a UUIDv7 in canonical lower-case form."""
    return _CANONICAL.fullmatch(text) is not None


def time_ms(version: str) -> int:
    """Return the time in ``version``, in Unix milliseconds. ``version`` must be in canonical lower-case form."""
    return int(version[:8] + version[9:13], 16)


def stamp(now_ms: int, random: bytes, above: Iterable[str] = ()) -> str:
    """Return a new version that has the time ``now_ms`` and is greater than every version in ``above``.

    If ``now_ms`` isn't later than the time of the greatest version in ``above``, the new version's time is one
    millisecond after that time. So if each write of a client names the version of the client's previous write, the
    writes keep their order, whichever sandboxes or Regions make the versions.

    :param now_ms: the current time in Unix milliseconds, 48 bits.
    :param random: 10 new bytes from ``os.urandom``. Two sandboxes restored from one SnapStart snapshot must not use
        the same bytes.
    :param above: versions, in canonical form, that the new version must exceed.
    """
    floor = max(above, default="")
    milliseconds = max(now_ms, time_ms(floor) + 1) if floor else now_ms
    return _uuid7(milliseconds, random)


def minimal_version(sub: str, collection: str, key: str, data: str) -> str:
    """Return the version of a POST with ``Idempotency-Key``: a UUIDv7 with time 0 and a hash of the arguments.

    The same arguments give the same version at any time and in any Region, so a retry is the same change. Every version
    from :func:`stamp` is greater, so the change never replaces a PUT or a DELETE, however late a retry arrives.

    :param sub: the caller's id.
    :param key: the value of ``Idempotency-Key``.
    :param data: the JSON text of the item, as the write log stores it.
    """
    # Write the length of each part before the part (a netstring). Otherwise two different lists of parts could give the
    # same text and so the same version.
    text = "".join(f"{len(part)}:{part}" for part in (sub, collection, key, data))
    return _uuid7(0, sha256(text.encode()).digest())


def is_minimal(version: str) -> bool:
    """Whether ``version`` has time 0, as every version from :func:`minimal_version` has.

    Such a version doesn't say when its change was made; ``Change.accepted_at`` does. ``version`` must be in canonical
    lower-case form.
    """
    return version.startswith(_TIME_0)


def _uuid7(milliseconds: int, tail: bytes) -> str:
    """Return the UUIDv7 with the time ``milliseconds``. The first 10 bytes of ``tail`` give its other 74 bits."""
    bits = int.from_bytes(tail[:10], "big")
    rand_a, rand_b = bits >> 68, bits & ((1 << 62) - 1)
    value = (milliseconds << 80) | (0x7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
