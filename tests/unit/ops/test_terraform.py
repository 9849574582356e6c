"""Test how ops.terraform finds the program `terraform` and a mirror of its providers."""

from pathlib import Path

import pytest

from ops import terraform, tools
from ops.console import CommandError


def test_without_terraform_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "LOCAL", tmp_path / ".local")
    with pytest.raises(CommandError, match=r"Terraform 1\.11 or newer is needed[\s\S]*developer\.hashicorp\.com"):
        terraform.terraform()
    old = tmp_path / "terraform"
    old.write_text('#!/bin/sh\necho \'{"terraform_version": "1.9.8"}\'\n')
    old.chmod(0o755)
    with pytest.raises(CommandError, match=r"is 1\.9\.8"):
        terraform.terraform()


def test_a_mirror_is_found_four_levels_down_but_not_inside_a_terraform_folder(tmp_path: Path) -> None:
    (tmp_path / "a/.terraform/registry.terraform.io/hashicorp/aws").mkdir(parents=True)
    (tmp_path / "a/b/c/d/registry.terraform.io/hashicorp/aws").mkdir(parents=True)
    assert list(terraform._mirrors(tmp_path, 4)) == []
    (tmp_path / "a/b/c/registry.terraform.io/hashicorp/aws").mkdir(parents=True)
    assert list(terraform._mirrors(tmp_path, 4)) == [tmp_path / "a/b/c"]


def test_test_files_are_divided_into_groups_of_about_the_same_weight() -> None:
    weights = {"a": 9, "b": 4, "c": 3, "d": 2, "e": 1}
    groups = terraform.balanced(weights, 2)
    assert sorted(name for group in groups for name in group) == sorted(weights)
    assert sorted(sum(weights[name] for name in group) for group in groups) == [9, 10]
    assert terraform.balanced({"a": 1}, 8) == [["a"]], "no group is empty"


def test_a_run_of_the_whole_stack_weighs_more_than_one_of_a_module() -> None:
    run = 'run "a" {{\n  module {{\n    source = "./{}"\n  }}\n}}\n'
    weights = [
        terraform._seconds(run.format(module))
        for module in ("tests/routes", "modules/settings", "modules/tags", "modules/region", "modules/readplane")
    ]
    assert weights == sorted(set(weights))
    assert terraform._seconds('run "a" {\n}\n') == weights[-1], "a run without a module is one of the root"
    assert terraform._seconds(2 * run.format("modules/region")) == 2 * weights[-2]


def test_every_test_file_runs_in_exactly_one_target() -> None:
    plans, others = terraform.test_files(plans=True), terraform.test_files(plans=False)
    assert [file.name for file in plans] == [f"{name}.tftest.hcl" for name in terraform.PLANS]
    assert sorted([*plans, *others]) == sorted((terraform.SOURCE / "tests").glob("*.tftest.hcl"))
