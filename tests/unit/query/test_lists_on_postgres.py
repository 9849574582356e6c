"""Tests of filtered, sorted and searched lists over a real database, against an oracle in Python."""

import json
import uuid
from collections.abc import Iterable
from decimal import Decimal
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from readplane.model.change import Change
from readplane.model.query import ListQuery
from readplane.stores.relational import lists
from readplane.stores.relational.tables import Table
from tests.unit.query.database import Database, get, walk
from tests.unit.query.generated import Item, Listing, Typed, make_item, make_listing
from tests.unit.query.support import SHOP, QueryService
from tests.unit.support import ALICE, BOB, NOW_MS, change

QUERY = ListQuery((), "price", False, None, 1)

OWNERS, LISTS = 4, 20
"""How many owners the generated data of one seed has, and how many lists of each owner are compared."""


@pytest.fixture(scope="module")
def service(database: Database) -> QueryService:
    return database.service()


def changes_of(
    items: Iterable[Item], owner: str | None, collection: str = "profiles", ms: int = NOW_MS
) -> list[Change]:
    return [change(item.item_id, data=item.json, collection=collection, owner=owner, ms=ms) for item in items]


# Don't let Hypothesis make a failing seed smaller, because a smaller seed isn't a simpler list.
@settings(max_examples=max(4, settings().max_examples // 25), phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(st.integers(0, 2**63))
def test_generated_lists_have_the_items_that_the_oracle_says(
    database: Database, service: QueryService, seed: int
) -> None:
    """Every owner's items are generated anew, so an item in the wrong list may also be another owner's item."""
    random = Random(seed)
    owners: dict[str, list[Item]] = {}
    changes: list[Change] = []
    for _ in range(OWNERS):
        owner = str(uuid.UUID(int=random.getrandbits(128)))
        ids = random.sample(range(1_000), random.choice((1, 7, 40)))
        owners[owner] = [make_item(random, f"{random.choice(('p', 'P', 'p-'))}{number}") for number in ids]
        changes += changes_of(owners[owner], owner)
        changes.append(change("deleted", data=None, collection="profiles", owner=owner))
    database.write(changes)
    texts = {(item.owner, item.item_id): item.representation() for item in changes if item.data is not None}
    for owner, items in owners.items():
        for _ in range(LISTS):
            listing = make_listing(random)
            query = listing.query() | {"limit": str(random.choice((1, 2, 5, 200)))}
            found = walk(service, "profiles", query, sub=owner)
            ids_found = [item["id"] for item in found]
            assert (ids_found if listing.sort else sorted(ids_found)) == listing.expected(items), query
            for item in found:
                assert item == json.loads(texts[owner, item["id"]], parse_float=str, parse_int=str)


def test_a_walk_shows_each_item_that_stays_as_it_is_exactly_once_while_others_change(
    database: Database, service: QueryService
) -> None:
    random, owner = Random(13), str(uuid.uuid4())
    items = {item.item_id: item for item in (make_item(random, f"p-{number}") for number in range(300))}
    database.write(changes_of(items.values(), owner))
    moving = random.sample(sorted(items), 30)
    ms = NOW_MS
    for listing in (
        Listing([], "price", False, None),
        Listing([], "price", True, None),
        Listing([], "colour", True, None),
        Listing([("price", "ge", Typed("1", Decimal(1)))], None, False, None),
        Listing([], None, False, ("blue or red", lambda words: "blue" in words or "red" in words)),
    ):
        stable = [item for item_id, item in items.items() if item_id not in moving]
        expected = listing.expected(stable)
        listed: list[str] = []
        query = listing.query() | {"limit": "20"}
        while True:
            status, body = get(service, "profiles", query, sub=owner)
            assert status == 200
            listed += [item["id"] for item in body["items"]]
            if body["next"] is None:
                break
            query["cursor"] = body["next"]
            ms += 1
            changed = [make_item(random, item_id) for item_id in random.sample(moving, 3)]
            changes = changes_of(changed, owner, ms=ms)
            changes[0] = changes[0]._replace(data=None)
            changes.append(change(f"new-{ms}", data=changed[0].json, collection="profiles", owner=owner, ms=ms))
            database.write(changes)
        of_stable = [item_id for item_id in listed if item_id in items and item_id not in moving]
        assert (of_stable if listing.sort else sorted(of_stable)) == expected, listing.query()


def test_an_owner_condition_stands_in_every_statement(database: Database, service: QueryService) -> None:
    """Two owners have items with the same ids and values, and the other collections have no owners."""
    for owner in (ALICE, BOB, None):
        collection = "profiles" if owner else "orders"
        texts = [f'{{"price":{number},"colour":"red","name":"blue","of":"{owner}"}}' for number in range(5)]
        database.write(
            change(f"p-{number}", data=text, collection=collection, owner=owner) for number, text in enumerate(texts)
        )
    for query in ({"filter": "price:ge:0"}, {"filter": "colour:eq:red"}, {"sort": "-price"}, {"q": "blue"}):
        for owner in (ALICE, BOB):
            for limit in ("1", "2", "5", "200"):
                found = walk(service, "profiles", query | {"limit": limit}, sub=owner)
                assert [item["data"].get("of") for item in found] == [owner] * 5
        # A cursor holds no owner. So a cursor of one owner shows the other one the page of their own list.
        cursor = get(service, "profiles", query | {"limit": "2"}, sub=ALICE)[1]["next"]
        page = get(service, "profiles", query | {"limit": "2", "cursor": cursor}, sub=BOB)[1]["items"]
        assert [item["data"]["of"] for item in page] == [BOB] * 2
        assert len(walk(service, "orders", query)) == 5


@pytest.mark.parametrize("mutation", ["(t.owner = %s OR true)", "(t.owner >= '' OR t.owner = %s)"])
def test_a_statement_without_the_owner_condition_is_noticed(
    database: Database, service: QueryService, mutation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = lists._statement
    assert "t.owner = %s" in statement(Table("profiles", SHOP.relational), QUERY, "true", "0")
    monkeypatch.setattr(lists, "_statement", lambda *parts: statement(*parts).replace("t.owner = %s", mutation))
    with pytest.raises(AssertionError):
        test_an_owner_condition_stands_in_every_statement(database, service)


def test_a_page_is_at_most_about_a_megabyte(database: Database, service: QueryService) -> None:
    owner, text = str(uuid.uuid4()), "x" * 250_000
    database.write(
        change(f"p-{number}", data=f'{{"price":{number % 3},"text":"{text}"}}', collection="profiles", owner=owner)
        for number in range(13)
    )
    for query in ({"sort": "price"}, {"filter": "price:ge:0"}, {"filter": "price:ne:7"}):
        listed: list[str] = []
        while True:
            status, body = get(service, "profiles", query | {"limit": "200"}, sub=owner)
            assert status == 200 and 1 <= len(body["items"]) <= 5
            listed += [item["id"] for item in body["items"]]
            if body["next"] is None:
                break
            query = query | {"cursor": body["next"]}
        assert len(listed) == 13 == len(set(listed))
