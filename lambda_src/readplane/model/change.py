"""Changes, each of which replaces or deletes one item, and their form as lines of the write log."""

import json
from collections.abc import Mapping
from operator import itemgetter
from typing import Any, Literal, NamedTuple

from .collection import Collection, is_item_id, is_owner
from .errors import ModelError
from .keys import item_key
from .timestamp import is_timestamp, ms_of, rfc3339
from .version import is_version, time_ms

API = "api"
"""The value of ``Change.source`` if a client made the change. Any other value is the name of a declared source."""

MAX_DATA_BYTES = 256 * 1024
"""The maximum size of an item's data, in UTF-8 bytes. An item of this size, with its other attributes, stays below
DynamoDB's limit of 400 KB."""

TOMBSTONE_MARGIN_MS = 24 * 60 * 60 * 1000
"""How many milliseconds longer than the horizon a tombstone lives. (A change that is older than the horizon isn't
applied.) The margin covers differences between clocks."""

PoisonReason = Literal["unparsable", "unknown_collection", "too_large", "expired"]

_DATA = ',"data":'
_FIELDS = ("change_id", "collection", "item_id", "op", "actor", "source", "accepted_at")
_TEXT = frozenset({str})
_field_values = itemgetter(*_FIELDS)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# The methods of a decoder are faster than json.loads, which first checks the type of its argument. This decoder refuses
# NaN and Infinity, which json.loads accepts, because the text of `data` becomes part of a response.
_decoder: Any = json.JSONDecoder(parse_constant=_refuse_constant)
_decode, _scan = _decoder.decode, _decoder.scan_once
_WHITESPACE = " \t\n\r"


class Change(NamedTuple):
    """A change, which replaces or deletes one whole item.

    Of all changes of an item that were ever applied, the one with the greatest ``change_id`` determines the item.

    :param change_id: the change's id, a UUIDv7. It becomes the version of the item that the change replaces or deletes.
    :param collection: the name of the item's collection.
    :param item_id: the item's id within its collection.
    :param data: the item's new content, as the JSON text of one object. It stays text, so that its numbers keep every
        digit. ``None`` marks a delete, which the items table stores as a tombstone.
    :param actor: who made the change: the ``sub`` of a user, ``source/<name>`` for a source, or ``operator`` for the
        purge of a collection.
    :param source: :data:`API` for a change of a client, or the name of the source that the change came from.
    :param accepted_at: when Readplane accepted the change, RFC 3339 in UTC with milliseconds.
    :param owner: the user who owns the item; ``None`` if the collection isn't an owner collection.
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
        """The version that the item has after this change is applied, until a newer change is applied."""
        return self.change_id

    @property
    def op(self) -> Literal["put", "delete"]:
        """Whether the change puts or deletes its item."""
        return "delete" if self.data is None else "put"

    @property
    def key(self) -> str:
        """The key of the change's item in the items table."""
        return item_key(self.collection, self.item_id, self.owner)

    @property
    def age_starts_ms(self) -> int:
        """The time from which the change's age counts, in Unix milliseconds.

        This is the later of two times: the time in ``change_id`` and the time when Readplane accepted the change. The
        time in ``change_id`` alone isn't enough. For a change from a back office, it is the time when the back office
        modified the record, which can be years before `poll` first reads the record. For a POST with
        ``Idempotency-Key``, it is always 0.
        """
        return max(time_ms(self.change_id), ms_of(self.accepted_at) or 0)

    @property
    def as_of(self) -> str:
        """The time at which the item's data was current, as RFC 3339.

        For a client's change, it is the time when Readplane accepted the change. For a change from a back office, it is
        the time when the back office modified the record.
        """
        return self.accepted_at if self.source == API else rfc3339(time_ms(self.change_id))

    def expires_at(self, horizon_ms: int) -> int | None:
        """Return the time after which DynamoDB deletes the tombstone that this delete makes, in Unix seconds.

        The result is ``None`` if the change is a put, because only tombstones expire.
        """
        if self.data is not None:
            return None
        return (self.age_starts_ms + horizon_ms + TOMBSTONE_MARGIN_MS) // 1000

    def representation(self) -> str:
        """Return the JSON text of the change's item, which the item's route returns and the item's document contains.

        Call this method only for a put, because a deleted item has no JSON text.
        """
        return item_text(self.item_id, self.collection, self.change_id, self.as_of, str(self.data))

    def line(self) -> bytes:
        """Return the change as one line of the write log, newline included.

        The line is one JSON object. Its last member is ``data``, and the line holds the text of ``data`` unaltered. So
        :func:`parse_line` can cut out exactly this text, with every digit of its numbers.
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
    """A line can never be applied, so `apply` puts it in quarantine.

    :param reason: the reason, as a code. The key of the quarantined line and the change's status contain this code.
    :param detail: the reason in words.
    :param change: the change in the line, if the line could be parsed. `apply` then marks this change as quarantined.
    """

    def __init__(self, reason: PoisonReason, detail: str, change: Change | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.change = change


def is_json_object(text: str) -> bool:
    """Whether a text is one JSON object, as the data of every item is. White space may surround the object."""
    stripped = text.strip(_WHITESPACE)
    try:
        value, end = _scan(stripped, 0)  # twice as fast as `_decode` for a small object
    except (StopIteration, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and end == len(stripped)


def item_text(item_id: str, collection: str, version: str, as_of: str, data: str) -> str:
    """Return the JSON text of an item.

    :param data: the JSON text of the item's data.
    """
    return (
        f'{{"id":{json.dumps(item_id)},"collection":{json.dumps(collection)},'
        f'"version":"{version}","as_of":"{as_of}","data":{data}}}'
    )


def parse_line(line: bytes, collections: Mapping[str, Collection]) -> Change:
    """Parse one line of the write log, with or without its newline, and return its change.

    :raises PoisonError: with the reason ``unparsable``, ``unknown_collection`` or ``too_large``.
    """
    # Cut the text of `data` out of the line, because parsing it and printing it again could alter its numbers. `data`
    # is the last member of a line, and no other member is an object. Quotes inside strings are escaped, so no string
    # can contain `,"data":`. So the first `,"data":` in the line is the start of `data`.
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
    # Count the bytes only of long data, because counting is slow. Shorter data can't be too large, because a character
    # has at most four bytes in UTF-8.
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
        and is_timestamp(accepted_at)
        and (owner is None or (isinstance(owner, str) and is_owner(owner)))
    ):
        raise PoisonError("unparsable", _malformed_fields(fields, data))
    return Change(change_id, collection, item_id, data, actor, source, accepted_at, owner)


def _malformed_fields(fields: Any, data: str | None) -> str:
    """Return an error text that names the missing or wrong fields of a line.

    This function is slow, so :func:`_change` calls it only for a line that is wrong.
    """
    if not isinstance(fields, dict):
        return "the line is not one JSON object in UTF-8"
    malformed = [name for name in _FIELDS if not isinstance(fields.get(name), str)]
    if not malformed:
        owner = fields.get("owner")
        rules = (
            ("change_id", is_version(fields["change_id"])),
            ("item_id", is_item_id(fields["item_id"])),
            ("op", fields["op"] == ("delete" if data is None else "put")),
            ("accepted_at", is_timestamp(fields["accepted_at"])),
            ("owner", owner is None or (isinstance(owner, str) and is_owner(owner))),
        )
        malformed = [name for name, is_met in rules if not is_met]
    return "missing or malformed: " + ", ".join(malformed)


def is_expired(change: Change, now_ms: int, horizon_ms: int) -> bool:
    """Whether a change is older than the horizon.

    Applying an expired change could bring a deleted item back. If a newer change deleted the item, the tombstone of
    that delete may be gone. The items table then no longer shows that the expired change is outdated.
    """
    limit_ms = now_ms - horizon_ms
    # First compare only the time in `change_id`, because this is fast and enough for almost every change. Only if that
    # time is old, compute `age_starts_ms`, which is slower because it also parses `accepted_at`.
    return time_ms(change.change_id) < limit_ms and change.age_starts_ms < limit_ms
