"""Tests of the placeholders in the URL and the body of a source's requests."""

import json
from typing import Any

import pytest

from readplane.poll.source.template import Value, filled_body, filled_url

VALUES: dict[str, Value] = {"{cursor}": "2026-01-31 12:00+01", "{now}": 7, "{page}": None}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("http://o/a?x=%2f", "http://o/a?x=%2f"),
        ("http://o/a?c={cursor}", "http://o/a?c=2026-01-31%2012%3A00%2B01"),
        ("http://o/{now}/a?p={page}&q={other}", "http://o/7/a?p=&q={other}"),
        ("http://o/a?{{now}}", "http://o/a?{7}"),
    ],
)
def test_a_url_is_filled_with_encoded_values(template: str, expected: str) -> None:
    assert filled_url(template, VALUES) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ({"a": "{now}"}, {"a": 7}),
        ({"a": "{cursor}"}, {"a": "2026-01-31 12:00+01"}),
        ({"a": "{page}", "b": 1}, {"b": 1}),
        ({"a": ["{page}", "{now}"]}, {"a": [None, 7]}),
        ({"a": {"b": {"c": "{page}"}}}, {"a": {"b": {}}}),
        ({"a": "to {now}, page {page}."}, {"a": "to 7, page ."}),
        (
            {"query": "{ rows(after: $a) { id } } {nows} {Cursor}"},
            {"query": "{ rows(after: $a) { id } } {nows} {Cursor}"},
        ),
        ({"{now}": [1, 1.5, True, None, "ü"]}, {"{now}": [1, 1.5, True, None, "ü"]}),
        ("{page}", None),
        ("{now}", 7),
    ],
)
def test_a_body_is_filled_with_typed_values(template: Any, expected: Any) -> None:
    text = filled_body(json.dumps(template), VALUES)
    assert json.loads(text) == expected and ": " not in text.replace(": $a", "")


def test_a_value_cannot_break_out_of_its_string() -> None:
    text = filled_body('{"a":"<{cursor}>","b":"{cursor}"}', {"{cursor}": '","x":"{now}', "{now}": 7})
    assert json.loads(text) == {"a": '<","x":"{now}>', "b": '","x":"{now}'}
    assert (
        filled_url("http://o/?c={cursor}", {"{cursor}": "&x={now}#", "{now}": 7}) == "http://o/?c=%26x%3D%7Bnow%7D%23"
    )
