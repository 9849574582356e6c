"""The commands `collections`: list what is stored of each collection, purge a retired one, and move documents.

`purge` removes all items and documents of a collection that Terraform declares with `retired = true`. `move` follows a
change of a collection's `read`: it writes the documents under the new prefix and deletes those under the former ones.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import click

from ops.cli.collection_stores import (
    MAX_DELETES,
    Declared,
    StoredDocument,
    batches_of,
    copy_documents,
    declared_collections,
    delete_documents,
    live_function,
    noncurrent_days,
    stored_documents,
    stored_items,
)
from ops.cli.items_generations import items_tables
from ops.cli.publishing import publish_many
from ops.cli.target import Chosen, RegionalStack, Target, table
from ops.cli.write_log import DELETES, delete_of, put_lines, wait_until_applied
from ops.console import CommandError
from readplane.aws.boto import BotoClient
from readplane.config import DAY_MS
from readplane.model.change import Change
from readplane.model.collection import VISIBILITIES, Visibility
from readplane.model.timestamp import ms_of
from readplane.stores.items import DynamoItems

POLL_SECONDS = 0.5
"""How often `purge` checks whether the functions have done what it waits for."""

PUBLISH_SECONDS = 30.0
"""If `publish` removes no further document for this long, `purge` deletes the rest itself."""

MAX_ROUNDS = 5
"""The maximum number of times that a command starts again because something new was written meanwhile."""

yes_option = click.option("--yes", is_flag=True, help="Carry it out. Without this option nothing is changed.")


class Row(NamedTuple):
    """What is stored of a collection in one Region, as `collections list` prints it.

    read: who may read the collection's items; None if the collection isn't declared
    state: `declared`, `retired` or `undeclared`
    items: the number of living items
    documents: the number of documents by visibility, which is the first part of their keys
    unfit_items, unfit_documents: how many of these don't fit the collection's settings
    """

    collection: str
    read: Visibility | None
    state: str
    region: str
    items: int
    documents: dict[Visibility, int]
    unfit_items: int
    unfit_documents: int


@click.group()
def collections() -> None:
    """List what is stored of each collection. Purge a retired one, or move documents after a change of `read`."""


@collections.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_obj
def list_(chosen: Chosen, as_json: bool) -> None:
    """List every collection with its number of items and documents in each Region.

    The command counts by reading the whole items table with consistent reads and by listing all documents. So the
    numbers are exact, except for what changes while the command runs. Tombstones don't count as items. A snapshot is a
    document without an item.

    UNFIT ITEMS are malformed rows, and items that have an owner although the collection isn't an owner collection, or
    the reverse. UNFIT DOCUMENTS are outside the prefix of the collection's present `read`, or have a key from before
    the edge existed. Nothing fits a collection that isn't declared.
    """
    target = chosen.target
    declared = declared_collections(target)
    rows = [row for stack in target.regions() for row in _rows(target, stack, declared)]
    rows.sort(key=lambda row: row.collection)
    if as_json:
        for row in rows:
            click.echo(json.dumps(row._asdict()))
        return
    cells = [
        (
            *(row.collection, row.read or "-", row.state, row.region, str(row.items)),
            *(str(row.documents[visibility]) for visibility in VISIBILITIES),
            *(str(row.unfit_items), str(row.unfit_documents)),
        )
        for row in rows
    ]
    heads = ("COLLECTION", "READ", "STATE", "REGION", "ITEMS", *map(str.upper, VISIBILITIES))
    table(cells, *heads, "UNFIT ITEMS", "UNFIT DOCUMENTS")
    for name in sorted({row.collection for row in rows if row.unfit_documents or row.state != "declared"}):
        if any(row.items or any(row.documents.values()) for row in rows if row.collection == name):
            click.echo(_advice(name, declared.get(name)))


@collections.command()
@click.argument("name")
@yes_option
@click.pass_obj
def purge(chosen: Chosen, name: str, yes: bool) -> None:
    """Remove all items and documents of a retired collection, in every Region.

    Without --yes, only count them. With --yes, delete each item by a change in the write log. `apply` leaves a
    tombstone, and `publish` removes the document. So neither a replay nor a rebuild brings the items back. Then delete
    the documents that no item stands behind, such as snapshots. Run an interrupted purge again: it goes on with what is
    left.
    """
    target = chosen.target
    collection = declared_collections(target).get(name)
    if collection is None:
        raise CommandError(f"{name} isn't declared, so `apply` would refuse its deletes. {_leftover(name)}")
    if not collection.retired:
        raise CommandError(f"{name} is in use. Set `retired = true` for it, run `terraform apply`, then purge it.")
    stacks = target.regions()
    for stack in stacks:
        items = sum(1 for _ in stored_items(target, stack, name))
        documents = sum(1 for _ in stored_documents(target, stack, name))
        click.echo(f"{stack.region}: {items} items and {documents} documents of {name}.")
    if not yes:
        click.echo("Nothing was changed. Run the command again with --yes to delete them.")
        return
    deleted = _delete_items(target, stacks, name, collection)
    for stack in stacks:
        _remove_documents(target, stack, name, deleted)
    if any(_stored(target, stack, name) for stack in stacks):
        raise CommandError(f"Something wrote to {name} during the purge. Run the command again.")
    click.echo(f"No item and no document of {name} is left in {_names(stacks)}. {len(deleted)} items were deleted.")
    _say_what_remains(target, stacks)


@collections.command()
@click.argument("name")
@yes_option
@click.pass_obj
def copy(chosen: Chosen, name: str, yes: bool) -> None:
    """Copy a collection's documents to the keys that this release reads, in every Region, before the upgrade.

    A release from before the edge wrote documents under other keys. Without --yes, only count them. With --yes, copy
    each document that has no copy yet, so that clients find it as soon as the new release is live. The command changes
    nothing that the old release reads. Run `collections move` after the upgrade. It publishes all of these documents
    again and deletes those with the old keys.
    """
    target = chosen.target
    collection = declared_collections(target).get(name)
    if collection is None:
        raise CommandError(f"{name} isn't declared. {_leftover(name)}")
    for stack in target.regions():
        documents = list(stored_documents(target, stack, name))
        present = {document.key for document in documents if document.is_read(collection.read)}
        former = [doc for doc in documents if doc.has_former_key and doc.visibility == collection.read]
        keys = {doc.key: doc.present_key for doc in former if doc.present_key not in present}
        click.echo(f"{stack.region}: {len(keys)} documents to copy to {collection.read}/documents/{name}/.")
        if yes:
            copy_documents(target, stack, keys)
    if not yes:
        click.echo("Nothing was changed. Run the command again with --yes to copy them.")


@collections.command()
@click.argument("name")
@click.option("--all", "all_items", is_flag=True, help="Publish every item again, for example with a new edge_ttl.")
@yes_option
@click.pass_obj
def move(chosen: Chosen, name: str, all_items: bool, yes: bool) -> None:
    """Move a collection's documents to the prefix of its present `read`, in every Region.

    Without --yes, only count them. With --yes, let `publish` write the document of each item that has none under the
    present prefix, or an old one, and delete all documents under the other prefixes. Clients may write meanwhile, and
    the newest version wins. A snapshot comes back with the next poll of its source. Run an interrupted move again: it
    goes on with what is left.
    """
    target = chosen.target
    collection = declared_collections(target).get(name)
    if collection is None:
        raise CommandError(f"{name} isn't declared. {_leftover(name)}")
    if collection.retired:
        raise CommandError(f"{name} is retired, so nobody can read its documents. Use `collections purge`.")
    plans = [_plan_move(target, stack, name, collection, all_items=all_items) for stack in target.regions()]
    for plan in plans:
        click.echo(
            f"{plan.stack.region}: {len(plan.items)} items to publish under {collection.read}/documents/{name}/, "
            f"{len(plan.former)} documents to delete under other prefixes."
        )
        if plan.unfit:
            click.echo(f"{plan.stack.region}: {plan.unfit} items don't fit read = {collection.read!r}; they stay.")
    if not yes:
        click.echo("Nothing was changed. Run the command again with --yes to move them.")
        return
    for plan in plans:
        _carry_out_move(target, plan, name, collection)
    stacks = [plan.stack for plan in plans]
    click.echo(f"All documents of {name} are under {collection.read}/documents/{name}/ in {_names(stacks)}.")
    _say_what_remains(target, stacks, move=True)


def _rows(target: Target, stack: RegionalStack, declared: dict[str, Declared]) -> Iterator[Row]:
    """Yield what is stored in one Region of each collection, declared or not."""
    items: Counter[str] = Counter()
    unfit_items: Counter[str] = Counter()
    documents: Counter[tuple[str, str]] = Counter()
    unfit_documents: Counter[str] = Counter()
    for item in stored_items(target, stack):
        items[item.collection] += 1
        collection = declared.get(item.collection)
        unfit_items[item.collection] += collection is None or not item.fits(collection.read)
    for document in stored_documents(target, stack):
        documents[document.collection, document.visibility] += 1
        collection = declared.get(document.collection)
        unfit_documents[document.collection] += collection is None or not document.is_read(collection.read)
    for name in {*declared, *items, *(name for name, _ in documents)}:
        collection = declared.get(name)
        read = collection.read if collection else None
        state = "undeclared" if collection is None else "retired" if collection.retired else "declared"
        counts: dict[Visibility, int] = {visibility: documents[name, visibility] for visibility in VISIBILITIES}
        yield Row(name, read, state, stack.region, items[name], counts, unfit_items[name], unfit_documents[name])


def _advice(name: str, collection: Declared | None) -> str:
    """Return what an operator does about items or documents that don't fit a collection's settings."""
    if collection is None:
        return f"{name}: an older stack left it behind. Declare it {_steps(name)}"
    if collection.retired:
        return f"{name}: it is retired. Run `collections purge {name}`."
    return f"{name}: run `collections move {name}`."


def _leftover(name: str) -> str:
    """Return what an operator does if a collection that isn't declared is no typing mistake."""
    return f"If an older stack left it behind, declare it {_steps(name)}"


def _steps(name: str) -> str:
    return f"with `retired = true` and the `read` that it had, run `terraform apply`, then `collections purge {name}`."


def _delete_items(target: Target, stacks: Sequence[RegionalStack], name: str, collection: Declared) -> set[str]:
    """Delete all items of a collection. Return the keys of their documents.

    The scan of each Region comes again until it finds nothing, because an item may exist only in the replica Region
    while DynamoDB replicates it, and because changes from before the retirement may still arrive.

    :raises CommandError: if the deletes aren't applied in time, or new items appear again and again
    """
    deleted: set[str] = set()
    for _ in range(MAX_ROUNDS):
        found = 0
        for stack in stacks:
            for items in batches_of(stored_items(target, stack, name), DELETES):
                _apply_deletes(target, stacks, [delete_of(item) for item in items], collection)
                found += len(items)
                deleted.update(item.document_key(collection.read) for item in items)
                click.echo(f"{stack.region}: {len(deleted)} items are deleted.")
        if not found:
            return deleted
    raise CommandError(f"New items of {name} keep coming. Does a client or a source still write them?")


def _apply_deletes(
    target: Target, stacks: Sequence[RegionalStack], deletes: list[Change], collection: Declared
) -> None:
    """Send deletes through the write log, and wait until the items of every Region have them.

    `apply` refuses a change whose owner doesn't fit the collection. Items of this kind come from a time when another
    `read` was declared. Write their tombstones directly. A rebuild can't bring them back either, because `apply`
    refuses the changes that made them.

    :raises CommandError: if the deletes aren't applied in time
    """
    owned = collection.read == "owner"
    accepted = [change for change in deletes if (change.owner is not None) == owned]
    refused = [change for change in deletes if (change.owner is not None) != owned]
    if accepted:
        put_lines(target, stacks[0], [change.line() for change in accepted])
    if refused:
        horizon_ms = live_function(target, stacks[0], "apply").settings["horizon_days"] * DAY_MS
        for table_name in items_tables(target):
            items = DynamoItems(BotoClient("dynamodb", region=target.region), table_name, horizon_ms=horizon_ms)
            for change in refused:
                items.apply(change)
    for stack in stacks:
        wait_until_applied(target, stack, deletes, time.sleep)


def _remove_documents(target: Target, stack: RegionalStack, name: str, left_to_publish: set[str]) -> None:
    """Remove all documents of a collection whose items are deleted, in one Region.

    :param left_to_publish: the keys of the documents that `publish` removes. Delete them only if it doesn't.
    """
    documents = _document_keys(target, stack, name)
    progress_at = time.monotonic()
    with click.progressbar(length=len(documents), label=f"Documents in {stack.region}") as progress:
        while documents & left_to_publish and time.monotonic() < progress_at + PUBLISH_SECONDS:
            time.sleep(POLL_SECONDS)
            left = _document_keys(target, stack, name)
            if len(left) < len(documents):
                progress_at = time.monotonic()
                progress.update(len(documents) - len(left))
            documents = left
        for keys in batches_of(sorted(documents), MAX_DELETES):
            # `publish` may be late. Then it may write a document once more and remove it right afterwards, because it
            # handles an item's changes in order, and the delete is the last one.
            delete_documents(target, stack, keys)
            progress.update(len(keys))


def _document_keys(target: Target, stack: RegionalStack, name: str) -> set[str]:
    return {document.key for document in stored_documents(target, stack, name)}


def _stored(target: Target, stack: RegionalStack, name: str) -> bool:
    """Whether one Region has an item or a document of a collection."""
    return any(True for _ in stored_items(target, stack, name)) or bool(_document_keys(target, stack, name))


class _MovePlan(NamedTuple):
    """What `move` does in one Region.

    items: the keys of the items to publish
    former: the documents to delete, under the prefixes of other visibilities
    unfit: the number of malformed rows, and of items whose key doesn't fit the collection's `read`
    """

    stack: RegionalStack
    items: list[str]
    former: list[StoredDocument]
    unfit: int


def _plan_move(target: Target, stack: RegionalStack, name: str, collection: Declared, *, all_items: bool) -> _MovePlan:
    """Compare the items of a collection with its documents in one Region.

    An item must be published in three cases: it has no document under the present prefix; it has one under another
    prefix; or its document is older than the item. The last case occurs if `read` had the present value once before.
    """
    present: dict[str, float] = {}
    former: list[StoredDocument] = []
    for document in stored_documents(target, stack, name):
        if document.is_read(collection.read):
            present[document.key] = document.written_at
        else:
            former.append(document)
    former_keys = {document.key for document in former}
    items: list[str] = []
    unfit = 0
    for item in stored_items(target, stack, name):
        if not item.fits(collection.read):
            unfit += 1
            continue
        written_at = present.get(item.document_key(collection.read))
        accepted_ms = ms_of(item.accepted_at) or 0
        if (
            all_items
            or written_at is None
            or written_at * 1000 < accepted_ms
            or former_keys & item.former_document_keys(collection.read)
        ):
            items.append(item.key)
    return _MovePlan(stack, items, former, unfit)


def _carry_out_move(target: Target, plan: _MovePlan, name: str, collection: Declared) -> None:
    """Publish the items of a plan, then delete all documents under the prefixes of other visibilities.

    :raises CommandError: if `publish` fails, or documents under another prefix appear again and again
    """
    stack = plan.stack
    _wait_for_former_publish(target, stack)
    with click.progressbar(length=len(plan.items), label=f"Items in {stack.region}") as progress:
        for count in publish_many(target, stack, plan.items):
            progress.update(count)
    for _ in range(MAX_ROUNDS):
        keys = [doc.key for doc in stored_documents(target, stack, name) if not doc.is_read(collection.read)]
        if not keys:
            return
        delete_documents(target, stack, keys)
    raise CommandError(
        f"Documents of {name} under other prefixes keep coming in {stack.region}. Run the command again."
    )


def _wait_for_former_publish(target: Target, stack: RegionalStack) -> None:
    """Wait until no invocation of the former version of `publish` can run any more.

    Such an invocation still writes documents under the former prefix.
    """
    publish = live_function(target, stack, "publish")
    seconds = publish.published_at + publish.timeout - time.time()
    if seconds > 0:
        click.echo(
            f"{stack.region}: `publish` is new. Wait {seconds:.0f} s for the last invocation of its old version."
        )
        time.sleep(seconds)


def _say_what_remains(target: Target, stacks: Iterable[RegionalStack], *, move: bool = False) -> None:
    """Say where deleted data still exists, and for how long."""
    days = [noncurrent_days(target, stack) for stack in stacks]
    longest = max(days, key=lambda count: count or 0)
    period = "as long as the bucket's rule says"
    if longest and None not in days:
        period = f"for {longest} day{'s' if longest > 1 else ''}"
    click.echo(f"S3 keeps the old versions of deleted documents {period}. Clients can't read them.")
    if not move:
        click.echo("The write log and the items table's point-in-time backups still have the data.")


def _names(stacks: Iterable[RegionalStack]) -> str:
    return " and ".join(stack.region for stack in stacks)
