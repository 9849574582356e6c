"""Tests of windows. A window holds the newest change of each item until `apply` writes these changes to DynamoDB."""

import json

import pytest

from readplane.model.change import Change
from readplane.model.window import Window, keep_newest
from tests.unit.support import NOW_MS, change


def test_keep_newest_returns_the_change_that_loses() -> None:
    newest: dict[str, Change] = {}
    old, new = change(ms=NOW_MS), change(ms=NOW_MS + 1)
    assert keep_newest(newest, new) is None
    assert keep_newest(newest, old) is old
    assert keep_newest(newest, new) is new
    assert newest == {new.key: new}


def test_a_window_is_full_by_its_items_or_by_their_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Window, "MAX_CHANGES", 3)
    monkeypatch.setattr(Window, "MAX_SIZE", 100)
    window = Window()
    changes = [change("a", ms=NOW_MS + tick, data=json.dumps("x" * 58)) for tick in range(9)]
    assert [window.fold(entry) for entry in changes] == [None, *changes[:-1]]
    assert window.fold(changes[0]) is changes[0] and window.version(changes[0].key) == changes[-1].version
    assert not window.is_full()
    window.fold(change("b", data=json.dumps("x" * 38)))
    assert window.is_full()
    assert [entry.item_id for entry in window.take()] == ["a", "b"] and window.take() == []
    for item in "abc":
        assert not window.is_full()
        window.fold(change(item, data=None))
    assert window.is_full()
