"""The fixture of the planned stack. Terraform plans it once for all tests of the alarms."""

import pytest

from tests.unit.alarms.plan import Plan, plan_stack


@pytest.fixture(scope="session")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return plan_stack(tmp_path_factory.mktemp("alarms"))
