"""Tests that JSON keeps every digit of its numbers when it is parsed, searched by JMESPath and printed."""

import json
import re
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from readplane.model.exact_json import (
    DuplicateNameError,
    Number,
    is_finite,
    number_text,
    parse_json,
    parse_tolerant_json,
    print_json,
    to_number,
)
from readplane.poll.errors import ExpressionError
from readplane.poll.source.expression import compile_expression

NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.text() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
    lambda part: st.lists(part) | st.dictionaries(st.text(), part),
    max_leaves=20,
)


def search(expression: str, text: str) -> Any:
    """Return the result of a JMESPath expression for a JSON text."""
    return compile_expression(expression).search(parse_json(text))


def search_and_print(expression: str, text: str) -> str:
    return print_json(search(expression, text))


@settings(deadline=None)
@given(NUMBERS)
@example("1e400")
@example("-0")
@example("-0.0")
@example("1.10")
@example("123456789012345678901234567890.000100")
@example("9" * 5000)
@example("1E-400")
def test_numbers_are_printed_digit_for_digit(text: str) -> None:
    assert print_json(parse_json(text)) == text
    assert number_text(parse_json(text)) == text
    assert search_and_print("a[0].b", f'{{"a": [{{"b": {text}}}]}}') == text
    assert search_and_print("to_string(@)", text) == json.dumps(text)
    assert search_and_print("to_number(@)", json.dumps(text)) == text


@settings(deadline=None)
@given(VALUES)
def test_printed_json_is_equal_and_canonical(value: Any) -> None:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for indent in (None, 3):
        text = print_json(parse_json(json.dumps(value, indent=indent)))
        assert json.loads(text) == value and text.encode() and "\n" not in text
        # Compare the texts without surrogates. `print_json` escapes a surrogate that has no partner, because UTF-8
        # can't encode it.
        assert re.sub(r"\\u[dD][89abcdefABCDEF]..", "", text) == re.sub("[\ud800-\udfff]", "", canonical)


def test_half_of_a_surrogate_pair_is_printed_as_it_was_parsed() -> None:
    text = '{"\\ud800":"\\udfffé"}'
    assert print_json(parse_json(text)) == text and print_json(parse_json(text)).encode()


@pytest.mark.parametrize(
    ("expression", "text", "result"),
    [
        ("rows[?price > `1`].id", '{"rows": [{"id": "a", "price": 1.50}, {"id": "b", "price": 0.50}]}', '["a"]'),
        ("rows[?price == `1.5`].id", '{"rows": [{"id": "a", "price": 1.50}]}', '["a"]'),
        ("sort_by(@, &n)[].n", '[{"n": 10.0}, {"n": 9.50}, {"n": 1e400}]', "[9.50,10.0,1e400]"),
        ("sort(@)", "[2.0, 1.50]", "[1.50,2.0]"),
        ("max(@)", "[2.0, 1.50]", "2.0"),
        ("max_by(@, &n).n", '[{"n": 10.0}, {"n": 9.50}]', "10.0"),
        ("type(@)", "1.50", '"number"'),
        ("to_string(@)", '{"b": 1.10, "a": [1e2]}', '"{\\"a\\":[1e2],\\"b\\":1.10}"'),
        ("to_string(@)", '"text"', '"text"'),
        ("contains(@, `1.5`)", "[1.50]", "true"),
        ("to_array(@)", "1.10", "[1.10]"),
        ("not_null(a, b)", '{"b": 1.10}', "1.10"),
        ("merge(@, {c: a})", '{"a": 1.10}', '{"a":1.10,"c":1.10}'),
        ("join('-', [to_string(a), to_string(b)])", '{"a": 1.10, "b": 007}'.replace("007", "7"), '"1.10-7"'),
        ("map(&n, @)", '[{"n": 1.10}, {"n": 2}]', "[1.10,2]"),
        ("a && b", '{"a": 0.0, "b": 1.10}', "1.10"),
        ("!a", '{"a": 0.0}', "false"),
        ("ceil(@)", "1.50", "2"),
        ("sum(@)", "[1.50, 2]", "3.5"),
        ("values(@)", '{"a": 1.10}', "[1.10]"),
        ("{a: a, b: `2`}", '{"a": 1.10}', '{"a":1.10,"b":2}'),
    ],
)
def test_jmespath_functions_keep_numbers_exact(expression: str, text: str, result: str) -> None:
    assert search_and_print(expression, text) == result


@pytest.mark.parametrize(
    "text", ["", "1.", ".5", "01", "+1", " 1", "1 ", "NaN", "Infinity", "1_000", "0x1", "١", "one"]
)
def test_to_number_of_a_text_that_is_no_json_number_is_none(text: str) -> None:
    assert to_number(text) is None


def test_to_number_of_values_that_are_no_text() -> None:
    values: list[Any] = [None, True, [], {}, 1]
    assert [to_number(value) for value in values] == [None, None, None, None, 1]
    assert number_text(True) is None and number_text("1") is None and number_text(1.5) == "1.5"


@pytest.mark.parametrize(
    "text", ["", "{", '{"a": 1', "[1,]", "NaN", "[Infinity]", "-Infinity", "<html>", "{'a': 1}", "1 2"]
)
def test_a_text_that_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="it is not JSON"):
        parse_json(text)


def test_deep_nesting_is_printed_or_refused_and_never_crashes() -> None:
    text = "[" * 900 + "]" * 900
    assert print_json(parse_json(text)) == text
    with pytest.raises(ValueError, match="too deep"):
        parse_json("[" * 1_000_000)


def test_a_number_of_any_length_takes_little_time() -> None:
    start = time.process_time()
    for text in ("9" * 1_000_000, "0." + "9" * 1_000_000, "1e" + "9" * 1_000_000):
        assert print_json(parse_json(text)) == text
    assert time.process_time() - start < 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), (), {1}, b"", {"a": object()}])
def test_a_value_that_json_cannot_express_is_not_printed(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON knows no"):
        print_json(value)


DUPLICATES = '{"ok": 1, "a": {"x": 1}, "a": [2.0], "b": "text"}'


def test_a_duplicate_name_fails_only_what_uses_it() -> None:
    assert search("[ok, b]", DUPLICATES) == [1, "text"]
    assert print_json(parse_json(DUPLICATES), keep_duplicates=True) == '{"a":{"x":1},"a":[2.0],"b":"text","ok":1}'
    with pytest.raises(DuplicateNameError):
        print_json(parse_json(DUPLICATES))


@pytest.mark.parametrize(
    "expression",
    [
        "a", "a.x", "a[0]", "a[]", "a[*]", "a[*].x", "a.*", "a[::2]", "a[?x]", "a || b", "a && b", "!a", "a == `1`",
        "a != b",
        "b == a", "a > `1`", "to_string(a)", "to_string(@)", "length(a)", "keys(a)", "contains(a, `1`)", "a | [0]",
        "to_array(a)[0]", "[a][]", "sort(a)", "not_null(a)", "values(@)[1]", "reverse(a)", "to_number(a)", "type(a)",
    ],
)  # fmt: skip
def test_an_expression_that_uses_a_duplicate_name_fails(expression: str) -> None:
    with pytest.raises(ExpressionError):
        print_json(search(expression, DUPLICATES))


def test_an_exact_number_is_a_python_float() -> None:
    number = parse_json("1.10")
    assert isinstance(number, Number) and number == 1.1 and repr(number) == str(number) == "1.10"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('["raw\ttab", "raw\nline", "nul\x00"]', ["raw\ttab", "raw\nline", "nul\x00"]),
        (r'["C:\temp\q\\", "it\'s"]', ["C:\temp!q\\", "it!'s"]),
        (r'["\u00e4 \u12x"]', ["ä !u12x"]),
    ],
)
def test_a_fault_inside_a_value_is_tolerated_on_request(text: str, value: Any) -> None:
    assert parse_tolerant_json(text, lambda _: "!") == (value, True)
    with pytest.raises(ValueError, match="it is not JSON"):
        parse_json(text)


def test_numbers_that_json_does_not_know_are_tolerated_on_request() -> None:
    text = "[NaN,Infinity,-Infinity,1.10,1e400]"
    values, tolerated = parse_tolerant_json(text, str)
    assert tolerated and [is_finite(value) for value in values] == [False, False, False, True, True]
    assert print_json(values, keep_duplicates=True) == text
    with pytest.raises(ValueError, match="JSON knows no NaN"):
        print_json(values)
    assert all(map(is_finite, (None, "NaN", 1, float("1e308"), [])))


@settings(deadline=None)
@given(VALUES)
def test_json_without_a_fault_is_parsed_alike_with_and_without_tolerance(value: Any) -> None:
    text = json.dumps(value)
    parsed, tolerated = parse_tolerant_json(text, str)
    assert not tolerated and print_json(parsed) == print_json(parse_json(text))


@pytest.mark.parametrize("text", ["", "{", '["cut', "[1,]", "{'a': 1}", "1 2", "[nan]", "[" * 1_000_000])
def test_a_text_that_is_not_json_is_refused_even_with_tolerance(text: str) -> None:
    with pytest.raises(ValueError, match=r"it is not JSON|nested too deep"):
        parse_tolerant_json(text, str)
