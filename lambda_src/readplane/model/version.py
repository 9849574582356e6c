"""Versions. A version is the id of a change: a UUIDv7 (RFC 9562, section 5.7), which starts with a time.

The lower-case text of a UUIDv7 sorts like its 128 bits, so every store compares versions as plain strings.
"""

import re
from collections.abc import Iterable

MAX_AHEAD_MS = 5 * 60 * 1000
"""How far the time of a version in a request may lie in the future, in milliseconds. This is more than enough, because
the clocks of Lambda's sandboxes differ only by milliseconds."""

_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


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
    bits = int.from_bytes(random[:10], "big")
    rand_a, rand_b = bits >> 68, bits & ((1 << 62) - 1)
    value = (milliseconds << 80) | (0x7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
