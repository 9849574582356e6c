"""Rules that the repository itself keeps."""

import re
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
    rules = sum(
        len(blocks(path.read_text(), "validation")) + len(blocks(path.read_text(), "precondition")) for path in PRODUCT
    )
    refusals = sum("expect_failures" in run for path in TESTS for run in blocks(path.read_text(), "run"))
    assert rules > 50 and refusals >= rules


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
