"""Bulk apply on the emulator's own PartiQL: the fake of the unit tests answers as it does, and racing writers agree."""

import json
import random
import threading
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest

from readplane.model.change import Change
from readplane.stores.items import ApplyOutcome, DynamoItems
from readplane.stores.items_bulk import DynamoBulkItems
from tests.fakes.dynamodb import FakeDynamo
from tests.local.pipeline import HORIZON_MS, made, now_ms
from tests.local.support import Local

OWNER = "3f1a8a52-4031-70b5-6a1e-0d6f2b1f0c11"


@pytest.fixture
def table(stack: Local) -> Iterator[str]:
    """An empty table with the items' key."""
    name = f"bulk-{uuid.uuid4()}"
    dynamodb = stack.root().client("dynamodb")
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    yield name
    dynamodb.delete_table(TableName=name)


def held(stack: Local, table: str) -> dict[str, object]:
    pages = stack.root().client("dynamodb").get_paginator("scan").paginate(TableName=table)
    return {record["pk"]["S"]: record for page in pages for record in page["Items"]}


def history(seed: int, items: int, length: int) -> list[Change]:
    """Puts and tombstones of items with and without an owner, in order."""
    chance = random.Random(seed)
    start = now_ms() - 60_000
    changes = []
    for tick in range(length):
        item = chance.randrange(items)
        owned = {"collection": "profiles", "owner": OWNER} if item % 3 == 0 else {}
        data = None if chance.random() < 0.3 else json.dumps({"text": "ä \"quoted\" 'single'", "tick": tick})
        changes.append(made(f"i{item}", data, ms=start + tick, **owned))
    return changes


def newest(changes: list[Change]) -> list[Change]:
    """One change per item."""
    return list({change.key: change for change in sorted(changes, key=lambda change: change.version)}.values())


@pytest.mark.parametrize("kind", ["slim", "boto3"])
def test_bulk_leaves_and_tells_what_single_does_and_so_does_the_fake(stack: Local, table: str, kind: str) -> None:
    real, fake, single = stack.client("dynamodb", kind=kind), FakeDynamo(table), FakeDynamo(table)
    emulated, faked = (DynamoBulkItems(client, table, horizon_ms=HORIZON_MS) for client in (real, fake))
    one_by_one = DynamoItems(single, table, horizon_ms=HORIZON_MS)
    changes = history(3, 60, 600)
    shuffled = random.Random(4).sample(changes, len(changes))
    told: Counter[ApplyOutcome] = Counter()
    for cut in range(0, len(changes), 75):
        lump = newest(shuffled[cut : cut + 75])
        outcomes = emulated.apply_all(lump)
        assert outcomes == faked.apply_all(lump) == Counter(map(one_by_one.apply, lump))
        told += outcomes
    assert set(told) == {"applied", "superseded"}
    assert emulated.apply_all(newest(changes)) == {"duplicate": len(newest(changes))}
    assert held(stack, table) == fake.items == single.items


def test_statements_answer_as_the_fake_does_when_somebody_was_faster(stack: Local, table: str) -> None:
    """The read saw nothing, or an older record; the table has moved on since."""
    old, new = (made("raced", data, ms=now_ms() - age) for age, data in ((20, '{"n":1}'), (10, '{"n":2}')))
    for client in (stack.client("dynamodb"), FakeDynamo(table)):
        store = DynamoBulkItems(client, table, horizon_ms=HORIZON_MS)
        insert, update = store._insert(store._record(old)), store._update(store._record(new), store._record(old))
        codes = [
            client.call("BatchExecuteStatement", Statements=[statement])["Responses"][0].get("Error", {}).get("Code")
            for statement in (update, insert, insert, update, update)
        ]
        assert codes == ["ConditionalCheckFailed", None, "DuplicateItem", None, "ConditionalCheckFailed"]
        assert store.get(new.key) == new


@pytest.mark.parametrize("kind", ["slim", "boto3"])
def test_racing_writers_leave_the_newest(stack: Local, table: str, kind: str) -> None:
    client = stack.client("dynamodb", kind=kind)
    changes = history(5, 90, 900)
    told: list[Counter[ApplyOutcome]] = []

    def apply(seed: int) -> None:
        mine = random.Random(seed).sample(changes, len(changes))
        store = DynamoBulkItems(client, table, horizon_ms=HORIZON_MS)
        for cut in range(0, len(mine), 90):
            told.append(store.apply_all(newest(mine[cut : cut + 90])))

    threads = [threading.Thread(target=apply, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 20 and all(outcomes["applied"] for outcomes in told[:2])
    alone = FakeDynamo(table)
    for change in newest(changes):
        DynamoItems(alone, table, horizon_ms=HORIZON_MS).apply(change)
    assert held(stack, table) == alone.items
