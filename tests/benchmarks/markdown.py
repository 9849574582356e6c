"""Markdown tables whose columns are aligned in the source text too."""

import functools

from ops import markdown

table = functools.partial(markdown.table, padded=True)
"""Returns a Markdown table whose first column is left-aligned. All other columns are right-aligned for numbers."""
