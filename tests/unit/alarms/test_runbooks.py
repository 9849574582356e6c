"""The text of each planned alarm names the runbook of this alarm, and the runbook has the alarm's severity."""

import re

import pytest

from ops.console import ROOT
from tests.unit.alarms.plan import NAME, Plan
from tests.unit.alarms.test_operate import generic

pytestmark = pytest.mark.slow  # because Terraform plans the stack


def test_every_alarm_names_its_runbook(plans: list[Plan]) -> None:
    named = set()
    for plan in plans:
        texts = {generic(plan, planned.alarm.name): planned.description for planned in plan.alarms}
        texts |= {composite.name.removeprefix(f"{NAME}-"): composite.description for composite in plan.composite_alarms}
        for name, text in texts.items():
            runbook = re.search(r"\nRunbook: (docs/runbooks/[a-z-]+\.md)$", text)
            assert runbook, name
            title = (ROOT / runbook[1]).read_text().splitlines()[0].removeprefix("# `<name>-").removesuffix("`")
            assert name.removeprefix("<region>-") == title.removeprefix("<region>-"), runbook[1]
            named.add(ROOT / runbook[1])
    assert named == set((ROOT / "docs/runbooks").glob("*.md"))


def test_a_runbook_has_the_severity_of_its_alarm(plans: list[Plan]) -> None:
    """The alarm feed-<store>-behind is a page for one store and a ticket for the other, and its runbook says so."""
    for plan in plans:
        for planned in plan.alarms:
            name = generic(plan, planned.alarm.name)
            (runbook,) = re.findall(r"Runbook: (docs/runbooks/[a-z-]+\.md)$", planned.description)
            kind = (ROOT / runbook).read_text().splitlines()[2]
            assert kind.startswith((f"A {planned.severity}.", "A page for `database`, ticket for `cache`.")), name
