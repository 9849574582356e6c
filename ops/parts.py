"""Run make targets one after another. Continue after a target fails, and print how long each target took."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from ops.console import ROOT, failures


def main(arguments: list[str] | None = None) -> int:
    """Run the make targets that the command line names. Return 1 if any target failed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m ops.parts", description=__doc__)
    parser.add_argument("targets", nargs="+", help="make targets")
    results: list[tuple[str, float, int]] = []
    for target in parser.parse_args(arguments).targets:
        print(f"\n== make {target}", flush=True)
        start = time.monotonic()
        code = subprocess.run(["make", target], cwd=ROOT, check=False).returncode
        results.append((target, time.monotonic() - start, code))
    total = ("all", sum(seconds for _, seconds, _ in results), max(code for _, _, code in results))
    print("\n== Durations")
    for target, seconds, code in [*results, total]:
        print(f"  {target:16} {seconds:6.1f} s  {'FAILED' if code else 'passed'}")
    return 1 if any(code for _, _, code in results) else 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
