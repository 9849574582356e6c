"""The fixtures of the planned stack, and of what it doesn't have: other kinds of caches, and a second items table."""

import pytest

from tests.unit.alarms.plan import Plan
from tests.unit.stacks import ALARMS, CACHES, SECOND_TABLE, PlannedStacks


@pytest.fixture(scope="session")
def plan(planned_stacks: PlannedStacks) -> Plan:
    (stack,) = planned_stacks[ALARMS].values()
    return Plan(stack["resource_changes"])


@pytest.fixture(scope="session")
def two_tables(planned_stacks: PlannedStacks) -> Plan:
    """A plan of a Region with two items tables, which are no part of it."""
    (region,) = planned_stacks[SECOND_TABLE].values()
    return Plan(region["resource_changes"])


@pytest.fixture(scope="session")
def plans(plan: Plan, planned_stacks: PlannedStacks) -> list[Plan]:
    """The planned stack, and a plan of each other kind of cache alone."""
    return [plan, *(Plan(planned["resource_changes"]) for planned in planned_stacks[CACHES].values())]
