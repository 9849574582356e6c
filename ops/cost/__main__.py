"""The command line of ops/cost: see `python -m ops.cost --help`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ops import cost
from ops.console import CommandError, failures

from .idle import usage_of
from .prices import price_list
from .stacks import read_stacks, usage_of_stacks, write_stacks
from .tables import pages, report


def main(arguments: list[str] | None = None) -> int:
    """Print what a plan costs, or write or check the tables of the docs. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.cost", description=(cost.__doc__ or "").split("\n\n")[0])
    parser.add_argument("plan", nargs="?", type=Path, help="a plan as `terraform show -json` prints it")
    parser.add_argument(
        "--price",
        action="append",
        default=[],
        metavar="NAME=DOLLARS",
        help="the price of an hour of a type of node that prices.json lacks, such as cache.r6g.large=0.1648; or a "
        "price in place of one of prices.json, such as aurora_acu_hour=0.14 for another Region; may be repeated",
    )
    parser.add_argument("--plan", dest="plan_stacks", action="store_true", help="plan the stacks of the tables again")
    parser.add_argument("--docs", action="store_true", help="write the tables of README.md and docs/costs.md")
    parser.add_argument("--check", action="store_true", help="fail if these tables aren't current")
    options = parser.parse_args(arguments)
    if options.price and not options.plan:
        parser.error("--price belongs to a plan; the tables of the docs have the prices of prices.json")
    if options.plan:
        prices = price_list().with_prices(options.price)
        print("\n".join(report(usage_of(json.loads(options.plan.read_text())), prices)))
    if options.plan_stacks:
        write_stacks(usage_of_stacks())
    for path, text in pages(read_stacks()).items() if options.docs or options.check else ():
        if options.docs:
            path.write_text(text)
        elif path.read_text() != text:
            raise CommandError(f"The cost tables of {path.name} aren't current. Run `make docs`.")
    return 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
