"""Tests of the items store, with the slim client and with boto3, on a table of moto's DynamoDB server.

Most tests also run on ``MemoryItems``, the items store in memory that other test files use.
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readplane.aws.client import make_client
from readplane.aws.faults import RefusedError, UnansweredError
from readplane.model.keys import ListPosition, partitions
from readplane.stores.items import DynamoItems, Items
from readplane.stores.rows import change_of, image_of
from tests.fakes.moto_aws import Aws
from tests.unit.stores.support import HORIZON_MS, new_table, scan_records
from tests.unit.support import ALICE, COLLECTIONS, NOW_MS, MemoryItems, change

START = ListPosition(0, None)

pytestmark = pytest.mark.usefixtures("aws", "either_client")


@pytest.fixture(params=["dynamodb", "memory"])
def items(request: pytest.FixtureRequest) -> Items:
    return new_table()[0] if request.param == "dynamodb" else MemoryItems()


def test_the_newest_change_wins_and_every_outcome_is_reported(items: Items) -> None:
    old, new = change(ms=NOW_MS), change(ms=NOW_MS + 1, data=None)
    assert items.get_item(old.key) is None
    assert [items.apply(entry) for entry in (old, old, new, old, new)] == [
        "applied",
        "duplicate",
        "applied",
        "superseded",
        "duplicate",
    ]
    assert items.get_item(old.key) == new


def test_a_changes_status_is_its_items_version_and_its_quarantine_reason(items: Items) -> None:
    first, second = change(ms=NOW_MS), change(ms=NOW_MS + 1)
    assert items.get_change_status(first.key, first.change_id) == (None, None)
    items.apply(first)
    items.mark_quarantined(second, "too_large", NOW_MS)
    assert items.get_change_status(first.key, first.change_id) == (first.version, None)
    assert items.get_change_status(first.key, second.change_id) == (first.version, "too_large")
    other = change("p-2")
    assert items.get_change_status(other.key, second.change_id) == (None, None)


def test_a_list_holds_the_living_items_of_its_collection_or_owner(items: Items) -> None:
    for number in range(30):
        items.apply(change(f"p-{number}"))
    items.apply(change("p-7", ms=NOW_MS + 1, data=None))
    items.apply(change("mine", collection="profiles", owner=ALICE))
    items.mark_quarantined(change("p-99"), "too_large", NOW_MS)
    seen: list[str] = []
    position: ListPosition | None = START
    while position is not None:
        page, position = items.list_items(partitions(COLLECTIONS["products"], None), position, 4, 60)
        assert len(page) <= 4
        seen += [item.item_id for item in page]
    assert sorted(seen) == sorted(f"p-{number}" for number in range(30) if number != 7)
    owned, _ = items.list_items(partitions(COLLECTIONS["profiles"], ALICE), START, 10, 60)
    assert [item.item_id for item in owned] == ["mine"]
    assert items.list_items(partitions(COLLECTIONS["profiles"], "another"), START, 10, 60) == ([], None)


@settings(
    max_examples=settings().max_examples // 4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9), st.booleans()), max_size=15))
def test_table_and_model_agree_after_any_changes(history: list[tuple[int, int, bool]]) -> None:
    table, _ = new_table()
    model = MemoryItems()
    for item, tick, deleted in history:
        data = None if deleted else f'{{"t": {tick}.10}}'
        entry = change(f"i{item}", ms=NOW_MS + tick * 2 + deleted, data=data)
        assert table.apply(entry) == model.apply(entry)
        assert table.get_item(entry.key) == model.get_item(entry.key)
    all_partitions = partitions(COLLECTIONS["products"], None)
    listed, _ = table.list_items(all_partitions, START, 50, 60)
    assert listed == model.list_items(all_partitions, START, 50, 60)[0]


def test_each_read_is_one_call_and_a_list_queries_until_its_page_is_full(aws: Aws) -> None:
    items, _ = new_table()
    for number in range(40):
        items.apply(change(f"p-{number}"))
    assert aws.during(lambda: items.get_item(change().key))[1] == ["GetItem"]
    assert aws.during(lambda: items.get_change_status(change().key, change().change_id))[1] == ["BatchGetItem"]
    all_partitions = partitions(COLLECTIONS["products"], None)
    (page, _), calls = aws.during(lambda: items.list_items(all_partitions, START, 2, 60))
    assert len(page) == 2 and calls == ["Query"]
    (page, _), calls = aws.during(lambda: items.list_items(all_partitions, START, 40, 60))
    assert len(page) == 40 and calls == ["Query"] * 8


def test_a_page_ends_at_a_mebibyte() -> None:
    items, _ = new_table()
    for number in range(12):
        items.apply(change(f"p-{number}", data='{"a":"' + "x" * 200_000 + '"}'))
    page, position = items.list_items(partitions(COLLECTIONS["products"], None), START, 200, 60)
    assert len(page) == 6 and position is not None


@pytest.mark.parametrize(("character", "size"), [("ä", 2), ("€", 3), ("😀", 4)])
def test_a_page_counts_bytes_and_not_characters(character: str, size: int) -> None:
    items, _ = new_table()
    for number in range(12):
        items.apply(change(f"p-{number}", data='{"a":"' + character * (200_000 // size) + '"}'))
    page, position = items.list_items(partitions(COLLECTIONS["products"], None), START, 200, 60)
    assert len(page) == 6 and position is not None


def test_a_slow_table_makes_a_short_page_not_a_late_one(aws: Aws) -> None:
    items, _ = new_table()
    for number in range(40):
        items.apply(change(f"p-{number}"))
    all_partitions = partitions(COLLECTIONS["products"], None)
    (page, position), calls = aws.during(lambda: items.list_items(all_partitions, START, 40, 0))
    assert calls == ["Query"] and 0 < len(page) < 40 and position == ListPosition(1, None)


def test_keys_that_stay_unprocessed_raise_an_error_after_three_calls() -> None:
    class ThrottledClient:
        calls = 0

        def call(self, operation: str, /, **parameters: Any) -> Any:
            self.calls += 1
            return {"Responses": {}, "UnprocessedKeys": parameters["RequestItems"]}

    throttled = ThrottledClient()
    with pytest.raises(UnansweredError):
        DynamoItems(throttled, "t", horizon_ms=HORIZON_MS).get_change_status("k", change().change_id)
    assert throttled.calls == 3


def test_a_tombstone_has_an_expiry_and_no_index_key() -> None:
    items, table = new_table()
    items.apply(change(data=None))
    (record,) = scan_records(table)
    assert "list_key" not in record and "data" not in record
    assert record["expires_at"] == {"N": str((NOW_MS + HORIZON_MS) // 1000 + 86_400)}
    items.apply(change(ms=NOW_MS + 1))
    (record,) = scan_records(table)
    assert "list_key" in record and "expires_at" not in record
    assert image_of(record) == change_of(record) == change(ms=NOW_MS + 1)


def test_a_quarantine_marker_is_no_item_and_lives_for_the_horizon_from_now() -> None:
    items, table = new_table()
    items.mark_quarantined(change(ms=NOW_MS - 2 * HORIZON_MS), "expired", NOW_MS)
    (record,) = scan_records(table)
    assert image_of(record) is None
    assert record["expires_at"] == {"N": str((NOW_MS + HORIZON_MS) // 1000)}, "a marker of an expired change must last"
    assert image_of(None) is None


def test_any_other_error_of_the_table_is_raised() -> None:
    missing = DynamoItems(make_client("dynamodb"), "nowhere", horizon_ms=HORIZON_MS)
    with pytest.raises(RefusedError) as refused:
        missing.apply(change())
    assert refused.value.code == "ResourceNotFoundException"
