"""Tests of the metric ReplicationLag, which `publish` emits when a heartbeat of the other Region arrives."""

import json
from typing import Any

import pytest

from readplane.model.timestamp import rfc3339
from readplane.publish.heartbeat import report_heartbeats
from readplane.stores.rows import image_of
from readplane.telemetry import Telemetry
from tests.unit.support import NOW_MS, change, stream_record

HERE, THERE = "eu-central-1", "eu-west-1"
MINUTE_MS = 60_000


def heartbeat(region: str, sent_at: str) -> Any:
    """Return a record of the items stream about a heartbeat."""
    row = {"pk": {"S": f"heartbeat/{region}"}, "sent_at": {"S": sent_at}}
    return {"dynamodb": {"SequenceNumber": "1", "NewImage": row, "OldImage": row}}


def sent_at(ms: int) -> str:
    """Return a time in the form in which EventBridge Scheduler writes it, without milliseconds."""
    return rfc3339(ms)[:19] + "Z"


def lags(capsys: pytest.CaptureFixture[str], *records: Any) -> list[float]:
    report_heartbeats(records, HERE, NOW_MS, Telemetry("publish", "demo"))
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return [line["ReplicationLag"] for line in lines]


def test_the_lag_is_the_age_of_the_newest_heartbeat_of_the_other_region(capsys: pytest.CaptureFixture[str]) -> None:
    records = [
        heartbeat(THERE, sent_at(NOW_MS - 3 * MINUTE_MS)),
        stream_record(None, change()),
        heartbeat(THERE, sent_at(NOW_MS - 2 * MINUTE_MS)),
    ]
    assert lags(capsys, *records) == [120]


def test_the_lag_is_a_metric_of_the_stack_in_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    report_heartbeats([heartbeat(THERE, sent_at(NOW_MS))], HERE, NOW_MS, Telemetry("publish", "demo"))
    line = json.loads(capsys.readouterr().out)
    assert (line["Stack"], line["sender"]) == ("demo", THERE)
    assert line["_aws"]["CloudWatchMetrics"] == [
        {
            "Namespace": "Readplane",
            "Dimensions": [["Stack"]],
            "Metrics": [{"Name": "ReplicationLag", "Unit": "Seconds"}],
        }
    ]


def test_a_clock_that_runs_ahead_gives_no_negative_lag(capsys: pytest.CaptureFixture[str]) -> None:
    assert lags(capsys, heartbeat(THERE, sent_at(NOW_MS + MINUTE_MS))) == [0]


@pytest.mark.parametrize(
    "record",
    [
        heartbeat(HERE, sent_at(NOW_MS)),
        heartbeat(THERE, "<aws.scheduler.scheduled-time>"),
        heartbeat(THERE, "2026-11-18T08:00:00"),
        {"dynamodb": {"SequenceNumber": "1", "NewImage": {"pk": {"S": f"heartbeat/{THERE}"}}}},
        {"dynamodb": {"SequenceNumber": "1", "OldImage": {"pk": {"S": f"heartbeat/{THERE}"}}}},
        stream_record(None, change()),
    ],
    ids=["own", "no time", "no zone", "nothing", "removed", "item"],
)
def test_anything_else_says_nothing_about_the_replication(capsys: pytest.CaptureFixture[str], record: Any) -> None:
    assert lags(capsys, record) == []


def test_a_heartbeat_is_no_item() -> None:
    """So no list shows it, no document is written, and it isn't a malformed row either."""
    assert image_of(heartbeat(THERE, sent_at(NOW_MS))["dynamodb"]["NewImage"]) is None
