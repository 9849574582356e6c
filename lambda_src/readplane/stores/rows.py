"""The rows of the items table: which rows are items, and which are malformed.

A row is malformed if somebody wrote it by hand, or if another version of Readplane wrote it in a form that this version
doesn't know. A malformed row is no item. Every reader skips it and reports it, so that one malformed row stops no list
and no batch. A good change replaces it.
"""

from typing import TYPE_CHECKING

from ..model.change import Change, is_json_object
from ..model.collection import is_item_id, is_owner
from ..model.keys import ITEM_PREFIX, list_key
from ..model.timestamp import is_timestamp
from ..model.version import is_version

if TYPE_CHECKING:  # import them only for mypy, so that `read` doesn't load the module `table` at a cold start
    from ..telemetry import Telemetry
    from .table import TableRecord

_TEXTS = ("pk", "version", "collection", "item_id", "actor", "source", "as_of")
_OPTIONAL_TEXTS = ("owner", "data", "list_key")

ITEM_ATTRIBUTES = (*_TEXTS, *_OPTIONAL_TEXTS, "expires_at")
"""The attributes of a row that :func:`change_of` reads."""

FILLED = "filled"
"""The attribute with which `rebuild items fill` marks the rows that it writes. It holds the row's version."""


class BadRowError(Exception):
    """A row of the items table should be an item, but it is malformed.

    :param key: the row's key.
    :param detail: which attributes are missing or malformed. It holds their names and no value.
    """

    def __init__(self, key: str, detail: str) -> None:
        super().__init__(f"{key}: {detail}")
        self.key = key
        self.detail = detail

    def report(self, telemetry: "Telemetry") -> None:
        """Count the row and log its key, because a reader has skipped it."""
        telemetry.event(
            "row_skipped",
            "A row of the items table is malformed, so it counts as no item.",
            level="WARN",
            metrics={"RowsSkipped": 1},
            key=self.key,
            detail=self.detail,
        )


def change_of(row: "TableRecord") -> Change:
    """Return the change that a row of the items table or an image of the items stream holds, in DynamoDB JSON.

    :raises BadRowError: if the row is malformed. Attributes that an item doesn't have are ignored.
    """
    try:
        change = Change(
            change_id=row["version"]["S"],
            collection=row["collection"]["S"],
            item_id=row["item_id"]["S"],
            data=row["data"]["S"] if "data" in row else None,
            actor=row["actor"]["S"],
            source=row["source"]["S"],
            accepted_at=row["as_of"]["S"],
            owner=row["owner"]["S"] if "owner" in row else None,
        )
        # An item's key and its place in the index follow from its other attributes. Check this, because a row in the
        # wrong place would show an item under another id or, in an owner collection, to another user.
        is_good = (
            row["pk"]["S"] == change.key
            and ("list_key" not in row or row["list_key"]["S"] == _list_key(change))
            and is_version(change.change_id)
            and is_item_id(change.item_id)
            and "/" not in change.collection
            and (change.owner is None or is_owner(change.owner))
            and is_timestamp(change.accepted_at)
            and _has_good_content(row, change.data)
        )
    except KeyError:
        is_good = False
    if not is_good:
        raise BadRowError(row["pk"]["S"], _malformed_attributes(row))
    return change


def image_of(image: "TableRecord | None") -> Change | None:
    """Return the change that an image of the items stream holds, or ``None`` if the image should hold no change.

    :param image: the image, or ``None`` if the stream record has none. An image that has neither an item's key nor a
        version is a quarantine marker or a source's freshness, which hold no change.
    :raises BadRowError: if the image should hold a change, but is malformed.
    """
    if not image or not (image["pk"]["S"].startswith(ITEM_PREFIX) or "version" in image):
        return None
    return change_of(image)


def version_of(row: "TableRecord") -> str | None:
    """Return a row's version, or ``None`` if the row has no valid version. The rest of the row may be malformed."""
    version: str = row["version"].get("S", "") if "version" in row else ""
    return version if is_version(version) else None


def is_filled(row: "TableRecord") -> bool:
    """Whether `rebuild items fill` has written a row.

    Compare the mark with the version. A PartiQL UPDATE of `apply` leaves the mark of the earlier version in the row.
    """
    return FILLED in row and row[FILLED] == row.get("version")


def is_malformed(row: "TableRecord") -> bool:
    """Whether a row that should be an item is malformed."""
    try:
        change_of(row)
    except BadRowError:
        return True
    return False


def _list_key(change: Change) -> str:
    return list_key(change.collection, change.item_id, change.owner)


def _has_good_content(row: "TableRecord", data: str | None) -> bool:
    """Whether a row holds either a JSON object or a tombstone, and not a part of both."""
    if data is None:
        return "list_key" not in row
    return "expires_at" not in row and is_json_object(data)


def _malformed_attributes(row: "TableRecord") -> str:
    """Return an error text that names the missing or malformed attributes of a row.

    This function is slow, so :func:`change_of` calls it only for a malformed row.
    """
    texts = {name: row[name]["S"] for name in (*_TEXTS, *_OPTIONAL_TEXTS) if "S" in row.get(name, {})}
    malformed = [name for name in _TEXTS if name not in texts]
    malformed += [name for name in _OPTIONAL_TEXTS if name in row and name not in texts]
    rules = (
        ("version", is_version),
        ("item_id", is_item_id),
        ("collection", lambda text: "/" not in text),
        ("owner", is_owner),
        ("as_of", is_timestamp),
        ("data", is_json_object),
    )
    malformed += [name for name, is_valid in rules if name in texts and not is_valid(texts[name])]
    if not malformed:
        return "the attributes contradict each other: the key, the owner, or both data and expires_at"
    return "missing or malformed: " + ", ".join(malformed)
