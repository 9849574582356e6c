"""Tests of compiling JSON Schemas and of checking values against them."""

import json
import time
from typing import Any

import pytest

from readplane.model.errors import InvalidError
from readplane.model.schema import SchemaValidator, check_fits, compile_schemas

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


def refusal(text: str, validate: SchemaValidator = VALIDATE) -> InvalidError:
    """Check that the JSON ``text`` breaks a rule of the schema, and return the error."""
    with pytest.raises(InvalidError) as caught:
        check_fits(json.loads(text), validate)
    return caught.value


@pytest.mark.parametrize(
    ("text", "pointer", "word"),
    [
        ("{}", "", '"name"'),
        ('{"name": ""}', "/name", "minLength"),
        ('{"name": "x", "tags": ["ok", 7]}', "/tags/1", "type"),
        ('{"name": "x", "a/b~c.d[0]": {"deep.er": "no"}}', "/a~1b~0c.d[0]/deep.er", "type"),
        ('{"name": "x", "colour": "red"}', "", "colour"),
    ],
)
def test_a_refusal_names_the_place_and_the_rule(text: str, pointer: str, word: str) -> None:
    error = refusal(text)
    assert error.pointer == pointer
    assert word in error.detail


@pytest.mark.parametrize(("multiple", "number"), [(3, "1e400"), (0.1, "9" * 4000), (0.1, "1e400"), (7, "-1e400")])
def test_a_number_beyond_the_validators_floats_is_refused(multiple: float, number: str) -> None:
    validate = compile_schemas({"c": {"properties": {"n": {"type": "number", "multipleOf": multiple}}}})["c"]
    refusal(f'{{"n": {number}}}', validate)


def test_a_refusal_names_only_a_few_unknown_names_and_cuts_them() -> None:
    value = json.dumps({"name": "x"} | {f"{number}-{'y' * 500}": 1 for number in range(100)})
    assert len(refusal(value).detail) < 500


def test_digits_and_words_in_patterns_and_formats_are_ascii() -> None:
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
    check_fits(good, validate)
    for name, value in (("date", "٢٠٢٦-01-01"), ("code", "١٢a"), ("code", "12ä"), ("n1", "x")):
        assert refusal(json.dumps({name: value}), validate).pointer == f"/{name}"
    assert "(?a)" not in refusal('{"code": "x"}', validate).detail


def test_every_broken_schema_is_listed_at_once() -> None:
    schemas = {
        "good": SCHEMA,
        "newer": {"$schema": "https://json-schema.org/draft/2020-12/schema"},
        "type": {"type": "strnig"},
        "remote": {"$ref": "https://example.com/schema.json"},
        "file": {"$ref": "file:///etc/passwd"},
        "text": "not a schema",
    }
    with pytest.raises(ValueError) as caught:
        compile_schemas(schemas)
    for name in schemas:
        assert (f"{name}:" in str(caught.value)) == (name != "good"), name


def test_a_schemas_defaults_change_no_value() -> None:
    validate = compile_schemas({"c": {"properties": {"a": {"default": 1}}}})["c"]
    value: dict[str, object] = {}
    validate(value)
    assert value == {}


def test_compiling_takes_milliseconds() -> None:
    start = time.process_time()
    for _ in range(10):
        compile_schemas({"products": SCHEMA})
    assert (time.process_time() - start) / 10 < 0.03
