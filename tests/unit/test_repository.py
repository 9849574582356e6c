"""Checks of the repository's own files: the Terraform sources, the Terraform tests, and the documentation."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from ops.console import ROOT

TERRAFORM = [path for path in sorted((ROOT / "terraform").rglob("*.tf")) if ".terraform" not in path.parts]
PRODUCT = [path for path in TERRAFORM if "tests" not in path.relative_to(ROOT).parts]
TESTS = sorted((ROOT / "terraform" / "tests").glob("*.tftest.hcl"))
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def test_there_are_at_most_20_checkov_suppressions_and_each_gives_a_reason() -> None:
    suppressions = [line for path in PRODUCT for line in path.read_text().splitlines() if "checkov:skip" in line]
    assert len(suppressions) <= 20
    for line in suppressions:
        assert re.search(r"checkov:skip=CKV2?_AWS_\d+:\S.{20,}", line), line


LINKED = {"tests/routes": "modules/api"}
"""For each test module that holds symbolic links to the variable files of a real module: that module.

A run of the test module counts for the real module.
"""


def blocks(text: str, kind: str) -> list[str]:
    """Return the bodies of all blocks of one kind in an HCL text, nested blocks included.

    :param text: the HCL text, as `terraform fmt` formats it, because the end of a block is found by its indentation.
    :param kind: the type of the blocks, such as ``validation`` or ``run``.
    """
    bodies = []
    for match in re.finditer(rf'^( *){kind}(?: "[^"]*")? \{{$', text, re.MULTILINE):
        end = re.compile(rf"^{match[1]}\}}$", re.MULTILINE).search(text, match.end())
        assert end
        bodies.append(text[match.end() : end.start()])
    return bodies


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_every_run_of_a_terraform_test_asserts_something(path: Path) -> None:
    text = path.read_text()
    names = re.findall(r'^run "(\w+)" \{$', text, re.M)
    runs = blocks(text, "run")
    assert runs
    for name, run in zip(names, runs, strict=True):
        # A run may leave its assertions to later runs, which then refer to its outputs.
        assert "expect_failures" in run or blocks(run, "assert") or f"run.{name}." in text, name


def test_a_terraform_test_violates_every_validation_and_precondition() -> None:
    rules: Counter[tuple[str, str]] = Counter()  # the number of rules by module and address, such as "var.x"
    for path in PRODUCT:
        module = path.parent.relative_to(ROOT / "terraform").as_posix()
        for kind, *names, body in re.findall(
            r'^(variable|resource|data) "(\w+)"(?: "(\w+)")? \{$(.*?)^\}$', path.read_text(), re.M | re.S
        ):
            address = f"var.{names[0]}" if kind == "variable" else ".".join(names)
            address = f"data.{address}" if kind == "data" else address
            rules[module, address] += sum(
                len(blocks(body, rule)) for rule in ("validation", "precondition", "postcondition")
            )

    refusals: Counter[tuple[str, str]] = Counter()  # the number of test runs that violate a rule of this address
    for run in (run for path in TESTS for run in blocks(path.read_text(), "run")):
        source = re.search(r'source = "\./(.+)"', run)
        module = LINKED.get(source[1], source[1]) if source else "."
        expected = "".join(re.findall(r"expect_failures = \[$.*?^  \]$|expect_failures = \[.*\]$", run, re.M | re.S))
        addresses = re.findall(r"(?:data\.)?[a-z]\w*\.\w+", re.sub(r'#.*|"[^"]*"', "", expected))
        refusals.update({(module, address) for address in addresses})

    assert rules.total() > 50
    untested = {
        address: f"{number} rules, {refusals[address]} refusals"
        for address, number in rules.items()
        if refusals[address] < number
    }
    assert not untested


def test_no_policy_allows_a_wildcard_action() -> None:
    for path in PRODUCT:
        for match in re.finditer(r'Action\s*=\s*(\[[^\]]*\]|"[^"]*")', path.read_text()):
            # Accept a wildcard in a statement with the effect Deny, because a statement that denies plain HTTP must
            # apply to every action.
            denies = 'Effect    = "Deny"' in path.read_text()[max(0, match.start() - 200) : match.start()]
            assert "*" not in match[0] or denies, (path, match[0])


def test_no_object_in_s3_gets_the_tags_of_the_provider() -> None:
    """S3 allows 10 tags per object, and the provider's default_tags may be more."""
    own_tags = re.compile(r"^  override_provider \{\n    default_tags \{\n      tags = \{\}\n    \}\n  \}$", re.M)
    objects = {
        f"{path.relative_to(ROOT)}: {name}": body
        for path in PRODUCT
        for name, body in re.findall(r'^resource "aws_s3_object" "(\w+)" \{$(.*?)^\}$', path.read_text(), re.M | re.S)
    }
    assert objects
    assert not [place for place, body in objects.items() if not own_tags.search(body)]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_of_a_page_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_every_change_of_a_live_stack_names_tests_that_exist() -> None:
    """The table of docs/lifecycle.md names tests by some words of their names."""
    tests = {
        "R": re.findall(r'^run "(\w+)"', (ROOT / "terraform/tests/record.tftest.hcl").read_text(), re.M),
        "L": re.findall(r"^def test_(\w+)", (ROOT / "tests/local/test_lifecycle.py").read_text(), re.M),
        "F": re.findall(r'^run "(\w+)"', (ROOT / "terraform/tests/api_failover.tftest.hcl").read_text(), re.M),
        "P": re.findall(r'^run "(\w+)"', (ROOT / "terraform/tests/readplane.tftest.hcl").read_text(), re.M),
        "C": re.findall(r'^run "(\w+)"', (ROOT / "terraform/tests/record_release.tftest.hcl").read_text(), re.M),
        "D": re.findall(r'^run "(\w+)"', (ROOT / "terraform/tests/relational.tftest.hcl").read_text(), re.M),
        "I": re.findall(r'^run "(\w+)"', (ROOT / "terraform/tests/identity_pool.tftest.hcl").read_text(), re.M),
    }
    whole = {"U", "S: every combination", "—"}  # all tests of a file, or none
    rows = re.findall(r"^\| (?!change \| |---)(.*) \| (.*) \|$", (ROOT / "docs/lifecycle.md").read_text(), re.M)
    assert len(rows) > 15
    for change, named in rows:
        for part in set(named.split("; ")) - whole:
            file, _, phrases = part.partition(": ")
            for phrase in phrases.split(", "):
                words = {word.removesuffix("s") for word in phrase.split()}
                names = [{word.removesuffix("s") for word in name.split("_")} for name in tests[file]]
                assert words and any(words <= name for name in names), f"{change}: {part}"


def test_every_test_that_only_ci_runs_finds_its_fixtures() -> None:
    folders = ["tests/clients", "tests/localstack", "tests/local/test_rebuild_items.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--setup-plan", *folders]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-4000:]
