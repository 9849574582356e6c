"""Rules that the repository itself keeps."""

import re
from collections import Counter
from pathlib import Path

import pytest

from ops.console import ROOT

TERRAFORM = [path for path in sorted((ROOT / "terraform").rglob("*.tf")) if ".terraform" not in path.parts]
PRODUCT = [path for path in TERRAFORM if "tests" not in path.relative_to(ROOT).parts]
TESTS = sorted((ROOT / "terraform" / "tests").glob("*.tftest.hcl"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_at_most_12_checkov_suppressions_each_with_its_reason() -> None:
    found = [line for path in PRODUCT for line in path.read_text().splitlines() if "checkov:skip" in line]
    assert len(found) <= 12
    for line in found:
        assert re.search(r"checkov:skip=CKV2?_AWS_\d+:\S.{20,}", line), line


def blocks(text: str, kind: str) -> list[str]:
    """The bodies of HCL blocks of one kind, at any depth, in files formatted by `terraform fmt`."""
    found = []
    for match in re.finditer(rf'^( *){kind}(?: "[^"]*")? \{{$', text, re.MULTILINE):
        end = re.compile(rf"^{match[1]}\}}$", re.MULTILINE).search(text, match.end())
        assert end
        found.append(text[match.end() : end.start()])
    return found


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_every_terraform_run_can_fail(path: Path) -> None:
    runs = blocks(path.read_text(), "run")
    assert runs
    for run in runs:
        assert "expect_failures" in run or blocks(run, "assert"), run[:200]


def test_there_is_a_refusal_for_every_rule() -> None:
    rules: Counter[tuple[str, str]] = Counter()  # by module and what the rule belongs to: "var.x" or "aws_y.z"
    for path in PRODUCT:
        module = path.parent.relative_to(ROOT / "terraform").as_posix()
        for kind, *names, body in re.findall(
            r'^(variable|resource) "(\w+)"(?: "(\w+)")? \{$(.*?)^\}$', path.read_text(), re.M | re.S
        ):
            owner = f"var.{names[0]}" if kind == "variable" else ".".join(names)
            rules[module, owner] += len(blocks(body, "validation")) + len(blocks(body, "precondition"))

    refusals: Counter[tuple[str, str]] = Counter()  # runs that name it
    for run in (run for path in TESTS for run in blocks(path.read_text(), "run")):
        source = re.search(r'source = "\./(.+)"', run)
        # tests/rules is a link to the root's variables
        module = source[1].replace("tests/rules", ".") if source else "."
        expected = "".join(re.findall(r"expect_failures = \[$.*?^  \]$|expect_failures = \[.*\]$", run, re.M | re.S))
        refusals.update(
            {(module, owner) for owner in re.findall(r"[a-z]\w*\.\w+", re.sub(r'#.*|"[^"]*"', "", expected))}
        )

    assert rules.total() > 50
    lacking = {
        owner: f"{number} rules, {refusals[owner]} refusals"
        for owner, number in rules.items()
        if refusals[owner] < number
    }
    assert not lacking


def test_no_policy_uses_wildcard_actions() -> None:
    for path in PRODUCT:
        for match in re.finditer(r'Action\s*=\s*(\[[^\]]*\]|"[^"]*")', path.read_text()):
            # only to deny: plain HTTP, for every action
            denies = 'Effect    = "Deny"' in path.read_text()[max(0, match.start() - 200) : match.start()]
            assert "*" not in match[0] or denies, (path, match[0])


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
