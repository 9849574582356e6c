import json
from typing import Any

import pytest

from readplane.telemetry import Telemetry


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_event_without_metrics_is_plain_json(capsys: pytest.CaptureFixture[str]) -> None:
    Telemetry("read", "demo").event("hello", "Hello.", request_id="r", number=1)
    assert lines(capsys) == [
        {"level": "INFO", "event": "hello", "message": "Hello.", "function": "read", "request_id": "r", "number": 1}
    ]


def test_metrics_are_embedded_with_their_time_and_dimensions(capsys: pytest.CaptureFixture[str]) -> None:
    Telemetry("apply", "demo").event(
        "object_handled", "Handled.", metrics={"RecordsHandled": 3}, timestamp_ms=1_700_000_000_000
    )
    (line,) = lines(capsys)
    assert line["RecordsHandled"] == 3 and line["Stack"] == "demo"
    assert line["_aws"] == {
        "Timestamp": 1_700_000_000_000,
        "CloudWatchMetrics": [
            {
                "Namespace": "Readplane",
                "Dimensions": [["Stack"]],
                "Metrics": [{"Name": "RecordsHandled", "Unit": "Count"}],
            }
        ],
    }


def test_a_sources_metrics_are_its_own_and_may_be_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    Telemetry("poll", "demo").event(
        "polled", "Polled.", metrics={"RecordsPolled": 2}, seconds={"Staleness": 1.5}, source="erp"
    )
    Telemetry("poll", "demo").event("late", "Late.", seconds={"Staleness": 3}, source="erp")
    Telemetry("poll", "demo").event("quarantined", "Quarantined.", source="erp")
    both, seconds, none = lines(capsys)
    assert (both["Stack"], both["Source"], both["Staleness"], both["RecordsPolled"]) == ("demo", "erp", 1.5, 2)
    told: Any = both["_aws"]
    assert told["CloudWatchMetrics"] == [
        {
            "Namespace": "Readplane",
            "Dimensions": [["Stack", "Source"]],
            "Metrics": [{"Name": "RecordsPolled", "Unit": "Count"}, {"Name": "Staleness", "Unit": "Seconds"}],
        }
    ]
    assert "_aws" in seconds and "_aws" not in none


def test_a_failure_is_told_with_its_causes_and_places_but_without_their_texts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def inner() -> None:
        raise ValueError("Bearer secret")

    try:
        try:
            inner()
        except ValueError as error:
            raise RuntimeError("another secret") from error
    except RuntimeError as error:
        Telemetry("read", "demo").failure("failed", "It failed.", error, request_id="r")
    out = capsys.readouterr().out
    assert "secret" not in out
    told = json.loads(out)
    assert told["error"] == ["RuntimeError", "ValueError"] and told["level"] == "ERROR"
    assert any(place.endswith(" inner") for place in told["place"])


def test_an_error_that_is_its_own_cause_is_told_in_a_line_that_ends(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError
    except ValueError as error:
        error.__cause__ = error
        Telemetry("poll", "demo").failure("failed", "It failed.", error)
    assert set(json.loads(capsys.readouterr().out)["error"]) == {"ValueError"}
