"""Evaluates CloudWatch alarms over recorded metrics, as AWS documents it.

MiniStack's evaluator ignores dimensions, M of N, missing data and metric maths, so it can't show whether an alarm
fires. This one knows the parts of CloudWatch that the stack's alarms use, and refuses everything else. Its sources are
two pages of the CloudWatch User Guide, "Using Amazon CloudWatch alarms" (how an alarm's state is evaluated) and "Using
metric math", and ``PutMetricAlarm`` in the API Reference (what missing data of DynamoDB counts as).

AWS leaves two things open. An evaluation takes both as parameters, so that a test can try every possibility:

- How many periods CloudWatch fetches beyond those that the alarm evaluates. AWS says only that it is more than the
  alarm asks for. In AWS's example it is two more.
- Whether ``FILL`` fills a metric that has no data at all.
"""

import math
import operator
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, NamedTuple

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
Series = dict[int, float]
"""The value of a series in each period that has data, by the number of the period."""

Value = float | Series | list[Series]


class Metric(NamedTuple):
    """The identity of a CloudWatch metric. ``dimensions`` are pairs of name and value, sorted by name."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]


def metric(namespace: str, name: str, dimensions: Mapping[str, str]) -> Metric:
    """Return the identity of a metric."""
    return Metric(namespace, name, tuple(sorted(dimensions.items())))


class Query(NamedTuple):
    """One metric of an alarm, with the statistic that the alarm watches."""

    metric: Metric
    statistic: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """A CloudWatch metric alarm.

    :param queries: the metrics by id. An alarm on one metric has one query with the id ``metric``.
    :param expressions: the expressions by id.
    :param watched: the id of the query or the expression that the alarm compares with the threshold.
    :param period: the length of a period in seconds.
    :param evaluated: how many of the newest periods the alarm evaluates (N).
    :param breaching: how many of them must breach the threshold (M).
    :param missing_data: what the alarm says that missing data counts as.
    """

    name: str
    queries: Mapping[str, Query]
    expressions: Mapping[str, str]
    watched: str
    period: int
    evaluated: int
    breaching: int
    comparison: str
    threshold: float
    missing_data: str

    def breaches(self, value: float) -> bool:
        """Whether a value breaches the threshold."""
        if self.comparison == "GreaterThanThreshold":
            return value > self.threshold
        assert self.comparison == "LessThanThreshold", self.comparison
        return value < self.threshold

    @property
    def treatment(self) -> str:
        """What CloudWatch treats missing data as. With a metric of DynamoDB, it ignores what the alarm says."""
        namespaces = {query.metric.namespace for query in self.queries.values()}
        return "ignore" if "AWS/DynamoDB" in namespaces else self.missing_data


@dataclass(slots=True)
class Recording:
    """Recorded data points of metrics. A data point is a time in seconds and a value. Add them in order of time."""

    points: dict[Metric, list[tuple[int, float]]] = field(default_factory=dict)

    def add(self, identity: Metric, seconds: int, value: float) -> None:
        """Record a data point."""
        self.points.setdefault(identity, []).append((seconds, value))

    def sort(self) -> None:
        """Put the data points of each metric in order of time."""
        for points in self.points.values():
            points.sort()

    def statistics(self, query: Query, period: int) -> Series:
        """Return a statistic of a metric for each period that has data."""
        periods: dict[int, list[float]] = {}
        for seconds, value in self.points.get(query.metric, ()):
            periods.setdefault(seconds // period, []).append(value)
        return {number: _statistic(query.statistic, values) for number, values in periods.items()}


def _statistic(name: str, values: list[float]) -> float:
    if re.fullmatch(r"p\d\d?(\.\d+)?", name):
        ordered = sorted(values)
        return ordered[math.ceil(float(name[1:]) / 100 * len(ordered)) - 1]
    functions: Mapping[str, Callable[[list[float]], float]] = {
        "SampleCount": lambda numbers: float(len(numbers)),
        "Average": lambda numbers: sum(numbers) / len(numbers),
        "Sum": sum,
        "Minimum": min,
        "Maximum": max,
    }
    return functions[name](values)


def states(
    alarm: Alarm,
    recording: Recording,
    seconds: int,
    *,
    extra: int = 2,
    fills_empty: bool = True,
    state: State = "OK",
    since: int = 0,
) -> Iterator[tuple[int, State]]:
    """Evaluate an alarm at the end of each period, and yield the time in seconds and the alarm's state.

    :param seconds: the time at which the recording ends. It starts at 0.
    :param extra: how many more periods than ``alarm.evaluated`` CloudWatch fetches.
    :param fills_empty: whether ``FILL`` fills a metric without data.
    :param state: the alarm's state before the first evaluation.
    :param since: the time in seconds of the first evaluation. The recording before it counts all the same.
    """
    whole = {name: recording.statistics(query, alarm.period) for name, query in alarm.queries.items()}
    numbers = {name: sorted(series) for name, series in whole.items()}
    for end in range(max(1, since // alarm.period), seconds // alarm.period + 1):
        periods = range(max(0, end - alarm.evaluated - extra), end)
        window = {
            name: {
                number: whole[name][number]
                for number in numbers[name][
                    bisect_left(numbers[name], periods.start) : bisect_right(numbers[name], periods.stop - 1)
                ]
            }
            for name in whole
        }
        watched = _watched(alarm, window, periods, fills_empty)
        state = evaluate(alarm, [watched.get(number) for number in periods], state)
        yield end * alarm.period, state


def _watched(alarm: Alarm, window: Mapping[str, Series], periods: range, fills_empty: bool) -> Series:
    if alarm.watched in window:
        return window[alarm.watched]
    value = Maths(window, alarm.expressions, periods, fills_empty).value_of(alarm.watched)
    assert isinstance(value, dict), f"{alarm.name}: an alarm watches a single series"
    return value


def evaluate(alarm: Alarm, points: Sequence[float | None], state: State) -> State:
    """Return the state of an alarm after an evaluation.

    :param points: the value of each period that CloudWatch has fetched, oldest first; ``None`` for a missing one.
    :param state: the alarm's state before.
    """
    found = [alarm.breaches(value) for value in points if value is not None]
    if not found:
        return _state_without_data(alarm, state)
    if len(found) >= alarm.evaluated:  # missing data doesn't count
        return "ALARM" if sum(found[-alarm.evaluated :]) >= alarm.breaching else "OK"
    missing = alarm.evaluated - len(found)
    if alarm.treatment in ("breaching", "notBreaching"):
        filled = missing if alarm.treatment == "breaching" else 0
        return "ALARM" if sum(found) + filled >= alarm.breaching else "OK"
    if sum(found) >= alarm.breaching:
        return "ALARM"
    if not all(found):
        return "OK"
    if alarm.treatment == "ignore":
        return state
    # With `missing`, AWS documents an alarm if the oldest period breaches and no newer one has data.
    return "ALARM" if points[0] is not None else "INSUFFICIENT_DATA"


def _state_without_data(alarm: Alarm, state: State) -> State:
    states_without_data: Mapping[str, State] = {
        "breaching": "ALARM",
        "notBreaching": "OK",
        "ignore": state,
        "missing": "INSUFFICIENT_DATA",
    }
    return states_without_data[alarm.treatment]


class MathsError(Exception):
    """CloudWatch would refuse an expression, or this evaluator doesn't know a part of it."""


_TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?|[A-Za-z_][A-Za-z0-9_]*|==|!=|<=|>=|&&|\|\||[-+*/<>(),\[\]])")


Operation = Callable[[float, float], float | None]
"""An operation on two values of the same period. ``None`` drops the point."""


def _and(left: float, right: float) -> float:
    return float(bool(left and right))


def _or(left: float, right: float) -> float:
    return float(bool(left or right))


def _quotient(left: float, right: float) -> float | None:
    return left / right if right else None


_LOGIC: Mapping[str, Operation] = {"AND": _and, "&&": _and, "OR": _or, "||": _or}
_COMPARISONS: Mapping[str, Operation] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


class Maths:
    """The metric maths of one evaluation.

    :param series: the series of each metric, by id.
    :param expressions: the expressions, by id.
    :param periods: the numbers of the periods that CloudWatch has fetched.
    :param fills_empty: whether ``FILL`` fills a metric without data.
    """

    def __init__(
        self, series: Mapping[str, Series], expressions: Mapping[str, str], periods: range, fills_empty: bool = True
    ) -> None:
        self._values: dict[str, Value] = dict(series)
        self._expressions = expressions
        self._periods = periods
        self._fills_empty = fills_empty

    def value_of(self, name: str) -> Value:
        """Return the value of a metric or an expression, by its id."""
        if name not in self._values:
            if name not in self._expressions:
                raise MathsError(f"nothing has the id {name}")
            self._values[name] = self.value(self._expressions[name])
        return self._values[name]

    def value(self, text: str) -> Value:
        """Return the value of an expression."""
        tokens = list(_tokens(text))
        value, rest = self._logic(tokens)
        if rest:
            raise MathsError(f"{text}: can't read {rest}")
        return value

    # Each of the next methods reads one level of the grammar and returns the value and the remaining tokens.

    def _logic(self, tokens: list[str]) -> tuple[Value, list[str]]:
        value, tokens = self._comparison(tokens)
        while tokens and tokens[0] in _LOGIC:
            other, rest = self._comparison(tokens[1:])
            value = _combined(value, other, _LOGIC[tokens[0]])
            tokens = rest
        return value, tokens

    def _comparison(self, tokens: list[str]) -> tuple[Value, list[str]]:
        value, tokens = self._sum(tokens)
        if tokens and tokens[0] in _COMPARISONS:
            other, rest = self._sum(tokens[1:])
            return _combined(value, other, _COMPARISONS[tokens[0]]), rest
        return value, tokens

    def _sum(self, tokens: list[str]) -> tuple[Value, list[str]]:
        value, tokens = self._product(tokens)
        while tokens and tokens[0] in "+-":
            other, rest = self._product(tokens[1:])
            value = _combined(value, other, operator.add if tokens[0] == "+" else operator.sub)
            tokens = rest
        return value, tokens

    def _product(self, tokens: list[str]) -> tuple[Value, list[str]]:
        value, tokens = self._operand(tokens)
        while tokens and tokens[0] in "*/":
            other, rest = self._operand(tokens[1:])
            value = _combined(value, other, operator.mul if tokens[0] == "*" else _quotient)
            tokens = rest
        return value, tokens

    def _operand(self, tokens: list[str]) -> tuple[Value, list[str]]:
        if not tokens:
            raise MathsError("an operand is missing")
        token, *rest = tokens
        if token == "-":
            value, rest = self._operand(rest)
            return _combined(0.0, value, lambda a, b: a - b), rest
        if token == "(":
            value, rest = self._logic(rest)
            return value, _after(")", rest)
        if token == "[":
            values, rest = self._list(rest, "]")
            return [_series(value) for value in values], rest
        if token[0].isdigit():
            return float(token), rest
        if rest and rest[0] == "(":
            arguments, rest = self._list(rest[1:], ")")
            return self._call(token, arguments), rest
        return self.value_of(token), rest

    def _list(self, tokens: list[str], end: str) -> tuple[list[Value], list[str]]:
        values = []
        while True:
            value, tokens = self._logic(tokens)
            values.append(value)
            if tokens and tokens[0] == ",":
                tokens = tokens[1:]
            else:
                return values, _after(end, tokens)

    def _call(self, name: str, arguments: list[Value]) -> Value:
        match name, arguments:
            case "FILL", [dict() as series, float() as value]:
                if not series and not self._fills_empty:
                    return {}
                return {number: series.get(number, value) for number in self._periods}
            case "RUNNING_SUM", [dict() as series]:
                total, sums = 0.0, {}
                for number in sorted(series):
                    total += series[number]
                    sums[number] = total
                return sums
            case "IF", [dict() as condition, yes, no]:
                return _choose(condition, yes, no)
            case ("MIN" | "MAX") as function, [list() as many]:
                pick: Callable[[list[float]], float] = min if function == "MIN" else max
                numbers = sorted({number for series in many for number in series})
                return {number: pick([series[number] for series in many if number in series]) for number in numbers}
        raise MathsError(f"{name} with these arguments: this evaluator doesn't know it, or CloudWatch refuses it")


@cache
def _tokens(text: str) -> tuple[str, ...]:
    tokens, position = [], 0
    while position < len(text.rstrip()):
        found = _TOKEN.match(text, position)
        if found is None:
            raise MathsError(f"{text}: can't read {text[position:]}")
        tokens.append(found[1])
        position = found.end()
    return tuple(tokens)


def _after(token: str, tokens: list[str]) -> list[str]:
    if not tokens or tokens[0] != token:
        raise MathsError(f"{token} is missing before {tokens}")
    return tokens[1:]


def _series(value: Value) -> Series:
    if not isinstance(value, dict):
        raise MathsError("an array holds only series")
    return value


def _combined(left: Value, right: Value, function: Operation) -> Value:
    """Combine two values point by point. A missing value counts as 0, and a division by zero drops the point."""
    if isinstance(left, list) or isinstance(right, list):
        raise MathsError("this evaluator doesn't compute with arrays")
    if isinstance(left, float) and isinstance(right, float):
        result = function(left, right)
        assert result is not None, "a scalar is divided by zero"
        return float(result)
    numbers = sorted({*(left if isinstance(left, dict) else ()), *(right if isinstance(right, dict) else ())})
    combined: Series = {}
    for number in numbers:
        result = function(_at(left, number), _at(right, number))
        if result is not None:
            combined[number] = float(result)
    return combined


def _at(value: float | Series, number: int) -> float:
    return value.get(number, 0.0) if isinstance(value, dict) else value


def _choose(condition: Series, yes: Value, no: Value) -> Series:
    """Return what ``IF`` returns. A missing value of ``yes`` is 0, and a missing value of ``no`` drops the point."""
    if isinstance(yes, list) or isinstance(no, list):
        raise MathsError("IF takes no arrays")
    chosen: Series = {}
    for number, holds in condition.items():
        if holds:
            chosen[number] = _at(yes, number)
        elif isinstance(no, float) or number in no:
            chosen[number] = _at(no, number)
    return chosen
