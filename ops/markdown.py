"""Markdown tables, and the parts of a page that a program writes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ops.console import ROOT, CommandError

END = "<!-- end -->"
"""The line behind a written part."""


def begin(command: str) -> str:
    """Return the line before a part of a page that a command writes."""
    return f"<!-- begin: written by {command} -->"


def table(head: Iterable[str], rows: Iterable[Iterable[str]], alignment: str = "lr", *, padded: bool = False) -> str:
    """Return a Markdown table.

    :param alignment: a letter for each column: ``l`` for left, ``r`` for right. The last letter holds for the rest.
    :param padded: whether the columns are aligned in the source text too
    """
    lines = [list(head), *(list(row) for row in rows)]
    sides = alignment.ljust(len(lines[0]), alignment[-1])
    lines.insert(1, ["---:" if side == "r" else "---" for side in sides])
    if padded:
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        lines = [
            [
                cell.rjust(width) if side == "r" else cell.ljust(width)
                for cell, width, side in zip(line, widths, sides, strict=True)
            ]
            for line in lines
        ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_parts(path: Path, command: str, *parts: str) -> str:
    """Return a page with the first part between its first lines ``begin`` and ``end``, and so on.

    :param path: the path of the page, in the folder of the project
    :raises CommandError: if the page hasn't these lines, or has them another number of times
    """
    start = begin(command)
    before, *sections = path.read_text().split(start)
    if len(sections) != len(parts) or any(section.count(END) != 1 for section in sections):
        name = path.relative_to(ROOT)
        raise CommandError(f"Put the lines {start} and {END} into {name}, once for each written part ({len(parts)}).")
    after = [
        f"{start}\n\n{part}\n\n{END}{section.partition(END)[2]}" for part, section in zip(parts, sections, strict=True)
    ]
    return "".join([before, *after])
