"""Tests of splitting pages into records, translating records, and checking snapshots."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readplane.model.change import MAX_DATA_BYTES
from readplane.model.schema import MAX_DEPTH
from readplane.poll.errors import PageError, TranslationError
from readplane.poll.source.functions import columns
from readplane.poll.source.rules import parse_source
from readplane.poll.source.settings import Source
from readplane.poll.source.translate import (
    ParsedPage,
    TranslatedRecord,
    Translator,
    UntranslatableRecord,
    check_snapshot,
)
from tests.fakes.source_settings import add_defaults
from tests.unit.support import compile_schemas

NOW = 1_750_000_000_000


SCHEMA = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "price": {"type": "number", "multipleOf": 0.01},
        "stock": {"type": "integer"},
    },
}


VALIDATE = compile_schemas({"articles": SCHEMA})["articles"]


ANYTHING = compile_schemas({"articles": {}})["articles"]


def source(**settings: Any) -> Source:
    base: dict[str, Any] = {
        "name": "articles",
        "mode": "changes",
        "collection": "articles",
        "url": "http://office.example/",
        "records": "rows",
        "id": "no",
        "version": {"expression": "changed", "format": "unix_ms"},
        "deleted": "removed",
        "owner": "customer",
        "translation": "{name: name, price: price, stock: stock}",
        "paging": {"style": "link", "next": "next"},
        "staleness_budget": 60,
    }
    return parse_source(add_defaults(base | settings))


def page(response: str | bytes, **settings: Any) -> ParsedPage:
    body = response.encode() if isinstance(response, str) else response
    return Translator(source(**settings), VALIDATE).parse_page(body)


def bad_page(response: str | bytes, **settings: Any) -> str:
    with pytest.raises(PageError) as caught:
        page(response, **settings)
    assert "hidden" not in str(caught.value)
    return str(caught.value)


def content(result: TranslatedRecord | UntranslatableRecord) -> tuple[Any, ...]:
    if isinstance(result, UntranslatableRecord):
        return result.reason, result.detail, result.raw_text, result.item_id
    return result[:5]


def translate(record: str, validate: Any = ANYTHING, **settings: Any) -> TranslatedRecord | UntranslatableRecord:
    """Translate one record, given as JSON text, and check that it can be translated again from quarantine."""
    translator = Translator(source(**settings), validate)
    (value,) = translator.parse_page(f'{{"rows": [{record}]}}'.encode()).records
    result = translator.translate_record(value, NOW)
    # Quarantine keeps the record's `raw_text`. Translating this text again must give the same result.
    assert content(translator.translate_raw_text(result.raw_text, NOW)) == content(result)
    return result


def good(record: str, validate: Any = ANYTHING, **settings: Any) -> TranslatedRecord:
    result = translate(record, validate, **settings)
    assert isinstance(result, TranslatedRecord), result
    return result


def refused(record: str, validate: Any = ANYTHING, **settings: Any) -> UntranslatableRecord:
    result = translate(record, validate, **settings)
    assert isinstance(result, UntranslatableRecord), result
    assert "hidden" not in result.detail
    return result


def row(**values: Any) -> str:
    return json.dumps({"no": "a", "changed": NOW, "name": "n", **values})


def nested(lists: int) -> str:
    return row()[:-1] + ', "x": ' + "[" * lists + "]" * lists + "}"


def test_a_record_becomes_an_item_digit_for_digit() -> None:
    members = '"price": 1.10, "no": "a-1", "name": "Käse", "stock": 1e2, "changed": 1700000000123, "x": 0'
    record = good(f"{{{members}}}", VALIDATE)
    assert record[:5] == ("a-1", 1_700_000_000_123, False, None, '{"name":"Käse","price":1.10,"stock":1e2}')
    assert record.raw_text == '{"changed":1700000000123,"name":"Käse","no":"a-1","price":1.10,"stock":1e2,"x":0}'


def test_the_order_of_names_makes_no_difference_to_the_text() -> None:
    first, second = good('{"no": 1, "changed": 5, "name": "n"}'), good('{"name":"n",\n"changed":5,"no":1}')
    assert first.data_text == second.data_text and first.raw_text == second.raw_text


def test_a_page_has_a_list_of_records_and_a_link_or_token() -> None:
    assert page('{"rows": [], "next": "/p2"}') == ParsedPage([], "/p2")
    assert page('\ufeff{"rows": [1]}') == ParsedPage([1], None)
    assert page('{"rows": [1], "next": "/p2"}', paging={"style": "none"}) == ParsedPage([1], None)
    assert page("[1, 2]", records="@") == ParsedPage([1, 2], None)


@pytest.mark.parametrize(
    ("link_or_token", "expected"),
    [("null", None), ("false", None), ('""', None), ('"t"', "t"), ("7", "7"), ("0", "0"), ("1.0", "1.0"), ('" "', " ")],
)
def test_a_link_or_token_is_a_string_or_a_number(link_or_token: str, expected: str | None) -> None:
    assert page(f'{{"rows": [], "next": {link_or_token}}}').next == expected


@pytest.mark.parametrize("link_or_token", ["true", "[]", "{}", '["hidden"]', '"a", "next": "b"'])
def test_any_other_link_or_token_is_a_page_error(link_or_token: str) -> None:
    assert bad_page(f'{{"rows": [], "next": {link_or_token}}}').startswith("paging.next: ")


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        ("", "it is not JSON"),
        ('{"rows": [{"no": 1', "it is not JSON"),
        ("<html>hidden</html>", "it is not JSON"),
        ('{"rows": [NaN]}', "it is not JSON"),
        (b'{"rows": ["\xff"]}', "not UTF-8"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        ("[" * 1_000_000, "too deep"),
        ("{}", "records: found nothing, not a list"),
        ("null", "records: found nothing, not a list"),
        ('{"error": "hidden"}', "records: found nothing, not a list"),
        ('{"rows": {}}', "records: found an object, not a list"),
        ('{"rows": "hidden"}', "records: found a string, not a list"),
        ('{"rows": 1.50}', "records: found a number, not a list"),
        ('{"rows": true}', "records: found a boolean, not a list"),
        ('{"rows": [1], "rows": []}', "records: a name occurs twice in one object"),
    ],
)
def test_records_that_are_not_a_list_are_a_page_error_and_never_an_empty_list(
    response: str | bytes, problem: str
) -> None:
    assert problem in bad_page(response)


def test_an_expression_that_fails_is_a_page_error() -> None:
    assert bad_page('{"rows": 7}', records="sort(rows)") == (
        "records: sort() takes array-string or array-number, and found number"
    )


@pytest.mark.parametrize(
    ("value", "item_id"),
    [('"a"', "a"), ('"A-1._~"', "A-1._~"), ("7", "7"), ("0", "0"), ("123456789012345678901", "123456789012345678901")],
)
def test_an_id_is_a_string_or_a_whole_number(value: str, item_id: str) -> None:
    assert good(f'{{"no": {value}, "changed": 1}}').item_id == item_id


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("null", "found nothing"),
        ("1.0", "found a number"),
        ("1e3", "found a number"),
        ("true", "found a boolean"),
        ('["hidden"]', "found a list"),
        ('{"hidden": 1}', "found an object"),
        ('""', "must be 1 to 256"),
        ('"hidden/a"', "must be 1 to 256"),
        ('"-7"', "must be 1 to 256"),
        ("-7", "must be 1 to 256"),
        ("1" * 257, "must be 1 to 256"),
        ('"ä"', "must be 1 to 256"),
        ('"a\\u0000"', "must be 1 to 256"),
        ('"a", "no": "b"', "a name occurs twice"),
    ],
)
def test_any_other_id_is_refused(value: str, problem: str) -> None:
    result = refused(f'{{"no": {value}, "changed": 1}}')
    assert result.item_id is None and result.detail.startswith("id: ") and problem in result.detail
    assert result.reason == ("untranslatable" if "twice" in problem else "bad_id")


@pytest.mark.parametrize("record", ["null", "7", '"hidden"', "[]", "{}"])
def test_a_value_that_is_no_record_spoils_only_itself(record: str) -> None:
    result = refused(record)
    assert result.reason == "bad_id" and result.raw_text == record


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("null", "found nothing, not a Unix time"),
        ('"hidden"', "found a string, not a Unix time"),
        ("true", "found a boolean"),
        ("-1", "before 1970"),
        (str(NOW + 5 * 60_000 + 1), "more than 300 s ahead, read as unix_ms"),
        ("1e400", "found a number"),
        ("1e99", "more than 300 s ahead"),
        ("9" * 5000, "found a number"),
    ],
)
def test_an_impossible_version_is_refused(value: str, problem: str) -> None:
    result = refused(f'{{"no": "a", "changed": {value}}}')
    assert (result.reason, result.item_id) == ("bad_version", "a") and problem in result.detail


def test_a_version_may_be_as_far_ahead_as_a_clock_may_be_wrong() -> None:
    assert good(row(changed=NOW + 5 * 60_000)).version_ms == NOW + 5 * 60_000
    assert good(row(changed=0)).version_ms == 0


def test_a_source_without_a_version_field_gives_records_without_versions() -> None:
    assert good(row(changed="hidden"), version=None).version_ms is None


@pytest.mark.parametrize(("value", "deleted"), [(None, False), (False, False), (0, False), (True, True), (1, True)])
def test_a_record_is_deleted_if_it_says_so(value: Any, deleted: bool) -> None:
    record = good(row(removed=value))
    assert record.deleted is deleted and (record.data_text is None) is deleted


@pytest.mark.parametrize("value", ["0", "1", "", "false", "N", "2025-01-01", 2, 0.5, [], {}])
def test_a_deleted_field_that_is_neither_true_nor_false_deletes_nothing(value: Any) -> None:
    result = refused(row(removed=value))
    assert result.reason == "untranslatable" and "compare it" in result.detail


def test_a_deleted_record_needs_no_data() -> None:
    record = good(row(removed=1, name=None), VALIDATE, translation="abs(name)")
    assert (record.item_id, record.version_ms, record.data_text) == ("a", NOW, None)


def test_an_owner_is_the_sub_of_a_user() -> None:
    sub = "0f8fad5b-d9cb-469f-a165-70867728950e"
    assert good(row(customer=sub)).owner == sub
    assert good(row()).owner is None
    for value in (7, "", "a/hidden", ["a"], True):
        result = refused(row(customer=value))
        assert result.reason == "bad_owner" and result.item_id == "a"


@pytest.mark.parametrize(
    ("record", "translation", "problem"),
    [
        (row(), "nothing", "translation: found nothing, not an object"),
        (row(), "name", "translation: found a string, not an object"),
        (row(), "[name]", "translation: found a list, not an object"),
        (row(), "{a: abs(name)}", "translation: abs() takes number, and found string"),
        (row(), "{a: &name}", "translation: JSON knows no _Expression"),
        (row()[:-1] + ', "x": 1, "x": 2}', "@", "translation: a name occurs twice in one object"),
        (row()[:-1] + ', "x": {"y": 1, "y": 2}}', "{x: x.y}", "translation: a name occurs twice in one object"),
        (row()[:-1] + ', "x": [{"y": 1, "y": 2}]}', "{x: x}", "translation: a name occurs twice in one object"),
        (
            row()[:-1] + ', "x": ' + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1) + "}",
            "@",
            "nested more than 100 deep",
        ),
        (row()[:-1] + ', "x": ' + "[" * 900 + "]" * 900 + "}", "@", "nested more than 100 deep"),
    ],
)
def test_data_is_one_object(record: str, translation: str, problem: str) -> None:
    result = refused(record, translation=translation)
    assert (result.reason, result.item_id) == ("untranslatable", "a") and problem in result.detail


def test_data_may_be_as_deep_as_a_body() -> None:
    assert good(nested(MAX_DEPTH), translation="@").data_text


def test_a_duplicate_name_that_no_expression_reads_spoils_nothing() -> None:
    assert good(row()[:-1] + ', "x": 1, "x": 2}').data_text == '{"name":"n","price":null,"stock":null}'


def test_data_is_bounded() -> None:
    largest = MAX_DATA_BYTES - len('{"name":""}')
    for letter, size in (("a", 1), ("ä", 2), ("😀", 4)):
        fits = letter * (largest // size) + "a" * (largest % size)
        record = good(row(name=fits), translation="{name: name}")
        assert record.data_text and len(record.data_text.encode()) == MAX_DATA_BYTES
        result = refused(row(name=fits + "a"), translation="{name: name}")
        assert (result.reason, result.item_id) == ("too_large", "a")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"name": ""}, "/name: The schema says minLength: 1 here."),
        ({"name": None}, '/name: The schema says type: "string" here.'),
        ({"price": "hidden"}, '/price: The schema says type: "number" here.'),
        ({"price": 1.105}, "/price: The schema says multipleOf: 0.01 here."),
    ],
)
def test_data_must_fit_the_collections_schema(values: Mapping[str, Any], problem: str) -> None:
    result = refused(row(**{"price": 1, "stock": 1, **values}), VALIDATE)
    assert (result.reason, result.item_id, result.detail) == ("invalid", "a", problem)


def test_a_missing_name_is_reported_for_the_whole_object() -> None:
    result = refused(row(), VALIDATE, translation="{price: `1`}")
    assert result.detail == 'the whole object: The schema requires "name" here.'


def test_the_schema_checks_numbers_exactly() -> None:
    def record(price: str, stock: str) -> str:
        return f'{{"no": "a", "changed": 1, "name": "n", "price": {price}, "stock": {stock}}}'

    for price in ("1.10", "1e2", "100", "-0", "1e308", "19.01", "9007199254740993.01"):
        good(record(price, "1.0"), VALIDATE)
    for stock in ("1e308", "9" * 309, "9007199254740993.0"):
        good(record("1", stock), VALIDATE)
    for price, stock in (
        ("1e400", "1"),
        ("1e-400", "1"),
        ("1", "9" * 5000),
        ("0.1000000000000000055", "1"),
        ("1", "1.5"),
        ("1", "9007199254740993.5"),
    ):
        assert refused(record(price, stock), VALIDATE).reason == "invalid"


def test_a_record_with_several_faults_tells_how_many() -> None:
    result = refused(row(name="", price="hidden", stock=1.5), VALIDATE)
    assert result.detail == "/name: The schema says minLength: 1 here. (and 2 more)"


def test_one_bad_record_leaves_the_others_alone() -> None:
    rows = ",".join(row(no=f"i{at}", name=7 if at == 50 else "n", price=1, stock=1) for at in range(100))
    translator = Translator(source(), VALIDATE)
    results = [
        translator.translate_record(value, NOW)
        for value in translator.parse_page(f'{{"rows": [{rows}]}}'.encode()).records
    ]
    assert [at for at, result in enumerate(results) if isinstance(result, UntranslatableRecord)] == [50]


def test_a_snapshot_must_be_json_that_fits_the_schema() -> None:
    check_snapshot(b' {"name": "n", "price": 1.10}\n', VALIDATE)
    check_snapshot(b"[1, 2]", ANYTHING)
    for body, problem in (
        (b"", "not JSON"),
        (b'{"name": "n"', "not JSON"),
        (b"<html>", "not JSON"),
        (b'\xef\xbb\xbf{"name": "n"}', "byte order mark"),
        (b'{"name": "\xff"}', "UTF-8"),
        (b'{"name": "n", "name": "m"}', "occurs twice"),
        (b'{"name": "n", "a": [{"b": 1, "b": 2}]}', "occurs twice"),
        (b"[" * 102 + b"]" * 102, "deep"),
        (b'{"name": ""}', "/name: The schema says minLength"),
        (b"{}", "the response: The schema requires"),
    ):
        with pytest.raises(PageError, match=problem):
            check_snapshot(body, VALIDATE)


FUNCTION = "readplane.poll.source.functions.columns:"


def by_function(name: str) -> Translator:
    raw = {"name": "a", "mode": "changes", "collection": "a", "url": "http://o.example/", "staleness_budget": 1}
    return Translator(
        parse_source(add_defaults({**raw, "paging": {"style": "link"}, "function": FUNCTION + name})), VALIDATE
    )


class Careless:
    versioned = True
    pages: Any = ([{}], None)
    item_is: Any = None

    def page(self, payload: Any) -> Any:
        if isinstance(self.pages, Exception):
            raise self.pages
        return self.pages

    def item(self, record: Any) -> Any:
        if isinstance(self.item_is, Exception):
            raise self.item_is
        return self.item_is


@pytest.fixture
def careless(monkeypatch: pytest.MonkeyPatch) -> type[Careless]:
    subclass = type("Careless", (Careless,), {})
    monkeypatch.setattr(columns, "Careless", subclass, raising=False)
    return subclass


@pytest.mark.parametrize(
    ("pages", "problem"),
    [
        (ValueError("hidden"), "function: page() fails (ValueError)"),
        (TranslationError("no rows"), "function: no rows"),
        (None, "function: page() fails (TypeError)"),
        ((None, None), "function: records: found nothing, not a list"),
        (([object()], None), "function: page() fails (ValueError)"),
        (([float("nan")], None), "function: page() fails (ValueError)"),
        (([], []), "paging.next: found a list, not a string"),
    ],
)
def test_a_function_that_fails_on_a_page_is_a_page_error_with_a_reason(careless: Any, pages: Any, problem: str) -> None:
    careless.pages = pages
    with pytest.raises(PageError) as caught:
        by_function("Careless").parse_page(b"{}")
    assert str(caught.value) == problem


GOOD: dict[str, Any] = {"id": "a", "version": 5, "data": {"name": "n"}}


@pytest.mark.parametrize(
    ("item", "reason", "problem"),
    [
        (KeyError("hidden"), "untranslatable", "function: item() fails (KeyError)"),
        (TranslationError("no name"), "untranslatable", "function: no name"),
        (None, "untranslatable", "function: item() fails (TypeError)"),
        ({}, "bad_id", "id: found nothing"),
        (GOOD | {"version": None}, "bad_version", "version: found nothing"),
        (GOOD | {"version": datetime.now(UTC)}, "bad_version", "version: found datetime"),
        (GOOD | {"deleted": "hidden"}, "untranslatable", "deleted: found a string"),
        (GOOD | {"owner": object()}, "bad_owner", "owner: found object"),
        (GOOD | {"data": ()}, "untranslatable", "translation: found tuple"),
        (GOOD | {"data": {"name": ("n",)}}, "untranslatable", "translation: JSON knows no tuple"),
        (GOOD | {"data": {"name": "n", 1: 2}}, "untranslatable", "translation: "),
        (GOOD | {"data": {"name": float("inf")}}, "untranslatable", "translation: JSON knows no NaN"),
        (GOOD | {"data": {}}, "invalid", "the whole object: The schema requires"),
    ],
)
def test_a_function_that_fails_on_a_record_spoils_only_the_record_with_a_reason(
    careless: Any, item: Any, reason: str, problem: str
) -> None:
    careless.item_is = item
    result = by_function("Careless").translate_record({}, NOW)
    assert isinstance(result, UntranslatableRecord) and result.reason == reason and result.detail.startswith(problem)
    careless.item_is = GOOD
    assert by_function("Careless").translate_record({}, NOW)[:5] == ("a", 5, False, None, '{"name":"n"}')
    careless.versioned = False
    assert by_function("Careless").translate_record({}, NOW)[1] is None


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda part: st.lists(part) | st.dictionaries(st.text() | st.sampled_from(["no", "changed", "name"]), part),
    max_leaves=15,
)


@settings(deadline=None)
@given(VALUES)
def test_any_response_is_a_page_of_records_or_a_page_error(value: Any) -> None:
    translator = Translator(source(), VALIDATE)
    try:
        records, _ = translator.parse_page(json.dumps({"rows": [value, value], "next": None}).encode())
    except PageError:
        return
    for record in records:
        assert translator.translate_record(record, NOW).raw_text
