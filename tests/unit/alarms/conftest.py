"""The fixture of the planned stack."""

import pytest

from tests.unit.alarms.plan import Plan
from tests.unit.stacks import ALARMS, PlannedStacks


@pytest.fixture(scope="session")
def plan(planned_stacks: PlannedStacks) -> Plan:
    (stack,) = planned_stacks[ALARMS].values()
    return Plan(stack["resource_changes"])
