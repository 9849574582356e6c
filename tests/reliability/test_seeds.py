"""Tests that no rule breaks in any history of the simulation, and that a seed is one history.

A failing test names the seeds and the command that plays each of them again with its trace. docs/failures.md says which
faults the simulation has.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any, NoReturn
from unittest.mock import patch

import pytest

from ops.console import ROOT
from tests.reliability.run import Outcome, command, describe, play, play_all

QUICK, LONG = range(200), range(200, 10_000)
MOST_CPU_SECONDS = 0.09
"""The greatest average time of a seed. With it, 1,000 seeds take 45 seconds in two processes."""


def check(outcomes: Iterable[Outcome]) -> None:
    """Fail with the command of each seed that breaks a rule."""
    broken = [describe(outcome) for outcome in outcomes if outcome.broken]
    assert not broken, f"{len(broken)} seeds break a rule:\n" + "\n".join(broken[:10])


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """Return the outcomes of the seeds that every run of the tests plays."""
    return play_all(QUICK)


def test_no_rule_breaks_whatever_fails(outcomes: list[Outcome]) -> None:
    check(outcomes)


def test_a_thousand_seeds_take_45_seconds_in_two_processes(outcomes: list[Outcome]) -> None:
    assert sum(outcome.cpu_seconds for outcome in outcomes) / len(outcomes) <= MOST_CPU_SECONDS


def test_no_two_seeds_are_the_same_history(outcomes: list[Outcome]) -> None:
    assert len({outcome.trace_hash for outcome in outcomes}) == len(outcomes)


@pytest.mark.long
def test_no_rule_breaks_in_ten_thousand_seeds() -> None:
    check(play_all(LONG))


def hashes(hash_seed: str) -> list[str]:
    """Return the hashes of ten seeds, from a process whose sets have another order."""
    program = "from tests.reliability.run import play; print(*(play(seed).trace_hash for seed in range(10)))"
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{ROOT / 'lambda_src'}:{ROOT}"}
    words = [sys.executable, "-c", program]
    return subprocess.run(words, env=environment, check=True, capture_output=True, text=True).stdout.split()


def test_the_same_seed_is_the_same_history_in_every_process() -> None:
    expected = [play(seed).trace_hash for seed in range(10)]
    assert hashes("1") == hashes("2") == expected


def test_the_functions_take_time_and_random_bytes_only_from_what_is_handed_in() -> None:
    """Otherwise the histories would depend on the machine that plays them."""

    def refuse(*_: Any) -> NoReturn:
        raise AssertionError("a function has asked the machine for the time or for random bytes")

    with ExitStack() as patches:
        for name in ("time.time", "time.time_ns", "time.monotonic", "time.sleep", "os.urandom"):
            patches.enter_context(patch(name, refuse))
        outcomes = [play(seed) for seed in range(30)]
    check(outcomes)


def test_the_command_of_a_seed_plays_it_again() -> None:
    seed, mutant = 3, "replay_counts"
    words = command(seed, mutant).partition(".venv/bin/python ")[2].split()
    environment = os.environ | {"PYTHONPATH": str(ROOT / "lambda_src")}
    run = subprocess.run([sys.executable, *words], env=environment, cwd=ROOT, capture_output=True, text=True)
    *trace, last = run.stdout.splitlines()
    assert run.returncode == 1 and len(trace) > 100
    assert last.startswith(f"seed {seed}: a replay changes the counted records"), last
