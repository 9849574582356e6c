"""Tests of malformed rows of the items table: every reader skips and reports them, and a good change replaces them."""

import json
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ops.cli.items_fill import FilledItems
from readplane.model.change import Change
from readplane.model.keys import ListPosition, partitions
from readplane.stores.items_bulk import DynamoBulkItems
from readplane.stores.rows import BadRowError, change_of, image_of, is_filled, is_malformed, version_of
from readplane.telemetry import Telemetry
from readplane.write.stored_versions import DynamoStoredVersions
from tests.fakes.dynamodb import MemoryDynamo
from tests.unit.mangled_rows import CHANGES, Row, mangled_rows, row_of
from tests.unit.stores.support import HORIZON_MS, new_table
from tests.unit.support import ALICE, BOB, COLLECTIONS, NOW_MS, change, version_at

START = ListPosition(0, None)
NO_COLLECTION = {name: value for name, value in row_of(change()).items() if name != "collection"}
FORMS = [
    ({"version": None}, "version"),
    ({"version": {"N": "1"}}, "version"),
    ({"version": {"S": version_at(NOW_MS).upper()}}, "version"),
    ({"collection": None}, "collection"),
    ({"collection": {"S": "a/b"}}, "collection"),
    ({"item_id": {"S": ".."}}, "item_id"),
    ({"actor": None, "source": {"L": []}}, "actor, source"),
    ({"as_of": {"S": "yesterday"}}, "as_of"),
    ({"as_of": {"S": '2026-01-02T03:04:05.678Z","x":"'}}, "as_of"),
    ({"data": {"M": {}}}, "data"),
    ({"data": {"S": "[1]"}}, "data"),
    ({"data": {"S": '{"n":1'}}, "data"),
    ({"data": {"S": '{"n":NaN}'}}, "data"),
    ({"data": {"S": "[" * 100_000}}, "data"),
    ({"owner": {"S": "../x"}}, "owner"),
    ({"owner": {"S": ALICE}}, "contradict"),
    ({"collection": {"S": "orders"}}, "contradict"),
    ({"list_key": {"S": "orders/0"}}, "contradict"),
    ({"expires_at": {"N": "1"}}, "contradict"),
    ({"data": None}, "contradict"),
]


def with_attributes(row: Row, attributes: Any) -> Row:
    """Return a copy of a row with other attributes. An attribute whose value is ``None`` is missing in the copy."""
    return {name: value for name, value in {**row, **attributes}.items() if value is not None}


@pytest.mark.parametrize(("attributes", "named"), FORMS)
def test_a_malformed_row_is_no_item_and_the_error_names_attributes_without_values(attributes: Any, named: str) -> None:
    row = with_attributes(row_of(change()), attributes)
    with pytest.raises(BadRowError) as caught:
        change_of(row)
    assert caught.value.key == change().key and named in caught.value.detail
    for value in attributes.values():
        if value is not None and len(text := str(next(iter(value.values())))) > 2:
            assert text not in caught.value.detail


@given(mangled_rows(*CHANGES))
def test_a_row_is_malformed_or_holds_exactly_what_apply_would_write(row: Row) -> None:
    try:
        found = change_of(row)
    except BadRowError:
        assert is_malformed(row)
        return
    written = row_of(found)
    for name in written.keys() - {"expires_at", "list_key"}:
        assert row[name] == written[name]
    assert row.get("list_key", written.get("list_key")) == written.get("list_key")
    if found.data is not None:
        text = json.loads(found.representation(), parse_constant=pytest.fail)
        assert (text["id"], text["version"]) == (found.item_id, found.version)


@pytest.mark.parametrize("entry", CHANGES)
def test_what_apply_writes_is_never_malformed_and_further_attributes_are_ignored(entry: Change) -> None:
    row = row_of(entry)
    assert change_of(row) == change_of(row | {"since": {"S": "a later version"}}) == entry


def test_only_an_image_with_an_items_key_or_a_version_should_be_an_item() -> None:
    assert image_of(None) is None and image_of({}) is None
    assert image_of({"pk": {"S": "quarantine/x"}, "reason": {"S": "expired"}}) is None
    assert image_of({"pk": {"S": "source/shop"}, "breaker": {"S": "open"}}) is None
    for bad in ({"pk": {"S": "item/products/p-1"}}, {"pk": {"S": "note"}, "version": {"S": version_at(NOW_MS)}}):
        with pytest.raises(BadRowError):
            image_of(bad)


def stored_in_memory(*rows: Row) -> tuple[DynamoBulkItems, MemoryDynamo]:
    """Return an items store in memory that holds the given rows."""
    fake = MemoryDynamo("t")
    fake.items |= {row["pk"]["S"]: row for row in rows}
    telemetry = Telemetry("read", "demo")
    return DynamoBulkItems(fake, "t", "by_collection", horizon_ms=HORIZON_MS, telemetry=telemetry), fake


def skipped(out: str) -> list[str]:
    """Return the keys of the rows that the log reports as skipped. Check that each is counted for the stack."""
    lines = [line for line in map(json.loads, out.splitlines()) if line["event"] == "row_skipped"]
    for line in lines:
        assert line["RowsSkipped"] == 1 and line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Stack"]]
    return [line["key"] for line in lines]


relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@relaxed
@given(mangled_rows(*CHANGES))
@example(NO_COLLECTION)
def test_a_malformed_row_is_an_unknown_item_and_hides_no_other_item_of_a_list(
    capsys: pytest.CaptureFixture[str], row: Row
) -> None:
    capsys.readouterr()
    others = [change(f"q-{number}") for number in range(20)] + [change("other", collection="profiles", owner=ALICE)]
    items, _ = stored_in_memory(row, *map(row_of, others))
    key = row["pk"]["S"]
    item = items.get_item(key)
    assert skipped(capsys.readouterr().out) == ([key] if is_malformed(row) else [])
    expected = set(others) | ({item} if item is not None and item.data is not None and "list_key" in row else set())
    listed: list[Change] = []
    for shards in (partitions(COLLECTIONS["products"], None), partitions(COLLECTIONS["profiles"], ALICE)):
        listed += items.list_items(shards, START, 100, 60)[0]
    assert set(listed) == expected and len(listed) == len(expected)
    assert items.list_items(partitions(COLLECTIONS["profiles"], BOB), START, 100, 60) == ([], None)
    version, reason = items.get_change_status(key, version_at(NOW_MS))
    assert (version, reason) == (version_of(row), None)
    assert DynamoStoredVersions(items._client, "t").get_version(key) == row.get("version", {}).get("S")


@given(mangled_rows(*CHANGES), st.integers(-2, 2), st.booleans(), st.booleans())
@example(NO_COLLECTION, 1, False, False)
@example(NO_COLLECTION, 1, False, True)
@example(with_attributes(row_of(change(data=None)), {"data": {"S": "{}"}}), 1, True, True)
@settings(deadline=None)
def test_a_good_change_replaces_a_malformed_row_alone_and_in_bulk(
    row: Row, tick: int, deleted: bool, bulk: bool
) -> None:
    """A malformed row that has a valid version counts as a change of that version. Any other counts as the oldest."""
    items, fake = stored_in_memory(row)
    _, collection, *owner, item_id = row["pk"]["S"].split("/")
    entry = change(
        item_id,
        ms=NOW_MS + tick,
        data=None if deleted else '{"n":3}',
        collection=collection,
        owner=owner[0] if owner else None,
    )
    version = version_of(row)
    if bulk:
        others = [change(f"q-{number}") for number in range(2)]
        outcome = items.apply_all([entry, *others])
        assert outcome.total() == 3
    else:
        items.apply(entry)
    if version is None or version < entry.version:
        assert change_of(fake.items[entry.key]) == entry, "a newer change wins"
        assert not fake.items[entry.key].keys() & ({"data", "list_key"} if deleted else {"expires_at"})
    elif version > entry.version:
        assert fake.items[entry.key] == row, "a greater version stays, even if this version can't read its row"
    elif is_malformed(row) and not bulk:
        assert change_of(fake.items[entry.key]) == entry, "the row's own change repairs it"


@pytest.mark.parametrize("first_code", ["deleted", "replaced"])
def test_replacing_a_malformed_row_never_overwrites_another_writers_newer_change(first_code: str) -> None:
    items, fake = stored_in_memory(NO_COLLECTION)
    fake.items[change().key] = with_attributes(NO_COLLECTION, {"version": {"N": "1"}})
    entry, newer = change(ms=NOW_MS + 1), change(ms=NOW_MS + 2)

    def another_writer(operation: str) -> None:
        if fake.calls["PutItem"] == 2:
            fake.items.pop(change().key, None)
            if first_code == "replaced":
                fake.items[change().key] = row_of(newer)

    fake.fail_call = another_writer
    expected = "applied" if first_code == "deleted" else "superseded"
    assert items.apply(entry) == expected
    assert items.get_item(entry.key) == (entry if first_code == "deleted" else newer)


@pytest.mark.usefixtures("aws", "either_client")
@pytest.mark.parametrize("version", [None, {"S": "zzz"}, {"S": version_at(NOW_MS)}])
def test_dynamodb_replaces_a_malformed_row(version: Any) -> None:
    items, table = new_table()
    row = with_attributes(NO_COLLECTION, {"version": version})
    boto3.client("dynamodb").put_item(TableName=table, Item=row)
    assert items.get_item(change().key) is None
    assert items.list_items(partitions(COLLECTIONS["products"], None), START, 10, 60) == ([], None)
    assert items.apply(change(ms=NOW_MS + 1)) == "applied"
    assert items.get_item(change().key) == change(ms=NOW_MS + 1)


def test_a_malformed_record_of_a_sources_freshness_counts_as_missing() -> None:
    items, fake = stored_in_memory()
    fake.items["source/shop"] = {"pk": {"S": "source/shop"}, "fresh_as_of": {"N": "1"}, "breaker": {"BOOL": True}}
    freshness = items.get_freshness("shop")
    assert freshness is not None and freshness == (None, None, None)


@pytest.mark.parametrize("count", [1, 9])
def test_a_row_counts_as_filled_until_apply_writes_another_version(count: int) -> None:
    """Two changes are written with PutItem, and more with PartiQL, which leaves the mark in the row."""
    table = MemoryDynamo()
    fill, items = (kind(table, "items", horizon_ms=HORIZON_MS) for kind in (FilledItems, DynamoBulkItems))
    versions = [
        [change(f"p-{number}", ms=NOW_MS + tick, data=None if number % 2 else "{}") for number in range(count)]
        for tick in range(3)
    ]
    assert items.apply_all(versions[0]) == {"applied": count}
    assert not any(map(is_filled, table.items.values()))
    assert fill.apply_all(versions[1]) == {"applied": count}
    assert items.apply_all(versions[1]) == {"duplicate": count}
    assert all(map(is_filled, table.items.values()))
    assert {change_of(row) for row in table.items.values()} == set(versions[1])
    assert items.apply_all(versions[2]) == {"applied": count}
    assert not any(map(is_filled, table.items.values()))
    assert not is_filled({"pk": {"S": "quarantine/x"}})
