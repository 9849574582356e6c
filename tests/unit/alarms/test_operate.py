"""The table of alarms in docs/operate.md names every alarm that a stack can have, with its metrics, and no other."""

import re

import pytest

from ops.console import ROOT
from tests.unit.alarms.plan import NAME, Plan

pytestmark = pytest.mark.slow  # because Terraform plans the stack

ROW = re.compile(r"^\| `<name>-([^`]+)` \| ([^|]+) \| [^|]+ \| [^|]+ \|$", re.MULTILINE)


def documented() -> dict[str, set[str]]:
    """Return the names of the metrics in each row of the table, by the name of the alarm."""
    text = (ROOT / "docs/operate.md").read_text()
    return {name: set(re.findall("`([^`]+)`", metrics)) for name, metrics in ROW.findall(text)}


def generic(plan: Plan, name: str) -> str:
    """Return an alarm's name as the table writes it: without names of the stack, of Regions and so on."""
    name = re.sub("eu-(central|west)-1", "<region>", name.removeprefix(f"{NAME}-"))
    functions = [resource.values["function_name"] for resource in plan.of_type("aws_lambda_function", "primary")]
    for function in functions:
        if re.fullmatch(f"{function.removeprefix(f'{NAME}-')}-(errors|slow|throttles)", name):
            return re.sub("^.*-", "<function>-", name)
    name = re.sub("^feed-(cache|database)-", "feed-<store>-", name)
    return re.sub("-(prices|stock)$", "-<source>", name)


def test_the_table_names_every_alarm_with_its_metrics(plans: list[Plan]) -> None:
    """Alarms of different kinds of caches have the same name. Their row names the metrics of all kinds."""
    alarms: dict[str, set[str]] = {}
    for plan in plans:
        for planned in plan.alarms:
            metrics = {query.metric.name for query in planned.alarm.queries.values()}
            alarms.setdefault(generic(plan, planned.alarm.name), set()).update(metrics)
    assert documented() == alarms
