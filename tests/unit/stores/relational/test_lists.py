"""Tests of lists from the database: against a plain Python oracle, while items change, and by their query plans."""

import json
import random
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ops.local.postgres import Postgres
from readplane.model.change import Change
from readplane.model.fields import FieldValue, Relational
from readplane.model.query import OPERATORS, Condition, ListQuery, Operator, Position
from readplane.stores.items import PAGE_BYTES
from readplane.stores.relational.errors import NotMigratedError
from readplane.stores.relational.lists import CHECK_SECONDS, RelationalLists, _sections, _statement
from tests.unit.stores.relational.support import FIELDS, PRODUCTS, Stores, change, declare

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PRICES = [Decimal(n) for n in ("0", "-1", "1", "1.0", "1.5", "2", "10", "1e20", "1e-20", "12345678901234567890.5")]
COLOURS = ["", "red", "Red", "blue", "zebra", "é", "😀", "�", "a,b:c\\d", "'; --", "100%", "%s"]
TIMES = [NOON + timedelta(microseconds=n * 333_333_333) for n in range(5)]
WORDS = ["fox", "dog", "cat", "hen"]

Values = dict[str, FieldValue]


def all_pages(stores: Stores, query: ListQuery, owner: str | None = None) -> list[Any]:
    items: list[Any] = []
    while True:
        page, after = stores.page(query, owner)
        assert len(page) <= query.limit
        items += page
        if after is None:
            return items
        assert page, "only the last page may be empty"
        query = query._replace(after=after)


def seed(draw: random.Random, count: int, owner: str | None = None) -> dict[str, tuple[Values, str, Change]]:
    """Return generated items by id: their values, their search text and their change. Values are often missing."""
    items: dict[str, tuple[Values, str, Change]] = {}
    for number in range(count):
        values: Values = {}
        choices: dict[str, list[Any]] = {"price": PRICES, "colour": COLOURS, "sold": [True, False], "at": TIMES}
        for name, options in choices.items():
            if draw.random() < 0.75:
                values[name] = draw.choice(options)
        text = " ".join(draw.sample(WORDS, draw.randrange(4)))
        data = ", ".join(f'"{name}": {_json(value)}' for name, value in values.items())
        item_id = f"{draw.choice('aA0.~-zZ')}{number}" if number % 9 else f"I{number}"
        item_id = item_id if item_id[0].isalnum() else f"x{item_id}"
        body = f'{{{data}{", " if data else ""}"name": {json.dumps(text)}}}'
        items[item_id] = (values, text, change(item_id, body, owner=owner))
    return items


def _json(value: FieldValue) -> str:
    if isinstance(value, datetime):
        return json.dumps(value.isoformat())
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


def expected_ids(items: dict[str, tuple[Values, str, Change]], query: ListQuery) -> list[str]:
    """Return the ids that a list must have, by sorting in Python."""
    compare: dict[Operator, Any] = {
        "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "lt": lambda a, b: a < b,
        "le": lambda a, b: a <= b, "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b,
    }  # fmt: skip
    found = [
        item_id
        for item_id, (values, text, _) in items.items()
        if all(c.field in values and compare[c.operator](values[c.field], c.value) for c in query.conditions)
        and (query.search is None or set(query.search.split()) <= set(text.split()))
    ]
    if query.order is None:
        return sorted(found, reverse=query.descending)
    having = [item_id for item_id in found if query.order in items[item_id][0]]
    having.sort(key=lambda item_id: (items[item_id][0][query.order], item_id), reverse=query.descending)  # type: ignore[index]
    return having + sorted(set(found) - set(having), reverse=query.descending)


def random_query(draw: random.Random) -> ListQuery:
    options: dict[str, list[Any]] = {"price": PRICES, "colour": COLOURS, "sold": [True, False], "at": TIMES}
    conditions = tuple(
        Condition(name, draw.choice(OPERATORS), draw.choice(options[name]))
        for name in draw.sample(list(FIELDS), draw.choice([0, 0, 1, 1, 2, 3]))
    )
    sort = draw.choice([None, *FIELDS])
    search = draw.choice([None, None, None, "fox", "fox dog"])
    return ListQuery(conditions, sort, sort is not None and draw.random() < 0.5, search, draw.choice([3, 7, 50, 200]))


@pytest.mark.parametrize("owner", [None, "me"])
def test_lists_equal_a_python_oracle(owner: str | None, stores: Stores) -> None:
    draw = random.Random(13)
    items = seed(draw, 220, owner)
    stores.write(*(entry[2] for entry in items.values()))
    # Other owners' items and deleted ones are in no list.
    stores.write(*(entry[2]._replace(owner="you") for entry in items.values()))
    stores.write(*(change(f"d{n}", {"price": 1, "name": "fox dog"}, owner=owner) for n in range(9)))
    stores.write(*(change(f"d{n}", at=1, owner=owner) for n in range(9)))
    stores.wait()
    seen: set[tuple[bool, int]] = set()
    for _ in range(130):
        query = random_query(draw)
        page = all_pages(stores, query, owner)
        wanted = expected_ids(items, query)
        assert [item.item_id for item in page] == wanted, query
        assert [item.representation() for item in page] == [items[item_id][2].representation() for item_id in wanted]
        seen.add((bool(wanted), len(query.conditions)))
    assert seen >= {(True, 0), (True, 1), (True, 2), (False, 2)}, "the generator must find items and none"


def test_page_can_be_continued_at_every_item(stores: Stores) -> None:
    items = seed(random.Random(3), 60)
    stores.write(*(entry[2] for entry in items.values()))
    stores.wait()
    for sort, descending in (("price", False), ("price", True), ("colour", True), (None, False)):
        query = ListQuery((), sort, descending, None, 200)
        wanted = expected_ids(items, query)
        for place, item_id in enumerate(wanted):
            value = items[item_id][0].get(sort) if sort else None
            page, after = stores.page(query._replace(after=Position(value, item_id)))
            assert [item.item_id for item in page] == wanted[place + 1 :]
            assert after is None


def test_walk_while_a_tenth_of_the_items_change_misses_and_repeats_no_stable_item(stores: Stores) -> None:
    draw = random.Random(7)
    ids = [f"p{n:03}" for n in range(400)]
    stable, moving = set(ids[::2]), ids[1::2]

    def body(item_id: str) -> dict[str, object]:
        return {} if draw.random() < 0.2 else {"price": draw.randrange(30), "id": item_id}

    stores.write(*(change(item_id, body(item_id)) for item_id in ids))
    at = 0
    for sort, descending in (("price", False), ("price", True), (None, False)):
        query = ListQuery((), sort, descending, None, 16)
        walked: list[str] = []
        while True:
            stores.wait()
            page, after = stores.page(query)
            walked += [item.item_id for item in page]
            if after is None:
                break
            query = query._replace(after=after)
            at += 1
            changed = draw.sample(moving, 40)  # a tenth of all items
            stores.write(*(change(i, None if draw.random() < 0.2 else body(i), at=at) for i in changed))
        assert sorted(item_id for item_id in walked if item_id in stable) == sorted(stable)


def test_page_ends_at_one_mebibyte_and_has_at_least_one_item(stores: Stores) -> None:
    size = 250 * 1024
    stores.write(*(change(f"p{n}", {"price": n % 3, "x": "y" * size}) for n in range(10)))
    stores.write(*(change(f"q{n}", {"x": "y" * size}) for n in range(6)))
    stores.wait()
    query = ListQuery((), "price", False, None, 200)
    first, after = stores.page(query)
    assert after is not None
    assert sum(len(item.data) for item in first[:-1]) < PAGE_BYTES <= sum(len(item.data) for item in first)
    everything = all_pages(stores, query)
    assert len({item.item_id for item in everything}) == len(everything) == 16


@pytest.mark.parametrize("count", [3, 4, 5])
def test_last_page_says_so_also_when_it_is_full(count: int, stores: Stores) -> None:
    stores.write(*(change(f"p{n}", {"price": n} if n < 4 else {}) for n in range(count)))
    stores.wait()
    page, after = stores.page(ListQuery((), "price", False, None, 4))
    assert [item.item_id for item in page] == [f"p{n}" for n in range(min(count, 4))]
    assert (after is None) == (count <= 4)


def test_search_takes_any_text(stores: Stores) -> None:
    stores.write(change("p", {"name": "brown fox"}), change("q", {"name": "brown dog"}))
    stores.wait()

    def find(text: str) -> list[str]:
        return [item.item_id for item in stores.page(ListQuery((), None, False, text, 10))[0]]

    assert find("brown -dog") == ["p"]
    assert find('"brown fox" or cat') == ["p"]
    for text in (
        "'",
        "''",
        "&|!<->()",
        ":*",
        "\\",
        '"',
        "-",
        "a'b\"c",
        "%s %(x)s $1",
        "é😀",
        "!!fox",
        "(",
        " ",
        "x" * 500,
    ):
        assert find(text) in ([], ["p"]), text
    assert find("; DROP TABLE readplane.products") == []
    assert stores.rows(
        "count(*)", "(SELECT '' AS owner, '' AS item_id FROM readplane.products) t GROUP BY owner, item_id"
    ) == [(2,)]


def plan(stores: Stores, query: ListQuery, section: int = 0, owner: str = "") -> str:
    table = stores.lists._tables["products"]
    part = _sections(table, query)[section]
    values: list[Any] = [owner, *(c.value for c in query.conditions)]
    values += [query.search] if query.search is not None else []
    values += [*part.values, query.limit + 1, query.limit, PAGE_BYTES]
    statement = "EXPLAIN " + _statement(table, query, part.condition, "0::float8")
    return "\n".join(row[0] for row in stores.servers.execute(statement, values))


def below_limit(text: str) -> str:
    """Return the part of a plan that finds the rows of a page. Only the page's own rows go through the rest."""
    return text.split("Limit", 1)[1]


def test_plans_read_one_range_of_one_index(stores: Stores) -> None:
    draw = random.Random(5)
    body = [
        {"price": draw.randrange(500), "colour": draw.choice("abcdefgh"), "name": f"w{n % 700}"} for n in range(9_000)
    ]
    stores.write(*(change(f"p{n:05}", entry if n % 10 else {}) for n, entry in enumerate(body)))
    stores.servers.execute("VACUUM ANALYZE readplane.products")
    table = stores.lists._tables["products"]
    price, colour = table.fields["price"], table.fields["colour"]
    after = Position(Decimal(250), "p00500")
    for descending in (False, True):
        way = "Backward " if descending else ""
        for query in (
            ListQuery((), "price", descending, None, 50),
            ListQuery((), "price", descending, None, 50, after),
            ListQuery((Condition("price", "ge", Decimal(100)),), "price", descending, None, 50, after),
        ):
            text = plan(stores, query)
            assert f"Index Scan {way}using {price.index_name}" in text, text
            assert "Seq Scan" not in text
            assert "Sort" not in below_limit(text), text
            if query.after:
                assert f"(ROW({price.name}, item_id) {'<' if descending else '>'} ROW(" in text, text
        nulls = plan(stores, ListQuery((), "price", descending, None, 50, Position(None, "p00500")))
        assert f"Index Scan {way}using {price.index_name}" in nulls
        assert f"({price.name} IS NULL) AND (item_id {'<' if descending else '>'} 'p00500'" in nulls
        assert "Sort" not in below_limit(nulls), nulls
    assert colour.index_name in plan(stores, ListQuery((Condition("colour", "eq", "c"),), None, False, None, 50))
    assert price.index_name in plan(stores, ListQuery((Condition("price", "gt", Decimal(490)),), None, False, None, 50))
    search = table.search
    assert search is not None
    assert f"Bitmap Index Scan on {search.index_name}" in plan(stores, ListQuery((), None, False, "w13", 50))


def test_statements_depend_on_the_declaration_and_the_operators_only(stores: Stores) -> None:
    table = stores.lists._tables["products"]
    texts = set()
    for value in ("red", "'; DROP TABLE x; --", "%s", '"'):
        query = ListQuery((Condition("colour", "eq", value),), "colour", False, value, 5, Position(value, value))
        texts.add(tuple(_statement(table, query, section.condition, "0") for section in _sections(table, query)))
    assert len(texts) == 1


@pytest.mark.parametrize("broken", ["dropped", "invalid"])
def test_list_without_its_index_is_refused_and_comes_back(broken: str, stores: Stores) -> None:
    stores.write(change("p", {"price": 1, "colour": "red"}))
    price = stores.lists._tables["products"].fields["price"]
    name = f'readplane."{price.index_name}"'
    if broken == "dropped":
        stores.servers.execute(f"DROP INDEX {name}")
    else:
        stores.servers.execute(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{name}'::regclass")
    stores.wait()
    for query in (
        ListQuery((), "price", False, None, 5),
        ListQuery((Condition("price", "eq", Decimal(1)),), None, False, None, 5),
        ListQuery((Condition("price", "eq", Decimal(1)),), "colour", False, None, 5),
    ):
        with pytest.raises(NotMigratedError, match=price.name):
            stores.page(query)
    assert stores.page(ListQuery((), "colour", False, None, 5))[0]
    stores.migrate()
    stores.wait()
    assert stores.page(ListQuery((), "price", False, None, 5))[0]


def test_index_is_looked_up_once_a_minute_and_when_the_clock_was_set_back(stores: Stores) -> None:
    start = 1_800_000_000.0
    now = [start]
    stores.lists = RelationalLists(stores.settings("query"), PRODUCTS, clock=lambda: now[0])
    query = ListQuery((), "price", False, None, 5)
    stores.page(query)
    stores.servers.execute(f'DROP INDEX readplane."{stores.lists._tables["products"].fields["price"].index_name}"')
    stores.wait()
    now[0] = start + CHECK_SECONDS - 1
    stores.page(query)
    for now[0] in (start + CHECK_SECONDS, start - 1):
        with pytest.raises(NotMigratedError):
            stores.page(query)


def test_time_in_which_lambda_freezes_the_sandbox_counts(stores: Stores) -> None:
    assert stores.lists._clock is time.time


def test_new_field_is_refused_until_all_rows_have_it_and_other_fields_go_on(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [change(f"p{n}", {"price": n, "size": 9 - n}) for n in range(3)]
    stores.write(*items, change("gone", at=1))
    collections = {"products": declare({**FIELDS, "size": "number"})}
    grown = Stores(stores.servers, monkeypatch, collections)
    by_size = ListQuery((), "size", False, None, 5)
    with pytest.raises(NotMigratedError, match="size"):
        grown.page(by_size)
    grown.migrate()
    grown.write(*items[:2])
    grown.wait()
    with pytest.raises(NotMigratedError, match="size"):
        grown.page(by_size)
    assert len(grown.page(ListQuery((), "price", False, None, 5))[0]) == 3
    assert len(stores.page(ListQuery((), "price", False, None, 5))[0]) == 3  # the version before
    grown.write(items[2])
    grown.wait()
    assert [item.item_id for item in grown.page(by_size)[0]] == ["p2", "p1", "p0"]
    grown.close()


def test_collection_without_a_table_is_not_migrated(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = Stores(postgres, monkeypatch)
    with pytest.raises(NotMigratedError):
        stores.page(ListQuery((), "price", False, None, 5))
    stores.close()


def test_declaration_with_another_pointer_or_type_has_other_columns() -> None:
    from readplane.stores.relational.tables import Table

    def names(*declarations: Relational) -> Iterable[str]:
        return [Table("products", declaration).fields["price"].name for declaration in declarations]

    number, text = declare({"price": "number"}), declare({"price": "text"})
    moved = number._replace(fields={"price": number.fields["price"]._replace(pointer="/other")})
    assert len(set(names(number, text, moved))) == 3


def test_names_in_the_database_fit_for_the_longest_collection_and_field() -> None:
    from readplane.stores.relational.tables import Table

    table = Table("c" * 63, declare({"f" * 63: "number", "f" * 62: "text"}))
    names = [*(name for column in table.columns for name in (column.name, column.index_name)), table.table]
    assert max(map(len, names)) <= 63
    assert len(set(names)) == len(names)
