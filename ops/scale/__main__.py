"""The command line of ops/scale: see `python -m ops.scale --help`."""

from __future__ import annotations

import argparse
import sys

from ops import scale
from ops.console import CommandError, failures

from .tables import PAGE, page, tables


def main(arguments: list[str] | None = None) -> int:
    """Print the tables, or write or check those of docs/scale.md. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.scale", description=(scale.__doc__ or "").split("\n\n")[0])
    parser.add_argument("--docs", action="store_true", help="write the tables of docs/scale.md")
    parser.add_argument("--check", action="store_true", help="fail if these tables aren't current")
    options = parser.parse_args(arguments)
    if options.docs:
        PAGE.write_text(page())
    elif options.check:
        if page() != PAGE.read_text():
            raise CommandError(f"The tables of {PAGE.name} aren't current. Run `make docs`.")
    else:
        print("\n".join(tables()))
    return 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
