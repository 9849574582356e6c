"""Tests of the alarms on the emulator: a notification reaches a subscriber, and heartbeats measure the replication.

The emulator's evaluation of alarms differs from CloudWatch's, so ``tests/unit/alarms`` checks when each alarm fires.
"""

import inspect
import json
from collections.abc import Iterator
from typing import Any

import pytest
from ministack.services import eventbridge

from readplane.model.timestamp import rfc3339
from tests.local.pipeline import now_ms
from tests.local.support import Local, eventually

REGIONS = pytest.mark.parametrize("replica", [False, True], ids=["primary", "replica"])


TOPICS = {"page": "alarms", "ticket": "tickets"}
"""Severity -> the end of the name of its topic."""

PAGES = {"write-log-records-lost", "write-log-delivery-freshness", "publish-stopped", "replication-behind"}
TICKETS = {"quarantine", "apply-dead-letters", "write-errors", "items-throttled"}


def topic_of(stack: Local, severity: str, *, replica: bool) -> str:
    """Return the ARN of the topic of the alarms of a severity in a Region."""
    name = f"{stack.outputs.name}-{TOPICS[severity]}"
    topics = stack.root(replica=replica).client("sns").list_topics()["Topics"]
    (arn,) = [topic["TopicArn"] for topic in topics if topic["TopicArn"].endswith(f":{name}")]
    return str(arn)


class Subscriber:
    """A queue that subscribes to the topic of the alarms of a severity in a Region."""

    def __init__(self, stack: Local, severity: str, *, replica: bool) -> None:
        session = stack.root(replica=replica)
        self._sqs: Any = session.client("sqs")
        self._sns: Any = session.client("sns")
        topic = topic_of(stack, severity, replica=replica)
        self._queue = self._sqs.create_queue(QueueName="alarm-subscriber")["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"]
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": attributes["QueueArn"],
                    "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
                }
            ],
        }
        self._sqs.set_queue_attributes(QueueUrl=self._queue, Attributes={"Policy": json.dumps(policy)})
        subscribed = self._sns.subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=attributes["QueueArn"], ReturnSubscriptionArn=True
        )
        self._subscription = subscribed["SubscriptionArn"]

    def next_notification(self) -> dict[str, Any]:
        """Wait for the next notification and return it."""

        def receive() -> list[Any]:
            received = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=1, WaitTimeSeconds=1)
            messages: list[Any] = received.get("Messages", [])
            return messages

        (message,) = eventually(receive)
        self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        notification: dict[str, Any] = json.loads(json.loads(message["Body"])["Message"])
        return notification

    def close(self) -> None:
        """End the subscription and delete the queue."""
        self._sns.unsubscribe(SubscriptionArn=self._subscription)
        self._sqs.delete_queue(QueueUrl=self._queue)


@pytest.fixture
def subscriber(stack: Local, replica: bool, severity: str) -> Iterator[Subscriber]:
    subscriber = Subscriber(stack, severity, replica=replica)
    yield subscriber
    subscriber.close()


@REGIONS
@pytest.mark.parametrize(
    ("severity", "alarm", "event"),
    [("page", "apply-objects-failed", "object_failed"), ("ticket", "schemas-unusable", "schema_unusable")],
)
def test_an_alarm_that_starts_and_stops_reaches_a_subscriber(
    stack: Local, replica: bool, subscriber: Subscriber, alarm: str, event: str
) -> None:
    cloudwatch: Any = stack.root(replica=replica).client("cloudwatch")
    name = f"{stack.outputs.name}-{alarm}"
    for state in ("ALARM", "OK"):
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")
        notification = subscriber.next_notification()
        assert (notification["AlarmName"], notification["NewStateValue"]) == (name, state)
        assert event in notification["AlarmDescription"], "the notification says what to look for"


@REGIONS
@pytest.mark.parametrize("severity", ["page"])
def test_a_part_of_what_clients_see_notifies_through_the_composite_alarm(
    stack: Local, replica: bool, subscriber: Subscriber
) -> None:
    cloudwatch: Any = stack.root(replica=replica).client("cloudwatch")
    for state in ("ALARM", "OK"):
        part = f"{stack.outputs.name}-api-errors"
        cloudwatch.set_alarm_state(AlarmName=part, StateValue=state, StateReason="a test")
        notification = subscriber.next_notification()
        assert (notification["AlarmName"], notification["NewStateValue"]) == (f"{stack.outputs.name}-clients", state)


@REGIONS
def test_every_alarm_names_topics_that_exist(stack: Local, replica: bool) -> None:
    """Only the parts of the composite alarm name none. In this stack, tickets go where pages go."""
    cloudwatch: Any = stack.root(replica=replica).client("cloudwatch")
    pages = list(cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{stack.outputs.name}-"))
    (composite,) = cloudwatch.describe_alarms(
        AlarmNames=[f"{stack.outputs.name}-clients"], AlarmTypes=["CompositeAlarm"]
    )["CompositeAlarms"]
    page, ticket = (topic_of(stack, severity, replica=replica) for severity in ("page", "ticket"))
    actions = {
        alarm["AlarmName"].removeprefix(f"{stack.outputs.name}-"): set(alarm["AlarmActions"])
        for response in pages
        for alarm in response["MetricAlarms"]
    }
    assert len(actions) > 20
    assert composite["AlarmActions"] == [page]
    parts = {name for name in actions if f'"{stack.outputs.name}-{name}"' in composite["AlarmRule"]}
    assert {name for name, topics in actions.items() if not topics} == parts
    assert {name for name in actions if actions[name] == {page}} >= PAGES
    assert {name for name in actions if actions[name] == {page, ticket}} >= TICKETS
    assert all(topics <= {page, ticket} for topics in actions.values())


@REGIONS
def test_a_heartbeat_of_the_other_region_measures_the_replication(stack: Local, replica: bool) -> None:
    """Write the row that the other Region's schedule writes. The emulator's scheduler can't write it."""
    other = stack.outputs.region if replica else stack.outputs.replica_region
    since_ms = now_ms()
    stack.root(replica=not replica).client("dynamodb").put_item(
        TableName=stack.outputs.items_table,
        Item={"pk": {"S": f"heartbeat/{other}"}, "sent_at": {"S": rfc3339(since_ms - 90_000)[:19] + "Z"}},
    )
    (event, *_) = eventually(
        lambda: stack.events("publish", "heartbeat_received", since_ms=since_ms, replica=replica, sender=other),
        within=120,
    )
    assert 90 <= event["ReplicationLag"] < 90 + 120
    assert not stack.events("publish", "heartbeat_received", replica=not replica, sender=other), "it is its own"
    assert not stack.events("publish", "row_skipped", since_ms=since_ms, key=f"heartbeat/{other}")
    assert stack.api(stack.alice, replica=replica)("GET", "/items/notices").status_code == 200


@REGIONS
def test_each_region_has_a_schedule_that_writes_its_heartbeat(stack: Local, replica: bool) -> None:
    scheduler: Any = stack.root(replica=replica).client("scheduler")
    region = stack.outputs.replica_region if replica else stack.outputs.region
    schedule = scheduler.get_schedule(Name="heartbeat", GroupName=f"{stack.outputs.name}-heartbeat")
    assert schedule["Target"]["Arn"] == "arn:aws:scheduler:::aws-sdk:dynamodb:putItem"
    assert json.loads(schedule["Target"]["Input"]) == {
        "TableName": stack.outputs.items_table,
        "Item": {"pk": {"S": f"heartbeat/{region}"}, "sent_at": {"S": "<aws.scheduler.scheduled-time>"}},
    }


def test_the_emulators_scheduler_has_no_universal_targets(stack: Local) -> None:
    """MiniStack's scheduler calls Lambda and a few other services, but no other API of AWS.

    Workaround: the tests above write the row of the heartbeat themselves.
    """
    if not stack.ministack:
        pytest.skip("this is a gap of MiniStack")
    assert "aws-sdk" not in inspect.getsource(eventbridge)


@REGIONS
def test_the_probe_reaches_the_api_and_a_document(stack: Local, replica: bool) -> None:
    """The emulator's scheduler calls the probe every minute. The document is the freshness of a public source.

    The document is missing until the first poll of the source, five minutes after the stack is up.
    """
    (event, *_) = eventually(lambda: stack.events("probe", "probe_passed", replica=replica), within=150)
    assert event["ProbeFailed"] == 0
    assert event["outcomes"].pop("document") in ("200", "404")
    assert event["outcomes"] == {"health": "200"}
