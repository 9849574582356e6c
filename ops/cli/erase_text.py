"""Removes a user from the contents of S3 objects: lines of the write log, quarantined entries and dead letters.

A line of the user's own item goes. In a line of another item that the user wrote, only the actor is replaced. What
another item's data says about the user isn't Readplane's to change, so such a line stays and is counted.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

CHUNK_BYTES = 4096
"""How many bytes are decompressed at once."""

PSEUDONYM = "erased"
"""The actor of changes whose user is erased."""

MIN_BASE64 = 48
"""The length of the shortest base64 text that can hold an owner's `sub`. Shorter texts needn't be decoded."""

_DATA = b',"data":'
_GZIP = b"\x1f\x8b"
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{%d,}={0,2}" % MIN_BASE64)


class Redacted(NamedTuple):
    """What is left of a content without the user.

    content: the new content; None if nothing is left
    removed: how many lines or entries are gone
    renamed: how many have another actor
    named: how often another item's data or id names the user, by collection
    """

    content: bytes | None
    removed: int
    renamed: int
    named: Counter[str]

    @property
    def changes_something(self) -> bool:
        """Whether the content differs from the original."""
        return bool(self.removed or self.renamed)


def redact_lines(content: bytes, user: str) -> Redacted:
    """Remove a user from an object of the write log, which is GZIP or plain text.

    If an object that names the user is damaged, what comes after the damage is left out. Nobody can read that.
    """
    packed = content.startswith(_GZIP)
    text = _decompress(content) if packed else content
    if user.encode() not in text:
        return Redacted(content, 0, 0, Counter())
    redacted_lines: list[bytes] = []
    removed = renamed = 0
    named: Counter[str] = Counter()
    for line in io.BytesIO(text):
        redacted = _redact_line(line, user, named)
        removed += redacted is None
        if redacted is not None:
            renamed += redacted != line
            redacted_lines.append(redacted)
    body = b"".join(redacted_lines)
    if body and packed:
        body = gzip.compress(body, mtime=0)
    return Redacted(body or None, removed, renamed, named)


def _decompress(content: bytes) -> bytes:
    """Decompress GZIP data. If it is damaged, return what comes before the damage, as `apply` reads it."""
    parts: list[bytes] = []
    left = content
    try:
        while left:
            left = _decompress_member(left, parts).lstrip(b"\0")  # members may be padded with zeros
    except zlib.error:
        pass
    return b"".join(parts)


def _decompress_member(content: bytes, parts: list[bytes]) -> bytes:
    """Add the text of the first member to `parts`. Return what follows it.

    :raises zlib.error: after the last readable byte, if the member is damaged; a wrong checksum comes after the text
    """
    member = zlib.decompressobj(wbits=31)
    for start in range(0, len(content), CHUNK_BYTES):
        chunk = content[start : start + CHUNK_BYTES]
        before = member.copy()
        try:
            parts.append(member.decompress(chunk))
        except zlib.error:
            # zlib returns nothing of a chunk that holds the damage. Byte by byte, it returns what comes before.
            for position in range(len(chunk)):
                text = before.decompress(chunk[position : position + 1])
                parts.append(text)
            raise
        if member.eof:
            return member.unused_data + content[start + CHUNK_BYTES :]
    return b""  # the data ends within a member


def _redact_line(line: bytes, user: str, named: Counter[str]) -> bytes | None:
    """Return a line without the user; None if it is a change of the user's own item."""
    if user.encode() not in line:
        return line
    head, separator, data = line.partition(_DATA)
    try:
        fields = json.loads(head + b"}" if separator else head)
        collection = str(fields["collection"])
    except (ValueError, TypeError, KeyError):
        return line.replace(user.encode(), PSEUDONYM.encode())  # no change, so nothing can apply it
    if fields.get("owner") == user:
        return None
    if fields.get("actor") == user:
        fields["actor"] = PSEUDONYM
        text = json.dumps(fields, separators=(",", ":")).encode()
        line = text[:-1] + separator + data if separator else text + line[len(line.rstrip(b"\r\n")) :]
    named[collection] += user.encode() in line
    return line


def redact_quarantined(content: bytes, user: str, owner_sources: Collection[str] = ()) -> tuple[Redacted, str | None]:
    """Remove a user from a quarantined entry. Return what is left, and the last part of the key of the new entry.

    A record of a source, or a row of the items table, goes as a whole if it is the user's own.

    :param owner_sources: the names of the sources that feed owner collections
    """
    nothing = Redacted(content, 0, 0, Counter())
    entry: dict[str, Any] = json.loads(content)
    line = entry["line"].encode() if "line" in entry else base64.b64decode(entry.get("line_base64", ""))
    if not line:
        if _is_own_entry(entry, user, owner_sources):
            return Redacted(None, 1, 0, Counter()), None
        name = str(entry.get("source", "items"))
        return nothing._replace(named=Counter({name: 1}) if user.encode() in content else Counter()), None
    redacted = redact_lines(line, user)
    if redacted.content is None or not redacted.renamed:
        return redacted._replace(content=content if redacted.content else None), None
    # The key contains a hash of the line, as `apply` makes it.
    name = f"{hashlib.sha256(redacted.content).hexdigest()[:32]}.json"
    try:
        lines = {"line": redacted.content.decode()}
    except UnicodeDecodeError:
        lines = {"line_base64": base64.b64encode(redacted.content).decode()}
    rest = {key: value for key, value in entry.items() if not key.startswith("line")}
    return redacted._replace(content=json.dumps(rest | lines).encode()), name


def _is_own_entry(entry: Mapping[str, Any], user: str, owner_sources: Collection[str]) -> bool:
    """Whether a quarantined record or row is an item of the user, as far as a malformed one says so."""
    row = entry.get("row")
    if isinstance(row, dict):
        members = [value.get("S") for value in (row.get("pk"), row.get("owner")) if isinstance(value, dict)]
        parts = str(members[0]).split("/") if members else []
        return user in members or (len(parts) == 4 and parts[2] == user)
    if entry.get("source") not in owner_sources:
        return False
    try:
        record = json.loads(entry["record"])
    except (KeyError, TypeError, ValueError):
        return user in str(entry.get("record"))  # nobody can tell whose it is
    if isinstance(record, dict) and isinstance(record.get("owner"), str):
        return bool(record["owner"] == user)
    # Which member holds the owner, only the source's settings say. So any member with exactly this value counts.
    return user in _texts(record)


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a JSON value, without the names of members."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _texts(member)


def redact_text(content: bytes, user: str) -> Redacted:
    """Replace a user in a text that is no line of the write log, such as an audit object."""
    count = content.count(user.encode())
    return Redacted(content.replace(user.encode(), PSEUDONYM.encode()), 0, count, Counter())


def mentions(content: bytes, user: str) -> bool:
    """Whether a content names a user, as it is or in base64, as in a batch of stream records."""
    name = user.encode()
    return name in content or any(name in decoded for decoded in _decoded(content))


def _decoded(content: bytes) -> Iterable[bytes]:
    for match in _BASE64.finditer(content):
        text = match[0].rstrip(b"=")
        yield base64.b64decode(text + b"=" * (-len(text) % 4)) if len(text) % 4 != 1 else b""
