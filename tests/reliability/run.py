"""Plays seeds: one with its trace, or many in two processes."""

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import NamedTuple
from unittest.mock import patch

from tests.reliability.invariants import BrokenRuleError
from tests.reliability.rebuild_world import RebuildWorld
from tests.reliability.world import World


class Outcome(NamedTuple):
    """How a history ended.

    :param broken: the rule that it broke; empty if it broke none.
    :param trace_hash: the hash of all that happened.
    :param steps: how many lines its trace has.
    :param cpu_seconds: the time of the processor that it took.
    """

    seed: int
    broken: str
    trace_hash: str
    steps: int
    cpu_seconds: float


def make_world(seed: int, *, rebuild: bool = False) -> World:
    """Make the history of a seed.

    :param rebuild: whether the items table is rebuilt in it.
    """
    return RebuildWorld(seed) if rebuild else World(seed)


def play(seed: int, *, rebuild: bool = False) -> Outcome:
    """Play the history of a seed."""
    return play_world(make_world(seed, rebuild=rebuild))


def play_world(world: World) -> Outcome:
    """Play a history. Nothing in it may wait for real, because its clock stands still meanwhile."""
    broken, start = "", time.process_time()
    try:
        with patch.object(time, "sleep", side_effect=AssertionError("something waits by the real clock")):
            world.play()
    except BrokenRuleError as error:
        broken = str(error)
    except Exception as error:  # a function has raised it, or AWS in this simulation refuses a call as invalid
        broken = "".join(traceback.format_exception(error, limit=-6))
    trace = world.machine.trace
    return Outcome(world.seed, broken, world.machine.trace_hash(), len(trace), time.process_time() - start)


def command(seed: int, mutant: str = "", *, rebuild: bool = False) -> str:
    """Return the command that plays a seed again and prints what happens."""
    words = f"--seed {seed}{f' --mutant {mutant}' if mutant else ''}{' --rebuild' if rebuild else ''}"
    return f"PYTHONPATH=lambda_src .venv/bin/python -m tests.reliability {words}"


def describe(outcome: Outcome, mutant: str = "", *, rebuild: bool = False) -> str:
    """Return what a history broke, and the command that plays it again."""
    return f"seed {outcome.seed}: {outcome.broken}\n    {command(outcome.seed, mutant, rebuild=rebuild)}"


def play_all(seeds: Iterable[int], processes: int | None = None, *, rebuild: bool = False) -> list[Outcome]:
    """Play many seeds in several processes, and return their outcomes in order."""
    processes = processes or min(2, os.cpu_count() or 1)
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        return list(pool.imap(partial(play, rebuild=rebuild), seeds, chunksize=10))


def first_broken(
    seeds: Iterable[int],
    mutant: Callable[[], AbstractContextManager[object]] = nullcontext,
    *,
    rebuild: bool = False,
) -> Outcome | None:
    """Return the outcome of the first seed that breaks a rule; ``None`` if none does."""
    with mutant():
        outcomes = map(partial(play, rebuild=rebuild), seeds)
        return next((outcome for outcome in outcomes if outcome.broken), None)
