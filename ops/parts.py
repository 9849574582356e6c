"""Run make targets one after another, or several at the same time. Continue after a target fails, and time each target.

Groups of targets run one after another. A group consists of lanes, which run at the same time, and the targets of a
lane run one after another:

    a,b        run `a`, then `b`
    a,b++c     run `a`, then `b`; run `c` beside them
    a,b+c      likewise, but `c` only gets the processor time that the others leave

So targets that measure times belong into the first lane, or into one that `++` joins. Targets that can't run at the
same time, because they share a port or a folder, belong into one lane. The first lane prints its output at once. The
output of each other lane is printed after the first lane ends.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from ops.console import ROOT, CommandError, failures


class Result(NamedTuple):
    """A target's duration in seconds, its exit code, and the part of its output that isn't printed yet."""

    target: str
    seconds: float
    code: int
    output: str = ""


def main(arguments: list[str] | None = None) -> int:
    """Run the make targets that the command line names. Return 1 if any target failed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m ops.parts", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("groups", nargs="+", metavar="group", help="make targets, such as lint or a,b++c+d")
    start = time.monotonic()
    results = [result for group in parser.parse_args(arguments).groups for result in run_group(lanes_of(group))]
    total = Result("all", time.monotonic() - start, max(result.code for result in results))
    print("\n== Durations")
    for target, seconds, code, _ in [*results, total]:
        print(f"  {target:16} {seconds:6.1f} s  {'FAILED' if code else 'passed'}")
    return 1 if total.code else 0


class Lane(NamedTuple):
    """Make targets that run one after another.

    targets: the targets
    is_nice: whether they only get the processor time that other lanes leave
    """

    targets: list[str]
    is_nice: bool


def lanes_of(group: str) -> list[Lane]:
    """Return the lanes of a group, in the order in which they print their outputs.

    :raises CommandError: if more than two plus signs join two lanes
    """
    first, *rest = re.split(r"(\++)", group)
    lanes = [Lane(first.split(","), False)]
    for joint, targets in zip(rest[::2], rest[1::2], strict=True):
        if len(joint) > 2:
            raise CommandError(f"`{group}`: one plus sign or two joins lanes.")
        lanes.append(Lane(targets.split(","), joint == "+"))
    return lanes


def run_group(lanes: list[Lane]) -> Iterator[Result]:
    """Run lanes of make targets at the same time. Print their outputs one after the other."""
    first, *others = lanes
    with ThreadPoolExecutor(len(lanes)) as pool:
        running = [pool.submit(_run_quietly, lane) for lane in others]
        for target in first.targets:
            print(f"\n== make {target}", flush=True)
            yield _run(["make", target], prints=True)
        for lane in running:
            for result in lane.result():
                print(f"\n== make {result.target}", result.output, sep="\n", flush=True)
                yield result


def _run_quietly(lane: Lane) -> list[Result]:
    start = ["nice", "-n", "19"] if lane.is_nice else []
    return [_run([*start, "make", target], prints=False) for target in lane.targets]


def _run(command: list[str], *, prints: bool) -> Result:
    start = time.monotonic()
    output = None if prints else subprocess.PIPE
    done = subprocess.run(
        command, cwd=ROOT, stdout=output, stderr=None if prints else subprocess.STDOUT, text=True, check=False
    )
    return Result(command[-1], time.monotonic() - start, done.returncode, done.stdout or "")


if __name__ == "__main__":
    with failures():
        sys.exit(main())
