"""Markdown tables whose columns are aligned in the source text too."""


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table whose first column is left-aligned. All other columns are right-aligned for numbers."""
    cells = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = []
    for row in cells:
        padded = [row[0].ljust(widths[0])] + [
            cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)
        ]
        lines.append("| " + " | ".join(padded) + " |")
    return "\n".join(lines)
