"""Every metric that an alarm or a dashboard of the planned stack names exists, and somebody emits it.

An AWS metric must be in the catalogue of AWS's documentation, and its dimensions must name a planned resource. A metric
of the stack must be in a log line that a function really writes, and Terraform must make this function in the same
Region.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest

from tests.fakes.alarm_evaluator import Maths
from tests.unit.alarms.aws_metrics import CATALOGUE, PAGES, problems_of
from tests.unit.alarms.emitted import EmittedMetric, all_emitted
from tests.unit.alarms.faults import POLL_MINUTES
from tests.unit.alarms.plan import NAME, Plan

pytestmark = pytest.mark.slow  # because Terraform plans the stack


WITHOUT_METRICS = "10000000-0000-4000-8000-000000000000"
"""The id of the apply queue's event source mapping, which emits no EventCount metrics."""


class Watched(NamedTuple):
    """A metric that an alarm or a widget watches.

    :param region: ``primary`` or ``replica``, the Region of the alarm or the widget.
    """

    watcher: str
    region: str
    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: str


def watched_by_alarms(plan: Plan) -> Iterator[Watched]:
    for region, alarm, *_ in plan.alarms:
        for (namespace, name, dimensions), statistic in alarm.queries.values():
            yield Watched(alarm.name, region, namespace, name, dict(dimensions), statistic)


def watched_by_widgets(plan: Plan) -> Iterator[Watched]:
    for region in ("primary", "replica"):
        for dashboard in plan.of_type("aws_cloudwatch_dashboard", region):
            for widget in json.loads(dashboard.values["dashboard_body"])["widgets"]:
                properties = widget["properties"]
                for namespace, name, *pairs in properties["metrics"]:
                    dimensions = dict(zip(pairs[::2], pairs[1::2], strict=True))
                    yield Watched(properties["title"], region, namespace, name, dimensions, properties["stat"])


def problems_of_own(plan: Plan, emitted: list[EmittedMetric], watched: Watched) -> list[str]:
    """Return what is wrong with a metric of the stack that an alarm or a widget names."""
    wanted = (watched.name, frozenset(watched.dimensions))
    functions = {point.function for point in emitted if (point.name, point.dimensions) == wanted}
    if not functions:
        return [f"no function emits {watched.name} with the dimensions {sorted(watched.dimensions)}"]
    planned = {function.values["function_name"] for function in plan.of_type("aws_lambda_function", watched.region)}
    problems = []
    if not planned & {f"{NAME}-{function}" for function in functions}:
        problems.append(f"{watched.name}: only {functions} emit it, and {watched.region} has none of them")
    if watched.dimensions["Stack"] != NAME or watched.dimensions.get("Source", "prices") not in POLL_MINUTES:
        problems.append(f"{watched.name}: the stack has nothing with {watched.dimensions}")
    return problems


def problems(plan: Plan, all_watched: Iterator[Watched]) -> list[str]:
    """Return what is wrong with the watched metrics. Each problem begins with the alarm or the widget."""
    emitted = all_emitted()
    found = []
    for watched in all_watched:
        if watched.namespace == "Readplane":
            of_one = problems_of_own(plan, emitted, watched)
        else:
            of_one = problems_of(plan, *watched[1:])
        found += [f"{watched.region} {watched.watcher}: {problem}" for problem in of_one]
    return found


def test_every_metric_of_an_alarm_exists(plans: list[Plan], two_tables: Plan) -> None:
    assert len(list(watched_by_alarms(plans[0]))) > 80
    for plan in plans:
        tables = {"TableName"} if plan is two_tables else set()  # they are no part of that plan
        assert not problems(plan, (each for each in watched_by_alarms(plan) if tables.isdisjoint(each.dimensions)))


def test_every_metric_of_a_dashboard_exists(plan: Plan) -> None:
    assert len(list(watched_by_widgets(plan))) > 60
    assert not problems(plan, watched_by_widgets(plan))


def test_the_dashboard_shows_the_writer_and_the_readers_apart(plan: Plan) -> None:
    """A reader with less capacity than the writer falls behind."""
    for region in ("primary", "replica"):
        roles = {
            watched.dimensions.get("Role")
            for watched in watched_by_widgets(plan)
            if (watched.region, watched.name) == (region, "ServerlessDatabaseCapacity")
        }
        assert roles == {"WRITER", "READER"}


def test_every_function_queue_stream_and_topic_has_an_alarm(plan: Plan) -> None:
    """A new function, queue, stream or topic needs an alarm, or else nobody hears of its faults.

    `edge_auth` has none, because it sends its metrics in the Regions in which CloudFront runs it.
    """
    watched = {(watched.region, value) for watched in watched_by_alarms(plan) for value in watched.dimensions.values()}
    names = {
        "aws_lambda_function": "function_name",
        "aws_sqs_queue": "name",
        "aws_kinesis_firehose_delivery_stream": "name",
        "aws_kinesis_stream": "name",
        "aws_sns_topic": "name",
        "aws_api_gateway_rest_api": "name",
    }
    missing = [
        resource.address
        for resource in plan.resources
        if resource.type in names
        and (resource.region, resource.type) != ("edge", "aws_lambda_function")
        and (resource.region, resource.values[names[resource.type]]) not in watched
    ]
    assert not missing, missing


def test_cloudwatch_accepts_every_expression(plans: list[Plan]) -> None:
    """An alarm's expression uses 1 to 10 metrics, and every series in it comes from a metric and so has a period."""
    for alarm in (planned.alarm for plan in plans for planned in plan.alarms):
        assert 1 <= len(alarm.queries) <= 10
        names = {*alarm.queries, *alarm.expressions}
        series = {name: {0: 1.0} for name in alarm.queries}
        for name, text in alarm.expressions.items():
            assert re.fullmatch("[a-z][A-Za-z0-9_]*", name), f"{alarm.name}: CloudWatch refuses the id {name}"
            assert set(re.findall("[a-z]\\w*", text)) & names, f"{alarm.name}: {text} has no period"
            assert isinstance(Maths(series, alarm.expressions, range(1)).value_of(name), dict), f"{alarm.name}: {text}"


@pytest.mark.parametrize(
    ("namespace", "name", "dimensions", "statistic", "problem"),
    [
        ("AWS/Lambda", "Failures", {"FunctionName": f"{NAME}-write"}, "Sum", "isn't in the catalogue"),
        ("AWS/Lambda", "Errors", {"Function": f"{NAME}-write"}, "Sum", "no series with the dimensions"),
        ("AWS/Lambda", "Errors", {"FunctionName": f"{NAME}-wirte"}, "Sum", "Terraform makes no resource"),
        ("AWS/Lambda", "IteratorAge", {"FunctionName": f"{NAME}-publish"}, "Sum", "says nothing about"),
        ("AWS/ApiGateway", "Latency", {"ApiName": NAME, "Stage": "v2"}, "p99", "Terraform makes no resource"),
        (
            "AWS/Firehose",
            "KinesisMillisBehindLatest",
            {"DeliveryStreamName": f"{NAME}-write-log"},
            "Maximum",
            "makes no",
        ),
        ("AWS/Lambda", "PolledEventCount", {"EventSourceMappingUUID": WITHOUT_METRICS}, "Sum", "makes no"),
    ],
)
def test_the_catalogue_notices_a_wrong_metric(
    plan: Plan, namespace: str, name: str, dimensions: dict[str, str], statistic: str, problem: str
) -> None:
    found = problems_of(plan, "primary", namespace, name, dimensions, statistic)
    assert len(found) == 1 and problem in found[0]


def test_metrics_of_the_other_region_and_unknown_ones_of_the_stack_are_noticed(plan: Plan, two_tables: Plan) -> None:
    def watched(region: str, name: str, **dimensions: str) -> Watched:
        return Watched("an alarm", region, "Readplane", name, dimensions, "Sum")

    wrong = [
        watched("primary", "Staleness", Stack=NAME),
        watched("primary", "Staleness", Stack="other", Source="prices"),
        watched("primary", "Stalenes", Stack=NAME, Source="prices"),
    ]
    assert len(problems(plan, iter(wrong))) == len(wrong)
    # The plan with two tables has one Region.
    of_other_region = watched("replica", "Staleness", Stack=NAME, Source="prices")
    assert not problems(plan, iter([of_other_region])) and problems(two_tables, iter([of_other_region]))


def test_every_namespace_has_its_page_of_documentation() -> None:
    assert set(PAGES) == set(CATALOGUE)
