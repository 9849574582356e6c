"""Changes, which are the one thing that moves through Readplane, and their lines in the write log."""

import json
from collections.abc import Mapping
from operator import itemgetter
from typing import Any, Literal, NamedTuple

from .collection import Collection, is_item_id, is_owner
from .errors import ModelError
from .keys import item_key
from .timestamp import ms_of, rfc3339
from .version import is_version, time_ms

API = "api"
"""The ``source`` of a change that a client made. Every other ``source`` is the name of a declared source."""

MAX_DATA_BYTES = 256 * 1024
"""The maximum size of an item's data, in UTF-8 bytes. With its other attributes the item stays below DynamoDB's
400 KB."""

TOMBSTONE_MARGIN_MS = 24 * 60 * 60 * 1000
"""How much longer than the horizon a tombstone lives, in milliseconds. The margin covers differences between clocks."""

PoisonReason = Literal["unparsable", "unknown_collection", "too_large", "expired"]

_DATA = ',"data":'
_FIELDS = ("change_id", "collection", "item_id", "op", "actor", "source", "accepted_at")
_TEXT = frozenset({str})
_field_values = itemgetter(*_FIELDS)
_decode = json.JSONDecoder().decode  # faster than json.loads, which first checks the type of its argument


class Change(NamedTuple):
    """Replaces or deletes one whole item. An item *is* the change with the greatest ``change_id`` applied to it.

    :param change_id: a UUIDv7, which is also the item's version.
    :param collection: the name of the item's collection.
    :param item_id: the item's id within its collection.
    :param data: the JSON text of one object. It stays text, so that numbers keep every digit. ``None`` marks a delete,
        which the items table stores as a tombstone.
    :param actor: who made the change: the ``sub`` of a user, or ``source/<name>``.
    :param source: :data:`API` or the name of the source.
    :param accepted_at: when Readplane accepted the change, RFC 3339 in UTC with milliseconds.
    :param owner: the user who owns the item; ``None`` outside owner collections.
    """

    change_id: str
    collection: str
    item_id: str
    data: str | None
    actor: str
    source: str
    accepted_at: str
    owner: str | None = None

    @property
    def version(self) -> str:
        """The item's version while this change is its newest one."""
        return self.change_id

    @property
    def op(self) -> Literal["put", "delete"]:
        """What the change does to its item."""
        return "delete" if self.data is None else "put"

    @property
    def key(self) -> str:
        """The key of the change's item in the items table."""
        return item_key(self.collection, self.item_id, self.owner)

    @property
    def age_starts_ms(self) -> int:
        """The start of the change's age (Unix milliseconds): its version's time or its acceptance, whichever is later.

        The version's time alone isn't enough. It is the time when the back office modified the record, and that may lie
        years before the first poll.
        """
        return max(time_ms(self.change_id), ms_of(self.accepted_at) or 0)

    @property
    def as_of(self) -> str:
        """When a client's change was accepted, or when the back office modified the record (RFC 3339)."""
        return self.accepted_at if self.source == API else rfc3339(time_ms(self.change_id))

    def expires_at(self, horizon_ms: int) -> int | None:
        """Return when DynamoDB may delete the tombstone (Unix seconds), or ``None`` for a put, which never expires."""
        if self.data is not None:
            return None
        return (self.age_starts_ms + horizon_ms + TOMBSTONE_MARGIN_MS) // 1000

    def representation(self) -> str:
        """Return the item's JSON text, for the item route and for the document. Only a put has one."""
        return (
            f'{{"id":{json.dumps(self.item_id)},"collection":{json.dumps(self.collection)},'
            f'"version":"{self.change_id}","as_of":"{self.as_of}","data":{self.data}}}'
        )

    def line(self) -> bytes:
        """Return the change as one line of the write log, newline included.

        The line is a flat JSON object whose last member is ``data``, verbatim. So :func:`parse_line` can return
        exactly this text of ``data``, with every digit of its numbers.
        """
        head: dict[str, str] = {
            "change_id": self.change_id,
            "collection": self.collection,
            "item_id": self.item_id,
            "op": self.op,
            "actor": self.actor,
            "source": self.source,
            "accepted_at": self.accepted_at,
        }
        if self.owner is not None:
            head["owner"] = self.owner
        text = json.dumps(head, separators=(",", ":"))
        if self.data is not None:
            text = f"{text[:-1]}{_DATA}{self.data}}}"
        return f"{text}\n".encode()


class PoisonError(ModelError):
    """A line of the write log that can never be applied, so it goes to quarantine.

    :param reason: the reason, as a code that the quarantine's keys and the change's status use.
    :param detail: the reason in words.
    :param change: the change, if the line could be parsed. The change's status then becomes ``quarantined``.
    """

    def __init__(self, reason: PoisonReason, detail: str, change: Change | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.change = change


def parse_line(line: bytes, collections: Mapping[str, Collection]) -> Change:
    """Parse one line of the write log, with or without its newline.

    :raises PoisonError: with the reason ``unparsable``, ``unknown_collection`` or ``too_large``.
    """
    # `data` is the last member of a line, and no other member is an object. Quotes inside strings are escaped, so no
    # string can contain `,"data":`. So the first `,"data":` in the line is the start of that member.
    try:
        head, separator, tail = line.decode().rstrip("\r\n").partition(_DATA)
        fields = _decode(head + "}" if separator else head)
        data = tail.removesuffix("}") if separator else None
        if data is not None and not isinstance(_decode(data), dict):
            raise PoisonError("unparsable", "data is not a JSON object")
    except (ValueError, RecursionError) as error:
        raise PoisonError("unparsable", "the line is not one JSON object in UTF-8") from error
    change = _change(fields, data)
    collection = collections.get(change.collection)
    if collection is None:
        raise PoisonError("unknown_collection", "no such collection is declared", change)
    if collection.owned != (change.owner is not None):
        raise PoisonError("unparsable", "a change has an owner in owner collections, and only there")
    # Encode only long data to count its bytes. Shorter data fits, because a character has at most four bytes.
    if data is not None and 4 * len(data) > MAX_DATA_BYTES and len(data.encode()) > MAX_DATA_BYTES:
        raise PoisonError("too_large", f"data is larger than {MAX_DATA_BYTES} bytes", change)
    return change


def _change(fields: Any, data: str | None) -> Change:
    try:
        change_id, collection, item_id, op, actor, source, accepted_at = texts = _field_values(fields)
        owner = fields.get("owner")
    except (KeyError, TypeError) as error:
        raise PoisonError("unparsable", _malformed_fields(fields, data)) from error
    if not (
        _TEXT.issuperset(map(type, texts))
        and is_version(change_id)
        and is_item_id(item_id)
        and op == ("delete" if data is None else "put")
        and (owner is None or (isinstance(owner, str) and is_owner(owner)))
    ):
        raise PoisonError("unparsable", _malformed_fields(fields, data))
    return Change(change_id, collection, item_id, data, actor, source, accepted_at, owner)


def _malformed_fields(fields: Any, data: str | None) -> str:
    """Return a text that names a line's wrong fields. It is slow, so :func:`_change` calls it only for a bad line."""
    if not isinstance(fields, dict):
        return "the line is not one JSON object in UTF-8"
    malformed = [name for name in _FIELDS if not isinstance(fields.get(name), str)]
    if not malformed:
        owner = fields.get("owner")
        rules = (
            ("change_id", is_version(fields["change_id"])),
            ("item_id", is_item_id(fields["item_id"])),
            ("op", fields["op"] == ("delete" if data is None else "put")),
            ("owner", owner is None or (isinstance(owner, str) and is_owner(owner))),
        )
        malformed = [name for name, is_met in rules if not is_met]
    return "missing or malformed: " + ", ".join(malformed)


def is_expired(change: Change, now_ms: int, horizon_ms: int) -> bool:
    """Whether a change is older than the horizon. A tombstone that beats it may then have been deleted already."""
    limit_ms = now_ms - horizon_ms
    # Compare the version's time first, because that is cheap and enough for almost every change. Parse the acceptance
    # only if the version is old.
    return time_ms(change.change_id) < limit_ms and change.age_starts_ms < limit_ms
