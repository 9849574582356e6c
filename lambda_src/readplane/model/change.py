"""Changes: the one thing that moves through Readplane, and its line in the write log."""

import json
from collections.abc import Mapping
from operator import itemgetter
from typing import Any, Literal, NamedTuple

from .collection import Collection, is_item_id, is_owner, item_key
from .timestamp import ms_of, rfc3339
from .version import is_version, time_ms

API = "api"
"""The ``source`` of a change that a client made. Any other is a declared one, whose versions tell upstream's time."""

MAX_DATA_BYTES = 256 * 1024
"""Largest body of an item, in UTF-8 bytes: with its other attributes it stays below DynamoDB's 400 KB per item."""

TOMBSTONE_MARGIN_MS = 24 * 60 * 60 * 1000
"""A tombstone outlives the horizon by this much, so that no two clocks leave a gap between the two."""

PoisonReason = Literal["unparsable", "unknown_collection", "too_large", "expired"]

_DATA = ',"data":'
_FIELDS = ("change_id", "collection", "item_id", "op", "actor", "source", "accepted_at")
_TEXT = frozenset({str})
_values = itemgetter(*_FIELDS)
_decode = json.JSONDecoder().decode  # json.loads without its look at what it was given


class Change(NamedTuple):
    """Replaces or deletes one whole item. An item *is* the change with the greatest ``change_id`` applied to it.

    ``data`` is the JSON text of one object, kept as text so that what came in goes out digit for digit; ``None`` marks
    a delete, whose stored form is the tombstone. ``accepted_at``, when Readplane took it, is RFC 3339 UTC with
    milliseconds. ``owner`` is set in owner collections only.
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
        """The item's version while this change is its newest."""
        return self.change_id

    @property
    def op(self) -> Literal["put", "delete"]:
        """What the change does to its item."""
        return "delete" if self.data is None else "put"

    @property
    def key(self) -> str:
        """The key of its item in the items table."""
        return item_key(self.collection, self.item_id, self.owner)

    @property
    def known_ms(self) -> int:
        """Unix milliseconds that its age counts from: its version's time or, if that is later, its acceptance.

        A back office's record may have been modified years before it is first read.
        """
        return max(time_ms(self.change_id), ms_of(self.accepted_at) or 0)

    @property
    def as_of(self) -> str:
        """When the item came to be what it is (RFC 3339): at its acceptance, or at the time that upstream gives it."""
        return self.accepted_at if self.source == API else rfc3339(time_ms(self.change_id))

    def expires_at(self, horizon_ms: int) -> int | None:
        """Unix seconds at which its tombstone may go; ``None`` for a put, which stays."""
        if self.data is not None:
            return None
        return (self.known_ms + horizon_ms + TOMBSTONE_MARGIN_MS) // 1000

    def representation(self) -> str:
        """The JSON text of the item, the same for the item route and its document (puts only)."""
        return (
            f'{{"id":{json.dumps(self.item_id)},"collection":{json.dumps(self.collection)},'
            f'"version":"{self.change_id}","as_of":"{self.as_of}","data":{self.data}}}'
        )

    def line(self) -> bytes:
        """The change as one line of the write log, newline included.

        A flat JSON object whose last member is ``data``, verbatim: :func:`parse_line` cuts it off again without ever
        turning its numbers into native ones.
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


class PoisonError(Exception):
    """A line that can never be applied: it goes whole to quarantine, with the reason.

    ``change`` is the change as far as it could be read, so that its status can tell what became of it.
    """

    def __init__(self, reason: PoisonReason, detail: str, change: Change | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.change = change


def parse_line(line: bytes, collections: Mapping[str, Collection]) -> Change:
    """Read one line of the write log (without or with its newline).

    :raises Poison: ``unparsable``, ``unknown_collection`` or ``too_large``.
    """
    # Our own lines put `data` last and hold no other object, so the first `,"data":` outside a string is the cut: a
    # quote inside a string of the head would be escaped.
    try:
        head, cut, tail = line.decode().rstrip("\r\n").partition(_DATA)
        fields = _decode(head + "}" if cut else head)
        data = tail.removesuffix("}") if cut else None
        if data is not None and not isinstance(_decode(data), dict):
            raise PoisonError("unparsable", "data is not a JSON object")
    except (ValueError, RecursionError) as error:
        raise PoisonError("unparsable", "the line is not one JSON object in UTF-8") from error
    change = _change(fields, data)
    collection = collections.get(change.collection)
    if collection is None:
        raise PoisonError("unknown_collection", "no such collection is declared", change)
    if collection.owned != (change.owner is not None):
        raise PoisonError("unparsable", "owner is for owner collections, and only for them")
    # A character is at most four bytes: few texts need be encoded to be measured.
    if data is not None and 4 * len(data) > MAX_DATA_BYTES and len(data.encode()) > MAX_DATA_BYTES:
        raise PoisonError("too_large", f"data is larger than {MAX_DATA_BYTES} bytes", change)
    return change


def _change(fields: Any, data: str | None) -> Change:
    try:
        change_id, collection, item_id, op, actor, source, accepted_at = texts = _values(fields)
        owner = fields.get("owner")
    except (KeyError, TypeError) as error:
        raise PoisonError("unparsable", _malformed(fields, data)) from error
    if not (
        _TEXT.issuperset(map(type, texts))
        and is_version(change_id)
        and is_item_id(item_id)
        and op == ("delete" if data is None else "put")
        and (owner is None or (isinstance(owner, str) and is_owner(owner)))
    ):
        raise PoisonError("unparsable", _malformed(fields, data))
    return Change(change_id, collection, item_id, data, actor, source, accepted_at, owner)


def _malformed(fields: Any, data: str | None) -> str:
    """What is wrong with a line that is refused; slow, and apart from the rules for that."""
    if not isinstance(fields, dict):
        return "the line is not one JSON object in UTF-8"
    wrong = [name for name in _FIELDS if not isinstance(fields.get(name), str)]
    if not wrong:
        owner = fields.get("owner")
        rules = (
            ("change_id", is_version(fields["change_id"])),
            ("item_id", is_item_id(fields["item_id"])),
            ("op", fields["op"] == ("delete" if data is None else "put")),
            ("owner", owner is None or (isinstance(owner, str) and is_owner(owner))),
        )
        wrong = [name for name, kept in rules if not kept]
    return "missing or malformed: " + ", ".join(wrong)


def keep_newest(winners: dict[str, Change], change: Change) -> Change | None:
    """Fold one change into ``winners`` (newest change by item key); give back the change that drops out, if any."""
    key = change.key
    known = winners.get(key)
    if known is None:
        winners[key] = change
        return None
    if change.change_id > known.change_id:
        winners[key] = change
        return known
    return change


class Window:
    """A stretch of the write log, folded: of each item only the change that can still win.

    Bounded, so that an object of any size takes the same memory. The wider it is, the more changes of one item are
    settled here and cost no call.
    """

    MAX_CHANGES = 2_000
    MAX_SIZE = 2 * 1024 * 1024
    """Of data, in characters."""

    def __init__(self) -> None:
        self._winners: dict[str, Change] = {}
        self._size = 0

    def fold(self, change: Change) -> Change | None:
        """Fold one change in; give back the change that drops out, if any."""
        loser = keep_newest(self._winners, change)
        if loser is not change:
            self._size += len(change.data or "")
            if loser is not None:
                self._size -= len(loser.data or "")
        return loser

    def version(self, key: str) -> str:
        """The newest version of an item that has come by.

        :raises KeyError: when none has.
        """
        return self._winners[key].version

    def is_full(self) -> bool:
        """Whether the next change belongs into a new window."""
        return len(self._winners) >= self.MAX_CHANGES or self._size >= self.MAX_SIZE

    def take(self) -> list[Change]:
        """The changes that can still win, one per item; the window is empty then."""
        taken = list(self._winners.values())
        self._winners, self._size = {}, 0
        return taken


def is_expired(change: Change, now_ms: int, horizon_ms: int) -> bool:
    """Whether the change is older than the horizon: a tombstone that would have beaten it may be gone by now."""
    limit = now_ms - horizon_ms
    # The version settles it for almost every change; only what it makes old needs its acceptance read.
    return time_ms(change.change_id) < limit and change.known_ms < limit
