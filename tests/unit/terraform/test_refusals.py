"""Check that each rule about a variable has a test run that breaks it, and that this run breaks no other rule.

`expect_failures` only says that a run breaks some rule of a variable. So a run could pass although the rule that it is
meant for never fails. This test runs Terraform without `expect_failures`, and reads which rules Terraform reports.
"""

import re
from collections import defaultdict
from pathlib import Path

from ops.console import ROOT
from tests.unit.planned import Message, errors, terraform_test

TESTS = ROOT / "terraform/tests"
SETTINGS = ROOT / "terraform/modules/settings"
RUN = re.compile(r'^run "(\w+)" \{\n(.*?)^\}\n', re.MULTILINE | re.DOTALL)
EXPECTATION = re.compile(r"^  expect_failures = \[.*?\]\n", re.MULTILINE | re.DOTALL)
REPORTED_RULE = re.compile(r"rule\s+at\s+modules/settings/(\w+\.tf):(\d+)")

Rule = tuple[str, int]
"""A rule: the file that contains it, and the number of the line that Terraform reports.

Terraform reports the first line of a validation, and the first line of the condition of a precondition.
"""


def test_each_refusal_breaks_one_rule_and_each_rule_is_broken(tests_of_refusals: list[Message]) -> None:
    broken: dict[str, set[Rule]] = {name: set() for name in _runs()}
    assert len(broken) > 150
    for error in errors(tests_of_refusals):
        broken[error["@testrun"]].add(_reported(error))
    assert not {name: rules for name, rules in broken.items() if len(rules) != 1}

    refusals: defaultdict[Rule, list[str]] = defaultdict(list)
    for name, rules in broken.items():
        for rule_of_run in rules:
            refusals[rule_of_run].append(name)
    assert not [rule for rule in _rules() if not refusals[rule]]


def run_tests(folder: Path) -> list[Message]:
    """Run each refusal with Terraform, and return Terraform's errors.

    Terraform skips the runs of a file that follow a failed run, so each run has its own file.

    :param folder: an empty folder
    """
    files = [(f"{name}.tftest.hcl", text) for name, text in _runs().items()]
    return errors(terraform_test(folder, files, "modules/settings"))


def _reported(error: Message) -> Rule:
    """Return the rule that an error of Terraform names."""
    diagnostic = error["diagnostic"]
    if rule := REPORTED_RULE.search(diagnostic["detail"]):
        return rule[1], int(rule[2])
    assert diagnostic["summary"] == "Module output value precondition failed", error
    return Path(diagnostic["range"]["filename"]).name, diagnostic["range"]["start"]["line"]


def _runs() -> dict[str, str]:
    """Return a test file for each run that expects the failure of a variable or an output, by the runs' names."""
    files = {}
    for path in sorted(TESTS.glob("validations*.tftest.hcl")):
        text = path.read_text()
        shared = text[: text.index('\nrun "')]
        for name, body in RUN.findall(text):
            if 'source = "./modules/settings"' in body and EXPECTATION.search(body):
                assert name not in files, f"two runs are named {name}"
                files[name] = f'{shared}\n\nrun "{name}" {{\n{EXPECTATION.sub("", body)}}}\n'
    return files


def _rules() -> list[Rule]:
    validations = _lines("variables_*.tf", "  validation {")
    return validations + _lines("rules_*.tf", "    condition ")


def _lines(files: str, beginning: str) -> list[Rule]:
    """Return the place of each line of the settings that begins with a text.

    :param files: the pattern of the files' names
    """
    return [
        (path.name, number)
        for path in sorted(SETTINGS.glob(files))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if line.startswith(beginning)
    ]
