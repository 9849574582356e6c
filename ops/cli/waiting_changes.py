"""How old the changes may be that wait for a function: in an SQS queue, in a stream, or as a stream's failed batch."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from ops.cli.dead_letters import PREFIX
from ops.cli.status_probes import METRIC_MINUTES, Metric, mapping_problems, newest_values, resources_of
from ops.cli.target import RegionalStack, Target

AGE_MINUTES = 3
"""Over how many minutes with data the age of a stream's records is read. A function may read several streams, which
share a metric. A single minute may hold only the ages of the stream that isn't behind."""

READ_SECONDS = 300.0
"""After how long CloudWatch shows whether a function is behind a stream. Its values are a minute or two late, and the
function may be about to retry a batch."""


def seconds_behind(target: Target, stack: RegionalStack, function: str) -> float | None:
    """Return how far a function was behind any of its streams lately; None if CloudWatch doesn't know of a batch.

    :param function: the function's name without the stack's name, such as `publish`
    """
    metric = Metric("AWS/Lambda", "IteratorAge", {"FunctionName": f"{target.name}-{function}"})
    cloudwatch = target.client("cloudwatch", stack.region)
    age_ms = newest_values(cloudwatch, {"age": metric}, datetime.now(UTC), minutes=AGE_MINUTES)["age"]
    return None if age_ms is None else age_ms / 1000


def unpublished(target: Target, since: float) -> Iterator[str]:
    """Yield why `publish` may not have read yet what was written to the items table before a Unix time."""
    for resources in resources_of(target):
        publish = resources.outputs["functions"]["publish"]
        lambdas = target.client("lambda", resources.region)
        # A `publish` that doesn't read emits no metric, like one that has nothing to read.
        for problem in mapping_problems(lambdas, "publish", publish["alias_arn"])[1]:
            yield f"In {resources.region}, {problem}."
        # On a quiet stack no newer batch shows that it has read. So the time itself must have passed.
        if time.time() - since < (seconds_behind(target, resources.stack, "publish") or 0.0) + READ_SECONDS:
            yield (
                f"`publish` in {resources.region} may be behind. Wait until `mappings` and `streams` are ok in "
                "`ops/readplane status`."
            )


def oldest_message(target: Target, stack: RegionalStack, url: str) -> float | None:
    """Return how old the messages of a queue are at most, in seconds; None if CloudWatch says nothing.

    CloudWatch leaves out a message that was received several times, because its handling has failed.

    :param url: the queue's URL
    """
    metric = Metric("AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": url.rsplit("/", 1)[1]})
    reported = newest_values(target.client("cloudwatch", stack.region), {"age": metric}, datetime.now(UTC))["age"]
    return None if reported is None else reported + METRIC_MINUTES * 60


def age_limit(target: Target, stack: RegionalStack, url: str) -> float | None:
    """Return how old the messages of a queue are at most, in seconds, also those whose handling has failed.

    :param url: the queue's URL
    :returns: None if CloudWatch says nothing
    """
    oldest = oldest_message(target, stack, url)
    if oldest is None:
        return None
    names = ["VisibilityTimeout", "RedrivePolicy"]
    queue = target.client("sqs", stack.region).get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    # After its last receipt, a message that fails is a dead letter.
    receipts = int(json.loads(queue.get("RedrivePolicy", "{}")).get("maxReceiveCount", 0))
    return max(oldest, float(queue["VisibilityTimeout"]) * receipts + METRIC_MINUTES * 60)


def has_failed_batches(target: Target, stack: RegionalStack) -> bool:
    """Return whether Lambda has stored a batch of a stream that failed on every retry."""
    listing = target.client("s3", stack.region).list_objects_v2(Bucket=stack.log_bucket, Prefix=PREFIX, MaxKeys=1)
    return bool(listing.get("Contents"))
