"""Tests which texts compile as JMESPath expressions, and which errors an expression's ``search`` raises."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readplane.model.exact_json import parse_json
from readplane.poll.errors import ExpressionError
from readplane.poll.source.expression import compile_expression


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("length(a)", "length() takes string or array or object, and found number"),
        ("abs(b)", "abs() takes number, and found string"),
        ("ceil(c)", "the expression fails (OverflowError)"),
        ("sort_by(d, &x)", "sort_by() takes string or number, and found object"),
    ],
)
def test_a_value_of_the_wrong_type_fails_the_expression_and_is_not_quoted(expression: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(expression).search(
            parse_json('{"a": 12345.0, "b": "hidden", "c": 1e400, "d": [{"x": {"hidden": 1}}]}')
        )
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["a[", "a b", "&&", "a.[", "foo(", "'a", "$", "a..b", "\x00"])
def test_a_text_that_is_not_jmespath_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        compile_expression(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows[?starts_with(id)].id", "starts_with() takes 2, and is given 1"),
        ("{a: abs(a, a)}", "abs() takes 1, and is given 2"),
        ("a[1:2] | nothing(@)", "there is no function nothing()"),
        ("not_null()", "not_null() takes 1, and is given 0"),
    ],
)
def test_functions_and_their_argument_counts_are_checked_at_compile_time(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        compile_expression(text)
    assert str(caught.value) == message


@settings(deadline=None)
@given(st.text(alphabet="ab.[]*|&!<>=@`'\"{}():,0-? ", max_size=30))
def test_compiling_raises_only_value_errors_and_searching_only_expression_errors(text: str) -> None:
    try:
        compiled = compile_expression(text)
    except ValueError:
        return
    assert compiled == compile_expression(text)
    try:
        compiled.search(parse_json('{"a": [1.0, {"b": "c"}], "b": null}'))
    except ExpressionError:
        return
