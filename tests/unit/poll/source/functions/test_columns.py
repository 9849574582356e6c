"""Tests of ``ColumnsAndRows``, a translation class for responses that list the column names apart from the rows."""

import json

import pytest

from readplane.poll.errors import PageError
from readplane.poll.source.translate import UntranslatableRecord
from tests.unit.poll.source.test_translate import NOW, by_function


def test_each_row_is_paired_with_the_columns() -> None:
    translator = by_function("ColumnsAndRows")
    response = {
        "columns": ["id", "name", "modified", "removed"],
        "rows": [["a", "n", "2023-11-14T22:13:20Z", 0], [7, "m", "2023-11-14T22:13:20Z", 1], ["c", "n", "hidden", 0]],
        "next": "/p2",
    }
    page = translator.parse_page(json.dumps(response).encode())
    translated, deleted, bad = (translator.translate_record(record, NOW) for record in page.records)
    assert page.next == "/p2"
    assert translated[:5] == ("a", 1_700_000_000_000, False, None, '{"id":"a","name":"n"}')
    assert deleted[:5] == ("7", 1_700_000_000_000, True, None, None)
    assert isinstance(bad, UntranslatableRecord) and bad.reason == "untranslatable"
    assert bad.detail.startswith("function: modified: found a string, not RFC 3339")
    assert translator.translate_raw_text(translated.raw_text, NOW) == translated


@pytest.mark.parametrize(
    "response",
    ["[]", "{}", '{"columns": ["id"]}', '{"columns": ["id"], "rows": [[1, 2]]}', '{"columns": [1], "rows": []}',
     '{"columns": ["id"], "rows": [{}]}', '{"columns": ["id"], "rows": [], "rows": []}',
     '{"columns": ["id"], "rows": [[]], "next": {}}'],
)  # fmt: skip
def test_a_response_of_another_form_is_a_page_error(response: str) -> None:
    with pytest.raises(PageError, match=r"columns|rows|response|next"):
        by_function("ColumnsAndRows").parse_page(response.encode())
