"""Check the alarms that roll a deployment back, in the planned stack."""

from collections import defaultdict

from ops.cli.deployments import STAGES
from tests.unit.stacks import ALARMS, PlannedStacks

MOST_ALARMS = 10
"""How many alarms CodeDeploy takes for a deployment group."""


def test_every_alarm_that_rolls_a_deployment_back_exists(planned_stacks: PlannedStacks) -> None:
    """CodeDeploy finds an alarm by its name, in the Region of the group. It rolls back if it can't find the alarm."""
    (stack,) = planned_stacks[ALARMS].values()
    alarms: dict[str, set[str]] = defaultdict(set)
    groups: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for change in stack["resource_changes"]:
        region = "replica" if change["address"].startswith("module.replica") else "primary"
        values = change["change"]["after"]
        if change["type"] == "aws_cloudwatch_metric_alarm":
            alarms[region].add(values["alarm_name"])
        if change["type"] == "aws_codedeploy_deployment_group":
            groups[region][values["deployment_group_name"]] = values["alarm_configuration"][0]["alarms"]

    assert sorted(groups) == ["primary", "replica"]
    assert {"write", "apply", "publish", "read", "feed", "query"} <= set(groups["primary"]) & set(groups["replica"])
    for region, alarms_by_group in groups.items():
        for group, names in alarms_by_group.items():
            assert any(group in stage for stage in STAGES), f"{group} has no place in the order of deployments"
            assert set(names) <= alarms[region], f"{group} in {region}"
            assert len(names) <= MOST_ALARMS
            assert any(name.endswith(f"-{group}-errors") for name in names)
