"""How property tests run: in CI the same examples every time, elsewhere new ones; a slow machine fails none of them.

`make test-long` runs them with the profile "long": 20 times as many examples, the same for the same SEED.
"""

import os

import pytest
from hypothesis import settings

settings.register_profile("readplane", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.register_profile(
    "long", settings.get_profile("readplane"), derandomize=False, max_examples=20 * settings().max_examples
)
settings.load_profile("readplane")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how to run again what failed in a long run."""
    failed = [report.nodeid for report in terminalreporter.stats.get("failed", [])]
    if failed and config.getoption("--hypothesis-profile") == "long":
        tests = " ".join(f"'{test}'" for test in failed)
        seed = config.getoption("--hypothesis-seed")
        terminalreporter.write_line(f'Again, with the same examples: make test-long SEED={seed} TESTS="{tests}"')
