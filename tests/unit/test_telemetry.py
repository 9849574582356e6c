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


def test_metrics_of_a_source_are_kept_by_source_and_may_be_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    Telemetry("poll", "demo").event(
        "polled", "Polled.", metrics={"RecordsPolled": 2}, seconds={"Staleness": 1.5}, source="erp"
    )
    Telemetry("poll", "demo").event("late", "Late.", seconds={"Staleness": 3}, source="erp")
    Telemetry("poll", "demo").event("quarantined", "Quarantined.", source="erp")
    both, seconds, plain = lines(capsys)
    assert (both["Stack"], both["Source"], both["Staleness"], both["RecordsPolled"]) == ("demo", "erp", 1.5, 2)
    embedded: Any = both["_aws"]
    assert embedded["CloudWatchMetrics"] == [
        {
            "Namespace": "Readplane",
            "Dimensions": [["Stack", "Source"]],
            "Metrics": [{"Name": "RecordsPolled", "Unit": "Count"}, {"Name": "Staleness", "Unit": "Seconds"}],
        }
    ]
    assert "_aws" in seconds and "_aws" not in plain


def test_a_failure_names_the_classes_and_places_of_all_causes_but_not_their_texts(
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
    line = json.loads(out)
    assert line["error"] == ["RuntimeError", "ValueError"] and line["level"] == "ERROR"
    assert any(place.endswith(" inner") for place in line["place"])


def test_the_log_line_of_an_error_that_is_its_own_cause_ends(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError
    except ValueError as error:
        error.__cause__ = error
        Telemetry("poll", "demo").failure("failed", "It failed.", error)
    assert set(json.loads(capsys.readouterr().out)["error"]) == {"ValueError"}
