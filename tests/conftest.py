"""Settings for Hypothesis's property tests: the same examples on every run in CI, and new examples elsewhere.

`make test-properties` runs the property tests with the profile "long", which tries 20 times as many examples. Runs with
the same value of the make variable SEED try the same examples. If a property test fails, pytest prints the command that
runs the failed tests again with the same examples. No example has a deadline.
"""

import os
import random

import pytest
from hypothesis import core, settings

settings.register_profile("readplane", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.register_profile(
    "long", settings.get_profile("readplane"), derandomize=False, max_examples=20 * settings().max_examples
)
settings.load_profile("readplane")


def pytest_configure() -> None:
    """Choose the random seed of the property tests, so that :func:`pytest_terminal_summary` can print it.

    In CI, choose no seed, because every run there tries the same examples. The option ``--hypothesis-seed`` overrides
    the chosen seed, whether Hypothesis's pytest plugin reads the option before or after this hook.
    """
    if "CI" not in os.environ and core.global_force_seed is None:
        core.global_force_seed = random.SystemRandom().getrandbits(32)  # type: ignore[assignment]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the command that runs the failed property tests again with the same examples."""
    reports = terminalreporter.stats.get("failed", [])
    tests = " ".join(f"'{report.nodeid}'" for report in reports if "hypothesis" in report.keywords)
    if not tests:
        return
    seed = core.global_force_seed
    if config.getoption("--hypothesis-profile") == "long":
        command = f'make test-properties SEED={seed} TESTS="{tests}"'
    elif seed is None:
        command = f"CI=true .venv/bin/python -m pytest {tests}"
    else:
        command = f".venv/bin/python -m pytest --hypothesis-seed={seed} {tests}"
    terminalreporter.write_line(f"Run the same examples again: {command}")
