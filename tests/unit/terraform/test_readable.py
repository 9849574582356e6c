"""Check that the Terraform files are easy to read: short lines, and short conditions."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.console import ROOT

FILES = [
    path
    for pattern in ("*.tf", "*.hcl")
    for path in sorted((ROOT / "terraform").rglob(pattern))
    if ".terraform" not in path.parts and not path.name.startswith(".") and not path.is_symlink()
]


def conditions(text: str) -> Iterator[str]:
    """Yield each `condition` of an HCL text in one line, without the spaces at its line breaks.

    :param text: the HCL text, as `terraform fmt` formats it, because the end of a condition is found by its indentation
    """
    for match in re.finditer(r"^( *)condition\s*= (.*(?:\n(?!\1\S).*|\n\1[\])}].*)*)", text, re.M):
        yield " ".join(match[2].split())


def test_a_condition_ends_where_the_next_argument_begins() -> None:
    text = '  condition = alltrue([\n    for x in y : (\n      x\n    )\n  ])\n  error_message = "z"\n'
    assert list(conditions(text)) == ["alltrue([ for x in y : ( x ) ])"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT / "terraform").as_posix())
def test_no_line_and_no_condition_is_long(path: Path) -> None:
    text = path.read_text()
    # A long ARN or URL may make a line longer, because a string can't be broken.
    assert [line for line in text.splitlines() if len(line) > 120 and len(max(line.split(), key=len)) < 100] == []
    assert [condition for condition in conditions(text) if len(condition) > 150] == []
