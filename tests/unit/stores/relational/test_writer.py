"""Tests of upserts: the newest version wins, and nothing that an item holds keeps another item out."""

import json
import random
from typing import Any

import pytest

from ops.local.postgres import DATABASE, Postgres
from readplane.model.change import Change
from readplane.model.fields import Field, Relational, Search
from readplane.stores.relational.errors import NotMigratedError, UnreachableError
from readplane.stores.relational.writer import RowFailure, UpsertOutcome
from tests.unit.stores.relational.support import FIELDS, PRODUCTS, Stores, change, declare

DEEP = "[" * 100_000 + "]" * 100_000
WORDS = " ".join(f"w{number:05}" for number in range(30_000))

POISON = {
    "huge number": '{"price":1e200000}',
    "tiny number": '{"price":1e-20000}',
    "long number": f'{{"price":{"9" * 200_000}}}',
    "greatest number": '{"price":-1e1000}',
    "smallest number": '{"price":1e-1000}',
    "most digits": f'{{"price":{"9" * 1000},"colour":"{"c" * 1024}"}}',
    "negative zero": '{"price":-0}',
    "exponent": '{"price":1E+2}',
    "duplicate names": '{"price":1,"price":2,"colour":"a","colour":"b"}',
    "escaped NUL": '{"colour":"a\\u0000b","name":"a\\u0000b","\\u0000":"\\u0000"}',
    "lone surrogates": '{"colour":"\\ud800","name":"\\udfff x","at":"\\ud800"}',
    "100,000 levels": f'{{"price":1,"deep":{DEEP}}}',
    "wrong types": '{"price":"1","colour":2,"sold":"yes","at":3,"name":{"x":[1]}}',
    "other wrong types": '{"price":[1],"colour":{},"sold":0,"at":true,"name":[null,1,"x"]}',
    "long text": json.dumps({"colour": "c" * 3_000, "name": "n" * 3_000}),
    "longest indexed text": json.dumps({"colour": "😀" * 256, "name": "x" * 2_047}),
    "many words": json.dumps({"name": WORDS}),
    "one long word": json.dumps({"name": "x" * 250_000}),
    "URLs": json.dumps({"name": " ".join(f"http://h{n}.example.com/{n}/a-b-c?{n}" for n in range(5_000))}),
    "hyphens": json.dumps({"name": "-".join(f"a{n}" for n in range(40_000))}),
    "first and last time": '{"at":"0001-01-01T00:00:00Z","colour":"","name":""}',
    "no such time": '{"at":"0000-01-01T00:00:00Z"}',
    "time of year 10000": '{"at":"9999-12-31T23:59:59-23:59"}',
    "quotes": json.dumps({"colour": "'\"\\;--{}%s%%$1", "name": "'\"\\;--{},NULL%s$1:*&|!<->()"}),
    "white space": '{ "price" : 1 , "b":[ ] }\n\t ',
}
"""Items that make an insert into a column of type jsonb fail, or into an index, or that it would change."""


def hash_of(stores: Stores) -> Any:
    return stores.servers.execute("SELECT md5(string_agg(t::text, chr(10) ORDER BY item_id)) FROM readplane.products t")


def test_newest_version_wins_in_any_order(stores: Stores) -> None:
    versions = [change("p", {"price": at}, at=at) for at in range(20)]
    random.Random(1).shuffle(versions)
    for version in versions:
        stores.write(version)
    assert stores.rows("item_id, version, data") == [("p", change("p", at=19).version, '{"price": 19}')]


def test_delete_keeps_its_version_and_no_older_change_brings_the_item_back(stores: Stores) -> None:
    stores.write(change("p", {"price": 1, "name": "x"}, at=1))
    assert stores.write(change("p", at=3)).written == 1
    assert stores.write(change("p", {"price": 2}, at=2)).unchanged == 1
    (row,) = stores.rows()
    assert row[1:6] == ("p", change("p", at=3).version, "2027-01-15T08:00:00.000Z", None, True)
    assert row[7:] == (None,) * 5
    assert stores.write(change("p", {"price": 4}, at=4)).written == 1


def test_one_call_may_hold_several_versions_of_an_item_and_several_collections(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    collections = {"products": declare(), "old-orders": declare({"price": "number"}, search=())}
    stores = Stores(postgres, monkeypatch, collections)
    stores.migrate()
    outcome = stores.write(
        change("p", {"price": 2}, at=2),
        change("p", {"price": 1}, at=1),
        change("o", {"price": 3}, collection="old-orders", owner="me"),
        change("o", {"price": 4}, collection="old-orders", owner="you"),
    )
    assert outcome == UpsertOutcome(written=3, unchanged=1)
    assert stores.rows("data") == [('{"price": 2}',)]
    assert stores.rows("owner, data", 'readplane."old_orders"') == [("me", '{"price": 3}'), ("you", '{"price": 4}')]
    stores.close()


def test_writing_twice_gives_identical_rows(stores: Stores) -> None:
    changes = [change(f"p{n}", {"price": n, "name": f"n {n}"} if n % 5 else None, at=n) for n in range(3_000)]
    assert stores.write(*changes) == UpsertOutcome(written=3_000)
    first = hash_of(stores)
    xmin = stores.rows("xmin::text")
    assert stores.write(*reversed(changes)) == UpsertOutcome(unchanged=3_000)
    assert hash_of(stores) == first
    assert stores.rows("xmin::text") == xmin  # no row was written again


def test_row_below_the_floor_is_replaced_by_any_change(stores: Stores) -> None:
    stores.write(change("p", {"price": 5}, at=5), change("q", {"price": 5}, at=5))
    floor = change("", at=6).version
    assert stores.write(change("p", {"price": 1}, at=1), floor=floor).written == 1
    assert stores.write(change("q", {"price": 1}, at=1), floor=change("", at=4).version).unchanged == 1
    assert stores.rows("data") == [('{"price": 1}',), ('{"price": 5}',)]


@pytest.mark.parametrize("name", POISON)
def test_poison_item_is_stored_byte_for_byte_at_every_position_of_a_batch(name: str, stores: Stores) -> None:
    size = 4
    for position in range(size):
        batch = [change(f"b{position}-{n}", {"price": n, "colour": "red", "name": "good"}) for n in range(size)]
        batch[position] = batch[position]._replace(data=POISON[name])
        outcome = stores.write(*batch)
        assert (outcome.written, outcome.failed) == (size, ())
    rows = stores.rows("item_id, data")
    assert len(rows) == size * size
    for item_id, data in rows:
        position, n = item_id[1:].split("-")
        expected = POISON[name] if position == n else json.dumps({"price": int(n), "colour": "red", "name": "good"})
        assert data == expected
    assert stores.servers.execute("SELECT count(*) FROM readplane.products WHERE deleted") == [(0,)]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("huge number", 1),
        ("negative zero", 0),
        ("duplicate names", 2),
        ("escaped NUL", 1),
        ("lone surrogates", 2),
        ("100,000 levels", 5),
        ("wrong types", 5),
        ("long text", 1),
        ("longest indexed text", 0),
        ("many words", 1),
        ("quotes", 0),
    ],
)
def test_fields_that_are_not_indexed_are_counted(name: str, count: int, stores: Stores) -> None:
    assert stores.write(change("p", POISON[name])).fields_not_indexed == count


@pytest.mark.parametrize("size", [1, 2, 33])
def test_row_that_the_database_refuses_fails_alone_at_every_position(size: int, stores: Stores) -> None:
    stores.check("data NOT LIKE '%refused%'")
    for position in range(size):
        stores.servers.execute("TRUNCATE readplane.products")
        batch = [change(f"p{n:03}", {"price": n}) for n in range(size)]
        batch[position] = batch[position]._replace(data='{"price":"refused"}')
        outcome = stores.write(*batch)
        assert outcome.written == size - 1
        assert outcome.failed == (RowFailure(batch[position], "23514"),)
        assert [row[0] for row in stores.rows("item_id")] == [c.item_id for c in batch if c is not batch[position]]


def test_text_that_is_not_unicode_fails_alone(stores: Stores) -> None:
    bad = change("b", '{"a":"\ud800"}')
    nul = change("c", '{"a":"\0"}')
    outcome = stores.write(change("a", {}), bad, nul, change("d", {}))
    assert outcome.written == 2
    assert outcome.failed == (RowFailure(bad, "UnicodeEncodeError"), RowFailure(nul, "DataError"))


def test_values_that_a_column_refuses_are_left_out_and_the_item_is_stored(stores: Stores) -> None:
    """A database of another version may refuse a value that this one takes. The item matters more than the value."""
    column = stores.writer._tables["products"].fields["price"].name
    stores.check(f'"{column}" < 100')
    outcome = stores.write(change("a", {"price": 1}), change("b", {"price": 100}), change("c", {"price": 2}))
    assert outcome == UpsertOutcome(written=3, fields_not_indexed=5)
    assert stores.rows(f'item_id, data, "{column}"')[1] == ("b", '{"price": 100}', None)


def test_changes_of_a_collection_without_a_table_wait_and_others_are_written(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = Stores(postgres, monkeypatch, PRODUCTS | {"orders": declare()})
    stores.migrate(PRODUCTS)
    order, product = change("o", {}, collection="orders"), change("p", {})
    assert stores.write(order, product) == UpsertOutcome(written=1, waiting=(order,))
    stores.migrate()
    assert stores.write(order, product) == UpsertOutcome(written=1, unchanged=1)
    stores.close()


def test_database_without_the_schema_is_an_error_until_the_migration_ran(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = Stores(postgres, monkeypatch)
    with pytest.raises(NotMigratedError):
        stores.write(change("p", {}))
    stores.migrate()
    assert stores.write(change("p", {})).written == 1
    stores.close()


def test_new_field_is_filled_by_writing_the_same_versions_again(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = change("p", {"price": 1, "size": 7})
    stores.write(item)
    grown = Stores(stores.servers, monkeypatch, {"products": declare({**FIELDS, "size": "number"})})
    assert grown.write(item).unchanged == 1  # the column isn't there yet
    grown.migrate()
    size = grown.writer._tables["products"].fields["size"].name
    assert grown.writer.status()["products"]["outdated"] == 1
    assert grown.write(item).written == 1  # the open connection notices the new column
    assert grown.rows(f'"{size}"') == [(7,)]
    assert grown.writer.status() == {"products": {"rows": 1, "deleted": 0, "outdated": 0, "missing": [], "unused": []}}
    assert grown.write(item).unchanged == 1
    grown.close()


def test_status_of_a_table_that_takes_too_long_to_count_has_no_counts(stores: Stores) -> None:
    stores.write(change("p", {}))
    stores.writer.close()
    stores.servers.execute("ALTER ROLE feed IN DATABASE readplane SET statement_timeout = '100ms'")
    try:
        with stores.servers.connect(autocommit=False) as other:
            other.execute("LOCK TABLE readplane.shapes")
            status = stores.writer.status()["products"]
            assert status == {"rows": None, "deleted": None, "outdated": None, "missing": [], "unused": []}
    finally:
        stores.writer.close()
        stores.migrate()


def test_versions_and_keys_name_every_row(stores: Stores) -> None:
    changes = [change(f"p{n}", {} if n % 2 else None, at=n) for n in range(5)]
    stores.write(*changes)
    keys = [c.key for c in changes]
    assert stores.writer.versions([*keys, "item/products/none", "item/others/p1"]) == {
        c.key: c.version for c in changes
    }
    first = stores.writer.keys_after("products", None, 2)
    assert [(row.key, row.is_deleted) for row in first] == [(keys[0], True), (keys[1], False)]
    rest = stores.writer.keys_after("products", first[-1].key, 10)
    assert [row.key for row in rest] == keys[2:]


def test_remove_deletes_rows_below_the_floor_only(stores: Stores) -> None:
    old, new = change("a", {}, at=1), change("b", {}, at=9)
    stores.write(old, new, change("c", {}, at=1))
    assert stores.writer.remove([old.key, new.key, "item/products/none"], floor=change("", at=5).version) == 1
    assert [row[0] for row in stores.rows("item_id")] == ["b", "c"]


def test_forget_removes_the_tombstones_of_one_owner(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = Stores(postgres, monkeypatch)
    stores.migrate()
    stores.write(
        change("gone", None, owner="me", at=1),
        change("living", {}, owner="me", at=2),
        change("gone", None, owner="you", at=3),
    )
    assert stores.writer.forget_owner("me") == (1, 1)
    assert stores.writer.forget_owner("me") == (0, 1)
    assert [row.key for row in stores.writer.keys_after("products", None, 10)] == [
        "item/products/me/living",
        "item/products/you/gone",
    ]
    stores.servers.execute("DROP TABLE readplane.products CASCADE")
    assert stores.writer.forget_owner("you") == (0, 0)
    stores.close()


def test_keys_of_an_owner_collection_have_the_owner(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = Stores(postgres, monkeypatch)
    stores.migrate()
    mine, yours = change("p", {}, owner="me", at=1), change("p", {}, owner="you", at=2)
    stores.write(mine, yours)
    assert stores.writer.versions([mine.key, yours.key]) == {mine.key: mine.version, yours.key: yours.version}
    assert [row.key for row in stores.writer.keys_after("products", mine.key, 10)] == [yours.key]
    stores.close()


def test_two_writers_at_once_leave_the_newest_versions(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def write(seed: int) -> None:
        other = Stores(stores.servers, monkeypatch)
        draw = random.Random(seed)
        for _ in range(20):
            at = draw.randrange(1_000)
            batch = [change(f"p{n}", {"price": at}, at=at) for n in draw.sample(range(60), 40)]
            newest.append((at, [c.item_id for c in batch]))
            other.write(*batch)
        other.close()

    newest: list[tuple[int, list[str]]] = []
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    expected: dict[str, int] = {}
    for at, ids in newest:
        expected |= {item_id: max(at, expected.get(item_id, 0)) for item_id in ids}
    assert {item_id: json.loads(data)["price"] for item_id, data in stores.rows("item_id, data")} == expected


def test_database_that_is_down_is_one_error_and_comes_back(stores: Stores) -> None:
    item: Change = change("p", {})
    stores.servers.stop_writer()
    with pytest.raises(UnreachableError):
        stores.write(item)
    stores.servers.start()
    assert stores.write(item).written == 1


def test_search_language_and_pointers_of_lists_work(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    declaration = Relational({"p": Field("p", "number", "/a/0")}, search=Search(("/tags", "/name"), "english"))
    stores = Stores(postgres, monkeypatch, {"products": declaration})
    stores.migrate()
    stores.write(change("p", {"a": [3], "tags": ["running", "shoes"], "name": "The fox"}))
    search = stores.writer._tables["products"].search
    assert search is not None
    assert stores.rows(f'"{search.name}"::text') == [("'fox':4 'run':1 'shoe':2",)]
    assert stores.settings("feed").name == DATABASE
    stores.close()
