"""Tests of the items table as `poll` uses it: versions, items that aren't deleted, and a source's freshness.

Each test runs with the slim AWS client and with boto3.
"""

from typing import Any

import pytest

from readplane.aws.client import make_client
from readplane.model.freshness import Freshness
from readplane.model.keys import partitions
from readplane.poll.checkpoint import Position
from readplane.poll.sourced_items import DynamoSourcedItems
from readplane.stores.rows import image_of
from tests.fakes.dynamodb import MemoryDynamo
from tests.fakes.moto_aws import Aws
from tests.unit.stores.support import HORIZON_MS, new_table, scan_records
from tests.unit.support import ALICE, COLLECTIONS, NOW_MS, MemorySourcedItems, change, version_at

pytestmark = pytest.mark.usefixtures("aws", "either_client")


@pytest.fixture(params=["dynamodb", "memory"])
def sourced(request: pytest.FixtureRequest) -> Any:
    if request.param == "memory":
        return MemorySourcedItems()
    _, table = new_table()
    return DynamoSourcedItems(make_client("dynamodb"), table, "by_collection", horizon_ms=HORIZON_MS)


def test_versions_of_many_items_include_tombstones(sourced: Any) -> None:
    items = [change(f"p-{number}", data=None if number % 50 == 7 else "{}") for number in range(120)]
    for item in items:
        sourced.apply(item)
    keys = [item.key for item in items]
    assert sourced.get_versions([*keys, *keys, "item/products/unknown"]) == {item.key: item.version for item in items}
    assert sourced.get_versions([]) == {}


def test_each_living_item_is_listed_once_with_its_version(sourced: Any) -> None:
    for number in range(30):
        sourced.apply(change(f"p-{number}", data="{}" if number % 3 else None))
    sourced.apply(change("o-1", collection="orders"))
    sourced.put_freshness("shop", FRESH, POSITION)
    living = list(sourced.list_living(partitions(COLLECTIONS["products"], None)))
    assert sorted(living) == sorted((f"p-{number}", change().version) for number in range(30) if number % 3)


FRESH = Freshness("2026-11-21T08:00:00.123Z", "closed", "2026-11-21T08:00:01.000Z")
NEVER_READ = Freshness(None, "open", FRESH.checked_at)
POSITION = Position(1_767_000_000_000, "f", FRESH.fresh_as_of)


@pytest.mark.parametrize("update", [FRESH, FRESH._replace(fresh_as_of="2026-11-21T07:59:59.999Z"), NEVER_READ])
def test_freshness_never_decreases_and_is_no_item(sourced: Any, update: Freshness) -> None:
    assert sourced.get_freshness("shop") is None
    assert sourced.put_freshness("shop", FRESH, POSITION) == FRESH
    # If the stored `fresh_as_of` is later than that of the update, the stored one stays, because an older poll may
    # write its freshness after a newer poll.
    expected = update._replace(fresh_as_of=FRESH[0])
    assert sourced.put_freshness("shop", update, POSITION) == sourced.get_freshness("shop") == expected
    assert sourced.get_freshness("other") is None and sourced.get_item("item/products/shop") is None


def test_freshness_is_no_item_to_publish_and_never_expires() -> None:
    items, table = new_table()
    DynamoSourcedItems(make_client("dynamodb"), table, horizon_ms=HORIZON_MS).put_freshness("shop", FRESH, POSITION)
    (record,) = scan_records(table)
    assert image_of(record) is None and not {"expires_at", "list_key", "item_id"} & record.keys()
    assert items.get_freshness("shop") == FRESH


def test_versions_and_living_items_take_few_calls_and_are_read_to_the_last_page(aws: Aws) -> None:
    items, table = new_table()
    sourced = DynamoSourcedItems(make_client("dynamodb"), table, "by_collection", horizon_ms=HORIZON_MS)
    large = '{"a":"' + "x" * 200_000 + '"}'
    for number in range(14):
        items.apply(change(f"p-{number}", collection="profiles", owner=ALICE, data=large))
    living, calls = aws.during(lambda: list(sourced.list_living([f"profiles/{ALICE}"])))
    # The 14 items of 200 KB need at least 3 queries, because DynamoDB ends a page of a query at 1 MB.
    assert len(living) == 14 and 3 <= len(calls) <= 4 and set(calls) == {"Query"}
    keys = [change(f"p-{number}").key for number in range(201)]
    assert aws.during(lambda: sourced.get_versions(keys))[1] == ["BatchGetItem"] * 3


def test_versions_are_read_consistently_and_unprocessed_keys_again() -> None:
    table = MemoryDynamo()
    sourced = DynamoSourcedItems(table, "items", horizon_ms=HORIZON_MS)
    table.stale = lambda pk: True
    for tick in range(2):
        for number in range(3):
            sourced.apply(change(f"p-{number}", ms=NOW_MS + tick))
    table.leave = lambda pk: pk.endswith("2") and table.calls["BatchGetItem"] < 3
    keys = [change(f"p-{number}").key for number in range(3)]
    assert sourced.get_versions(keys) == dict.fromkeys(keys, version_at(NOW_MS + 1))
    assert table.calls["BatchGetItem"] == 3


MALFORMED_VERSIONS: list[Any] = [None, {"N": "1"}, {"S": "zzz"}, {"M": {}}]


@pytest.mark.parametrize("version", MALFORMED_VERSIONS)
def test_a_row_without_a_valid_version_is_no_item_and_hides_no_other(version: Any) -> None:
    fake = MemoryDynamo("t")
    sourced = DynamoSourcedItems(fake, "t", "i", horizon_ms=HORIZON_MS)
    for number in range(3):
        sourced.apply(change(f"p-{number}"))
    del fake.items["item/products/p-1"]["version"]  # type: ignore[attr-defined]
    if version:
        fake.items["item/products/p-1"]["version"] = version  # type: ignore[index]
    keys = [f"item/products/p-{number}" for number in range(3)]
    assert sourced.get_versions(keys) == {keys[0]: change().version, keys[2]: change().version}
    assert sorted(sourced.list_living(partitions(COLLECTIONS["products"], None))) == [
        ("p-0", change().version),
        ("p-2", change().version),
    ]


@pytest.mark.parametrize("fresh_as_of", [{"N": "5"}, {"S": "zzz"}, {"L": []}])
@pytest.mark.parametrize("update", [FRESH, NEVER_READ])
def test_a_malformed_freshness_is_replaced(fresh_as_of: Any, update: Freshness) -> None:
    fake = MemoryDynamo("t")
    fake.items["source/shop"] = {"pk": {"S": "source/shop"}, "fresh_as_of": fresh_as_of}
    sourced = DynamoSourcedItems(fake, "t", horizon_ms=HORIZON_MS)
    assert sourced.put_freshness("shop", update, POSITION) == update == sourced.get_freshness("shop")
