"""Test that stacks.json, from which README.md's tables are written, is what Terraform plans."""

import json
from pathlib import Path
from typing import Any

from ops.cost.idle import require_priced, usage_of
from ops.cost.stacks import FILE, plan_stacks


def plan(folder: Path) -> dict[str, Any]:
    """Plan the stacks. Return what their resource types need, as stacks.json has it.

    :param folder: an empty folder
    """
    usage = {title: usage_of(stack) for title, stack in plan_stacks(folder).items()}
    for kinds in usage.values():
        require_priced(kinds)
    return {title: {kind: entry._asdict() for kind, entry in kinds.items()} for title, kinds in usage.items()}


def test_the_stacks_are_what_terraform_plans(planned_costs: dict[str, Any]) -> None:
    """If this fails, run `make docs`."""
    assert planned_costs == json.loads(FILE.read_text())
