"""Tests of Markdown tables, and of the parts of a page that a program writes."""

from pathlib import Path

import pytest

from ops.console import CommandError
from ops.markdown import END, begin, table, with_parts

COMMAND = "make docs"


@pytest.mark.parametrize(
    ("alignment", "line"),
    [("lr", "| --- | ---: | ---: |"), ("l", "| --- | --- | --- |"), ("lrl", "| --- | ---: | --- |")],
)
def test_the_last_letter_of_the_alignment_holds_for_the_other_columns(alignment: str, line: str) -> None:
    assert table("abc", [("1", "2", "3")], alignment) == f"| a | b | c |\n{line}\n| 1 | 2 | 3 |"


def test_the_columns_of_a_padded_table_are_aligned() -> None:
    expected = "| name  |    n |\n| ---   | ---: |\n| a     |    1 |\n| apply | 1000 |"
    assert table(["name", "n"], [["a", "1"], ["apply", "1000"]], padded=True) == expected


def test_a_page_gets_its_parts_in_their_order(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    start = begin(COMMAND)
    page.write_text(f"a\n{start}\nold\n{END}\nb\n{start}\n{END}\nc\n")
    expected = f"a\n{start}\n\nx\n\n{END}\nb\n{start}\n\ny\n\n{END}\nc\n"
    assert with_parts(page, COMMAND, "x", "y") == expected
    page.write_text(expected)
    assert with_parts(page, COMMAND, "x", "y") == expected


@pytest.mark.parametrize("text", ["", f"{begin(COMMAND)}\n", f"{begin('make other')}\n{END}\n"])
def test_a_page_without_the_lines_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("ops.markdown.ROOT", tmp_path.parent)
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(CommandError, match=rf"into {tmp_path.name}/page\.md, once for each written part \(1\)\."):
        with_parts(page, COMMAND, "x")
