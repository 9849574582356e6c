"""Plans the API of a stack, so that a test can attack the API that Terraform really makes."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from ops.console import ROOT
from ops.terraform import environment, init, terraform

SOURCE = ROOT / "terraform"
STACKS = "tests/cached_routes/stacks.tftest.hcl"


class Stack(NamedTuple):
    """What Terraform plans for a stack.

    :param document: the OpenAPI document that Terraform imports into API Gateway, as JSON text.
    :param method_settings: the stage's settings of each method: its cache and its ttl.
    :param read_settings: the settings of `read`.
    """

    document: str
    method_settings: tuple[dict[str, Any], ...]
    read_settings: dict[str, Any]


def plan_stacks(folder: Path) -> dict[str, Stack]:
    """Plan every run of :data:`STACKS` with a mocked provider. Return the stacks by the names of the runs.

    :param folder: an empty folder. Terraform runs there, so that no other test's modules or state are in the way.
    """
    for name in ("modules", "tests/mocks"):
        shutil.copytree(SOURCE / name, folder / name)
    shutil.copy(SOURCE / ".terraform.lock.hcl", folder)
    shutil.copy(SOURCE / STACKS, folder / "tests")
    (folder / "main.tf").touch()
    env = environment(folder / "data")
    init(folder, env)
    command = [terraform(), f"-chdir={folder}", "test", "-json", "-verbose"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, [message for message in messages if message["@level"] == "error"] or done.stderr
    return {message["@testrun"]: _stack(message["test_plan"]) for message in messages if message["type"] == "test_plan"}


def _stack(plan: dict[str, Any]) -> Stack:
    outputs = {name: change["after"] for name, change in plan["output_changes"].items()}
    settings = (
        change["change"]["after"]
        for change in plan["resource_changes"]
        if change["type"] == "aws_api_gateway_method_settings"
    )
    return Stack(outputs["api"]["document"], tuple(settings), json.loads(outputs["settings"]["read"]))
