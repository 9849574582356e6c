"""Tests of what a poll reports: the source's freshness and staleness, metrics, and log events."""

import json

import pytest

from readplane.model.timestamp import rfc3339
from readplane.poll.errors import BackOfficeError
from tests.unit.poll.support import CHANGES, LISTING, World, metric_lines
from tests.unit.support import NOW_MS


def test_freshness_is_published_in_the_items_table_and_in_every_regions_documents(world: World) -> None:
    world()
    assert world.items.sources["rows"]._asdict() == {
        "fresh_as_of": rfc3339(NOW_MS),
        "breaker": "closed",
        "checked_at": rfc3339(NOW_MS),
    }
    for region in world.regions.values():
        document = json.loads(region.documents["public/documents/sources/rows"][2])
        assert document == {
            "source": "rows",
            "collection": "things",
            "fresh_as_of": rfc3339(NOW_MS),
            "staleness_budget": 600,
            "breaker": "closed",
            "checked_at": rfc3339(NOW_MS),
        }


def test_a_region_that_is_down_fails_no_poll_of_changes(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.regions["eu-west-1"].down = True
    assert world()["outcome"] == "completed"
    failed = [line for line in metric_lines(capsys.readouterr().out) if "FreshnessFailed" in line]
    assert [line["FreshnessFailed"] for line in failed] == [1]


def test_every_metric_has_the_source_as_its_dimension(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.office.row("a")
    world.office.row("b", n="bad")
    world()
    (line,) = [line for line in metric_lines(capsys.readouterr().out) if line["event"] == "polled"]
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Stack", "Source"]]
    metrics = {metric["Name"]: line[metric["Name"]] for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert metrics == {
        "PollsCompleted": 1,
        "PollsFailed": 0,
        "RecordsPolled": 2,
        "ChangesPolled": 1,
        "RecordsQuarantined": 1,
        "RecordsInQuarantine": 1,
        "BreakerOpen": 0,
        "SweepMissing": 0,
        "SweepRefused": 0,
        "Staleness": 0.0,
    }


def test_staleness_grows_while_nothing_is_polled(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world()
    world.ms = NOW_MS + 90_000
    world.declare({**LISTING, "name": "never", "collection": "others"})
    assert world.call({"freshness": True}) == {"staleness": {"rows": 90.0}}
    world.office.fault = BackOfficeError("connect", "ConnectionRefusedError", retryable=True)
    world({**CHANGES, "name": "failing"})
    world.ms += 30_000
    assert world.call({"freshness": True}) == {"staleness": {"rows": 120.001, "failing": 30.001}}


def test_neither_records_nor_the_texts_of_errors_are_logged(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.office.row("a", n="hush")
    world()
    world.stream.failure = ValueError("hush")
    world.office.row("b")
    assert world()["outcome"] == "failed"
    world.office.answer = lambda url: b'{"rows": "hush"}'
    world()
    assert "hush" not in capsys.readouterr().out
