"""Tests that Terraform stops before it touches an account for which the stack isn't meant."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ops import terraform
from tests.local.support import Local

pytestmark = pytest.mark.early

FILES = ("providers.tf", "versions.tf", "variables.tf", "variables_provider.tf", "environments/local.tfvars")
QUESTION = """
data "aws_caller_identity" "primary" {}

data "aws_caller_identity" "replica" {
  provider = aws.replica
}
"""


def plan(stack: Local, folder: Path, accounts: str) -> subprocess.CompletedProcess[str]:
    """Plan a root module that has the providers of terraform/ and asks both in which account they are.

    :param accounts: the accounts that Terraform may touch, as an HCL list.
    """
    for name in FILES:
        shutil.copy(terraform.SOURCE / name, folder)
    (folder / "main.tf").write_text(QUESTION)
    stack.terraform.init(folder)
    words = ["plan", "-no-color", "-input=false", "-var-file=local.tfvars", f"-var=allowed_account_ids={accounts}"]
    return stack.terraform.run(folder, *words)


def test_terraform_plans_in_an_allowed_account(stack: Local, tmp_path: Path) -> None:
    done = plan(stack, tmp_path, '["000000000000"]')
    assert done.returncode == 0, done.stderr


def test_terraform_stops_in_any_other_account(stack: Local, tmp_path: Path) -> None:
    done = plan(stack, tmp_path, '["111122223333"]')
    assert done.returncode == 1
    assert done.stderr.count("AWS account ID not allowed") == 2, "both providers refuse"
