"""The command `verify`: show whether the stores of each Region hold what its items table holds."""

from __future__ import annotations

import json
import time
from collections import Counter

import click

from ops.cli.collection_stores import declared_collections
from ops.cli.private_stores import NEWER, region_option, regions
from ops.cli.store_differences import CONFIRM_SECONDS, StoreDifference, Verification, Verifier
from ops.cli.target import Chosen, RegionalStack, table
from ops.console import CommandError
from ops.jobs import plain_errors

SHOWN = 20
"""How many differences the table shows. --json shows all of them."""

REMEDIES = {
    "documents": "readplane rebuild documents --yes",
    "cache": "readplane cache verify --repair",
    "database": "readplane relational verify --repair",
}
"""What mends the differences of a store."""


@click.command()
@click.option("--collection", metavar="NAME", help="Compare only this collection.")
@region_option
@click.option(
    "--sample", type=click.IntRange(1), default=1000, show_default=True, help="About so many items in each Region."
)
@click.option("--scan", is_flag=True, help="Compare every item, document and entry instead of a sample.")
@click.option(
    "--confirm",
    type=click.FloatRange(CONFIRM_SECONDS),
    default=CONFIRM_SECONDS,
    show_default=True,
    help="Look at a difference again after so many seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per difference, and nothing else.")
@click.pass_context
def verify(
    context: click.Context,
    collection: str | None,
    region: str | None,
    sample: int,
    scan: bool,
    confirm: float,
    as_json: bool,
) -> None:
    """Compare items, documents, the item cache and the database in each Region. This only reads.

    A document is older than its item for a second after each write. So a difference counts only if it is there twice,
    and the item has the same version both times. `feed` compares the cache and the database, because nobody else
    reaches them.

    A sample costs less than a cent. With --collection, `feed` compares all entries of a store that holds the
    collection, because it can't choose them. --scan reads the items table once, asks S3 for the version of each
    document, and lists the documents, so that it also finds those without an item. Whether both Regions hold the same
    is what `readplane compare-regions` shows.

    The exit code is 0 if everything agrees, and 1 if there is a difference.
    """
    chosen: Chosen = context.obj
    target = chosen.target
    with plain_errors():
        stacks = regions(chosen, region)
        declared = declared_collections(target)
        if collection is not None and collection not in declared:
            raise CommandError(f"There is no collection {collection}. Declared are: {', '.join(sorted(declared))}.")
        results = [
            (
                stack,
                Verifier(
                    target,
                    stack,
                    declared,
                    collection=collection,
                    confirm_seconds=confirm,
                    progress=lambda text: click.echo(text, err=True),
                    sleep=time.sleep,
                ).verify(None if scan else sample),
            )
            for stack in stacks
        ]
    differences = [difference for _, result in results for difference in result.differences]
    if as_json:
        for difference in differences:
            click.echo(json.dumps(difference._asdict()))
    else:
        _print(results, differences)
    context.exit(1 if differences else 0)


def _print(results: list[tuple[RegionalStack, Verification]], differences: list[StoreDifference]) -> None:
    rows: list[tuple[str, ...]] = [
        (entry.region, entry.store, entry.kind, entry.key, entry.version or "-") for entry in differences[:SHOWN]
    ]
    if rows:
        table(rows, "REGION", "STORE", "DIFFERENCE", "KEY", "VERSION")
    if len(differences) > SHOWN:
        click.echo(f"… and {len(differences) - SHOWN} more; --json shows all of them.")
    for stack, result in results:
        counts = Counter(entry.store for entry in result.differences)
        found = ", ".join(f"{count} of the {store}" for store, count in counts.items()) or "none"
        compared = [f"{result.items} items", f"{result.documents} documents"]
        compared += [f"{count} entries of the {store}" for store, count in result.entries.items()]
        click.echo(f"{stack.region}: {', '.join(compared)} compared. Differences: {found}.")
        if result.changing:
            click.echo(f"{stack.region}: {result.changing} differences were gone at the second look; they don't count.")
        if result.malformed:
            click.echo(f"{stack.region}: {result.malformed} rows are malformed and count as no items (`row_skipped`).")
    for store in dict.fromkeys(entry.store for entry in differences):
        newer = any(entry.store == store and entry.kind == "newer" for entry in differences)
        click.echo(f"Mend the {store}: {REMEDIES[store]}")
        if newer and store in NEWER:
            click.echo(f"That doesn't mend newer entries of the {store}. {NEWER[store]}")
