"""Tests of splitting pages into records, and of translating records."""

import json
import tracemalloc
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
from readplane.poll.source.payload.csv_payload import BYTES_PER_ROW
from readplane.poll.source.rules import parse_source
from readplane.poll.source.settings import Source
from readplane.poll.source.translate import (
    ParsedPage,
    TranslatedRecord,
    Translator,
    UntranslatableRecord,
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
        ("", "the response is empty, not JSON"),
        ('{"rows": [{"no": 1', "it is not JSON"),
        ("<html>hidden</html>", "it is not JSON"),
        (b"\xff\xfe{\x00}\x00", "records: found nothing"),
        (b'{"rows": "\xff"}', "records: found a string, not a list"),
        ('{"rows": NaN}', "records: found NaN or Infinity, not a list"),
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


def test_a_response_that_is_not_the_expected_one_is_a_page_error() -> None:
    assert page('{"rows": []}', expect="!errors").records == []
    assert "expect: the response isn't the expected one" in bad_page('{"rows": [], "errors": [1]}', expect="!errors")
    assert "expect: found a list; compare it" in bad_page('{"rows": [], "errors": ["hidden"]}', expect="errors")
    assert "expect: found nothing; compare it" in bad_page('{"rows": []}', expect="ok")
    assert bad_page('{"ok": 1}', expect="abs(rows)").startswith("expect: abs() takes number")


MORE = {"style": "page", "parameter": "p", "more": "more", "total": "total"}


def test_a_page_tells_what_follows() -> None:
    found = page('{"rows": [], "more": true, "total": "120"}', paging=MORE)
    assert (found.more, found.total, found.delta) == (True, 120, None)
    assert page('{"rows": [], "more": false, "total": 0}', paging=MORE)[2:] == (False, 0, None)
    links = {"style": "link", "next": "next", "delta": "delta"}
    assert page('{"rows": [], "delta": "/d"}', paging=links) == ParsedPage([], None, None, None, "/d")
    assert page('{"rows": [], "next": "/2"}', paging=links) == ParsedPage([], "/2")


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ('"total": 1', "paging.more: found nothing; compare it, so that it is true or false"),
        ('"total": 1, "more": 0', "paging.more: found a number"),
        ('"total": 1, "more": "hidden"', "paging.more: found a string"),
        ('"more": true', "paging.total: found nothing, not a whole number"),
        ('"more": true, "total": -1', "paging.total: found a number"),
        ('"more": true, "total": 1.5', "paging.total: found a number"),
        ('"more": true, "total": NaN', "paging.total: found NaN or Infinity"),
        ('"more": true, "total": "hidden"', "paging.total: found a string"),
        ('"more": true, "total": true', "paging.total: found a boolean"),
        ('"more": true, "total": 9999999999999999', "paging.total: found a number"),
    ],
)
def test_what_a_page_tells_must_be_usable(members: str, problem: str) -> None:
    assert problem in bad_page(f'{{"rows": [], {members}}}', paging=MORE)


def test_an_unusable_link_is_a_page_error() -> None:
    assert "paging.next: found NaN" in bad_page('{"rows": [], "next": NaN}')
    assert "paging.next: found a string" in bad_page(b'{"rows": [], "next": "/hidden\xff"}')
    links = {"style": "link", "next": "next", "delta": "delta"}
    assert "paging.delta: found a list" in bad_page('{"rows": [], "delta": []}', paging=links)


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (b'"x": NaN', "bad_number"),
        (b'"x": [{"y": -Infinity}]', "bad_number"),
        (b'"name": "K\xe4se"', "bad_encoding"),
        (b'"name": "cut \xc3"', "bad_encoding"),
        (b'"name": "\xed\xa0\x80"', "bad_encoding"),
        (b'"n\xff": 1', "bad_encoding"),
        (b'"x": 1, "x": "\xff"', "bad_encoding"),
        (rb'"path": "C:\photos"', "bad_encoding"),
        (rb'"name": "it\'s"', "bad_encoding"),
        (b'"name": "tab\there"', None),
        (b'"name": "line\nhere"', None),
        (rb'"name": "C:\\photos \u00e4"', None),
        (b'"x": 1e400', None),
    ],
)
def test_one_bad_value_spoils_only_its_record(member: bytes, reason: str | None) -> None:
    body = b'{"rows": [{"no": "a", "changed": 5}, {"no": "b", "changed": 5, %s}, {"no": "c", "changed": 5}]}' % member
    translator = Translator(source(translation="@"), ANYTHING)
    first, second, third = (translator.translate_record(record, NOW) for record in translator.parse_page(body).records)
    assert isinstance(first, TranslatedRecord) and isinstance(third, TranslatedRecord)
    if reason is None:
        assert isinstance(second, TranslatedRecord) and second.item_id == "b"
    else:
        assert isinstance(second, UntranslatableRecord) and (second.reason, second.item_id) == (reason, "b")
        assert content(translator.translate_raw_text(second.raw_text, NOW)) == content(second)
        assert second.raw_text.encode()


def test_a_record_whose_id_is_bad_too_has_no_id() -> None:
    for id_encoding in (None, "tilde"):
        translator = Translator(source(id_encoding=id_encoding), ANYTHING)
        (record,) = translator.parse_page(b'{"rows": [{"no": "\xff", "changed": 5}]}').records
        result = translator.translate_record(record, NOW)
        assert isinstance(result, UntranslatableRecord) and (result.reason, result.item_id) == ("bad_encoding", None)


def test_an_id_may_be_encoded() -> None:
    assert good(row(no="a/b c"), id_encoding="tilde").item_id == "a~2Fb~20c"
    assert good(row(no=-7), id_encoding="tilde").item_id == "0~~-7"
    assert 'set id_encoding = "tilde"' in refused(row(no="a/b")).detail
    for bad in ("", "/" * 86, "\ud800"):
        assert refused(row(no=bad), id_encoding="tilde").reason == "bad_id"


def test_a_version_may_be_a_local_time() -> None:
    version = {"expression": "changed", "format": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin"}
    assert good(row(changed="14.11.2023 23:13"), version=version).version_ms == 1_699_999_980_000
    result = refused(row(changed="14.11.2033 23:13"), version=version)
    assert "more than 300 s ahead, read as %d.%m.%Y %H:%M in Europe/Berlin; correct" in result.detail


def test_the_list_of_deleted_records_gives_deleted_items() -> None:
    deletes = {
        "url": "http://office.example/deleted?since={cursor}",
        "records": "gone",
        "id": "key",
        "version": {"expression": "at", "format": "unix_s"},
        "paging": {"style": "link", "next": "following"},
    }
    translator = Translator.for_deletes(source(deletes=deletes, expect="rows", id_encoding="tilde"))
    found = translator.parse_page(b'{"gone": [{"key": "a/b", "at": 5}, {"key": "c"}], "following": "/2"}')
    first, second = (translator.translate_record(record, NOW) for record in found.records)
    assert found.next == "/2" and first[:5] == ("a~2Fb", 5000, True, None, None)
    assert isinstance(second, UntranslatableRecord) and (second.reason, second.item_id) == ("bad_version", "c")
    with pytest.raises(PageError, match="records: found nothing"):
        translator.parse_page(b'{"rows": []}')


CSV = {
    "payload": {"format": "csv"},
    "records": None,
    "version": {"expression": "changed", "format": "date"},
    "deleted": "removed == '1'",
    "paging": {"style": "none"},
}
HEADER = b"no,changed,name,removed\n"


def records_of(body: bytes, **settings: Any) -> list[TranslatedRecord | UntranslatableRecord]:
    translator = Translator(source(**{"translation": "{name: name}", "owner": None, **settings}), ANYTHING)
    results = [translator.translate_record(record, NOW) for record in translator.parse_page(body).records]
    for result in results:
        assert content(translator.translate_raw_text(result.raw_text, NOW)) == content(result)
    return results


def test_csv_rows_are_records() -> None:
    body = HEADER + b'007,1970-01-02,"a ""b"", c",\r\n\n8,1970-01-02,n,1\n'
    first, second = records_of(b"\xef\xbb\xbf" + body, **CSV)
    assert first[:5] == ("007", 86_400_000, False, None, '{"name":"a \\"b\\", c"}')
    assert second[:5] == ("8", 86_400_000, True, None, None)
    assert records_of(HEADER, **CSV) == []
    assert len(records_of(body, **{**CSV, "records": "[?no == '8']"})) == 1


def test_a_csv_row_that_fits_not_is_refused_alone_even_behind_a_filter() -> None:
    body = HEADER + b'1,1970-01-02,n,\n2,1970-01-02\n3,1970-01-02,"a"b,\n4,1970-01-02,\xff,\n5,1970-01-02,n,\n'
    for records in (None, "[?changed]"):
        results = records_of(body, **{**CSV, "records": records})
        assert sorted(result.item_id or "-" for result in results) == ["-", "-", "1", "4", "5"]
        bad = {result.detail for result in results if isinstance(result, UntranslatableRecord)}
        assert len(bad) == 3 and all("CSV row has" in detail or "no text" in detail for detail in bad)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "the CSV is empty"),
        (b"\n\n", "the CSV is empty"),
        (b"Too many requests: hidden", "id: the CSV's 1 columns lack the one"),
        (b"no;changed;name\n1;2;3\n", "payload.delimiter"),
        (b'no,changed\n1,"1970-01-02', "ends inside quotes"),
        (b"no,no\n", "names a column twice"),
        (b'"no"x,changed\n', "header has malformed quotes"),
        (b"no," + b"a" * 5000, "so long a name"),
        (b"no" + b",".join(b"%d" % at for at in range(5000)), "more than 4096 columns"),
    ],
)
def test_a_csv_that_cannot_be_a_list_is_a_page_error_and_never_an_empty_list(body: bytes, problem: str) -> None:
    assert problem in bad_page(body, **CSV)


XML = {
    "payload": {"format": "xml"},
    "records": "shop.list.row",
    "id": '"@no"',
    "version": {"expression": "changed", "format": "unix_ms"},
    "deleted": "removed == 'yes'",
    "paging": {"style": "link", "next": "shop.next"},
}


def rows_in_xml(rows: str) -> bytes:
    return f"<shop><list>{rows}</list><next>/2</next></shop>".encode()


def test_xml_elements_are_records() -> None:
    row = "<row no='{}'><changed>5</changed><name>n &amp; <![CDATA[<m>]]></name></row>"
    for count in (0, 1, 3):
        results = records_of(rows_in_xml("".join(row.format(at) for at in range(count))), **XML)
        assert [result[:5] for result in results] == [
            (str(at), 5, False, None, '{"name":"n & <m>"}') for at in range(count)
        ]
    assert page(rows_in_xml(""), **XML) == ParsedPage([], "/2")
    assert page(b"<shop><list total='0'/></shop>", **XML) == page(b"<shop><list> </list></shop>", **XML)


@pytest.mark.parametrize("value", ["\x0b", "&#11;", "A&B", "&nbsp;", "&#xFFFF;", "&", b"\xff"])
def test_one_bad_character_in_xml_spoils_only_its_record(value: str | bytes) -> None:
    text = value.encode() if isinstance(value, str) else value
    rows = [b"<row no='%d'><changed>5</changed><name>%s</name></row>" % (at, text if at == 1 else b"<![CDATA[a&b]]>")
            for at in range(3)]  # fmt: skip
    results = records_of(b"<shop><list>" + b"".join(rows) + b"</list></shop>", **XML)
    assert [(result.item_id, isinstance(result, TranslatedRecord)) for result in results] == [
        ("0", True),
        ("1", False),
        ("2", True),
    ]
    assert isinstance(results[1], UntranslatableRecord) and results[1].reason == "bad_encoding"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not well-formed XML"),
        (b"<error>hidden</error>", "records: found nothing, not a list"),
        (b"<shop><error>hidden</error></shop>", "records: found nothing, not a list"),
        (b"<shop>hidden</shop>", "records: found nothing, not a list"),
        (b"<shop><list><row></shop>", "not well-formed XML: look at line 1, column"),
    ],
)
def test_an_xml_that_cannot_be_a_list_is_a_page_error_and_never_an_empty_list(body: bytes, problem: str) -> None:
    assert problem in bad_page(body, **XML)


def test_an_empty_list_in_xml_needs_a_path_of_names() -> None:
    assert "records: found nothing" in bad_page(
        rows_in_xml(""), **{**XML, "records": "shop.list.row || shop.list.line"}
    )


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
        (([], []), "paging.next: found a list, not a string that is a link or token"),
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
        records = translator.parse_page(json.dumps({"rows": [value, value], "next": None}).encode()).records
    except PageError:
        return
    for record in records:
        assert translator.translate_record(record, NOW).raw_text


@pytest.mark.parametrize("row", ["1,2\n", "1\n", '"a"a\n', "1,,,,\n"])
def test_the_largest_csv_takes_no_more_memory_than_terraform_plans(row: str) -> None:
    max_bytes = 2**18
    body = ("no,name\n" + row * (max_bytes // BYTES_PER_ROW)).encode()
    translator = Translator(
        source(**CSV | {"version": None, "translation": "{name: name}", "owner": None, "max_bytes": max_bytes}),
        ANYTHING,
    )
    tracemalloc.start()
    results = [translator.translate_record(record, NOW) for record in translator.parse_page(body).records]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(results) == max_bytes // BYTES_PER_ROW and peak < 45 * max_bytes
    with pytest.raises(PageError, match="rows, for which poll may lack memory"):
        translator.parse_page(body + row.encode())
