import json
import time
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.api.problem import ProblemError
from readplane.model.change import MAX_DATA_BYTES
from readplane.model.schema import MAX_DEPTH, check_content_type, compile_schemas, parse_body

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "price": {"type": "number"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "a/b~c.d[0]": {"type": "object", "properties": {"deep.er": {"type": "integer"}}},
    },
}
VALIDATE = compile_schemas({"products": SCHEMA})["products"]
ANYTHING = compile_schemas({"any": {}})["any"]


def refused(body: bytes, validate: Any = VALIDATE) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        parse_body(body, validate)
    return caught.value


def test_the_text_stays_as_it_came_on_one_line() -> None:
    assert parse_body(b' {"name": "K\\n",\r\n "price": 1.10}\n', VALIDATE) == '{"name": "K\\n",   "price": 1.10}'
    huge = b'{"n": 123456789012345678901234567890.000100, "e": 1E400, "s": "\\ud800"}'
    assert parse_body(huge, ANYTHING).encode() == huge


@given(st.dictionaries(st.text(), st.recursive(st.integers() | st.text(), st.lists, max_leaves=5)))
def test_every_object_is_kept_equal_and_without_line_breaks(value: dict[str, object]) -> None:
    for indent in (None, 2):
        text = parse_body(json.dumps(value, indent=indent).encode(), ANYTHING)
        assert "\n" not in text and "\r" not in text and json.loads(text) == value


@pytest.mark.parametrize(
    ("body", "pointer", "word"),
    [
        (b"", "", "not JSON"),
        (b"{", "", "line 1"),
        (b"[]", "", "one JSON object"),
        (b"null", "", "one JSON object"),
        (b'{"name": "x"} {}', "", "not JSON"),
        (b'\xef\xbb\xbf{"name": "x"}', "", "not JSON"),
        (b'{"name": "\xff"}', "", "UTF-8"),
        ('{"name": "\ufffd"}'.encode(), "", "U+FFFD"),
        (b'{"name": NaN}', "", "number"),
        (b'{"price": ' + b"9" * 5000 + b"}", "", "digits"),
        (b'{"name": "x", "name": "y"}', "/name", "twice"),
        (b'{"name": "x", "tags": [{"a/b": {"q": 1, "q": 1}}]}', "/tags/0/a~1b/q", "twice"),
        (b"{}", "", '"name"'),
        (b'{"name": ""}', "/name", "minLength"),
        (b'{"name": "x", "tags": ["ok", 7]}', "/tags/1", "type"),
        (b'{"name": "x", "a/b~c.d[0]": {"deep.er": "no"}}', "/a~1b~0c.d[0]/deep.er", "type"),
        (b'{"name": "x", "colour": "red"}', "", "colour"),
    ],
)
def test_a_refusal_names_the_place_in_the_body(body: bytes, pointer: str, word: str) -> None:
    problem = refused(body)
    assert problem.status == HTTPStatus.BAD_REQUEST
    assert problem.members["pointer"] == pointer
    assert word in problem.detail


@pytest.mark.parametrize(("multiple", "number"), [(3, "1e400"), (0.1, "9" * 4000), (0.1, "1e400"), (7, "-1e400")])
def test_numbers_beyond_the_validators_floats_are_refused(multiple: float, number: str) -> None:
    validate = compile_schemas({"c": {"properties": {"n": {"type": "number", "multipleOf": multiple}}}})["c"]
    assert refused(f'{{"n": {number}}}'.encode(), validate).status == HTTPStatus.BAD_REQUEST


def test_of_unknown_names_only_a_few_are_told_and_never_whole_bodies() -> None:
    body = json.dumps({"name": "x"} | {f"{number}-{'y' * 500}": 1 for number in range(100)})
    assert len(refused(body.encode()).detail) < 500


def test_a_refusal_repeats_no_value_of_the_body() -> None:
    assert "s3cret" not in json.dumps(refused(b'{"name": 7, "price": "s3cret"}').document("r"))
    assert "s3cret" not in json.dumps(refused(b'{"name": "x", "price": "s3cret"}').document("r"))


def test_a_repeated_name_among_thousands_is_found_at_once() -> None:
    names = [*(f"n{number}" for number in range(20_000)), "n19999"]
    start = time.process_time()
    problem = refused(("{" + ",".join(f'"{name}":1' for name in names) + "}").encode(), ANYTHING)
    assert problem.members["pointer"] == "/n19999" and time.process_time() - start < 1


def test_too_large_and_too_deep() -> None:
    assert refused(b" " * (MAX_DATA_BYTES + 1)).status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert "deep" in refused(b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), ANYTHING).detail
    assert "deep" in refused(b"[" * 200_000, ANYTHING).detail
    assert parse_body(b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH, ANYTHING)
    wide = json.dumps({"a": [[] for _ in range(500)]}).encode()
    assert parse_body(wide, ANYTHING)


@pytest.mark.parametrize("value", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_other_content_types_are_refused(value: str | None) -> None:
    with pytest.raises(ProblemError) as caught:
        check_content_type(value)
    assert caught.value.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def test_json_with_parameters_is_json() -> None:
    check_content_type("application/json")
    check_content_type("Application/JSON; charset=utf-8")


def test_digits_and_words_of_patterns_and_formats_are_ascii() -> None:
    schema = {
        "properties": {
            "date": {"type": "string", "format": "date"},
            "code": {"type": "string", "pattern": r"^\d{2}\w$"},
            "pattern": {"const": {"pattern": "x"}},
        },
        "patternProperties": {r"^n\d$": {"type": "integer"}},
    }
    validate = compile_schemas({"c": schema})["c"]
    good = {"date": "2026-01-01", "code": "12a", "pattern": {"pattern": "x"}, "n1": 1, "n٢": "not a rule's name"}
    assert parse_body(json.dumps(good).encode(), validate)
    for name, value in (("date", "٢٠٢٦-01-01"), ("code", "١٢a"), ("code", "12ä"), ("n1", "x")):
        assert refused(json.dumps({name: value}).encode(), validate).members["pointer"] == f"/{name}"
    assert "(?a)" not in refused(b'{"code": "x"}', validate).detail


def test_every_broken_schema_is_listed_at_once() -> None:
    broken = {
        "good": SCHEMA,
        "newer": {"$schema": "https://json-schema.org/draft/2020-12/schema"},
        "type": {"type": "strnig"},
        "remote": {"$ref": "https://example.com/schema.json"},
        "file": {"$ref": "file:///etc/passwd"},
        "text": "not a schema",
    }
    with pytest.raises(ValueError) as caught:
        compile_schemas(broken)
    for name in broken:
        assert (f"{name}:" in str(caught.value)) == (name != "good"), name


def test_defaults_of_a_schema_change_nothing() -> None:
    validate = compile_schemas({"c": {"properties": {"a": {"default": 1}}}})["c"]
    value: dict[str, object] = {}
    validate(value)
    assert value == {}


def test_compiling_takes_milliseconds() -> None:
    start = time.process_time()
    for _ in range(10):
        compile_schemas({"products": SCHEMA})
    assert (time.process_time() - start) / 10 < 0.03
