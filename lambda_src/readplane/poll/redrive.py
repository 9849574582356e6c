"""Redrive: records out of quarantine, translated again by the source's present settings."""

from typing import Any, NamedTuple

from ..clock import now_ms
from ..model.change import Change
from ..model.collection import Collection, item_key
from ..model.timestamp import rfc3339
from .errors import PageError
from .lease import PollStores
from .remembered import sourced_version, state_hash
from .source.settings import Source
from .source.translate import Translator, UntranslatableRecord


class _Todo(NamedTuple):
    key: str
    change: Change


def redrive(
    source: Source, collection: Collection, translator: Translator, keys: list[str], stores: PollStores, seconds: float
) -> dict[str, Any]:
    """Put the changes that quarantined records are now on Kinesis, and remove their entries.

    A record keeps the version that it would have had then: whatever was modified since wins over it.

    :param keys: of entries that `poll` made for this source.
    :param seconds: for Kinesis.
    :returns: ``{"redriven": n, "failed": [{"key", "reason"}]}``.
    """
    todos: list[_Todo] = []
    failed: list[dict[str, str]] = []
    for key in keys:
        made = _change(source, collection, translator, key, stores)
        if isinstance(made, Change):
            todos.append(_Todo(key, made))
        else:
            failed.append({"key": key, "reason": made})
    stores.stream.put((todo.change for todo in todos), seconds)
    for todo in todos:
        stores.quarantine.remove(todo.key)
    return {"redriven": len(todos), "failed": failed}


def _change(
    source: Source, collection: Collection, translator: Translator, key: str, stores: PollStores
) -> Change | str:
    """An entry's change, or why there is none."""
    kept = stores.quarantine.get(key)
    if kept is None:
        return "there is no such entry of a source"
    if kept.source != source.name:
        return f"the entry is source {kept.source}'s"
    now = now_ms()
    try:
        record = translator.again(kept.record, now)
    except PageError as error:
        return str(error)
    if isinstance(record, UntranslatableRecord):
        return f"{record.reason}: {record.detail}"
    if (record.owner is not None) != collection.owned:
        return "bad_owner: is for owner collections, and for all of them"
    item = item_key(collection.name, record.item_id, record.owner)
    state = state_hash(source.name, item, record.data_text)
    ms = kept.at_ms if record.version_ms is None else record.version_ms
    return Change(
        change_id=sourced_version(ms, 0, state),
        collection=collection.name,
        item_id=record.item_id,
        data=record.data_text,
        actor=f"source/{source.name}",
        source=source.name,
        accepted_at=rfc3339(now),
        owner=record.owner,
    )
