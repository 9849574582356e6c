"""Remove a local run: its emulator and back office, its Terraform state, its data. Standard library only."""

from __future__ import annotations

import argparse
import shutil
import sys

from ops.console import failures
from ops.local import back_office, emulator, stack


def down(name: str, *, dry_run: bool = False) -> list[str]:
    """Remove a run; returns what was (or would be) done."""
    home, done = emulator.folder(name), []
    up = emulator.running(name)
    if up:
        done.append(f"stopped the emulator at {up.endpoint} (process {up.pid}) with everything in it")
        if not dry_run:
            emulator.stop(name)
    elif applied := stack.load(name):
        done.append(f"destroyed the stack on the emulator at {applied.endpoint}, which goes on running")
        if not dry_run:
            stack.destroy(applied)
    if office := back_office.running(name):
        done.append(f"stopped the back office at {office.url} (process {office.pid})")
        if not dry_run:
            back_office.stop(name)
    if home.exists():
        done.append(f"removed {home}")
        if not dry_run:
            shutil.rmtree(home)
    return done


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and remove the run."""
    parser = argparse.ArgumentParser(prog="python -m ops.local.down", description=__doc__)
    parser.add_argument("--name", default="demo", help="which run (default: demo)")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    options = parser.parse_args(arguments)
    done = down(options.name, dry_run=options.dry_run)
    for line in done:
        print(f"Would have {line}." if options.dry_run else f"{line[0].upper()}{line[1:]}.")
    if not done:
        print(f"Nothing to remove: `{options.name}` isn't up.")
    return 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
