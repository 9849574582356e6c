"""Tests of the alarm evaluator itself, with the examples of AWS's documentation."""

from dataclasses import replace

import pytest

from tests.fakes.alarm_evaluator import (
    Alarm,
    Maths,
    MathsError,
    Query,
    Recording,
    Series,
    State,
    evaluate,
    metric,
    states,
)

ERRORS = metric("AWS/Lambda", "Errors", {"FunctionName": "f"})
ALARM = Alarm(
    name="errors",
    queries={"metric": Query(ERRORS, "Sum")},
    expressions={},
    watched="metric",
    period=60,
    evaluated=3,
    breaching=3,
    comparison="GreaterThanThreshold",
    threshold=3,
    missing_data="missing",
)


def points(text: str) -> list[float | None]:
    """Return the data points of a row of AWS's tables: 0 doesn't breach, X does, and - is missing."""
    values: dict[str, float | None] = {"0": 0, "X": 10, "-": None}
    return [values[letter] for letter in text.split()]


@pytest.mark.parametrize(
    ("breaching", "text", "missing", "ignore", "as_breaching", "not_breaching"),
    [
        (3, "0 - X - X", "OK", "OK", "OK", "OK"),
        (3, "0 - - - -", "OK", "OK", "OK", "OK"),
        (3, "- - - - -", "INSUFFICIENT_DATA", None, "ALARM", "OK"),
        (3, "0 X X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
        (3, "- - - - X", "INSUFFICIENT_DATA", None, "ALARM", "OK"),
        (3, "X - - - -", "ALARM", None, "ALARM", "OK"),
        (2, "0 - X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
        (2, "0 0 X 0 X", "ALARM", "ALARM", "ALARM", "ALARM"),
        (2, "0 - X - -", "OK", "OK", "ALARM", "OK"),
        (2, "- - - - 0", "OK", "OK", "ALARM", "OK"),
        (2, "- - - - X", "INSUFFICIENT_DATA", None, "ALARM", "OK"),
    ],
)
def test_missing_data_counts_as_in_awss_tables(
    breaching: int, text: str, missing: State, ignore: State | None, as_breaching: State, not_breaching: State
) -> None:
    """The tables of "How alarm state is evaluated when data is missing". ``None`` stands for "retain current state"."""
    expected = {"missing": missing, "ignore": ignore, "breaching": as_breaching, "notBreaching": not_breaching}
    before: State
    for before in ("OK", "ALARM"):
        for treatment, state in expected.items():
            alarm = replace(ALARM, breaching=breaching, missing_data=treatment)
            assert evaluate(alarm, points(text), before) == (state or before), treatment


@pytest.mark.parametrize("treatment", ["breaching", "notBreaching", "ignore", "missing"])
def test_missing_data_of_dynamodb_is_ignored_whatever_the_alarm_says(treatment: str) -> None:
    queries = {"other": Query(ERRORS, "Sum"), "throttled": Query(metric("AWS/DynamoDB", "SystemErrors", {}), "Sum")}
    alarm = replace(ALARM, queries=queries, missing_data=treatment)
    before: State
    for before in ("OK", "ALARM"):
        assert evaluate(alarm, points("- - - - -"), before) == before


FIRST: Series = {0: 30, 1: 20, 2: 0, 3: 0}
SECOND: Series = {0: 20, 2: 20}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("first < second", {0: 0, 1: 0, 2: 1, 3: 0}),
        ("first >= 30", {0: 1, 1: 0, 2: 0, 3: 0}),
        ("first > 15 AND second > 15", {0: 1, 1: 0, 2: 0, 3: 0}),
        ("first - second", {0: 10, 1: 20, 2: -20, 3: 0}),
        ("2 * first + 1", {0: 61, 1: 41, 2: 1, 3: 1}),
        ("first / second", {0: 1.5, 2: 0}),
        ("FILL(second, 7)", {0: 20, 1: 7, 2: 20, 3: 7}),
        ("FILL(second, 0) * 0 + 1", {0: 1, 1: 1, 2: 1, 3: 1}),
        ("RUNNING_SUM(second)", {0: 20, 2: 40}),
        ("MIN([first, second])", {0: 20, 1: 20, 2: 0, 3: 0}),
        ("step > 40 || second == 20", {0: 1, 1: 0, 2: 1, 3: 0}),
    ],
)
def test_metric_maths_computes_as_aws_documents_it(text: str, expected: Series) -> None:
    maths = Maths({"first": FIRST, "second": SECOND}, {"step": "first + first"}, range(4))
    assert maths.value(text) == expected


def test_if_chooses_as_in_awss_tables() -> None:
    series: dict[str, Series] = {
        "metric1": {0: 1, 1: 1, 2: 0, 3: 0},
        "metric2": {0: 30, 2: 0, 3: 0, 4: 30},
        "metric3": {0: 0, 1: 0, 2: 20, 4: 20},
    }
    maths = Maths(series, {}, range(5))
    assert maths.value("IF(metric1, metric2, metric3)") == {0: 30, 1: 0, 2: 20}
    assert maths.value("IF(metric1, 5, metric3)") == {0: 5, 1: 5, 2: 20}
    assert maths.value("IF(metric1, metric2, 5)") == {0: 30, 1: 0, 2: 5, 3: 5}


@pytest.mark.parametrize("fills_empty", [False, True])
def test_fill_of_a_metric_without_data_is_tried_both_ways(fills_empty: bool) -> None:
    maths = Maths({"first": {}}, {}, range(2), fills_empty)
    assert maths.value("FILL(first, 0)") == ({0: 0, 1: 0} if fills_empty else {})


@pytest.mark.parametrize("text", ["TIME_SERIES(1)", "first +", "first second", "nothing", "SUM(first)", "first ^ 2"])
def test_an_expression_that_cloudwatch_or_the_evaluator_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(MathsError):
        Maths({"first": FIRST, "second": SECOND}, {}, range(4)).value(text)


@pytest.mark.parametrize(
    ("statistic", "value"),
    [("Sum", 10), ("Average", 2.5), ("SampleCount", 4), ("Minimum", 1), ("Maximum", 4), ("p50", 2), ("p99", 4)],
)
def test_a_statistic_is_computed_from_the_points_of_a_period(statistic: str, value: float) -> None:
    recording = Recording()
    for second, number in ((60, 4), (61, 1), (90, 3), (119, 2), (120, 99)):
        recording.add(ERRORS, second, number)
    assert recording.statistics(Query(ERRORS, statistic), 60)[1] == value


def test_an_alarm_starts_and_stops_at_the_ends_of_periods() -> None:
    recording = Recording()
    for minute, value in enumerate([0, 9, 9, 9, 0, 0]):
        recording.add(ERRORS, 60 * minute + 30, value)
    assert list(states(ALARM, recording, 360)) == [
        (60, "OK"), (120, "OK"), (180, "OK"), (240, "ALARM"), (300, "OK"), (360, "OK"),
    ]  # fmt: skip
