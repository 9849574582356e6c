"""Run make targets one after another. Continue after a target fails, and print how long each target took.

Targets that are joined by a plus sign run at the same time. The first target prints its output at once. The output of
each other target is printed after the first target ends. The others only get the processor time that the first leaves,
because it may measure times.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from ops.console import ROOT, failures


class Result(NamedTuple):
    """A target's duration in seconds, its exit code, and the part of its output that isn't printed yet."""

    target: str
    seconds: float
    code: int
    output: str = ""


def main(arguments: list[str] | None = None) -> int:
    """Run the make targets that the command line names. Return 1 if any target failed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m ops.parts", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("targets", nargs="+", help="make targets; those joined by + run at the same time")
    start = time.monotonic()
    results = [result for words in parser.parse_args(arguments).targets for result in run_together(words.split("+"))]
    total = Result("all", time.monotonic() - start, max(result.code for result in results))
    print("\n== Durations")
    for target, seconds, code, _ in [*results, total]:
        print(f"  {target:16} {seconds:6.1f} s  {'FAILED' if code else 'passed'}")
    return 1 if total.code else 0


def run_together(targets: list[str]) -> Iterator[Result]:
    """Run make targets at the same time. Print their outputs one after the other."""
    first, *others = targets
    with ThreadPoolExecutor(len(targets)) as pool:
        running = [pool.submit(_run, target, prints=False) for target in others]
        print(f"\n== make {first}", flush=True)
        yield _run(first, prints=True)
        for result in (future.result() for future in running):
            print(f"\n== make {result.target}", result.output, sep="\n", flush=True)
            yield result


def _run(target: str, *, prints: bool) -> Result:
    start = time.monotonic()
    command = ["make", target] if prints else ["nice", "-n", "19", "make", target]
    output = None if prints else subprocess.PIPE
    done = subprocess.run(
        command, cwd=ROOT, stdout=output, stderr=None if prints else subprocess.STDOUT, text=True, check=False
    )
    return Result(target, time.monotonic() - start, done.returncode, done.stdout or "")


if __name__ == "__main__":
    with failures():
        sys.exit(main())
