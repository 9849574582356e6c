"""Checks of every resource of a stack that keeps an organisation's rules (terraform/tests/adoption.tftest.hcl)."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ops.console import ROOT
from ops.terraform import environment, init, terraform

SOURCE = ROOT / "terraform"
Resource = dict[str, Any]


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> list[Resource]:
    """Plan the run `organisation` with a mocked provider. Return every resource with its planned attributes."""
    folder = tmp_path_factory.mktemp("plan")
    for name in ("modules", "tests/mocks"):
        shutil.copytree(SOURCE / name, folder / name)
    shutil.copy(SOURCE / ".terraform.lock.hcl", folder)
    text, other_runs, _ = (SOURCE / "tests/adoption.tftest.hcl").read_text().partition('\nrun "own_pool')
    assert other_runs
    (folder / "tests/organisation.tftest.hcl").write_text(text)
    (folder / "main.tf").touch()
    return [change for change in plan(folder)["resource_changes"] if change["mode"] == "managed"]


def plan(folder: Path) -> dict[str, Any]:
    """Return the plan of the run `organisation` in a folder, as Terraform prints it."""
    env = environment(folder / "data")
    init(folder, env)
    command = [terraform(), f"-chdir={folder}", "test", "-json", "-verbose"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, [message for message in messages if message["@level"] == "error"] or done.stderr
    plans = {message["@testrun"]: message["test_plan"] for message in messages if message["type"] == "test_plan"}
    organisation: dict[str, Any] = plans["organisation"]
    return organisation


def planned(resources: list[Resource], kind: str) -> dict[str, Resource]:
    """Return the planned attributes of every resource of one type, by the resource's address."""
    return {change["address"]: change["change"]["after"] for change in resources if change["type"] == kind}


def test_every_role_has_the_path_and_the_permissions_boundary(resources: list[Resource]) -> None:
    roles = planned(resources, "aws_iam_role")
    assert len(roles) > 20, "both Regions have roles"
    for address, role in roles.items():
        assert role["path"] == "/platform/", address
        assert role["permissions_boundary"] == "arn:aws:iam::111122223333:policy/boundary", address


def test_s3_logs_the_requests_to_every_bucket(resources: list[Resource]) -> None:
    buckets = planned(resources, "aws_s3_bucket")
    logs = planned(resources, "aws_s3_bucket_logging")
    assert len(buckets) == len(logs) == 4
    for address in buckets:
        log = logs[address.replace("aws_s3_bucket.this", "aws_s3_bucket_logging.this[0]")]
        region = "eu-west-1" if "module.replica" in address else "eu-central-1"
        assert log["target_bucket"] == f"logs-{region}", address


def test_a_stack_sets_nothing_for_the_whole_account(resources: list[Resource]) -> None:
    assert not planned(resources, "aws_api_gateway_account")
    assert not planned(resources, "aws_cognito_user_pool"), "the team has a pool already"
