"""Each alarm of the planned stack has a severity, notifies the topics of that severity, and says what to do."""

import re
from collections.abc import Sequence

import pytest

from tests.unit.alarms.plan import NAME, Plan

pytestmark = pytest.mark.slow  # because Terraform plans the stack

TEXT = re.compile(
    r"(?s)(?P<description>.{60,})\nClients: (?P<effect>\S.*[.])\nRegion: (?P<region>[a-z0-9-]+)\n"
    r"First: (?P<first>(?:ops/readplane|aws) [^\n]+)\nRunbook: docs/runbooks/(?P<runbook>[a-z-]+)[.]md"
)
"""The text of each alarm: what is wrong, what clients notice, the Region, the first command and the runbook."""

REGIONS = {"primary": "eu-central-1", "replica": "eu-west-1", "edge": "us-east-1"}
"""The Regions of the planned stack."""

COMMANDS_OF_ONE_REGION = r"ops/readplane (?:quarantine|sources|checkpoint) (?!try)[^.,;\n]*"
"""A command that works in the primary Region, unless it has the option --replica."""

LONGEST_TEXT = 1024
"""How many characters CloudWatch takes."""


def test_each_alarm_notifies_the_topic_of_its_severity_or_is_a_part_of_a_composite_alarm(plans: Sequence[Plan]) -> None:
    for plan in plans:
        parts = {(composite.region, part) for composite in plan.composite_alarms for part in composite.parts}
        for planned in plan.alarms:
            name = planned.alarm.name
            if (planned.region, name) in parts:
                assert not planned.topics, f"{planned.region} {name} notifies, and so does the composite alarm"
                continue
            stack = f"{NAME}-eu-central-1" if planned.region == "edge" else NAME
            expected = {"page": {f"{stack}-alarms"}, "ticket": {f"{stack}-tickets"}}[planned.severity]
            if name.endswith("notifications-failed"):
                expected = {f"{stack}-alarms", f"{stack}-tickets"}
            # The mocked provider gives each topic of pages the same ARN.
            topics = {topic.replace(f"{NAME}-alarms", f"{stack}-alarms") for topic in planned.topics}
            assert topics == expected, f"{planned.region} {name}"


def test_an_alarm_notifies_the_same_topics_when_it_stops(plans: Sequence[Plan]) -> None:
    """Only the alarms on the topics don't, because that message would fail too."""
    for plan in plans:
        for planned in plan.alarms:
            silent = planned.alarm.name.endswith("notifications-failed")
            assert planned.ok_actions == (() if silent else planned.actions), planned.alarm.name


def test_there_are_pages_and_tickets_in_both_regions(plan: Plan) -> None:
    for region in ("primary", "replica"):
        severities = [planned.severity for planned in plan.alarms if planned.region == region]
        assert min(severities.count("page"), severities.count("ticket")) >= 10


def test_each_region_has_one_alarm_on_what_clients_see(plan: Plan) -> None:
    names = {(planned.region, planned.alarm.name) for planned in plan.alarms}
    assert {composite.region for composite in plan.composite_alarms} == {"primary", "replica"}
    assert len(plan.composite_alarms) == 2
    for composite in plan.composite_alarms:
        assert composite.name == f"{NAME}-clients"
        assert {(composite.region, part) for part in composite.parts} <= names, "CloudWatch refuses the rule"
        assert {f"{NAME}-{name}" for name in ("api-errors", "api-slow", "writes-unconfirmed")} <= set(composite.parts)
        assert [arn.rsplit(":", 1)[1] for arn in composite.actions] == [f"{NAME}-alarms"]
        assert composite.ok_actions == composite.actions


def test_every_alarm_says_what_clients_notice_and_what_to_do(plans: Sequence[Plan]) -> None:
    for plan in plans:
        texts = {planned.alarm.name: planned.description for planned in plan.alarms}
        texts |= {composite.name: composite.description for composite in plan.composite_alarms}
        for name, text in texts.items():
            assert TEXT.fullmatch(text), f"{name}: {text}"
            assert len(text) <= LONGEST_TEXT, name
            assert "${" not in text, name


def test_every_text_names_its_region_and_each_command_in_it_works_there(plan: Plan) -> None:
    """Both Regions have functions and queues of the same names, so nobody notices a command in the wrong Region."""
    texts = [(planned.region, planned.alarm.name, planned.description) for planned in plan.alarms]
    texts += [(composite.region, composite.name, composite.description) for composite in plan.composite_alarms]
    assert {region for region, *_ in texts} == REGIONS.keys()
    found = set()
    for region, name, text in texts:
        fields = TEXT.fullmatch(text)
        assert fields and fields["region"] == REGIONS[region], name
        if fields["first"].startswith("aws "):
            assert re.findall(r"--region (\S+)", fields["first"]) == [fields["region"]], name
        for command in re.findall(COMMANDS_OF_ONE_REGION, text):
            assert ("--replica" in command) == (region == "replica"), f"{name}: {command}"
            found.add((region, " ".join(command.split()[1:3])))
    commands = {"quarantine list", "sources list", "sources reset", "sources run"}
    assert found == {(region, command) for region in ("primary", "replica") for command in commands}


def test_every_alarm_of_a_region_has_a_name_of_its_own(plan: Plan) -> None:
    names = [(planned.region, planned.alarm.name) for planned in plan.alarms]
    names += [(composite.region, composite.name) for composite in plan.composite_alarms]
    assert len(names) == len(set(names))
