"""Rows of the items table as somebody could write them by hand, or as another version of Readplane could leave them."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from readplane.model.change import Change
from readplane.stores.items import DynamoItems
from tests.fakes.dynamodb import MemoryDynamo
from tests.unit.support import ALICE, BOB, NOW_MS, change, version_at

Row = dict[str, Mapping[str, Any]]

INDEXED = ("list_key", "item_id")
"""DynamoDB refuses a row in which one of these attributes has another type than text."""

ATTRIBUTES = ("version", "collection", "item_id", "data", "actor", "source", "as_of", "owner", "list_key", "expires_at")

TEXTS = (
    "x",
    "a/b",
    '"',
    "{",
    "null",
    "[1]",
    '{"n":NaN}',
    '{"n":2}',
    "products",
    "products/0",
    "profiles",
    f"profiles/{BOB}",
    ALICE,
    "p-1",
    "zzzz",
    "2026-01-02",
    version_at(NOW_MS - 9),
    version_at(NOW_MS + 9),
    version_at(NOW_MS).upper(),
)

_TEXT_VALUES: st.SearchStrategy[Mapping[str, Any]] = st.sampled_from([{"S": text} for text in TEXTS])
_OTHER_VALUES: st.SearchStrategy[Mapping[str, Any]] = st.sampled_from(
    [{"N": "5"}, {"BOOL": True}, {"NULL": True}, {"L": []}, {"M": {}}, {"SS": ["x"]}]
)


def row_of(entry: Change) -> Row:
    """Return the row that `apply` writes for a change."""
    return DynamoItems(MemoryDynamo(), "t", horizon_ms=30 * 86_400_000)._record(entry)


def _mangled(row: Row, faults: list[tuple[str, Mapping[str, Any] | None]]) -> Row:
    changed = dict(row)
    for name, value in faults:
        if value is None:
            changed.pop(name, None)
        else:
            changed[name] = value
    return changed


def _faults() -> st.SearchStrategy[tuple[str, Mapping[str, Any] | None]]:
    def fault_of(name: str) -> st.SearchStrategy[tuple[str, Mapping[str, Any] | None]]:
        values = _TEXT_VALUES if name in INDEXED else _TEXT_VALUES | _OTHER_VALUES
        return st.tuples(st.just(name), st.none() | values)

    return st.sampled_from(ATTRIBUTES).flatmap(fault_of)


def mangled_rows(*changes: Change) -> st.SearchStrategy[Row]:
    """Return a strategy that draws a row of one of the changes, with up to three attributes missing or replaced."""
    return st.builds(_mangled, st.sampled_from([row_of(entry) for entry in changes]), st.lists(_faults(), max_size=3))


CHANGES = (
    change(),
    change(data=None),
    change("me", collection="profiles", owner=ALICE),
    change(source="shop"),
)
