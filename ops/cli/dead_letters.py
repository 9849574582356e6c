"""The commands `dead-letters`: list and redrive the messages and batches that failed on every retry.

S3 notifies `apply` of each new log object, and `publish` sends the keys of changed items to the queue of each private
store. Messages that failed are in the dead-letter queue of their queue. Batches of the change stream and of the items
stream that failed are in the write log's bucket, where Lambda stores them whole.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, get_args

import click

from ops.cli.private_stores import count_messages, region_option, regions
from ops.cli.publishing import publish_items
from ops.cli.target import Chosen, RegionalStack, Target, table
from ops.cli.write_log import apply_queue, put_lines
from ops.console import CommandError
from readplane.model.keys import ITEM_PREFIX

PREFIX = "aws/lambda/"

StreamName = Literal["changes", "items"]
STREAMS: tuple[StreamName, ...] = get_args(StreamName)

EXPLAINED = {
    "apply": "notifications of log objects that `apply` couldn't apply",
    "feed-cache": "messages with keys of items that `feed` couldn't write into the cache",
    "feed-database": "messages with keys of items that `feed` couldn't write into the database",
    "changes": "batches of the change stream that `apply` couldn't apply",
    "items": "batches of the items stream that `publish` couldn't publish",
}
"""The queues and streams that have dead letters -> what the dead letters are."""


class Queue(NamedTuple):
    """An SQS queue with a dead-letter queue.

    name: its name in EXPLAINED
    url: the queue's URL
    dead_letter_url: the URL of its dead-letter queue
    waiting: the number of messages in the dead-letter queue, roughly
    """

    name: str
    url: str
    dead_letter_url: str
    waiting: int


class Batch(NamedTuple):
    """A batch of stream records that a function couldn't process, as Lambda stored it in S3.

    key: the key of the S3 object with the batch
    stream: `changes` for a batch of the change stream, `items` for a batch of the items stream
    since: the time when Lambda stored the batch, in ISO 8601
    records: the records, as Lambda delivers them to a function
    """

    key: str
    stream: StreamName
    since: str
    records: list[dict[str, Any]]


queue_option = click.option(
    "--queue", type=click.Choice(list(EXPLAINED)), help="Only dead letters of this queue or stream. Default: of all."
)


@click.group(name="dead-letters")
def dead_letters() -> None:
    """List the messages and batches that failed on every retry. Redrive them when the outage is over."""


@dead_letters.command(name="list")
@queue_option
@region_option
@click.pass_obj
def list_(chosen: Chosen, queue: str | None, region: str | None) -> None:
    """List the dead letters with their queue or stream, their number, time and location.

    A line of a queue counts messages, and a line of a stream the records of one batch. The exit code is 0 whether
    there are dead letters or not.
    """
    target = chosen.target
    rows: list[tuple[str, ...]] = []
    for stack in regions(chosen, region):
        rows += [
            (stack.region, each.name, str(each.waiting), "", each.dead_letter_url.rsplit("/", 1)[1])
            for each in _queues(target, stack, queue)
            if each.waiting
        ]
        rows += [
            (stack.region, batch.stream, str(len(batch.records)), batch.since, batch.key)
            for batch in _batches(target, stack, queue)
        ]
    table(rows, "REGION", "QUEUE", "NUMBER", "SINCE", "WHERE")
    for name in sorted({row[1] for row in rows}):
        click.echo(f"{name}: {EXPLAINED[name]}")


@dead_letters.command()
@queue_option
@region_option
@click.option("--dry-run", is_flag=True, help="Only print what would be redriven.")
@click.pass_obj
def redrive(chosen: Chosen, queue: str | None, region: str | None, dry_run: bool) -> None:
    """Redrive dead letters, so that the functions process them again.

    Messages return to their queue: notifications of log objects to that of `apply`, and keys of items to that of
    their store. Changes in failed batches go into the write log, from which `apply` reads them. `publish` publishes
    the items in failed batches again.

    Remove the cause first. Otherwise the dead letters fail as often as before, and are dead letters again after hours.
    You can safely redrive a dead letter twice, because the newest change wins. If the command is interrupted, run it
    again.
    """
    target = chosen.target
    for stack in regions(chosen, region):
        queues = _queues(target, stack, queue)
        batches = list(_batches(target, stack, queue))
        if dry_run:
            for each in queues:
                if each.waiting:
                    click.echo(f"{stack.region}: would redrive {each.waiting} messages to the queue of {each.name}")
            for batch in batches:
                click.echo(f"{stack.region}: would redrive the {len(batch.records)} records of {batch.key}")
            messages = sum(each.waiting for each in queues)
            click.echo(f"{stack.region}: {messages} messages and {len(batches)} batches; nothing was changed.")
            continue
        moved = sum(_redrive_messages(target, stack, each) for each in queues)
        with click.progressbar(batches, label=f"Batches in {stack.region}") as progress:
            for batch in progress:
                _redrive_batch(target, stack, batch)
        click.echo(f"{stack.region}: redriven {moved} messages and {len(batches)} batches.")


def _queues(target: Target, stack: RegionalStack, only: str | None) -> list[Queue]:
    """Return the queues with dead-letter queues in a Region.

    :param only: a name in EXPLAINED, to return only this queue; None to return all
    :raises CommandError: if `only` is the queue of a store that this stack doesn't have
    """
    sqs = target.client("sqs", stack.region)
    role = "primary" if stack.region == target.region else "replica"
    feeds: Mapping[str, Mapping[str, str]] = (target.outputs.get("feed_queues") or {}).get(role) or {}
    urls = {f"feed-{store}": (each["url"], each["dead_letter_url"]) for store, each in sorted(feeds.items())}
    if only not in (None, *STREAMS, "apply", *urls):
        raise CommandError(f"This stack has no queue {only} in {stack.region}, because it has no such store.")
    names = [name for name in ("apply", *urls) if only in (None, name)]
    if "apply" in names:
        urls["apply"] = apply_queue(target, stack), apply_queue(target, stack, "-dead-letters")
    return [Queue(name, *urls[name], count_messages(sqs, urls[name][1])) for name in names]


def _redrive_messages(target: Target, stack: RegionalStack, queue: Queue) -> int:
    """Move all messages from a dead-letter queue back to its queue. Return how many were moved.

    This function doesn't use SQS's own redrive task (StartMessageMoveTask), because that task may skip messages that
    another consumer has just received, and it shows no progress.
    """
    if not queue.waiting:
        return 0
    sqs = target.client("sqs", stack.region)
    moved = 0
    with click.progressbar(length=queue.waiting, label=f"Messages of {queue.name} in {stack.region}") as progress:
        while messages := sqs.receive_message(
            QueueUrl=queue.dead_letter_url, MaxNumberOfMessages=10, WaitTimeSeconds=1
        ).get("Messages"):
            for message in messages:
                # Send each message before deleting it. If the command stops after sending, both queues have the
                # message, which is harmless.
                sqs.send_message(QueueUrl=queue.url, MessageBody=message["Body"])
                sqs.delete_message(QueueUrl=queue.dead_letter_url, ReceiptHandle=message["ReceiptHandle"])
            moved += len(messages)
            progress.update(len(messages))
    return moved


def _redrive_batch(target: Target, stack: RegionalStack, batch: Batch) -> None:
    if batch.stream == "changes":
        put_lines(target, stack, [base64.b64decode(record["kinesis"]["data"]) for record in batch.records])
    else:
        _publish_batch(target, stack, batch)
    target.client("s3", stack.region).delete_object(Bucket=stack.log_bucket, Key=batch.key)


def _batches(target: Target, stack: RegionalStack, only: str | None) -> Iterator[Batch]:
    """Yield the batches that Lambda stored in a Region.

    :param only: a name in EXPLAINED, to yield only the batches of this stream; None to yield all
    """
    if only not in (None, *STREAMS):
        return
    s3 = target.client("s3", stack.region)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=stack.log_bucket, Prefix=PREFIX):
        for entry in page.get("Contents", []):
            record = json.loads(s3.get_object(Bucket=stack.log_bucket, Key=entry["Key"])["Body"].read())
            stream: StreamName = "changes" if "KinesisBatchInfo" in record else "items"
            if only not in (None, stream):
                continue
            # The field `payload` is JSON text: the event that Lambda sent to the function.
            event = json.loads(record["payload"])
            yield Batch(entry["Key"], stream, entry["LastModified"].isoformat(timespec="seconds"), event["Records"])


def _publish_batch(target: Target, stack: RegionalStack, batch: Batch) -> None:
    """Publish each item in a batch as the items table holds it now.

    The item images in the batch aren't published, because they may be older than the documents that clients read now.

    :raises CommandError: if `publish` fails, or an item keeps changing
    """
    keys = {record["dynamodb"]["Keys"]["pk"]["S"] for record in batch.records}
    publish_items(target, stack, sorted(key for key in keys if key.startswith(ITEM_PREFIX)))
