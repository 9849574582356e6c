"""Plans the stacks that several unit tests check. One Terraform process with a mocked provider plans them all."""

from pathlib import Path
from typing import Any

from tests.unit.planned import SOURCE, errors, terraform_test

ALARMS = "tests/alarms/stack.tftest.hcl"
CACHES = "tests/alarms/caches.tftest.hcl"
SECOND_TABLE = "tests/region_items.tftest.hcl"
CACHED_ROUTES = "tests/cached_routes/stacks.tftest.hcl"
ORGANISATION = "tests/adoption.tftest.hcl"
FIREWALL = "tests/firewall.tftest.hcl"

PlannedStacks = dict[str, dict[str, dict[str, Any]]]
"""Test file -> its runs -> the plan of each run, in Terraform's JSON format."""


def plan(folder: Path) -> PlannedStacks:
    """Plan the stacks of the test files. Of :data:`ORGANISATION`, plan only the first run.

    :param folder: an empty folder
    """
    organisation, other_runs, _ = (SOURCE / ORGANISATION).read_text().partition('\nrun "own_pool')
    assert other_runs
    texts = {name: (SOURCE / name).read_text() for name in (ALARMS, CACHES, SECOND_TABLE, CACHED_ROUTES, FIREWALL)} | {
        ORGANISATION: organisation
    }
    names = {name.removeprefix("tests/").replace("/", "-"): name for name in texts}
    messages = terraform_test(folder, [(file, texts[name]) for file, name in names.items()])
    assert messages[-1]["test_summary"]["status"] == "pass", errors(messages)
    plans: PlannedStacks = {name: {} for name in texts}
    for message in messages:
        if message["type"] == "test_plan":
            file = names[message["@testfile"].removeprefix("tests/")]
            plans[file][message["@testrun"]] = message["test_plan"]
    return plans
