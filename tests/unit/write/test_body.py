"""Tests of the rules that the body of a write request must meet."""

import json
import time
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.api.problem import ProblemError, bad_body
from readplane.model.change import MAX_DATA_BYTES
from readplane.model.errors import InvalidError
from readplane.model.schema import MAX_DEPTH, SchemaValidator
from readplane.write.body import check_content_type, parse_body
from tests.unit.support import compile_schemas

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "price": {"type": "number"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}
VALIDATOR = compile_schemas({"products": SCHEMA})["products"]
ANYTHING = compile_schemas({"any": {}})["any"]


def refusal(body: bytes, validator: SchemaValidator = VALIDATOR) -> ProblemError:
    """Check that `write` refuses a request body, and return the error that the client gets."""
    with pytest.raises((InvalidError, ProblemError)) as caught:
        parse_body(body, validator)
    error = bad_body(caught.value) if isinstance(caught.value, InvalidError) else caught.value
    assert isinstance(error, ProblemError)
    return error


def test_the_text_stays_as_it_came_on_one_line() -> None:
    assert parse_body(b' {"name": "K\\n",\r\n "price": 1.10}\n', VALIDATOR) == '{"name": "K\\n",   "price": 1.10}'
    exact = b'{"n": 123456789012345678901234567890.000100, "e": 1E400, "s": "\\ud800"}'
    assert parse_body(exact, ANYTHING).encode() == exact


@given(st.dictionaries(st.text(), st.recursive(st.integers() | st.text(), st.lists, max_leaves=5)))
def test_every_object_stays_equal_and_loses_its_line_breaks(value: dict[str, object]) -> None:
    for indent in (None, 2):
        text = parse_body(json.dumps(value, indent=indent).encode(), ANYTHING)
        assert "\n" not in text and "\r" not in text and json.loads(text) == value


@pytest.mark.parametrize(
    ("body", "pointer", "code", "word"),
    [
        (b"", "", "empty_body", "empty"),
        (b" \r\n\t", "", "empty_body", "empty"),
        (b"{", "", "not_json", "line 1"),
        (b"[]", "", "not_an_object", "one JSON object"),
        (b"null", "", "not_an_object", "one JSON object"),
        (b'{"name": "x"} {}', "", "not_json", "not JSON"),
        (b'\xef\xbb\xbf{"name": "x"}', "", "byte_order_mark", "byte order mark"),
        (b"\xef\xbb\xbf", "", "byte_order_mark", "byte order mark"),
        ('{"name": "x"}'.encode("utf-16"), "", "not_utf8", "UTF-8"),
        (b'{"name": "\xff"}', "", "not_utf8", "UTF-8"),
        ('{"name": "\ufffd"}'.encode(), "", "not_utf8", "U+FFFD"),
        (b'{"name": NaN}', "", "not_json", "NaN"),
        (b'{"name": -Infinity}', "", "not_json", "-Infinity"),
        (b'{"price": ' + b"9" * 5000 + b"}", "", "number_too_large", "digits"),
        (b'{"price": 1e1000000000000000000}', "", "number_too_large", "exponent"),
        (b'{"price": 1e-9999999999999999999}', "", "number_too_large", "exponent"),
        (b'{"name": "x", "name": "y"}', "/name", "duplicate_name", "twice"),
        (b'{"name": "x", "tags": [{"a/b": {"q": 1, "q": 1}}]}', "/tags/0/a~1b/q", "duplicate_name", "twice"),
        (b'{"name": ""}', "/name", "min_length", "minLength"),
        (b'{"name": "x", "price": true}', "/price", "type", "number"),
    ],
)
def test_a_refusal_names_the_place_in_the_body(body: bytes, pointer: str, code: str, word: str) -> None:
    problem = refusal(body)
    assert problem.status == HTTPStatus.BAD_REQUEST
    assert (problem.members["pointer"], problem.members["code"]) == (pointer, code)
    assert word in problem.detail
    assert [fault.members() for fault in problem.errors] == [
        {"pointer": pointer, "code": code, "detail": problem.detail}
    ]


def test_all_broken_rules_are_listed_at_once() -> None:
    document = refusal(b'{"name": "", "tags": [1], "colour": 1}').document("r")
    errors = document["errors"]
    assert isinstance(errors, list)
    assert [(error["pointer"], error["code"]) for error in errors] == [
        ("/name", "min_length"),
        ("/tags/0", "type"),
        ("", "additional_properties"),
    ]
    assert {name: document[name] for name in ("pointer", "code", "detail")} == errors[0]


def test_all_duplicate_names_are_listed_at_once_in_their_order() -> None:
    body = b'{"a": {"x": 1, "y": {"z": 1, "z": 2}, "x": 2}, "b": [{"c": 1, "c": 1, "c": 1}], "a": {"d": 1, "d": 2}}'
    assert [fault.pointer for fault in refusal(body, ANYTHING).errors] == ["/a", "/a/x", "/a/y/z", "/b/0/c", "/a/d"]
    many = b'{"a":[' + b",".join([b'{"a":1,"a":1}'] * 1000) + b"]}"
    assert [fault.pointer for fault in refusal(many, ANYTHING).errors] == [f"/a/{index}/a" for index in range(20)]


def test_numbers_are_checked_exactly() -> None:
    validator = compile_schemas({"c": {"properties": {"id": {"type": "integer"}, "price": {"multipleOf": 0.01}}}})["c"]
    body = b'{"id": 9007199254740993.0, "price": 19.01}'
    assert parse_body(body, validator).encode() == body
    for wrong in (b'{"id": 9007199254740993.5}', b'{"price": 19.011}', b'{"id": 1e-999999999}'):
        assert refusal(wrong, validator).status == HTTPStatus.BAD_REQUEST
    assert refusal(b'{"price": 1e999999999}', validator).members["code"] == "number_too_large"


def test_a_refusal_repeats_no_value_of_the_body() -> None:
    assert "s3cret" not in json.dumps(refusal(b'{"name": 7, "price": "s3cret"}').document("r"))
    assert "s3cret" not in json.dumps(refusal(b'{"name": "x", "price": "s3cret"}').document("r"))


def test_a_repeated_name_among_thousands_is_found_within_a_second() -> None:
    names = [*(f"n{number}" for number in range(20_000)), "n19999"]
    start = time.process_time()
    problem = refusal(("{" + ",".join(f'"{name}":1' for name in names) + "}").encode(), ANYTHING)
    assert problem.members["pointer"] == "/n19999" and time.process_time() - start < 1


def test_a_body_that_is_too_large_or_too_deep_is_refused() -> None:
    assert refusal(b" " * (MAX_DATA_BYTES + 1)).status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert "deep" in refusal(b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), ANYTHING).detail
    assert refusal(b"[" * 200_000, ANYTHING).members["code"] == "too_deep"
    assert parse_body(b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH, ANYTHING)
    wide = json.dumps({"a": [[] for _ in range(500)]}).encode()
    assert parse_body(wide, ANYTHING)


@pytest.mark.parametrize("value", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_any_other_content_type_is_refused(value: str | None) -> None:
    with pytest.raises(ProblemError) as caught:
        check_content_type(value)
    assert caught.value.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def test_a_json_content_type_may_have_parameters() -> None:
    check_content_type("application/json")
    check_content_type("Application/JSON; charset=utf-8")
