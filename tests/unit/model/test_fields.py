"""Tests of the typed values of declared fields: what has a value, what isn't indexed, and that nothing raises."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from readplane.model.fields import (
    MAX_SEARCH_BYTES,
    Extracted,
    Extractor,
    Field,
    FieldType,
    FieldValue,
    Relational,
    Search,
    parse_value,
    print_value,
)

DEEP = "[" * 100_000 + "]" * 100_000
TYPES: tuple[FieldType, ...] = ("number", "text", "boolean", "time")
VALUES = {
    "number": st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
    "text": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=256),
    "boolean": st.sampled_from(["true", "false"]),
    "time": st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)).map(
        lambda at: f"{at.isoformat()}Z"
    ),
}


def extract(kind: FieldType, data: str, pointer: str = "/f") -> Extracted:
    return Extractor(Relational({"f": Field("f", kind, pointer)})).extract(data)


def value(kind: FieldType, json_text: str) -> tuple[FieldValue | None, int]:
    """Return the value of a field whose JSON value is given, and whether it counts as not indexed."""
    extracted = extract(kind, f'{{"f":{json_text}}}')
    return extracted.values[0], extracted.not_indexed


@pytest.mark.parametrize(
    ("kind", "json_text", "expected"),
    [
        ("number", "12.50", Decimal("12.5")),
        ("number", "-0", Decimal(0)),
        ("number", "1E+2", Decimal(100)),
        ("number", "0e99999999999", Decimal(0)),
        (
            "number",
            "123456789012345678901234567890.000000000001",
            Decimal("123456789012345678901234567890.000000000001"),
        ),
        ("number", "1e1000", Decimal("1e1000")),
        ("number", "9" * 1000, Decimal("9" * 1000)),
        ("text", '""', ""),
        ("text", '"é😀"', "é😀"),
        ("text", '"\\ud83d\\ude00"', "😀"),
        ("text", json.dumps("x" * 1024), "x" * 1024),
        ("boolean", "false", False),
        ("boolean", "true", True),
        ("time", '"2026-01-31T08:15:00Z"', datetime(2026, 1, 31, 8, 15, tzinfo=UTC)),
        ("time", '"2026-01-31t08:15:00.1234567+01:30"', datetime(2026, 1, 31, 6, 45, 0, 123456, tzinfo=UTC)),
        ("time", '"2016-12-31T23:59:60Z"', datetime(2017, 1, 1, tzinfo=UTC)),
        ("time", '"2026-01-31T08:15:00-01:30"', datetime(2026, 1, 31, 9, 45, tzinfo=UTC)),
    ],
)
def test_value_of_the_declared_type_has_every_digit(kind: FieldType, json_text: str, expected: FieldValue) -> None:
    assert value(kind, json_text) == (expected, 0)


@pytest.mark.parametrize(
    ("kind", "json_text"),
    [
        ("number", "1e1001"),
        ("number", "1e-1001"),
        ("number", "1.5e-1000"),
        ("number", "1e200000"),
        ("number", "1e99999999999999999999999"),
        ("number", "9" * 1001),
        ("number", "9" * 5000),
        ("number", '"12"'),
        ("number", "true"),
        ("number", "[1]"),
        ("text", "12"),
        ("text", "{}"),
        ("text", json.dumps("x" * 1025)),
        ("text", json.dumps("é" * 513)),
        ("text", '"a\\u0000b"'),
        ("text", '"\\ud800"'),
        ("boolean", "0"),
        ("boolean", '"true"'),
        ("time", '"2026-02-30T08:15:00Z"'),
        ("time", '"0000-01-01T00:00:00Z"'),
        ("time", '"0001-01-01T00:00:00+01:00"'),
        ("time", '"9999-12-31T23:59:59-01:00"'),
        ("time", '"2026-01-31T08:15:61Z"'),
        ("time", '"2026-01-31T24:00:00Z"'),
        ("time", '"2026-01-31T08:15:00+24:00"'),
        ("time", '"2026-01-31T08:15:00+01:60"'),
        ("time", '"2026-01-31T08:15:00"'),
        ("time", '"2026-01-31"'),
        ("time", '"٢٠٢٦-01-31T08:15:00Z"'),
        ("time", "1700000000"),
    ],
)
def test_any_other_value_is_counted_and_not_indexed(kind: FieldType, json_text: str) -> None:
    assert value(kind, json_text) == (None, 1)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("data", ['{"g":1}', '{"f":null}', "{}"])
def test_absent_value_and_null_are_not_counted(kind: FieldType, data: str) -> None:
    assert extract(kind, data) == ((None,), None, 0)


def test_name_that_occurs_twice_is_counted() -> None:
    assert extract("number", '{"f":1,"f":2}') == ((None,), None, 1)
    assert extract("number", '{"f":{"g":1},"f":{"g":2}}', "/f/g") == ((None,), None, 1)
    assert extract("number", '{"e":1,"e":2,"f":3}') == ((Decimal(3),), None, 0)


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("/a/b/1", 2),
        ("/a~1b", 3),
        ("/a~0b", 4),
        ("/~01", 5),
        ("/", 6),
        ("/a/b/01", None),
        ("/a/b/2", None),
        ("/a/b/-", None),
        ("/a/b/1/c", None),
        ("/a/b/" + "9" * 5000, None),
    ],
)
def test_pointer_finds_what_rfc_6901_says(pointer: str, expected: int | None) -> None:
    data = '{"a":{"b":[1,2]},"a/b":3,"a~b":4,"~1":5,"":6}'
    assert extract("number", data, pointer).values == (None if expected is None else Decimal(expected),)


@pytest.mark.parametrize("data", [f'{{"f":{DEEP}}}', f'{{"g":{DEEP},"f":1}}', "no JSON", '{"f":NaN}', ""])
def test_item_that_cannot_be_parsed_has_no_values(data: str) -> None:
    relational = Relational({"f": Field("f", "number", "/f")}, search=Search(("/f",)))
    assert Extractor(relational).extract(data) == ((None,), None, 2)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ('{"a":"red","b":["x","y"]}', ("red\nx\ny", 0)),
        ('{"b":null}', ("", 0)),
        ('{"a":"a\\u0000b"}', ("a b", 0)),
        ('{"a":"\\ud800x"}', ("?x", 0)),
        ('{"a":1,"b":["x",2,3]}', ("x", 2)),
        ('{"a":{"c":"red"}}', ("", 1)),
        ('{"a":"x","a":"y"}', ("", 1)),
        (json.dumps({"a": "x" * (MAX_SEARCH_BYTES + 1)}), ("x" * MAX_SEARCH_BYTES, 1)),
        (json.dumps({"a": "x" + "é" * MAX_SEARCH_BYTES}), ("x" + "é" * (MAX_SEARCH_BYTES // 2 - 1), 1)),
    ],
)
def test_search_text_is_what_postgresql_can_take(data: str, expected: tuple[str, int]) -> None:
    extracted = Extractor(Relational({}, search=Search(("/a", "/b")))).extract(data)
    assert (extracted.search, extracted.not_indexed) == expected


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.floats() | st.integers(),
        lambda part: st.lists(part) | st.dictionaries(st.sampled_from(["f", "g", "0"]), part),
    ),
    st.sampled_from(TYPES),
    st.sampled_from(["/f", "/f/0", "/f/f/g"]),
)
@example({"f": float("inf")}, "number", "/f")
def test_no_item_raises(data: Any, kind: FieldType, pointer: str) -> None:
    relational = Relational({"f": Field("f", kind, pointer)}, search=Search((pointer,)))
    extracted = Extractor(relational).extract(json.dumps({"f": data}))
    assert len(extracted.values) == 1
    assert (extracted.search or "").isascii() or (extracted.search or "").encode()


@settings(deadline=None)
@given(st.sampled_from(TYPES).flatmap(lambda kind: st.tuples(st.just(kind), VALUES[kind])))
def test_text_of_a_request_means_the_same_as_the_value_of_an_item(pair: tuple[FieldType, str]) -> None:
    kind, text = pair
    parsed = parse_value(kind, text)
    assert value(kind, text if kind in ("number", "boolean") else json.dumps(text)) == (parsed, 0)
    assert parse_value(kind, print_value(parsed)) == parsed


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("number", "abc"),
        ("number", "01"),
        ("number", " 1"),
        ("number", "1\n"),
        ("number", "NaN"),
        ("number", "Infinity"),
        ("number", "1_000"),
        ("number", "٣"),
        ("number", "1e1001"),
        ("number", ""),
        ("text", "a\0"),
        ("text", "\ud800"),
        ("text", "x" * 1025),
        ("boolean", "True"),
        ("boolean", "1"),
        ("time", "now"),
        ("time", "2026-02-30T08:15:00Z"),
    ],
)
def test_text_that_no_item_can_have_is_refused_without_being_quoted(kind: FieldType, text: str) -> None:
    with pytest.raises(ValueError, match="it must be") as caught:
        parse_value(kind, text)
    assert not text or len(text) < 3 or text not in str(caught.value)
