"""How old the changes may be that wait for a function: in an SQS queue, or as a failed batch of a stream."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from ops.cli.dead_letters import PREFIX
from ops.cli.status_probes import METRIC_MINUTES, Metric, newest_values
from ops.cli.target import RegionalStack, Target


def age_limit(target: Target, stack: RegionalStack, url: str) -> float | None:
    """Return how old the messages of a queue are at most, in seconds; None if CloudWatch says nothing.

    :param url: the queue's URL
    """
    metric = Metric("AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": url.rsplit("/", 1)[1]})
    reported = newest_values(target.client("cloudwatch", stack.region), {"age": metric}, datetime.now(UTC))["age"]
    if reported is None:
        return None
    names = ["VisibilityTimeout", "RedrivePolicy"]
    queue = target.client("sqs", stack.region).get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    # CloudWatch leaves out a message that was received several times. After its last receipt, it is a dead letter.
    receipts = int(json.loads(queue.get("RedrivePolicy", "{}")).get("maxReceiveCount", 0))
    return max(reported, float(queue["VisibilityTimeout"]) * receipts) + METRIC_MINUTES * 60


def has_failed_batches(target: Target, stack: RegionalStack) -> bool:
    """Return whether Lambda has stored a batch of a stream that failed on every retry."""
    listing = target.client("s3", stack.region).list_objects_v2(Bucket=stack.log_bucket, Prefix=PREFIX, MaxKeys=1)
    return bool(listing.get("Contents"))
