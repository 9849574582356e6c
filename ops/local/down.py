"""Remove a local run: its emulator, back office, cache, database, Terraform state and data.

This program needs only the standard library.
"""

from __future__ import annotations

import argparse
import shutil
import sys

from ops.console import failures
from ops.local import back_office, emulator, stack, stores


def down(name: str, *, dry_run: bool = False) -> list[str]:
    """Remove a local run. Return one text for each thing that was removed.

    :param dry_run: remove nothing, and return one text for each thing that would be removed
    """
    home, removed = emulator.folder(name), _stop_emulator(name, dry_run)
    if office := back_office.running(name):
        removed.append(f"stopped the back office at {office.url} (process {office.pid})")
        if not dry_run:
            back_office.stop(name)
    if stores.running(name):
        removed.append("stopped the cache and the database of each Region, with all their data")
        if not dry_run:
            stores.stop(name)
    if home.exists():
        removed.append(f"removed {home}")
        if not dry_run:
            shutil.rmtree(home)
    return removed


def _stop_emulator(name: str, dry_run: bool) -> list[str]:
    """Stop the emulator that a local run started, or remove the run's stack from another emulator."""
    if running := emulator.running(name):
        if not dry_run:
            emulator.stop(name)
        return [f"stopped the emulator at {running.endpoint} (process {running.pid}) with all its data"]
    if applied := stack.load(name):
        if not dry_run:
            stack.destroy(applied)
        return [f"destroyed the stack on the emulator at {applied.endpoint}, which keeps running"]
    return []


def main(arguments: list[str] | None = None) -> int:
    """Remove the local run that the command line names, and print what was removed."""
    parser = argparse.ArgumentParser(prog="python -m ops.local.down", description=__doc__)
    parser.add_argument("--name", default="demo", help="the run's name (default: demo)")
    parser.add_argument("--dry-run", action="store_true", help="only print what would be removed")
    options = parser.parse_args(arguments)
    removed = down(options.name, dry_run=options.dry_run)
    for sentence in removed:
        print(f"Would have {sentence}." if options.dry_run else f"{sentence[0].upper()}{sentence[1:]}.")
    if not removed:
        print(f"Nothing to remove: `{options.name}` isn't up.")
    return 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
