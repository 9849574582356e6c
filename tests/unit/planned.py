"""Runs Terraform for the unit tests in a process of its own, while pytest runs the tests that don't need Terraform.

`tests/unit/conftest.py` has a fixture for each job of :data:`JOBS`. It starts the jobs that the selected tests need
before the first test, and moves these tests to the end. Each job runs once, however many tests read its result.

The jobs run in another process, because many tests replace functions and environment variables of pytest's process.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from ops.console import ROOT
from ops.terraform import environment, init, terraform

SOURCE = ROOT / "terraform"

JOBS = {
    "planned_stacks": "tests.unit.stacks:plan",
    "planned_costs": "tests.unit.ops.cost.test_stacks:plan",
    "planned_upgrades": "tests.unit.terraform.test_upgrade:plan_upgrades",
    "tests_of_whole_numbers": "tests.unit.terraform.test_whole_numbers:run_tests",
    "tests_of_refusals": "tests.unit.terraform.test_refusals:run_tests",
}
"""The fixture that returns a job's result -> the module and the function that do the job.

The function takes an empty folder and returns a value that JSON can represent. The jobs start in this order, and the
tests that need them run in this order.
"""

WORKERS = max(1, (os.cpu_count() or 1) - 1)
"""How many jobs run at the same time. Pytest itself needs one processor."""

Message = dict[str, Any]
"""A message of `terraform test -json`."""


def terraform_test(folder: Path, files: Iterable[tuple[str, str]], modules: str = "modules") -> list[Message]:
    """Run Terraform test files with a mocked provider in a folder of their own, and return Terraform's messages.

    :param folder: an empty folder. Terraform runs there, so that no other test's modules or state are in the way.
    :param files: the name and the text of each test file
    :param modules: the folder in terraform/ that has the modules of the runs
    """
    for name in (modules, "tests/mocks"):
        shutil.copytree(SOURCE / name, folder / name)
    shutil.copytree(SOURCE.parent / "web", folder.parent / "web", dirs_exist_ok=True)
    if modules == "modules":  # modules/settings needs no provider, and the lock file must not name an unused one
        shutil.copy(SOURCE / ".terraform.lock.hcl", folder)
    (folder / "main.tf").touch()
    for name, text in files:
        (folder / "tests" / name).write_text(text)
    env = environment(folder / "data")
    init(folder, env)
    command = [terraform(), f"-chdir={folder}", "test", "-json", "-verbose"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    messages: list[Message] = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert messages and messages[-1]["type"] == "test_summary", done.stderr or messages
    return messages


def errors(messages: list[Message]) -> list[Message]:
    """Return the messages that report an error."""
    diagnostics = [message for message in messages if message["type"] == "diagnostic"]
    return [message for message in diagnostics if message["diagnostic"]["severity"] == "error"]


class Jobs:
    """Jobs that run in the background."""

    def __init__(self, names: Iterable[str]) -> None:
        """Start jobs.

        :param names: names of :data:`JOBS`
        """
        self._folder = Path(mkdtemp())
        command = [sys.executable, "-m", "tests.unit.planned", str(self._folder), *names]
        paths = os.pathsep.join(map(str, (ROOT, ROOT / "lambda_src")))
        self._log = self._folder / "log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": paths},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def result(self, name: str) -> Any:
        """Return the result of a job. Wait until the job ends."""
        result, failure = (self._folder / f"{name}.{ending}" for ending in ("json", "failure"))
        while not (ended := self._process.poll() is not None) and not result.exists() and not failure.exists():
            time.sleep(0.1)
        assert not failure.exists(), f"{name} failed:\n{failure.read_text()}"
        assert result.exists() or not ended, f"{name} didn't end:\n{self._log.read_text()}"
        return json.loads(result.read_text())

    def stop(self) -> None:
        """End the jobs that still run, and remove all files."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, 15)
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _run(folder: Path, name: str) -> None:
    """Do a job. Write its result or the traceback of its exception into a file, which appears when it is complete."""
    module, function = JOBS[name].split(":")
    work = folder / name
    work.mkdir()
    try:
        text, ending = json.dumps(getattr(import_module(module), function)(work)), "json"
    except Exception:
        text, ending = traceback.format_exc(), "failure"
    unfinished = folder / f"{name}.unfinished"
    unfinished.write_text(text)
    unfinished.rename(folder / f"{name}.{ending}")
    shutil.rmtree(work)


def main(folder: str, *names: str) -> None:
    """Do jobs. Write their results into files of a folder.

    :param folder: the folder
    :param names: names of :data:`JOBS`
    """
    os.nice(5)  # so that the tests that measure time get a processor first
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda name: _run(Path(folder), name), names))


if __name__ == "__main__":
    main(*sys.argv[1:])
