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


def topic_of(stack: Local, *, replica: bool) -> str:
    """Return the ARN of the topic of the alarms of a Region."""
    if not replica:
        assert stack.outputs.alarm_topic_arn
        return stack.outputs.alarm_topic_arn
    topics = stack.root(replica=True).client("sns").list_topics()["Topics"]
    (arn,) = [topic["TopicArn"] for topic in topics if topic["TopicArn"].endswith(f":{stack.outputs.name}-alarms")]
    return str(arn)


class Subscriber:
    """A queue that subscribes to the topic of the alarms of a Region."""

    def __init__(self, stack: Local, replica: bool) -> None:
        session = stack.root(replica=replica)
        self._sqs: Any = session.client("sqs")
        self._sns: Any = session.client("sns")
        topic = topic_of(stack, replica=replica)
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
def subscriber(stack: Local, replica: bool) -> Iterator[Subscriber]:
    subscriber = Subscriber(stack, replica)
    yield subscriber
    subscriber.close()


@REGIONS
def test_an_alarm_that_starts_and_stops_reaches_a_subscriber(
    stack: Local, replica: bool, subscriber: Subscriber
) -> None:
    cloudwatch: Any = stack.root(replica=replica).client("cloudwatch")
    name = f"{stack.outputs.name}-writes-unconfirmed"
    for state in ("ALARM", "OK"):
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")
        notification = subscriber.next_notification()
        assert (notification["AlarmName"], notification["NewStateValue"]) == (name, state)
        assert "write_not_confirmed" in notification["AlarmDescription"], "the notification says what to look for"


@REGIONS
def test_every_alarm_names_a_topic_that_exists(stack: Local, replica: bool) -> None:
    cloudwatch: Any = stack.root(replica=replica).client("cloudwatch")
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{stack.outputs.name}-")
    alarms = [alarm for page in pages for alarm in page["MetricAlarms"]]
    assert len(alarms) > 20
    topic = topic_of(stack, replica=replica)
    assert [alarm["AlarmName"] for alarm in alarms if alarm["AlarmActions"] != [topic]] == []


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
