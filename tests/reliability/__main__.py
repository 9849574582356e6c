"""Plays one seed of the simulation and prints its trace, or many seeds.

``python -m tests.reliability --seed 4711`` plays one. ``python -m tests.reliability --seeds 0:1000`` plays many. With
``--rebuild``, the items table is rebuilt in each history.
"""

import argparse
import sys
import time
from contextlib import nullcontext

from tests.reliability.mutants import MUTANTS
from tests.reliability.rebuild_mutants import REBUILD_MUTANTS
from tests.reliability.run import describe, make_world, play_all, play_world


def main() -> int:
    """Play what the command line names. Return 1 if a rule is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("--seed", type=int, help="play one seed and print its trace")
    parser.add_argument("--seeds", default="0:1000", help="play a range of seeds, the last one excluded")
    parser.add_argument("--rebuild", action="store_true", help="rebuild the items table in each history")
    mutants = MUTANTS | REBUILD_MUTANTS
    parser.add_argument("--mutant", choices=sorted(mutants), help="break the product in this way first")
    parser.add_argument("--processes", type=int, help="the number of processes; 2 by default")
    parser.add_argument("--quiet", action="store_true", help="print no trace")
    options = parser.parse_args()
    with mutants[options.mutant]() if options.mutant else nullcontext():
        if options.seed is not None:
            world = make_world(options.seed, rebuild=options.rebuild)
            outcome = play_world(world)
            if not options.quiet:
                print(world.profile)
                print("\n".join(world.machine.trace))
            print(f"seed {outcome.seed}: {outcome.broken or 'no rule is broken'}; trace {outcome.trace_hash}")
            return 1 if outcome.broken else 0
        first, _, end = options.seeds.partition(":")
        start = time.perf_counter()
        outcomes = play_all(range(int(first), int(end)), options.processes, rebuild=options.rebuild)
        broken = [outcome for outcome in outcomes if outcome.broken]
        for outcome in broken:
            print(describe(outcome, options.mutant or "", rebuild=options.rebuild))
        print(f"{len(outcomes)} seeds, {len(broken)} broken, {time.perf_counter() - start:.1f} s")
        return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
