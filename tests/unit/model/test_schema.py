"""Tests of compiling JSON Schemas and of checking values against them."""

import json
import time
from decimal import Decimal
from typing import Any

import pytest

from readplane.model.errors import MAX_FAULTS, InvalidError
from readplane.model.schema import MAX_DEPTH, SchemaValidator, depth
from tests.unit.model.support import compile_one, faults_of, fits
from tests.unit.support import compile_schemas

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


def parse(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


VALIDATOR = compile_one(SCHEMA)


def refusal(text: str, validator: SchemaValidator = VALIDATOR) -> InvalidError:
    """Check that the JSON ``text`` breaks a rule of the schema, and return the error."""
    with pytest.raises(InvalidError) as caught:
        validator.check_text(text)
    return caught.value


def faults(text: str, schema: Any) -> list[tuple[str, str]]:
    """Return the pointers and codes of the faults that a JSON text has."""
    return [(fault.pointer, fault.code) for fault in faults_of(compile_one(schema), text)]


@pytest.mark.parametrize(
    ("text", "pointer", "code", "word"),
    [
        ("{}", "", "required", '"name"'),
        ('{"name": ""}', "/name", "min_length", "minLength"),
        ('{"name": "x", "tags": ["ok", 7]}', "/tags/1", "type", "type"),
        ('{"name": "x", "a/b~c.d[0]": {"deep.er": "no"}}', "/a~1b~0c.d[0]/deep.er", "type", "type"),
        ('{"name": "x", "colour": "red"}', "", "additional_properties", "colour"),
    ],
)
def test_a_refusal_names_the_place_and_the_rule(text: str, pointer: str, code: str, word: str) -> None:
    error = refusal(text)
    assert (error.pointer, error.code) == (pointer, code)
    assert word in error.detail


@pytest.mark.parametrize(
    ("schema", "value", "pointer", "code"),
    [
        ({"enum": [1]}, 2, "", "enum"),
        ({"const": 1}, 2, "", "const"),
        ({"properties": {"a": False}}, {"a": 1}, "/a", "false_schema"),
        ({"maxLength": 1}, "ab", "", "max_length"),
        ({"pattern": "^a"}, "b", "", "pattern"),
        ({"format": "date"}, "b", "", "format"),
        ({"minimum": 1}, 0, "", "minimum"),
        ({"maximum": 1}, 2, "", "maximum"),
        ({"exclusiveMinimum": 1}, 1, "", "exclusive_minimum"),
        ({"exclusiveMaximum": 1}, 1, "", "exclusive_maximum"),
        ({"multipleOf": 2}, 1, "", "multiple_of"),
        ({"minItems": 1}, [], "", "min_items"),
        ({"maxItems": 1}, [1, 2], "", "max_items"),
        ({"uniqueItems": True}, [1, 1], "", "unique_items"),
        ({"items": [{"type": "null"}]}, [1], "/0", "type"),
        ({"items": [{}], "additionalItems": False}, [1, 2], "", "additional_items"),
        ({"items": [{}], "additionalItems": {"type": "null"}}, [1, 2], "/1", "type"),
        ({"contains": {"const": 1}}, [2], "", "contains"),
        ({"minProperties": 1}, {}, "", "min_properties"),
        ({"maxProperties": 0}, {"a": 1}, "", "max_properties"),
        ({"propertyNames": {"maxLength": 1}}, {"ab": 1}, "/ab", "property_names"),
        ({"patternProperties": {"^a": {"type": "null"}}}, {"ab": 1}, "/ab", "type"),
        ({"patternProperties": {"^a": {}}, "additionalProperties": False}, {"b": 1}, "", "additional_properties"),
        ({"additionalProperties": {"type": "null"}}, {"b": 1}, "/b", "type"),
        ({"dependencies": {"a": ["b"]}}, {"a": 1}, "", "required"),
        ({"dependencies": {"a": {"required": ["b"]}}}, {"a": 1}, "", "required"),
        ({"allOf": [{"type": "null"}]}, 1, "", "type"),
        ({"anyOf": [{"type": "null"}]}, 1, "", "any_of"),
        ({"oneOf": [{}, {}]}, 1, "", "one_of"),
        ({"not": {}}, 1, "", "not"),
        ({"if": {"minimum": 1}, "then": {"maximum": 2}}, 3, "", "maximum"),
        ({"if": {"minimum": 1}, "else": {"type": "null"}}, 0, "", "type"),
        ({"contentEncoding": "base64"}, "a", "", "content_encoding"),
        ({"contentMediaType": "application/json"}, "{", "", "content_media_type"),
        ({"$ref": "#/definitions/a", "definitions": {"a": {"type": "null"}}}, 1, "", "type"),
    ],
)
def test_each_rule_has_a_code_and_points_at_what_breaks_it(schema: Any, value: Any, pointer: str, code: str) -> None:
    assert faults(json.dumps(value), schema) == [(pointer, code)]


def test_all_faults_are_listed_at_once() -> None:
    text = '{"name": "", "tags": [1, "x", null], "colour": 1, "price": "1"}'
    assert faults(text, SCHEMA) == [
        ("/name", "min_length"),
        ("/tags/0", "type"),
        ("/tags/2", "type"),
        ("/price", "type"),
        ("", "additional_properties"),
    ]
    error = refusal(text)
    assert (error.pointer, error.code, len(error.faults)) == ("/name", "min_length", 5)


def test_at_most_20_faults_are_listed() -> None:
    assert len(faults(json.dumps([None] * 1000), {"items": {"type": "string"}})) == MAX_FAULTS


@pytest.mark.parametrize("bad", [[0], [5_000], [29_999], [5_000, 5_001], [0, 29_999]])
def test_of_a_large_value_only_the_first_fault_is_listed(bad: list[int]) -> None:
    values = [str(number) for number in range(30_000)]
    for index in bad:
        values[index] = ""
    words = {"type": "string", "minLength": 1}
    assert faults(json.dumps(values), {"items": words}) == [(f"/{bad[0]}", "min_length")]


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer"}, ["1.0", "1e2", "-0", "-0.0", "10e-1", "1e308", "9" * 309], ["1.5"]),
        ({"type": "integer"}, ["9007199254740993"], ["9007199254740993.5", "1e-308", "0." + "9" * 1000]),
        ({"minimum": Decimal("0.1")}, ["0.1", "1", "1e308"], ["0.09999999999999999999", "0", "-1e308"]),
        ({"exclusiveMinimum": Decimal("0.1")}, ["0.1000000000000000000001", "1"], ["0.1", "0"]),
        ({"maximum": Decimal("-0.5")}, ["-0.5", "-1"], ["-0.4", "0"]),
        ({"exclusiveMaximum": Decimal("1.5")}, ["1.49999999999999999999999", "1"], ["1.5", "2"]),
        ({"minimum": 9007199254740993}, ["9007199254740993", "9007199254740993.0"], ["9007199254740992.9"]),
        ({"minimum": Decimal("9007199254740992.5")}, ["9007199254740993"], ["9007199254740992"]),
        ({"multipleOf": Decimal("0.01")}, ["19.01", "0", "-7", "1e308"], ["19.011", "1e-308"]),
        ({"multipleOf": Decimal("0.7")}, ["7e300", "7" * 300, "2.1"], ["1", "1e300", "0." + "7" * 500]),
        ({"multipleOf": 3}, ["9" * 300, "3e300", "3.0"], ["1" + "9" * 299, "1e300", "1.5"]),
        ({"enum": [1, Decimal("0.1"), "a", None, [1, {"a": 2}], 0]},
         ["1.0", "10e-1", "0.10", "[1.0, {\"a\": 2.0}]", "-0.0"],
         ["true", "false", "[true, {\"a\": 2}]", "0.1000000000000000055", "1e300", '"1"']),
        ({"enum": [True]}, ["true"], ["1", "1.0", "false"]),
        ({"const": False}, ["false"], ["0", "0.0", "null"]),
        ({"const": {"a": [1, True]}}, ['{"a": [1.0, true]}'], ['{"a": [1, 1]}', '{"a": [true, true]}', "{}"]),
        ({"uniqueItems": True}, ["[1, true, 0, false, null]", "[9007199254740993, 9007199254740992.0]", '[1, "1"]',
                                 '[{"a": 1}, {"a": true}, {"b": 1}]', "[[1, 2], [2, 1]]", "[1e300, 1e299]"],
         ["[1, 1.0]", "[0, -0.0]", "[100, 1e2]", '[{"a": 1, "b": 2}, {"b": 2.0, "a": 1}]', "[[true], [true]]",
          "[1e300, 10e299]"]),
    ],
)  # fmt: skip
def test_numbers_are_checked_exactly(schema: Any, good: list[str], bad: list[str]) -> None:
    validator = compile_one(schema)
    start = time.process_time()
    for text in good:
        assert not faults_of(validator, text), text[:50]
    for text in bad:
        assert faults_of(validator, text), text[:50]
    assert time.process_time() - start < 1


def test_a_schemas_floats_count_as_their_text() -> None:
    assert fits({"minimum": 0.1, "multipleOf": 0.1, "enum": [0.1]}, Decimal("0.1"))


def test_draft_4_has_integers_without_a_fraction_and_flags_for_exclusive_bounds() -> None:
    draft = {"$schema": "http://json-schema.org/draft-04/schema#"}
    assert fits({**draft, "type": "integer"}, 1) and not fits({**draft, "type": "integer"}, Decimal("1.0"))
    assert not fits({**draft, "minimum": 1, "exclusiveMinimum": True}, 1)
    assert fits({**draft, "const": 1, "if": {}, "then": False}, 2)


def test_a_refusal_names_only_a_few_unknown_names_and_cuts_them() -> None:
    value = json.dumps({"name": "x"} | {f"{number}-{'y' * 500}": 1 for number in range(100)})
    assert len(refusal(value).detail) < 500


def test_a_pointer_of_thousands_of_characters_is_cut_at_a_name() -> None:
    long_name = "x" * 2000
    fault = refusal(json.dumps({"a": {long_name: {"b": [1]}}}), compile_one(NESTED_LISTS)).faults[0]
    assert fault.pointer == "/a"
    text = json.dumps({"a": {long_name: {"b": [1] * 50_000}}})
    start = time.process_time()
    assert len(refusal(text, compile_one(NESTED_LISTS)).faults) == 1
    assert time.process_time() - start < 0.5


NESTED_LISTS: dict[str, Any] = {
    "additionalProperties": {"$ref": "#"},
    "items": {"type": "string"},
}


def test_digits_and_words_in_patterns_and_formats_are_ascii() -> None:
    schema = {
        "properties": {
            "date": {"type": "string", "format": "date"},
            "code": {"type": "string", "pattern": r"^\d{2}\w$"},
            "pattern": {"const": {"pattern": "x"}},
        },
        "patternProperties": {r"^n\d$": {"type": "integer"}},
    }
    validator = compile_one(schema)
    good = {"date": "2026-01-01", "code": "12a", "pattern": {"pattern": "x"}, "n1": 1, "n٢": "not a rule's name"}
    assert not faults_of(validator, json.dumps(good))
    for name, value in (("date", "٢٠٢٦-01-01"), ("code", "١٢a"), ("code", "12ä"), ("n1", "x")):
        assert refusal(json.dumps({name: value}), validator).pointer == f"/{name}"
    assert json.dumps(r"^\d{2}\w$") in refusal('{"code": "x"}', validator).detail


def test_every_broken_schema_is_listed_at_once() -> None:
    schemas = {
        "good": SCHEMA,
        "newer": {"$schema": "https://json-schema.org/draft/2020-12/schema"},
        "type": {"type": "strnig"},
        "remote": {"$ref": "https://example.com/schema.json"},
        "file": {"$ref": "file:///etc/passwd"},
        "nowhere": {"$ref": "#/definitions/nowhere"},
        "text": "not a schema",
        "look_around": {"pattern": "(?=a)b"},
        "name_pattern": {"patternProperties": {r"(a)\1": {}}},
        "size": {"maxLength": -1},
        "huge_size": {"maxLength": Decimal("1e999999999")},
        "bound": {"exclusiveMinimum": True},
        "step": {"multipleOf": 0},
        "names": {"required": True},
        "choices": {"anyOf": []},
        "values": {"enum": "a"},
        "deep": nested({}, 5_000),
    }
    with pytest.raises(ValueError) as caught:
        compile_schemas(schemas)
    for name in schemas:
        assert (f"{name}: " in str(caught.value)) == (name != "good"), name


def nested(schema: dict[str, Any], levels: int) -> dict[str, Any]:
    for _ in range(levels):
        schema = {"not": schema}
    return schema


def test_names_that_differ_only_in_case_are_different_references() -> None:
    schema = {
        "definitions": {"Foo": {"type": "string"}, "foo": {"type": "integer"}},
        "properties": {"a": {"$ref": "#/definitions/Foo"}, "b": {"$ref": "#/definitions/foo"}},
    }
    assert fits(schema, {"a": "x", "b": 1})
    assert faults('{"a": 1, "b": "x"}', schema) == [("/a", "type"), ("/b", "type")]


TREE: dict[str, Any] = {
    "oneOf": [
        {"properties": {"child": {"$ref": "#"}, "kind": {"const": "a"}}, "required": ["kind"]},
        {"properties": {"child": {"$ref": "#"}, "kind": {"const": "b"}}, "required": ["kind"]},
    ]
}


def test_a_recursive_schema_takes_linear_time() -> None:
    def tree(kind: str) -> str:
        return '{"kind": "b", "child": ' * (MAX_DEPTH - 1) + f'{{"kind": "{kind}"}}' + "}" * (MAX_DEPTH - 1)

    validator = compile_one(TREE)
    start = time.process_time()
    assert not faults_of(validator, tree("a"))
    assert [fault.code for fault in faults_of(validator, tree("c"))] == ["schema"]
    twice = {"additionalProperties": {"$ref": "#"}}
    both = compile_one({"type": "object", "allOf": [twice, dict(twice)]})
    nested_objects = '{"a":' * MAX_DEPTH + "{}" + "}" * MAX_DEPTH
    assert not faults_of(both, nested_objects)
    assert [fault.code for fault in faults_of(both, nested_objects.replace("{}", "7"))] == ["schema"]
    assert faults_of(both, '{"a": {"a": 7}}')[0].pointer == "/a/a"
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("number", ["1e309", "-1e309", "1e-309", "1e999999999", "1e-999999999", "9" * 310, "9" * 5000])
def test_a_number_outside_the_range_of_a_double_is_refused_if_there_are_rules(number: str) -> None:
    start = time.process_time()
    for schema in ({"type": "object"}, {"additionalProperties": {"multipleOf": Decimal("0.01")}}):
        assert faults(f'{{"a": {number}}}', schema) == [("", "number_too_large")]
    assert time.process_time() - start < 0.1
    assert faults(f'{{"a": {number}}}', {}) == []
    assert faults(f'{{"a": "{number}"}}', {"type": "object"}) == []


def test_half_of_a_surrogate_pair_is_a_character() -> None:
    schema = {"properties": {"a": {"maxLength": 1, "type": "string"}, "b": {"type": "integer"}}}
    assert faults('{"a": "\\ud800"}', schema) == []
    assert faults('{"a": "\\ud800x", "b": "\\udfff"}', schema) == [("/a", "max_length"), ("/b", "type")]


def test_a_schemas_defaults_change_no_value() -> None:
    value: dict[str, object] = {}
    assert fits({"properties": {"a": {"default": 1}}}, value)
    assert value == {}


def test_the_depth_of_a_value_counts_its_levels_of_objects_and_lists() -> None:
    for text, levels in (("1", 0), ("[]", 0), ('{"a": 1}', 1), ('[1, {"a": [[]]}, []]', 3)):
        assert depth(parse(text)) == levels


def test_compiling_takes_milliseconds() -> None:
    start = time.process_time()
    for _ in range(10):
        compile_schemas({"products": SCHEMA})
    assert (time.process_time() - start) / 10 < 0.005
