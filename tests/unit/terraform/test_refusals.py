"""Check that each rule about a variable has a test run that breaks it, and that this run breaks no other rule.

`expect_failures` only says that a run breaks some rule of a variable. So a run could pass although the rule that it is
meant for never fails. This test runs Terraform without `expect_failures`, and reads which rules Terraform reports.
"""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

from ops.console import ROOT
from ops.terraform import environment, init, terraform

TESTS = ROOT / "terraform/tests"
SETTINGS = ROOT / "terraform/modules/settings"
RUN = re.compile(r'^run "(\w+)" \{\n(.*?)^\}\n', re.MULTILINE | re.DOTALL)
EXPECTATION = re.compile(r"^  expect_failures = \[.*?\]\n", re.MULTILINE | re.DOTALL)
REPORTED_RUN = re.compile(r'in\s+run\s+"(\w+)"')
REPORTED_RULE = re.compile(r"rule\s+at\s+modules/settings/(\w+\.tf):(\d+)")

Rule = tuple[str, int]
"""A rule: the file that contains it, and the number of its first line."""


def test_each_refusal_breaks_one_rule_and_each_rule_is_broken(tmp_path: Path) -> None:
    shutil.copytree(SETTINGS, tmp_path / "modules/settings")
    shutil.copytree(TESTS / "mocks", tmp_path / "tests/mocks")
    (tmp_path / "main.tf").touch()
    runs = _write_runs(tmp_path / "tests")
    assert len(runs) > 150

    broken: dict[str, set[Rule]] = {name: set() for name in runs}
    for error in _terraform_test(tmp_path).split("Error: ")[1:]:
        run, rule = REPORTED_RUN.search(error), REPORTED_RULE.search(error)
        assert run and rule, error
        broken[run[1]].add((rule[1], int(rule[2])))
    assert not {name: rules for name, rules in broken.items() if len(rules) != 1}

    refusals: defaultdict[Rule, list[str]] = defaultdict(list)
    for name, rules in broken.items():
        for rule_of_run in rules:
            refusals[rule_of_run].append(name)
    assert not [rule for rule in _rules() if not refusals[rule]]


def _write_runs(folder: Path) -> list[str]:
    """Write each run that expects the failure of a variable into a test file of its own. Return the runs' names.

    Terraform skips the runs of a file that follow a failed run, so each run needs its own file.
    """
    names = []
    for path in sorted(TESTS.glob("validations*.tftest.hcl")):
        text = path.read_text()
        shared = text[: text.index('\nrun "')]
        for name, body in RUN.findall(text):
            if 'source = "./modules/settings"' in body and EXPECTATION.search(body):
                assert name not in names, f"two runs are named {name}"
                names.append(name)
                run = f'run "{name}" {{\n{EXPECTATION.sub("", body)}}}\n'
                (folder / f"{name}.tftest.hcl").write_text(f"{shared}\n\n{run}")
    return names


def _terraform_test(folder: Path) -> str:
    """Run `terraform test` in a folder, and return all that Terraform prints."""
    env = environment(folder / "data")
    init(folder, env)
    command = [terraform(), f"-chdir={folder}", "test", "-no-color"]
    process = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return process.stdout


def _rules() -> list[Rule]:
    return [
        (path.name, number)
        for path in sorted(SETTINGS.glob("variables_*.tf"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if line == "  validation {"
    ]
