"""The commands `dead-letters`: list and redrive the notifications and batches that failed on every retry.

S3 notifies `apply` of each new log object. Notifications that failed are in the dead-letter queue. Batches of the
change stream and of the items stream that failed are in the write log's bucket, where Lambda stores them whole.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import click

from ops.cli.publishing import publish_items
from ops.cli.quarantine import put_lines, replica_option
from ops.cli.target import Chosen, RegionalStack, Target, table
from readplane.model.keys import ITEM_PREFIX

PREFIX = "aws/lambda/"

Kind = Literal["object", "changes", "items"]
KINDS = {
    "object": "a log object that `apply` couldn't apply",
    "changes": "a batch of the change stream that `apply` couldn't apply",
    "items": "a batch of the items stream that `publish` couldn't publish",
}


class Batch(NamedTuple):
    """A batch of stream records that a function couldn't process, as Lambda stored it in S3.

    key: the key of the S3 object with the batch
    kind: `changes` for a batch of the change stream, `items` for a batch of the items stream
    since: the time when Lambda stored the batch, in ISO 8601
    records: the records, as Lambda delivers them to a function
    """

    key: str
    kind: Kind
    since: str
    records: list[dict[str, Any]]


@click.group(name="dead-letters")
def dead_letters() -> None:
    """List the notifications and batches that failed on every retry. Redrive them when the outage is over."""


@dead_letters.command(name="list")
@replica_option
@click.pass_obj
def list_(chosen: Chosen, replica: bool) -> None:
    """List the dead letters with their kind, number of records, time and location."""
    target = chosen.target
    stack = target.regional(replica)
    waiting = _waiting_notifications(target, stack)
    rows: list[tuple[str, ...]] = []
    if waiting:
        rows.append(("object", str(waiting), "", _queue_name(target, "-dead-letters")))
    rows += [(batch.kind, str(len(batch.records)), batch.since, batch.key) for batch in _batches(target, stack)]
    table(rows, "KIND", "RECORDS", "SINCE", "WHERE")
    for kind in sorted({row[0] for row in rows}):
        click.echo(f"{kind}: {KINDS[kind]}")


@dead_letters.command()
@click.option("--kind", type=click.Choice(list(KINDS)), help="Only dead letters of this kind.")
@replica_option
@click.option("--dry-run", is_flag=True, help="Only print what would be redriven.")
@click.pass_obj
def redrive(chosen: Chosen, kind: Kind | None, replica: bool, dry_run: bool) -> None:
    """Redrive dead letters, so that the functions process them again.

    Notifications return to the queue of `apply`. Changes in failed batches go into the write log, from which `apply`
    reads them. `publish` publishes the items in failed batches again. You can safely redrive a dead letter twice,
    because the newest change wins.
    """
    target = chosen.target
    stack = target.regional(replica)
    waiting = _waiting_notifications(target, stack) if kind in (None, "object") else 0
    batches = [batch for batch in _batches(target, stack) if kind in (None, batch.kind)]
    if dry_run:
        for batch in batches:
            click.echo(f"Would redrive the {len(batch.records)} records of {batch.key}")
        click.echo(f"{waiting} notifications and {len(batches)} batches; nothing was changed.")
        return
    moved = _redrive_notifications(target, stack, waiting)
    with click.progressbar(batches, label="Batches") as progress:
        for batch in progress:
            if batch.kind == "changes":
                lines = [base64.b64decode(record["kinesis"]["data"]) for record in batch.records]
                put_lines(target, stack, lines)
            else:
                _publish_batch(target, stack, batch)
            target.client("s3", stack.region).delete_object(Bucket=stack.log_bucket, Key=batch.key)
    click.echo(f"Redriven: {moved} notifications and {len(batches)} batches.")


def _queue_name(target: Target, suffix: str = "") -> str:
    return f"{target.name}-apply{suffix}"


def _queue_url(target: Target, stack: RegionalStack, suffix: str = "") -> str:
    url: str = target.client("sqs", stack.region).get_queue_url(QueueName=_queue_name(target, suffix))["QueueUrl"]
    return url


def _waiting_notifications(target: Target, stack: RegionalStack) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = _queue_url(target, stack, "-dead-letters")
    counts = target.client("sqs", stack.region).get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(counts.get(name, 0)) for name in names)


def _redrive_notifications(target: Target, stack: RegionalStack, waiting: int) -> int:
    """Move all messages from the dead-letter queue back to the queue of `apply`. Return how many were moved.

    This function doesn't use SQS's own redrive task (StartMessageMoveTask), because that task may skip messages that
    another consumer has just received, and it shows no progress.
    """
    if not waiting:
        return 0
    sqs = target.client("sqs", stack.region)
    dead_letter_url, queue_url = _queue_url(target, stack, "-dead-letters"), _queue_url(target, stack)
    moved = 0
    with click.progressbar(length=waiting, label="Notifications") as progress:
        while messages := sqs.receive_message(QueueUrl=dead_letter_url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get(
            "Messages"
        ):
            for message in messages:
                # Send each message before deleting it. If the command stops after sending, both queues have the
                # message, which is harmless.
                sqs.send_message(QueueUrl=queue_url, MessageBody=message["Body"])
                sqs.delete_message(QueueUrl=dead_letter_url, ReceiptHandle=message["ReceiptHandle"])
            moved += len(messages)
            progress.update(len(messages))
    return moved


def _batches(target: Target, stack: RegionalStack) -> Iterator[Batch]:
    s3 = target.client("s3", stack.region)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=stack.log_bucket, Prefix=PREFIX):
        for entry in page.get("Contents", []):
            record = json.loads(s3.get_object(Bucket=stack.log_bucket, Key=entry["Key"])["Body"].read())
            kind: Kind = "changes" if "KinesisBatchInfo" in record else "items"
            # The field `payload` is JSON text: the event that Lambda sent to the function.
            event = json.loads(record["payload"])
            yield Batch(entry["Key"], kind, entry["LastModified"].isoformat(timespec="seconds"), event["Records"])


def _publish_batch(target: Target, stack: RegionalStack, batch: Batch) -> None:
    """Publish each item in a batch as the items table holds it now.

    The item images in the batch aren't published, because they may be older than the documents that clients read now.

    :raises CommandError: if `publish` fails, or an item keeps changing
    """
    keys = {record["dynamodb"]["Keys"]["pk"]["S"] for record in batch.records}
    publish_items(target, stack, sorted(key for key in keys if key.startswith(ITEM_PREFIX)))
