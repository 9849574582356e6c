"""What Terraform plans for a whole stack, so that tests check the alarms that Terraform makes."""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

from tests.fakes.alarm_evaluator import Alarm, Query, metric

NAME = "readplane"
"""The name of the planned stack."""


class Resource(NamedTuple):
    """A planned resource.

    :param region: ``primary``, ``replica`` or ``edge`` (us-east-1), the Region that the resource is in.
    :param values: the resource's arguments and, as far as the mocked provider knows them, its attributes.
    """

    address: str
    type: str
    region: str
    values: dict[str, Any]


class PlannedAlarm(NamedTuple):
    """A planned alarm.

    :param region: ``primary``, ``replica`` or ``edge`` (us-east-1), the Region that the alarm is in.
    :param actions: the ARNs of the topics that it notifies when it starts to fire.
    :param ok_actions: the same when it stops.
    """

    region: str
    alarm: Alarm
    description: str
    actions: tuple[str, ...]
    ok_actions: tuple[str, ...]

    @property
    def topics(self) -> set[str]:
        """The names of the topics that the alarm notifies when it starts to fire."""
        return {arn.rsplit(":", 1)[1] for arn in self.actions}

    @property
    def severity(self) -> str:
        """``page`` or ``ticket``. The topics say it, because in the planned stacks tickets page nobody.

        An alarm without topics is a part of a composite alarm, which pages. An alarm on a topic notifies both topics of
        its Region, because one of them may be broken.
        """
        kinds = {name.rsplit("-", 1)[1] for name in self.topics}
        if len(kinds) == 2:
            return "ticket" if "-ticket-" in self.alarm.name else "page"
        return "ticket" if kinds == {"tickets"} else "page"


class CompositeAlarm(NamedTuple):
    """A planned composite alarm.

    :param region: ``primary`` or ``replica``, the Region that the alarm is in.
    :param parts: the names of the alarms in its rule. It is on while one of them is.
    """

    region: str
    name: str
    description: str
    parts: tuple[str, ...]
    actions: tuple[str, ...]
    ok_actions: tuple[str, ...]


class Plan:
    """What Terraform plans for the stack."""

    def __init__(self, changes: list[dict[str, Any]]) -> None:
        self.resources = [
            Resource(
                change["address"],
                change["type"],
                _region(change["address"]),
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
                tuple(resource.values["alarm_actions"] or ()),
                tuple(resource.values["ok_actions"] or ()),
            )
            for resource in self.resources
            if resource.type == "aws_cloudwatch_metric_alarm"
        ]

    @cached_property
    def composite_alarms(self) -> list[CompositeAlarm]:
        """All composite alarms of the stack."""
        return [
            CompositeAlarm(
                resource.region,
                resource.values["alarm_name"],
                resource.values["alarm_description"],
                _parts(resource.values["alarm_rule"]),
                tuple(resource.values["alarm_actions"] or ()),
                tuple(resource.values["ok_actions"] or ()),
            )
            for resource in self.resources
            if resource.type == "aws_cloudwatch_composite_alarm"
        ]


def _parts(rule: str) -> tuple[str, ...]:
    parts = re.findall(r'ALARM\("([^"]+)"\)', rule)
    assert rule == " OR ".join(f'ALARM("{part}")' for part in parts), f"{rule}: only OR is known here"
    return tuple(parts)


def _region(address: str) -> str:
    """Return the Region of a resource. The modules' names in terraform/modules/readplane say it."""
    if address.startswith("module.replica"):
        return "replica"
    return "edge" if address.startswith(("module.edge", "module.firewall")) else "primary"


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
