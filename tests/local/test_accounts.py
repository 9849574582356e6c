"""Tests that Terraform stops before it touches an account for which the stack isn't meant."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ops import terraform
from ops.local.stack import environment
from tests.local.support import Local

FILES = ("providers.tf", "versions.tf", "variables.tf", "variables_provider.tf", "environments/local.tfvars")
QUESTION = """
data "aws_caller_identity" "primary" {}

data "aws_caller_identity" "replica" {
  provider = aws.replica
}
"""


@pytest.fixture
def root(stack: Local, tmp_path: Path) -> Path:
    """Make a root module that has the providers of terraform/ and asks both in which account they are."""
    for name in FILES:
        shutil.copy(terraform.SOURCE / name, tmp_path)
    shutil.copy(terraform.SOURCE / ".terraform.lock.hcl", tmp_path)
    (tmp_path / "main.tf").write_text(QUESTION)
    return tmp_path


def plan(stack: Local, root: Path, accounts: str) -> subprocess.CompletedProcess[str]:
    """Run `terraform plan` with the accounts that it may touch, as an HCL list."""
    env = terraform.environment(root / "data") | environment(stack.stack.endpoint)
    terraform.init(root, env)
    command = [terraform.terraform(), f"-chdir={root}", "plan", "-no-color", "-input=false"]
    command += ["-var-file=local.tfvars", f"-var=allowed_account_ids={accounts}"]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_terraform_plans_in_an_allowed_account(stack: Local, root: Path) -> None:
    done = plan(stack, root, '["000000000000"]')
    assert done.returncode == 0, done.stderr


def test_terraform_stops_in_any_other_account(stack: Local, root: Path) -> None:
    done = plan(stack, root, '["111122223333"]')
    assert done.returncode == 1
    assert done.stderr.count("AWS account ID not allowed") == 2, "both providers refuse"
