"""Runs Terraform for the tests that have Terraform folders of their own, against the stack's emulator."""

import subprocess
from pathlib import Path

from ops import terraform
from ops.console import ROOT
from ops.local import stack as local_stack
from ops.local.stack import Stack


class Terraform:
    """Terraform with the environment variables of a local run.

    It uses one processor, because other tests run at the same time.
    """

    def __init__(self, stack: Stack) -> None:
        """Find the program. Do this before any thread starts, because the other tests change the environment."""
        environment = terraform.environment() | local_stack.environment(stack.endpoint)
        self._environment = environment | {"GOMAXPROCS": "1"}
        self._command = [terraform.terraform()]
        self._providers = stack.home / "terraform/.terraform/providers"

    def init(self, folder: Path) -> None:
        """Run `terraform init` in a folder, with the providers of the stack, which are on this machine by now."""
        (folder / ".terraform.lock.hcl").write_bytes((ROOT / "terraform/.terraform.lock.hcl").read_bytes())
        words = ["init", "-input=false", "-no-color", "-backend=false", "-lockfile=readonly"]
        done = self.run(folder, *words, f"-plugin-dir={self._providers}")
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a folder. Return its exit code and its output, and don't fail."""
        command = [*self._command, f"-chdir={folder}", *words]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
