"""The command `verify`: show whether the stores of each Region hold what its items table holds."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping

import click

from ops.cli.collection_stores import declared_collections, require_collection
from ops.cli.private_stores import NEWER, region_option, regions
from ops.cli.store_differences import CONFIRM_SECONDS, StoreDifference, Verification, Verifier
from ops.cli.table_export import delete_export, export_pages, region_of, start_export, wait_for_export
from ops.cli.target import Chosen, RegionalStack, Target, table

SHOWN = 20
"""How many differences the table shows. --json shows all of them."""

NEW_EXPORT = "new"
"""The value of the option --export without an ARN."""

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
    "--export",
    is_flag=False,
    flag_value=NEW_EXPORT,
    metavar="[ARN]",
    help="Compare everything as --scan does, with an export of the items table: a new one, or this one.",
)
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
    export: str | None,
    confirm: float,
    as_json: bool,
) -> None:
    """Compare items, documents, the item cache and the database in each Region. This changes nothing of them.

    A document is older than its item for a second after each write. So a difference counts only if it is there twice,
    and the item has the same version both times. `feed` compares the cache and the database, because nobody else
    reaches them.

    A sample costs less than a cent. With --collection, `feed` compares all entries of a store that holds the
    collection, because it can't choose them. --scan reads the items table once, asks S3 for the version of each
    document, and lists the documents, so that it also finds those without an item. Whether both Regions hold the same
    is what `readplane compare-regions` shows.

    --export has DynamoDB export the items table into the write log's bucket, for 0.10 $ per GB, and compares the export
    instead of the table. So it takes no read capacity of the table, and compares the state of one moment. `feed` still
    reads the table for the cache and the database. An export takes some minutes at least. If the command is
    interrupted, go on with the ARN that it has printed. At the end it deletes the export's objects.

    The exit code is 0 if everything agrees, and 1 if there is a difference.
    """
    if scan and export is not None:
        raise click.UsageError("--scan and --export exclude each other.")
    chosen: Chosen = context.obj
    stacks = _stacks(chosen, region, export)
    declared = declared_collections(chosen.target, stacks)
    if collection is not None:
        require_collection(declared, collection)
    verifiers = {
        stack: Verifier(
            chosen.target,
            stack,
            declared,
            collection=collection,
            confirm_seconds=confirm,
            progress=_progress,
            sleep=time.sleep,
        )
        for stack in stacks
    }
    if export is None:
        results = [(stack, verifier.verify(None if scan else sample)) for stack, verifier in verifiers.items()]
    else:
        results = _verify_exports(chosen.target, verifiers, export, collection)
    differences = [difference for _, result in results for difference in result.differences]
    if as_json:
        for difference in differences:
            click.echo(json.dumps(difference._asdict()))
    else:
        _print(results, differences)
    for stack, result in results:
        for text in _not_compared(result):
            click.echo(f"{stack.region}: {text}", err=as_json)
    if not as_json:
        _say_remedies(differences)
    context.exit(1 if differences else 0)


def _progress(text: str) -> None:
    click.echo(text, err=True)


def _stacks(chosen: Chosen, region: str | None, export: str | None) -> list[RegionalStack]:
    """Return the Regions to compare: that of the export, if the command line names one.

    :raises CommandError: if the stack isn't there, or the export isn't one of the items table
    """
    if export in (None, NEW_EXPORT):
        return regions(chosen, region)
    exported_region = region_of(chosen.target, str(export))
    if region not in (None, exported_region):
        raise click.UsageError(f"The export is one of {exported_region}, not of {region}.")
    return regions(chosen, exported_region)


def _verify_exports(
    target: Target, verifiers: Mapping[RegionalStack, Verifier], export: str, collection: str | None
) -> list[tuple[RegionalStack, Verification]]:
    """Compare an export of each Region as soon as it is complete, then delete it.

    :param export: the ARN of an export, or NEW_EXPORT to start one in each Region at once
    """
    arns = {stack: start_export(target, stack, _progress) if export == NEW_EXPORT else export for stack in verifiers}
    results = []
    for stack, verifier in verifiers.items():
        s3 = target.client("s3", stack.region)
        found = wait_for_export(target, stack, arns[stack], progress=_progress, sleep=time.sleep)
        results.append((stack, verifier.verify(None, export_pages(s3, found, collection))))
        if not delete_export(s3, stack, found):
            _progress(f"The export stays in s3://{found.bucket}/{found.folder}, because another command has made it.")
    return results


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


def _not_compared(result: Verification) -> Iterator[str]:
    """Yield a sentence about each kind of row that wasn't compared."""
    if result.malformed:
        yield f"{result.malformed} rows are malformed and count as no items (`row_skipped`)."
    for collection, count in sorted(result.undeclared.items()):
        yield f"{count} rows aren't compared, because the collection {collection} isn't declared."
    if result.unfit:
        yield f"{result.unfit} rows aren't compared, because their keys don't fit the `read` of their collections."


def _say_remedies(differences: list[StoreDifference]) -> None:
    """Say what mends the differences."""
    for store in dict.fromkeys(entry.store for entry in differences):
        newer = any(entry.store == store and entry.kind == "newer" for entry in differences)
        click.echo(f"Mend the {store}: {REMEDIES[store]}")
        if newer and store in NEWER:
            click.echo(f"That doesn't mend newer entries of the {store}. {NEWER[store]}")
