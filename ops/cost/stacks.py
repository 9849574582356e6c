"""The stacks whose costs README.md shows: what Terraform plans for them, without an AWS account.

`python -m ops.cost --plan` plans them and writes stacks.json. So the tables of README.md and docs/costs.md can be
written and checked without Terraform. A test plans them again and compares.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ops.console import ROOT, CommandError
from ops.terraform import environment, init, terraform

from .idle import Usage, require_priced, usage_of

SOURCE = ROOT / "terraform"
FILE = Path(__file__).with_name("stacks.json")

PROD_STACK = "`prod.tfvars`"

EXAMPLE_STACK = f"{PROD_STACK} with a source"
"""The title of the stack of the worked example in docs/costs.md."""

STACKS: Mapping[str, Sequence[str]] = {
    "`dev.tfvars`": ("environments/dev.tfvars",),
    PROD_STACK: ("environments/prod.tfvars",),
    EXAMPLE_STACK: ("environments/prod.tfvars", "tests/cost/source.tfvars"),
    f"{PROD_STACK} with a serverless cache and a database": ("environments/prod.tfvars", "tests/cost/stores.tfvars"),
}
"""The title of a stack -> its variable files in terraform/. Later files win."""


def plan_stacks(folder: Path) -> dict[str, dict[str, Any]]:
    """Plan every stack with a mocked provider. Return the plans in Terraform's JSON format, by the stacks' titles.

    :param folder: an empty folder. Terraform runs there, so that no other test's modules or state are in the way.
    :raises CommandError: if a plan fails
    """
    root, env = _prepare(folder)
    with ThreadPoolExecutor(2) as pool:
        plans = pool.map(lambda files: _plan(root, files, env), STACKS.values())
        return dict(zip(STACKS, plans, strict=True))


def plan_variables(files: Sequence[Path]) -> dict[str, Any]:
    """Plan the stack of variable files with a mocked provider. Return the plan in Terraform's JSON format.

    :param files: variable files. Later files win.
    :raises CommandError: if the plan fails; the message contains Terraform's errors
    """
    with TemporaryDirectory() as folder:
        root, env = _prepare(Path(folder))
        return _plan(root, [str(file.resolve()) for file in files], env)


def _prepare(folder: Path) -> tuple[Path, dict[str, str]]:
    """Copy terraform/ into an empty folder. Return the path there, and the environment for Terraform."""
    shutil.copytree(SOURCE, folder / "terraform", ignore=shutil.ignore_patterns(".terraform", "*.tftest.hcl"))
    shutil.copytree(SOURCE.parent / "web", folder / "web")
    root = folder / "terraform"
    for path in root.rglob("*.tf"):
        path.write_text(without_checks(path.read_text()))
    shutil.copy(SOURCE / "tests/cost/stack.tftest.hcl", root / "tests")
    env = environment(folder / "data")
    init(root, env)
    return root, env


def without_checks(text: str) -> str:
    """Return a Terraform file without its `check` blocks. `terraform apply` only warns, but `terraform test` fails."""
    return re.sub(r'^check "\w+" \{\n.*?^\}\n', "", text, flags=re.MULTILINE | re.DOTALL)


def _plan(root: Path, files: Sequence[str], env: Mapping[str, str]) -> dict[str, Any]:
    command = [terraform(), f"-chdir={root}", "test", "-json", "-verbose", *(f"-var-file={file}" for file in files)]
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=False)
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    plans: list[dict[str, Any]] = [message["test_plan"] for message in messages if message["type"] == "test_plan"]
    if done.returncode != 0 or not plans:
        found = [message["diagnostic"] for message in messages if message["type"] == "diagnostic"]
        errors = "\n".join(f"{error['summary']}: {error['detail']}" for error in found if error["severity"] == "error")
        raise CommandError(f"`terraform test` failed with {', '.join(files)}:\n{errors or done.stderr}")
    return plans[0]


def usage_of_stacks() -> dict[str, dict[str, Usage]]:
    """Plan every stack. Return what its resource types need in an idle month, by the stacks' titles.

    :raises CommandError: if a plan fails, or has a resource type that no table of idle.py lists
    """
    with TemporaryDirectory() as folder:
        usage = {title: usage_of(plan) for title, plan in plan_stacks(Path(folder)).items()}
    for kinds in usage.values():
        require_priced(kinds)
    return usage


def write_stacks(usage: Mapping[str, Mapping[str, Usage]]) -> None:
    """Write stacks.json."""
    text = {title: {kind: entry._asdict() for kind, entry in kinds.items()} for title, kinds in usage.items()}
    FILE.write_text(json.dumps(text, indent=2) + "\n")


def read_stacks() -> dict[str, dict[str, Usage]]:
    """Return what stacks.json holds."""
    stacks = json.loads(FILE.read_text())
    return {title: {kind: Usage(**entry) for kind, entry in kinds.items()} for title, kinds in stacks.items()}
