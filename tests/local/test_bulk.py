"""Tests of bulk writes: `apply` writes many changes at once with PartiQL statements.

The tests make the same bulk writes on the emulator and on the fake DynamoDB of the unit tests. They also write the same
changes one at a time. Each time, the outcomes and the written items must be the same.
"""

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
from tests.fakes.dynamodb import MemoryDynamo
from tests.local.pipeline import HORIZON_MS, new_change, now_ms
from tests.local.support import Local

OWNER = "3f1a8a52-4031-70b5-6a1e-0d6f2b1f0c11"


@pytest.fixture
def table(stack: Local) -> Iterator[str]:
    """Create an empty DynamoDB table with the items table's key schema; return its name. Delete it after the test."""
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


def scan(stack: Local, table: str) -> dict[str, object]:
    """Return all items of a DynamoDB table, by key."""
    pages = stack.root().client("dynamodb").get_paginator("scan").paginate(TableName=table)
    return {record["pk"]["S"]: record for page in pages for record in page["Items"]}


def history(seed: int, items: int, length: int) -> list[Change]:
    """Return random puts and deletes of items with and without an owner, oldest first.

    :param seed: the seed of the random generator. The same seed gives the same puts and deletes.
    :param items: how many items the changes are for.
    :param length: how many changes to return.
    """
    chance = random.Random(seed)
    start = now_ms() - 60_000
    changes = []
    for tick in range(length):
        item = chance.randrange(items)
        collection, owner = ("profiles", OWNER) if item % 3 == 0 else ("notices", None)
        data = None if chance.random() < 0.3 else json.dumps({"text": "ä \"quoted\" 'single'", "tick": tick})
        changes.append(new_change(f"i{item}", data, ms=start + tick, collection=collection, owner=owner))
    return changes


def newest(changes: list[Change]) -> list[Change]:
    """Return the newest change of each item."""
    return list({change.key: change for change in sorted(changes, key=lambda change: change.version)}.values())


@pytest.mark.parametrize("kind", ["slim", "boto3"])
def test_bulk_and_single_writes_agree_on_the_emulator_and_on_the_fake(stack: Local, table: str, kind: str) -> None:
    real, fake, single = stack.client("dynamodb", kind=kind), MemoryDynamo(table), MemoryDynamo(table)
    emulated, faked = (DynamoBulkItems(client, table, horizon_ms=HORIZON_MS) for client in (real, fake))
    singly = DynamoItems(single, table, horizon_ms=HORIZON_MS)
    changes = history(3, 60, 600)
    shuffled = random.Random(4).sample(changes, len(changes))
    total: Counter[ApplyOutcome] = Counter()
    for cut in range(0, len(changes), 75):
        batch = newest(shuffled[cut : cut + 75])
        outcomes = emulated.apply_all(batch)
        assert outcomes == faked.apply_all(batch) == Counter(map(singly.apply, batch))
        total += outcomes
    assert set(total) == {"applied", "superseded"}
    assert emulated.apply_all(newest(changes)) == {"duplicate": len(newest(changes))}
    assert scan(stack, table) == fake.items == single.items


def test_a_statement_gets_the_same_error_from_the_fake_when_another_writer_was_faster(stack: Local, table: str) -> None:
    """Compare the error of a late statement on the emulator and on the fake.

    `apply` reads an item and builds a PartiQL statement from it. Another writer writes the item before the statement
    runs, so the statement must fail. The statement is an INSERT if `apply` read no item, and an UPDATE if it read an
    older item.
    """
    old, new = (new_change("raced", data, ms=now_ms() - age) for age, data in ((20, '{"n":1}'), (10, '{"n":2}')))
    for client in (stack.client("dynamodb"), MemoryDynamo(table)):
        store = DynamoBulkItems(client, table, horizon_ms=HORIZON_MS)
        insert = store._insert_statement(store._record(old))
        update = store._update_statement(store._record(new), store._record(old))
        codes = [
            client.call("BatchExecuteStatement", Statements=[statement])["Responses"][0].get("Error", {}).get("Code")
            for statement in (update, insert, insert, update, update)
        ]
        assert codes == ["ConditionalCheckFailed", None, "DuplicateItem", None, "ConditionalCheckFailed"]
        assert store.get_item(new.key) == new


@pytest.mark.parametrize("kind", ["slim", "boto3"])
def test_concurrent_writers_leave_the_newest_changes(stack: Local, table: str, kind: str) -> None:
    client = stack.client("dynamodb", kind=kind)
    changes = history(5, 90, 900)
    outcomes: list[Counter[ApplyOutcome]] = []

    def apply(seed: int) -> None:
        shuffled = random.Random(seed).sample(changes, len(changes))
        store = DynamoBulkItems(client, table, horizon_ms=HORIZON_MS)
        for cut in range(0, len(shuffled), 90):
            outcomes.append(store.apply_all(newest(shuffled[cut : cut + 90])))

    threads = [threading.Thread(target=apply, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 20 and all(batch["applied"] for batch in outcomes[:2])
    expected = MemoryDynamo(table)
    for change in newest(changes):
        DynamoItems(expected, table, horizon_ms=HORIZON_MS).apply(change)
    assert scan(stack, table) == expected.items
