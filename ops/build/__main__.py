"""`python -m ops.build`: build the zips that Terraform deploys, for AWS and for the local emulator.

python -m ops.build                   build the zips of both targets, unless they are up to date
python -m ops.build --target local    build dist/local/*.zip only
"""

import argparse
import hashlib
import sys
import time
from pathlib import Path

from ops.build.targets import TARGETS
from ops.build.zips import build
from ops.console import ROOT, failures


def main(arguments: list[str] | None = None) -> int:
    """Build the zips that the command line selects, and print the size and hash of each zip."""
    parser = argparse.ArgumentParser(prog="python -m ops.build", description="Build the zips that Terraform deploys.")
    parser.add_argument("--target", choices=[*TARGETS, "all"], default="all", help="which zips to make (default: all)")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="the folder for the zips (default: dist/)")
    parser.add_argument("--force", action="store_true", help="make the zips even if they are up to date")
    parser.add_argument("--dry-run", action="store_true", help="only print what would be made")
    options = parser.parse_args(arguments)
    for target in TARGETS.values() if options.target == "all" else [TARGETS[options.target]]:
        zips = target.zips(options.dist)
        if options.dry_run:
            print(f"Would make {', '.join(map(str, zips))} with {target.interpreter()}.")
            continue
        start = time.monotonic()
        _, is_new = build(target, options.dist, force=options.force)
        for path in zips:
            size, digest = path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()
            print(f"{path}  {size / 1024:.0f} KiB  sha256 {digest[:16]}…")
        print(f"{target.name}: {'made' if is_new else 'up to date'} in {time.monotonic() - start:.1f} s")
    return 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
