"""Tests of the parameters with which a client filters, sorts and searches a list, and of the list's cursors."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.model.fields import MAX_TEXT_BYTES, Field, FieldType, FieldValue, Relational, Search
from readplane.model.query import (
    MAX_CONDITIONS,
    MAX_FILTER,
    MAX_SEARCH,
    OPERATORS,
    Condition,
    ListQuery,
    ParameterError,
    Position,
    QueryParser,
)

TYPES: dict[str, FieldType] = {"price": "number", "colour": "text", "active": "boolean", "made": "time"}
RELATIONAL = Relational(
    {name: Field(name, kind, f"/{name}") for name, kind in TYPES.items()}, ("price", "colour"), Search(("/name",))
)
PARSER = QueryParser("products", RELATIONAL)
PLAIN = QueryParser("products", RELATIONAL._replace(sort=(), search=Search()))


def parse(parser: QueryParser = PARSER, **parameters: str) -> ListQuery:
    return parser.parse(parameters, 50)


def refusal(parser: QueryParser = PARSER, **parameters: str) -> ParameterError:
    with pytest.raises(ParameterError) as caught:
        parse(parser, **parameters)
    return caught.value


def test_a_filter_is_a_list_of_conditions_with_typed_values() -> None:
    text = r"price:ge:1.50,price:lt:1e3,colour:eq:red\, or \\ blue:x,active:ne:true,made:le:2026-11-28T09:00:00+01:00"
    query = parse(filter=text)
    assert query.conditions == (
        Condition("price", "ge", Decimal("1.50")),
        Condition("price", "lt", Decimal(1000)),
        Condition("colour", "eq", "red, or \\ blue:x"),
        Condition("active", "ne", True),
        Condition("made", "le", datetime(2026, 11, 28, 8, tzinfo=UTC)),
    )
    assert (query.sort, query.descending, query.search, query.limit, query.after) == (None, False, None, 50, None)
    assert parse(filter="colour:eq:").conditions == (Condition("colour", "eq", ""),)
    assert parse(filter=r"colour:eq:a\:b:c").conditions == (Condition("colour", "eq", "a:b:c"),)


def escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace(",", "\\,").replace(":", "\\:")


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200)


@given(st.lists(st.tuples(st.sampled_from(OPERATORS), texts), min_size=1, max_size=MAX_CONDITIONS))
def test_any_text_can_be_a_value(pairs: list[tuple[str, str]]) -> None:
    query = parse(filter=",".join(f"colour:{operator}:{escape(text)}" for operator, text in pairs))
    assert [(condition.operator, condition.value) for condition in query.conditions] == pairs


@pytest.mark.parametrize(
    "text",
    [
        *("", ",", ":", "::", "price", "price:", "price:eq", "price:eq:1,", ",price:eq:1", "price:eq:1,,price:eq:2"),
        *("nope:eq:1", "PRICE:eq:1", " price:eq:1", "price :eq:1", "item_id:eq:a", "owner:eq:x", "price;--:eq:1"),
        *(
            "price:EQ:1",
            "price:=:1",
            "price:like:1",
            "price::1",
            "price:eq:1 OR 1=1",
            "active:lt:true",
            "active:ge:true",
        ),
        *("price:eq:", "price:eq:x", "price:eq:NaN", "price:eq:Infinity", "price:eq:0x10", "price:eq:1_000"),
        *("price:eq:٣", "price:eq:01", "price:eq:+1", "price:eq: 1", "price:eq:1e99999", "price:eq:" + "9" * 1_009),
        *("active:eq:TRUE", "active:eq:1", "active:eq:", "made:eq:2026-11-28", "made:eq:now", "made:eq:infinity"),
        *("made:eq:2026-13-28T09:00:00Z", "colour:eq:\\", "colour:eq:\\n", "col\\our:eq:x", "colour\\:eq:eq:x"),
        *(
            "colour:eq:\0",
            "colour:eq:\ud800",
            "\0",
            "colour:eq:" + "x" * (MAX_TEXT_BYTES + 1),
            "colour:eq:" + "€" * 342,
        ),
        "colour:eq:" + "x" * MAX_FILTER,
        ",".join(["price:eq:1"] * (MAX_CONDITIONS + 1)),
    ],
)
def test_a_wrong_filter_is_refused_by_its_name(text: str) -> None:
    assert refusal(filter=text).parameter == "filter"


@pytest.mark.parametrize(
    "text", ["", "-", "--price", "+price", "price,colour", "made", "PRICE", "item_id", "\0", "\ud800"]
)
def test_a_wrong_sort_is_refused_by_its_name(text: str) -> None:
    assert refusal(sort=text).parameter == "sort"
    assert (
        refusal(PLAIN, sort="price").detail
        == "sort, apart from a leading minus, must be one of: none in this collection."
    )


@pytest.mark.parametrize("text", ["", " ", "\n", "\0", "a\0b", "\udfff", "x" * (MAX_SEARCH + 1)])
def test_a_wrong_search_is_refused_by_its_name(text: str) -> None:
    assert refusal(q=text).parameter == refusal(PLAIN, q="x").parameter == "q"


def test_sort_and_search() -> None:
    assert parse(sort="-price") == parse(sort="price")._replace(descending=True)
    assert parse(sort="price").order == parse(sort="-price", filter="made:ge:2026-11-28T09:00:00Z").order == "price"
    assert parse(q="'; DROP TABLE x; --").search == "'; DROP TABLE x; --"


def test_without_a_sort_the_first_range_orders_the_list() -> None:
    condition = "made:lt:2026-11-28T09:00:00Z"
    assert parse(filter=f"colour:eq:red,{condition},price:ge:1").order == "made"
    assert parse(filter="colour:eq:red,price:ne:1", q="x").order is None


def test_no_message_repeats_a_text_of_the_client() -> None:
    for parameters in (
        {"filter": "price:eq:SECRET"},
        {"filter": "SECRET:eq:1"},
        {"filter": "price:SECRET:1"},
        {"sort": "SECRET"},
    ):
        assert "SECRET" not in str(refusal(PARSER, **parameters))


# Cursors.

numbers = st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**20), max_value=10**20)
values: st.SearchStrategy[tuple[str, FieldValue | None]] = st.one_of(
    st.tuples(st.just("price"), numbers | st.integers().map(Decimal) | st.none()), st.tuples(st.just("colour"), texts)
)
item_ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,20}", fullmatch=True)


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


@given(values, item_ids, st.booleans())
def test_a_cursor_stands_for_its_position(pair: tuple[str, FieldValue | None], item_id: str, descending: bool) -> None:
    field, value = pair
    parameters = {"sort": f"-{field}" if descending else field}
    query = PARSER.parse(parameters, 50)
    cursor = as_json(PARSER.cursor_of(parameters, Position(value, item_id)))
    assert PARSER.position_of(parameters, query, cursor) == Position(value, item_id)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("active", True),
        ("active", False),
        ("made", datetime(2026, 1, 1, microsecond=1, tzinfo=UTC)),
        ("price", Decimal("1E+20")),
        ("price", Decimal("1" + "0" * 1_000)),
        ("price", Decimal("9" * 996 + "0000")),
        ("price", Decimal("-0." + "9" * 997)),
    ],
)
def test_a_cursor_keeps_values_of_every_type(field: str, value: FieldValue) -> None:
    parser = QueryParser("products", RELATIONAL._replace(sort=(field,)))
    query = parser.parse({"sort": field}, 50)
    cursor = as_json(parser.cursor_of({"sort": field}, Position(value, "a")))
    assert parser.position_of({"sort": field}, query, cursor) == Position(value, "a")


LISTS = (
    {"sort": "price"},
    {"sort": "-price"},
    {"sort": "colour"},
    {"sort": "price", "q": "x"},
    {"sort": "price", "filter": "price:ge:1"},
    {"filter": "price:ge:1"},
    {"filter": "price:ge:2"},
    {"filter": "colour:eq:1"},
    {"q": "x"},
    {"q": "filter"},
)


def test_a_cursor_of_another_list_is_refused() -> None:
    for parameters in LISTS:
        cursor = PARSER.cursor_of(parameters, Position(None, "a"))
        for others in LISTS:
            query = PARSER.parse(others, 50)
            if others == parameters:
                assert PARSER.position_of(others, query, cursor) == Position(None, "a")
                assert PARSER.position_of(others, query._replace(limit=7), cursor) == Position(None, "a")
                continue
            with pytest.raises(ValueError, match="not a cursor"):
                PARSER.position_of(others, query, cursor)
        with pytest.raises(ValueError, match="not a cursor"):
            other = QueryParser("orders", RELATIONAL)
            other.position_of(parameters, other.parse(parameters, 50), cursor)


def forged(parameters: dict[str, str], **changes: Any) -> list[Any]:
    names = ("version", "hash", "value", "item_id")
    return [
        changes.get(name, part)
        for name, part in zip(names, PARSER.cursor_of(parameters, Position(None, "a")), strict=True)
    ]


WRONG_VALUES: tuple[Any, ...] = (1, True, [], {}, "x", "", "NaN", "1e999999", "9" * 5_000, "1\0")


@pytest.mark.parametrize(
    "changes",
    [
        *({"version": version} for version in (True, 0, 2, 1.0, "1", None)),
        *({"hash": text} for text in ("", None, 1, "x" * 16)),
        *({"value": value} for value in WRONG_VALUES),
        *({"item_id": item_id} for item_id in (None, 1, "", "..", "a/b", "a\0", "x" * 257, "\ud800")),
    ],
)
def test_a_forged_cursor_is_refused(changes: dict[str, Any]) -> None:
    parameters = {"sort": "price"}
    with pytest.raises(ValueError):
        PARSER.position_of(parameters, PARSER.parse(parameters, 50), forged(parameters, **changes))


@pytest.mark.parametrize("value", ["\0", "a\0b", "\ud800", "x" * (MAX_TEXT_BYTES + 1)])
def test_a_text_in_a_cursor_is_checked_like_one_in_a_filter(value: str) -> None:
    parameters = {"sort": "colour"}
    with pytest.raises(ValueError):
        PARSER.position_of(parameters, PARSER.parse(parameters, 50), forged(parameters, value=value))


def test_a_list_in_the_order_of_the_ids_has_no_value_in_its_cursor() -> None:
    parameters = {"q": "x"}
    with pytest.raises(ValueError, match="not a cursor"):
        PARSER.position_of(parameters, PARSER.parse(parameters, 50), forged(parameters, value="1"))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=5)))
def test_any_other_json_is_no_cursor(value: object) -> None:
    with pytest.raises(ValueError):
        PARSER.position_of({"sort": "price"}, PARSER.parse({"sort": "price"}, 50), value)
