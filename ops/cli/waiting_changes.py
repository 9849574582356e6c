"""How old the changes may be that wait for a function: in an SQS queue, or as a failed batch of a stream."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import NamedTuple

from ops.cli.dead_letters import PREFIX
from ops.cli.status_probes import METRIC_MINUTES, Metric, newest_values
from ops.cli.target import RegionalStack, Target


class QueueAge(NamedTuple):
    """How old the messages of a queue may be.

    reported: the age of the oldest message in seconds, as CloudWatch says; None if it says nothing
    hidden: how old a message may be that CloudWatch leaves out, because it was received several times; in seconds
    """

    reported: float | None
    hidden: float

    @property
    def limit(self) -> float | None:
        """The maximum age of a message in seconds; None if CloudWatch says nothing. CloudWatch may be behind."""
        return None if self.reported is None else max(self.reported, self.hidden) + METRIC_MINUTES * 60


def queue_age(target: Target, stack: RegionalStack, url: str) -> QueueAge:
    """Return how old the messages of a queue may be.

    :param url: the queue's URL
    """
    metric = Metric("AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": url.rsplit("/", 1)[1]})
    reported = newest_values(target.client("cloudwatch", stack.region), {"age": metric}, datetime.now(UTC))["age"]
    names = ["VisibilityTimeout", "RedrivePolicy"]
    queue = target.client("sqs", stack.region).get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    # After its last receipt, a message is a dead letter.
    receipts = int(json.loads(queue.get("RedrivePolicy", "{}")).get("maxReceiveCount", 0))
    return QueueAge(reported, float(queue["VisibilityTimeout"]) * receipts)


def has_failed_batches(target: Target, stack: RegionalStack) -> bool:
    """Return whether Lambda has stored a batch of a stream that failed on every retry."""
    listing = target.client("s3", stack.region).list_objects_v2(Bucket=stack.log_bucket, Prefix=PREFIX, MaxKeys=1)
    return bool(listing.get("Contents"))
