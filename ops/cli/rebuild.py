"""The commands `rebuild`: make the documents, the item cache or the database again from the items table.

rebuild_items.py adds the commands `rebuild items`, which make the items table again from the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import click

from ops.cli.collection_stores import StoredItem, declared_collections
from ops.cli.private_stores import region_option, regions, store_queue
from ops.cli.publishing import publish_many
from ops.cli.target import Chosen, RegionalStack, Target
from ops.console import CommandError
from ops.jobs import Job, JobOptions, job_options, open_job, print_plan, unfinished_job
from ops.queue_room import QueueRoom
from ops.walk import KeyPage, key_pages
from readplane.aws.boto import BotoClient
from readplane.model.collection import Visibility
from readplane.stores.key_queue import MAX_CALL_MESSAGES, MAX_KEYS, SqsKeyQueue, StoreName

CALL_KEYS = MAX_KEYS * MAX_CALL_MESSAGES
"""The number of keys that one call to SQS carries."""

collection_option = click.option("--collection", metavar="NAME", help="Only the items of this collection.")

in_flight_option = click.option(
    "--in-flight",
    type=click.IntRange(MAX_CALL_MESSAGES, 10_000),
    default=100,
    show_default=True,
    help="Send no more messages, of 100 keys each, while this many wait in the store's queue.",
)


class Part(NamedTuple):
    """A part of a rebuild: the items of some collections in one Region.

    stack: the Region's resources
    reads: the visibility of each collection, by its name; None if the rebuild doesn't need it
    """

    stack: RegionalStack
    reads: Mapping[str, Visibility | None]


@click.group()
def rebuild() -> None:
    """Make a store again from the items, or the items table from the log."""


@rebuild.command()
@collection_option
@region_option
@job_options(rate=500, unit="items")
@click.pass_obj
def documents(chosen: Chosen, *, collection: str | None, region: str | None, options: JobOptions) -> None:
    """Let `publish` write the document of every item again, and remove the documents of deleted items.

    Without --yes, only count the items. The items themselves stay untouched, so nothing replicates. Use this after a
    bucket was lost, or if documents differ from their items.

    Clients may read and write meanwhile, and the newest version wins. A document that no item stands behind stays, and
    a snapshot comes back with the next poll of its source. Run an interrupted rebuild again: it goes on.
    """
    target = chosen.target
    stacks = regions(chosen, region)
    reads: dict[str, Visibility | None] = {
        name: each.read for name, each in declared_collections(target, stacks).items() if not each.retired
    }
    wanted = {name: read for name, read in reads.items() if collection in (None, name)}
    if not wanted:
        raise CommandError(f"{collection} isn't in use. In use are: {', '.join(sorted(reads)) or 'none'}.")
    parts = [Part(stack, wanted) for stack in stacks]
    arguments = _arguments(parts, collection)
    if not options.yes:
        _dry_run(target, "rebuild documents", arguments, parts, options)
        return
    with open_job(target, "rebuild documents", arguments, options) as job:
        for part, page in _pages(target, job, parts):
            keys = _publishable(page, part.reads)
            job.pace(len(keys))
            for _ in publish_many(target, part.stack, keys):
                job.renew()
            skipped = len(page.keys) - len(keys)
            job.advance([part.stack.region, page.last], items=len(keys), **({"skipped": skipped} if skipped else {}))


@rebuild.command()
@collection_option
@region_option
@in_flight_option
@job_options(unit="items")
@click.pass_obj
def cache(chosen: Chosen, *, collection: str | None, region: str | None, in_flight: int, options: JobOptions) -> None:
    """Fill the item cache: send the keys of all items to its queue, so that `feed` writes an entry for each.

    Without --yes, only count the items. The cache fills by itself as clients read. Use this if the cache was lost,
    before the traffic of a whole day meets the items table. The entries expire again after cache.fresh_seconds and
    cache.stale_seconds. Run an interrupted rebuild again: it goes on. `cache status` says how many messages wait.
    """
    _rebuild_store(chosen, "cache", collection, region, in_flight, options)


@rebuild.command()
@collection_option
@region_option
@in_flight_option
@job_options(unit="items")
@click.pass_obj
def relational(
    chosen: Chosen, *, collection: str | None, region: str | None, in_flight: int, options: JobOptions
) -> None:
    """Fill the database again: send the keys of all items to its queue, so that `feed` writes each.

    Without --yes, only count the items. Use this for a new or restored database, after `relational migrate` added a
    field, or after dead letters were lost. Clients may list the collections meanwhile. Writing an item again is
    harmless. Run an interrupted rebuild again: it goes on. `relational status` says how many messages wait, and the
    database is behind until there are none.
    """
    _rebuild_store(chosen, "database", collection, region, in_flight, options)


def _rebuild_store(
    chosen: Chosen,
    store: StoreName,
    collection: str | None,
    region: str | None,
    in_flight: int,
    options: JobOptions,
) -> None:
    """Send the keys of all items to a store's queue. Deleted items count too, as long as they have tombstones."""
    target = chosen.target
    command = "rebuild cache" if store == "cache" else "rebuild relational"
    queues = {stack: store_queue(target, stack, store) for stack in regions(chosen, region)}
    for queue in queues.values():
        if collection not in (None, *queue.collections):
            names = ", ".join(sorted(queue.collections))
            raise CommandError(f"The {store} doesn't hold {collection}. It holds: {names}.")
    parts = [
        Part(stack, dict.fromkeys(queue.collections if collection is None else [collection]))
        for stack, queue in queues.items()
    ]
    arguments = _arguments(parts, collection)
    if not options.yes:
        _dry_run(target, command, arguments, parts, options)
        return
    with open_job(target, command, arguments, options) as job:
        rooms = {stack: QueueRoom.of(target, stack, queue.url, in_flight) for stack, queue in queues.items()}
        senders = {
            stack: SqsKeyQueue(BotoClient("sqs", region=stack.region), queue.url, store)
            for stack, queue in queues.items()
        }
        for part, page in _pages(target, job, parts):
            room, sender = rooms[part.stack], senders[part.stack]
            for start in range(0, len(page.keys), CALL_KEYS):
                keys = page.keys[start : start + CALL_KEYS]
                job.pace(len(keys))
                room.wait_for(job)
                sender.send(keys)
                room.note_sent(-(-len(keys) // MAX_KEYS))
            job.advance([part.stack.region, page.last], items=len(page.keys))


def _arguments(parts: list[Part], collection: str | None) -> dict[str, object]:
    return {"collection": collection, "regions": [part.stack.region for part in parts]}


def _pages(target: Target, job: Job, parts: list[Part]) -> Iterator[tuple[Part, KeyPage]]:
    """Yield the pages of all parts, from the job's position on, each with its part.

    A position is the Region, and the last key of the last page that is done; null if that was the Region's last page.
    """
    position = job.position
    for part in parts:
        after = None
        if position is not None:
            if position[0] != part.stack.region:
                continue  # an earlier run has done this part
            after, position = position[1], None
            if after is None:
                continue
        for page in key_pages(target, part.stack, part.reads, after):
            yield part, page


def _publishable(page: KeyPage, reads: Mapping[str, Visibility | None]) -> list[str]:
    """Return the keys of a page's items that have a document: rows that aren't malformed, and fit their collection."""
    items = [StoredItem(key, "" if key in page.malformed else "any", "") for key in page.keys]
    return [item.key for item in items if (read := reads[item.collection]) and item.fits(read)]


def _dry_run(
    target: Target, command: str, arguments: Mapping[str, object], parts: list[Part], options: JobOptions
) -> None:
    """Print how many items each Region has, deleted ones with tombstones included."""
    counts = {
        part.stack.region: sum(len(page.keys) for page in key_pages(target, part.stack, part.reads)) for part in parts
    }
    if options.as_json:
        print_plan(command, parts=[{"region": region, "items": count} for region, count in counts.items()])
        return
    for region, count in counts.items():
        click.echo(f"{region}: {count} items, deleted ones with tombstones included.")
    if unfinished := unfinished_job(target, command, arguments):
        click.echo(f"{unfinished.operator} began this rebuild at {unfinished.started_at}. --yes goes on with it.")
    click.echo("Nothing was changed. Run the command again with --yes.")
