"""Redrive: translate quarantined records again with the source's current settings, and send their changes."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ..clock import now_ms
from ..model.change import Change
from ..model.collection import Collection
from ..model.keys import item_key
from ..model.timestamp import rfc3339
from .errors import PageError
from .poll_stores import PollStores
from .records import refused_key
from .source.settings import Source
from .source.translate import Translator, UntranslatableRecord
from .sourced_version import content_hash, sourced_version


class _Redriven(NamedTuple):
    """A quarantined record that has been translated into a change.

    :param key: the key of the record's quarantine entry.
    :param change: the change to send for the record.
    :param refused: the hash under which the checkpoint may remember that the record is in quarantine.
    """

    key: str
    change: Change
    refused: int


def redrive(
    source: Source,
    collection: Collection,
    translator: Translator,
    keys: list[str],
    stores: PollStores,
    seconds: float,
    clock: Callable[[], int] = now_ms,
) -> dict[str, Any]:
    """Translate quarantined records, send their changes to Kinesis, and remove their quarantine entries.

    A change gets the version that it would have got without the quarantine. So any later modification of the record
    wins over this change.

    :param keys: the keys of the quarantine entries to redrive, all of this source.
    :param seconds: for how many seconds to retry the changes that Kinesis refuses.
    :param clock: returns the current time in Unix milliseconds.
    :returns: how many records were redriven, and why each other entry failed:
        ``{"redriven": n, "failed": [{"key", "reason"}]}``.
    """
    redriven: list[_Redriven] = []
    failed: list[dict[str, str]] = []
    for key in keys:
        entry_or_reason = _translate(source, collection, translator, key, stores, clock())
        if isinstance(entry_or_reason, _Redriven):
            redriven.append(entry_or_reason)
        else:
            failed.append({"key": key, "reason": entry_or_reason})
    stores.stream.put_changes((entry.change for entry in redriven), seconds)
    for entry in redriven:
        stores.quarantine.remove_entry(entry.key)
    if redriven:
        # The next poll then counts these records no longer as records in quarantine.
        stores.checkpoints.forget_refused(source.name, {entry.refused for entry in redriven})
    return {"redriven": len(redriven), "failed": failed}


def _translate(
    source: Source, collection: Collection, translator: Translator, key: str, stores: PollStores, now: int
) -> _Redriven | str:
    """Return the change for a quarantine entry's record, or a text that says why the entry can't be redriven."""
    entry = stores.quarantine.get_entry(key)
    if entry is None:
        return "there is no such entry of a source"
    if entry.source != source.name:
        return f"the entry belongs to the source {entry.source}"
    try:
        record = translator.translate_raw_text(entry.record, now)
    except PageError as error:
        return str(error)
    if isinstance(record, UntranslatableRecord):
        return f"{record.reason}: {record.detail}"
    if (record.owner is not None) != collection.owned:
        return "bad_owner: must be set in an owner collection, and only there"
    content = content_hash(source.name, item_key(collection.name, record.item_id, record.owner), record.data_text)
    ms = entry.at_ms if record.version_ms is None else record.version_ms
    change = Change(
        change_id=sourced_version(ms, 0, content),
        collection=collection.name,
        item_id=record.item_id,
        data=record.data_text,
        actor=f"source/{source.name}",
        source=source.name,
        accepted_at=rfc3339(now),
        owner=record.owner,
    )
    return _Redriven(key, change, refused_key(entry.record))
