"""Tests that run the operators' command `readplane status` against the applied stack."""

import json
from typing import Any

from tests.local.support import Local, eventually
from tests.local.test_ops import readplane

SUBJECTS = {
    "alarms",
    "api",
    "dead letters",
    "functions",
    "items",
    "mappings",
    "quarantine",
    "queues",
    "sources",
    "stores",
    "streams",
    "subscriptions",
    "write log",
}


def status(stack: Local, *words: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the lines of `status` by their place and subject."""
    code, output = readplane(stack, "status", "--timeout", "20", "--json", *words)
    lines = [json.loads(line) for line in output.splitlines()]
    assert (code == 0) == all(line["state"] == "ok" for line in lines), output
    return {(line["place"], line["subject"]): line for line in lines}


def test_status_knows_everything_about_both_regions(stack: Local) -> None:
    lines = status(stack)
    regions = (stack.outputs.region, str(stack.outputs.replica_region))
    for region in regions:
        assert {subject for place, subject in lines if place == region} == SUBJECTS
    assert [line for line in lines.values() if line["state"] == "unknown"] == []
    # Other tests may leave quarantined lines, stale sources and dead letters behind. Nothing else may be wrong.
    for region in regions:
        for subject in ("api", "functions", "items", "mappings", "stores"):
            assert lines[region, subject]["state"] == "ok", lines[region, subject]
    assert lines["edge", "api"]["state"] == "ok"


def test_status_names_an_alarm_that_is_on(stack: Local) -> None:
    region, name = stack.outputs.region, "readplane-publish-stopped"
    cloudwatch: Any = stack.root().client("cloudwatch")

    def alarms() -> dict[str, Any]:
        firing_alarms: dict[str, Any] = status(stack, "--region", region)[region, "alarms"]["alarms"]
        return firing_alarms

    try:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
        assert eventually(lambda: name in alarms())
    finally:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="test")
    assert name not in alarms()
