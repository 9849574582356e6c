"""Plans a whole stack with Terraform and a mocked provider, so that tests check the alarms that Terraform makes."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ops.console import ROOT
from ops.terraform import environment, init, terraform
from tests.fakes.alarm_evaluator import Alarm, Query, metric

SOURCE = ROOT / "terraform"
STACK = "tests/alarms/stack.tftest.hcl"
NAME = "readplane"
"""The name of the planned stack."""


class Resource(NamedTuple):
    """A planned resource.

    :param region: ``primary`` or ``replica``, the Region that the resource is in.
    :param values: the resource's arguments and, as far as the mocked provider knows them, its attributes.
    """

    address: str
    type: str
    region: str
    values: dict[str, Any]


class PlannedAlarm(NamedTuple):
    """A planned alarm.

    :param region: ``primary`` or ``replica``, the Region that the alarm is in.
    """

    region: str
    alarm: Alarm
    description: str
    actions: tuple[str, ...]


class Plan:
    """What Terraform plans for the stack."""

    def __init__(self, changes: list[dict[str, Any]]) -> None:
        self.resources = [
            Resource(
                change["address"],
                change["type"],
                "replica" if change["address"].startswith("module.replica") else "primary",
                change["change"]["after"] or {},
            )
            for change in changes
        ]

    def of_type(self, kind: str, region: str) -> Iterator[Resource]:
        """Yield the resources of a type in a Region."""
        return (resource for resource in self.resources if (resource.type, resource.region) == (kind, region))

    @cached_property
    def alarms(self) -> list[PlannedAlarm]:
        """All alarms of the stack."""
        return [
            PlannedAlarm(
                resource.region,
                _alarm(resource.values),
                resource.values["alarm_description"],
                tuple(resource.values["alarm_actions"]),
            )
            for resource in self.resources
            if resource.type == "aws_cloudwatch_metric_alarm"
        ]


def plan_stack(folder: Path) -> Plan:
    """Plan the stack of :data:`STACK`.

    :param folder: an empty folder. Terraform runs there, so that no other test's modules or state are in the way.
    """
    for name in ("modules", "tests/mocks"):
        shutil.copytree(SOURCE / name, folder / name)
    shutil.copy(SOURCE / ".terraform.lock.hcl", folder)
    shutil.copy(SOURCE / STACK, folder / "tests")
    (folder / "main.tf").touch()
    env = environment(folder / "data")
    init(folder, env)
    command = [terraform(), f"-chdir={folder}", "test", "-json", "-verbose"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, [message for message in messages if message["@level"] == "error"] or done.stderr
    (plan,) = [message["test_plan"] for message in messages if message["type"] == "test_plan"]
    return Plan(plan["resource_changes"])


def _alarm(values: dict[str, Any]) -> Alarm:
    if values["metric_name"]:
        statistic = values["statistic"] or values["extended_statistic"]
        queries = {"metric": _query(values["namespace"], values["metric_name"], values["dimensions"], statistic)}
        expressions: dict[str, str] = {}
        watched, period = "metric", values["period"]
    else:
        metrics = {query["id"]: query["metric"][0] for query in values["metric_query"] if query["metric"]}
        queries = {
            name: _query(query["namespace"], query["metric_name"], query["dimensions"], query["stat"])
            for name, query in metrics.items()
        }
        expressions = {query["id"]: query["expression"] for query in values["metric_query"] if query["expression"]}
        (watched,) = [query["id"] for query in values["metric_query"] if query["return_data"]]
        (period,) = {query["period"] for query in metrics.values()}
    return Alarm(
        name=values["alarm_name"],
        queries=queries,
        expressions=expressions,
        watched=watched,
        period=period,
        evaluated=values["evaluation_periods"],
        breaching=values["datapoints_to_alarm"] or values["evaluation_periods"],
        comparison=values["comparison_operator"],
        threshold=values["threshold"],
        missing_data=values["treat_missing_data"],
    )


def _query(namespace: str, name: str, dimensions: dict[str, str], statistic: str) -> Query:
    return Query(metric(namespace, name, dimensions), statistic)
