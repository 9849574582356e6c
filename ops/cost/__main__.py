"""The command line of ops/cost: see `python -m ops.cost --help`."""

from __future__ import annotations

import argparse
import sys

from ops import cost
from ops.console import CommandError, failures

from .stacks import read_stacks, usage_of_stacks, write_stacks
from .tables import pages


def main(arguments: list[str] | None = None) -> int:
    """Plan the stacks of the tables, or write or check the docs. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.cost", description=(cost.__doc__ or "").split("\n\n")[0])
    parser.add_argument("--plan", action="store_true", help="plan the stacks of the tables again")
    parser.add_argument(
        "--docs", action="store_true", help="write the tables of README.md and docs/costs.md, and the chart"
    )
    parser.add_argument("--check", action="store_true", help="fail if these aren't current")
    options = parser.parse_args(arguments)
    if options.plan:
        write_stacks(usage_of_stacks())
    for path, text in pages(read_stacks()).items() if options.docs or options.check else ():
        if options.docs:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            raise CommandError(f"The costs in {path.name} aren't current. Run `make docs`.")
    return 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
