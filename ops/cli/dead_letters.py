"""Dead letters: what was tried as often as it may be.

Notifications of log objects wait in a queue; batches of the change stream and of the items stream lie whole in the
write-log bucket, where Lambda puts them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import click

from ops.cli.invoke import call
from ops.cli.quarantine import put_lines, replica
from ops.cli.target import Chosen, Place, Target, table
from ops.console import CommandError

PREFIX = "aws/lambda/"
TRIES = 5
"""How often an item that goes on changing is published again."""

Kind = Literal["object", "changes", "items"]
KINDS = {
    "object": "a log object that `apply` gave up",
    "changes": "a batch of the change stream that `apply` gave up",
    "items": "a batch of the items stream that `publish` gave up",
}


class Batch(NamedTuple):
    """A stream's batch as Lambda keeps it."""

    key: str
    kind: Kind
    since: str
    records: list[dict[str, Any]]


@click.group(name="dead-letters")
def dead_letters() -> None:
    """Look at what was given up, and send it in again once the outage is over."""


@dead_letters.command(name="list")
@replica
@click.pass_obj
def list_(chosen: Chosen, replica: bool) -> None:
    """List what waits: kind, how many, since when, where."""
    target = chosen.target
    place = target.place(replica)
    waiting = _waiting(target, place)
    rows: list[tuple[str, ...]] = []
    if waiting:
        rows.append(("object", str(waiting), "", _queue(target, "-dead-letters")))
    rows += [(batch.kind, str(len(batch.records)), batch.since, batch.key) for batch in _batches(target, place)]
    table(rows, "KIND", "RECORDS", "SINCE", "WHERE")
    for kind in sorted({row[0] for row in rows}):
        click.echo(f"{kind}: {KINDS[kind]}")


@dead_letters.command()
@click.option("--kind", type=click.Choice(list(KINDS)), help="Only dead letters of this kind.")
@replica
@click.option("--dry-run", is_flag=True, help="Only say what would be sent in again.")
@click.pass_obj
def redrive(chosen: Chosen, kind: Kind | None, replica: bool, dry_run: bool) -> None:
    """Send dead letters in again: objects to the queue, changes through the write log, items to `publish`.

    Sending something twice is harmless: the newest change wins.
    """
    target = chosen.target
    place = target.place(replica)
    waiting = _waiting(target, place) if kind in (None, "object") else 0
    batches = [batch for batch in _batches(target, place) if kind in (None, batch.kind)]
    if dry_run:
        for batch in batches:
            click.echo(f"Would send in again the {len(batch.records)} records of {batch.key}")
        click.echo(f"{waiting} notifications and {len(batches)} batches; nothing was changed.")
        return
    moved = _notifications_again(target, place, waiting)
    with click.progressbar(batches, label="Batches") as progress:
        for batch in progress:
            if batch.kind == "changes":
                lines = [base64.b64decode(record["kinesis"]["data"]) for record in batch.records]
                put_lines(target, place, lines)
            else:
                _publish_again(target, place, batch.records)
            target.client("s3", place.region).delete_object(Bucket=place.log_bucket, Key=batch.key)
    click.echo(f"Sent in again: {moved} notifications and {len(batches)} batches.")


def _queue(target: Target, suffix: str = "") -> str:
    return f"{target.name}-apply{suffix}"


def _queue_url(target: Target, place: Place, suffix: str = "") -> str:
    url: str = target.client("sqs", place.region).get_queue_url(QueueName=_queue(target, suffix))["QueueUrl"]
    return url


def _waiting(target: Target, place: Place) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = _queue_url(target, place, "-dead-letters")
    told = target.client("sqs", place.region).get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(told.get(name, 0)) for name in names)


def _notifications_again(target: Target, place: Place, waiting: int) -> int:
    """Move the messages back to the queue; returns how many.

    By hand instead of SQS's own move task: that one may leave out what is being looked at, and shows no progress.
    """
    if not waiting:
        return 0
    sqs = target.client("sqs", place.region)
    there, back = _queue_url(target, place, "-dead-letters"), _queue_url(target, place)
    moved = 0
    with click.progressbar(length=waiting, label="Notifications") as progress:
        while messages := sqs.receive_message(QueueUrl=there, MaxNumberOfMessages=10, WaitTimeSeconds=1).get(
            "Messages"
        ):
            for message in messages:
                # In this order: one that is in both queues for a moment is applied twice, which is harmless.
                sqs.send_message(QueueUrl=back, MessageBody=message["Body"])
                sqs.delete_message(QueueUrl=there, ReceiptHandle=message["ReceiptHandle"])
            moved += len(messages)
            progress.update(len(messages))
    return moved


def _batches(target: Target, place: Place) -> Iterator[Batch]:
    s3 = target.client("s3", place.region)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=place.log_bucket, Prefix=PREFIX):
        for found in page.get("Contents", []):
            kept = json.loads(s3.get_object(Bucket=place.log_bucket, Key=found["Key"])["Body"].read())
            kind: Kind = "changes" if "KinesisBatchInfo" in kept else "items"
            # Lambda keeps the event that it sent as a text within its own record.
            event = json.loads(kept["payload"])
            yield Batch(found["Key"], kind, found["LastModified"].isoformat(timespec="seconds"), event["Records"])


def _publish_again(target: Target, place: Place, records: list[dict[str, Any]]) -> None:
    """Publish what the items of a batch are now: its own images may be older than what was published since."""
    keys = {record["dynamodb"]["Keys"]["pk"]["S"] for record in records}
    for pk in sorted(key for key in keys if key.startswith("item/")):
        for _ in range(TRIES):
            image = _item(target, place, pk)
            if image is None:
                break  # a tombstone that is gone: its document went when it was made
            event = {
                "Records": [
                    {
                        "eventName": "MODIFY",
                        "dynamodb": {"Keys": {"pk": {"S": pk}}, "NewImage": image, "SequenceNumber": "1"},
                    }
                ]
            }
            if call(target, f"{target.name}-publish:live", event, place.region)["batchItemFailures"]:
                raise CommandError(f"{pk} can't be published. The log of {target.name}-publish says why.")
            if (now := _item(target, place, pk)) and now["version"] == image["version"]:
                break  # nothing newer can have been published before ours
        else:
            raise CommandError(f"{pk} goes on changing. Try again.")


def _item(target: Target, place: Place, pk: str) -> dict[str, Any] | None:
    answer = target.client("dynamodb", place.region).get_item(
        TableName=target.outputs["items_table"], Key={"pk": {"S": pk}}, ConsistentRead=True
    )
    image: dict[str, Any] | None = answer.get("Item")
    return image
