"""The fixtures of the planned stack, and of the kinds of caches that it doesn't have."""

import pytest

from tests.unit.alarms.plan import Plan
from tests.unit.stacks import ALARMS, CACHES, PlannedStacks


@pytest.fixture(scope="session")
def plan(planned_stacks: PlannedStacks) -> Plan:
    (stack,) = planned_stacks[ALARMS].values()
    return Plan(stack["resource_changes"])


@pytest.fixture(scope="session")
def plans(plan: Plan, planned_stacks: PlannedStacks) -> list[Plan]:
    """The planned stack, and a plan of each other kind of cache alone."""
    return [plan, *(Plan(planned["resource_changes"]) for planned in planned_stacks[CACHES].values())]
