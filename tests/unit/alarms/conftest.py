"""The fixtures of the planned stack, and of what it doesn't have: other kinds of caches, and a second items table."""

import pytest

from tests.unit.alarms.plan import Plan
from tests.unit.stacks import ALARMS, CACHES, FIREWALL, SECOND_TABLE, PlannedStacks


@pytest.fixture(scope="session")
def plan(planned_stacks: PlannedStacks) -> Plan:
    (stack,) = planned_stacks[ALARMS].values()
    return Plan(stack["resource_changes"])


@pytest.fixture(scope="session")
def two_tables(planned_stacks: PlannedStacks) -> Plan:
    """A plan of a Region with two items tables, which are no part of it."""
    return Plan(planned_stacks[SECOND_TABLE]["former_table"]["resource_changes"])


@pytest.fixture(scope="session")
def counting_firewall(planned_stacks: PlannedStacks) -> Plan:
    """A plan of a firewall whose rules count and refuse nothing."""
    return Plan(planned_stacks[FIREWALL]["everything_on"]["resource_changes"])


@pytest.fixture(scope="session")
def plans(plan: Plan, two_tables: Plan, planned_stacks: PlannedStacks) -> list[Plan]:
    """The planned stack, a Region with two items tables, and a plan of each other kind of cache alone."""
    return [plan, two_tables, *(Plan(planned["resource_changes"]) for planned in planned_stacks[CACHES].values())]
