"""The command `replay`: have `apply` apply objects of the write log, or of the change stream's archive, once more."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import quote_plus

import click

from ops.cli.checkpoint import parse_ms
from ops.cli.collection_stores import live_function, require_collection
from ops.cli.private_stores import region_option, regions
from ops.cli.target import Chosen, RegionalStack, Target, table
from ops.cli.write_log import apply_queue
from ops.console import CommandError
from ops.jobs import Job, JobOptions, job_options, open_job, print_plan, unfinished_job
from ops.queue_room import QueueRoom
from ops.walk import PREFIXES, LogObject, Prefix, TimeRange, log_objects
from readplane.clock import now_ms
from readplane.config import DAY_MS
from readplane.model.timestamp import rfc3339

LOST_DAYS = 13
"""How old objects may be whose records `apply` counts afterwards. CloudWatch drops metrics of more than 14 days ago."""

BATCH = 10
"""The maximum number of messages in one SendMessageBatch call."""


class Part(NamedTuple):
    """A part of a replay: the objects of one Region below one prefix."""

    stack: RegionalStack
    prefix: Prefix


class Plan(NamedTuple):
    """What a replay does.

    parts: the parts, in the order in which they are replayed
    span: the time range
    marks: the members of each message's body that tell `apply` how to replay the object
    """

    parts: Sequence[Part]
    span: TimeRange
    marks: dict[str, Any]


@click.command()
@click.option("--from", "start", metavar="TIME", required=True, help="Replay what arrived from this time on.")
@click.option("--to", "end", metavar="TIME", help="Replay what arrived before this time. Default: now.")
@click.option("--collection", "collections", metavar="NAME", multiple=True, help="Only changes of this collection.")
@click.option(
    "--prefix",
    type=click.Choice(PREFIXES),
    help="Only changes of clients (log) or of back offices (stream). Default: both.",
)
@region_option
@click.option("--lost", is_flag=True, help="The first notifications were lost: count the records as handled.")
@click.option(
    "--in-flight",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="Send no more messages while this many wait in the apply queue.",
)
@job_options(unit="objects")
@click.pass_obj
def replay(
    chosen: Chosen,
    *,
    start: str,
    end: str | None,
    collections: tuple[str, ...],
    prefix: Prefix | None,
    region: str | None,
    lost: bool,
    in_flight: int,
    options: JobOptions,
) -> None:
    """Have `apply` apply the objects of a time range again. TIME is like 2026-01-31T12:00:00Z.

    Without --yes, only count the objects. With --yes, announce each object to `apply` of its Region once more. Nothing
    is copied. An object counts if it may hold a change that arrived in the time range, so some changes are older or
    newer.

    A replay is harmless, because the newest change of an item wins. It brings back changes that the items table has
    lost. A change that is older than the horizon has no effect if its item is gone (metric ChangesExpired), because
    nothing says any more whether the item was deleted. A line that is in quarantine stays there.

    New changes go on with little delay, because only --in-flight messages wait in the queue at a time. If the command
    is interrupted or killed, run it again with the same options: it goes on.
    """
    target = chosen.target
    parts = [
        Part(stack, each)
        for stack in regions(chosen, region)
        for each in PREFIXES
        if each == (prefix or ("log" if lost else each))
    ]
    start_ms = parse_ms(start, "--from")
    end_ms = None if end is None else parse_ms(end, "--to")
    _check_times(start_ms, end_ms, lost=lost)
    if lost and (prefix == "stream" or collections):
        raise click.UsageError("--lost counts whole objects of the prefix log: leave --prefix and --collection out.")
    _check_collections(target, parts[0].stack, collections)
    marks: dict[str, Any] = {"replay": True}
    if lost:
        marks["lost"] = True
    if collections:
        marks["collections"] = sorted({*collections})
    arguments = {
        "from": rfc3339(start_ms),
        "to": None if end_ms is None else rfc3339(end_ms),
        "parts": [[part.stack.region, part.prefix] for part in parts],
        **marks,
    }
    if not options.yes:
        plan = Plan(parts, TimeRange(start_ms, end_ms or now_ms()), marks)
        _show(target, plan, options)
        if not options.as_json and (unfinished := unfinished_job(target, "replay", arguments)):
            click.echo(f"{unfinished.operator} began this replay at {unfinished.started_at}. --yes goes on with it.")
        return
    with open_job(target, "replay", arguments, options) as job:
        # Without --to, the end is when the job's first run began, so that a later run goes on with the same objects.
        _replay(target, job, Plan(parts, TimeRange(start_ms, end_ms or job.started_ms), marks), in_flight)
        if not options.as_json:
            job.say("apply reports each object as object_replayed in its log. The last ones may still wait.")


def _check_times(start_ms: int, end_ms: int | None, *, lost: bool) -> None:
    now = now_ms()
    if start_ms >= min(now, end_ms or now):
        raise click.UsageError("--from must be before --to, and in the past.")
    if lost and start_ms < now - LOST_DAYS * DAY_MS:
        raise click.UsageError(
            f"--lost works for the last {LOST_DAYS} days only, because CloudWatch drops older metrics. The alarm looks "
            "back for six hours, so leave --lost out."
        )


def _check_collections(target: Target, stack: RegionalStack, names: Sequence[str]) -> None:
    """Check that `apply` knows the collections. Without names, don't look.

    :raises CommandError: if it doesn't
    """
    if not names:
        return
    declared = live_function(target, stack, "apply").settings["collections"]
    for name in names:
        require_collection(declared, name)


def _show(target: Target, plan: Plan, options: JobOptions) -> None:
    """Print how many objects a replay would announce."""
    rows: list[tuple[str, ...]] = []
    for part in plan.parts:
        count = size = 0
        for each in log_objects(target, part.stack, part.prefix, plan.span):
            count, size = count + 1, size + each.bytes
        rows.append((part.stack.region, part.prefix, str(count), str(size)))
    if options.as_json:
        parts = [
            {"region": region, "prefix": prefix, "objects": int(objects), "bytes": int(size_text)}
            for region, prefix, objects, size_text in rows
        ]
        print_plan("replay", parts=parts)
        return
    table(rows, "REGION", "PREFIX", "OBJECTS", "BYTES")
    click.echo("Nothing was changed. Run the command again with --yes to replay them.")


def _replay(target: Target, job: Job, plan: Plan, in_flight: int) -> None:
    """Announce the objects of a plan, from the job's position on."""
    after = job.position
    for part in plan.parts:
        name = [part.stack.region, part.prefix]
        if after is not None and after[:2] != name:
            continue  # an earlier run has replayed this part
        _replay_part(target, job, part, plan, after[2] if after is not None else None, in_flight)
        after = None


def _replay_part(target: Target, job: Job, part: Part, plan: Plan, after: str | None, in_flight: int) -> None:
    sqs = target.client("sqs", part.stack.region)
    url = apply_queue(target, part.stack)
    room = QueueRoom.of(target, part.stack, url, in_flight)
    objects = log_objects(target, part.stack, part.prefix, plan.span, after)
    while True:
        batch = list(islice(objects, min(room.wait_for(job), BATCH)))
        if not batch:
            return
        job.pace(len(batch))
        _announce(sqs, url, part.stack, batch, plan.marks)
        room.note_sent(len(batch))
        position = [part.stack.region, part.prefix, batch[-1].key]
        job.advance(position, objects=len(batch), bytes=sum(each.bytes for each in batch))


def _announce(sqs: Any, url: str, stack: RegionalStack, objects: Sequence[LogObject], marks: dict[str, Any]) -> None:
    """Announce objects to `apply`, each in a message of its own.

    :raises CommandError: if SQS refuses a message
    """
    entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(_bodies(stack, objects, marks))]
    failed = sqs.send_message_batch(QueueUrl=url, Entries=entries).get("Failed", [])
    if failed:
        raise CommandError(
            f"SQS refused {len(failed)} of {len(entries)} messages ({failed[0].get('Code', 'no code')}). Run the same "
            "command again: it goes on, and announces these objects again."
        )


def _bodies(stack: RegionalStack, objects: Sequence[LogObject], marks: dict[str, Any]) -> Iterator[str]:
    """Yield the body of each object's message, in the form of S3's notification with the marks of a replay."""
    for each in objects:
        record = {
            "eventSource": "aws:s3",
            "eventTime": rfc3339(each.written_ms),
            "s3": {"bucket": {"name": stack.log_bucket}, "object": {"key": quote_plus(each.key, safe="/")}},
        }
        yield json.dumps({**marks, "Records": [record]})
