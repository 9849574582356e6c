"""The command `compare-regions`: show whether both Regions of a stack store the same items and documents."""

from __future__ import annotations

import json

import click
from botocore.exceptions import ClientError

from ops.cli.collection_stores import declared_collections, require_collection
from ops.cli.region_differences import Comparer
from ops.cli.target import Chosen, table
from ops.console import CommandError
from ops.jobs import refusal_of

SHOWN = 20
"""How many differences the table shows. --json shows all of them."""


@click.command("compare-regions")
@click.option("--sample", type=click.IntRange(1), default=1000, show_default=True, help="Items to read in each Region.")
@click.option("--whole", is_flag=True, help="Read every item and document instead of a sample.")
@click.option("--collection", help="Compare only this collection.")
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=60,
    show_default=True,
    help="Leave out what changed in the last so many seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per difference, and nothing else.")
@click.pass_context
def compare_regions(
    context: click.Context, sample: int, whole: bool, collection: str | None, grace: float, as_json: bool
) -> None:
    """Compare the items and documents of both Regions of a stack. This only reads.

    DynamoDB copies every write to the other Region, usually within a second, and each Region publishes documents of its
    own. So after an outage both Regions agree again without a command. This one shows it.

    A sample of 1000 items costs less than a cent. --whole reads the items table four times and asks S3 for the version
    of each document twice. A difference is read again for some seconds before it counts.

    The exit code is 0 if both Regions agree, and 1 if there is a difference.
    """
    chosen: Chosen = context.obj
    comparer = Comparer(chosen.target, grace)
    if collection is not None:
        require_collection(declared_collections(chosen.target), collection)
    try:
        result = comparer.compare(None if whole else sample, lambda text: click.echo(text, err=True), collection)
    except ClientError as error:
        raise CommandError(
            f"{refusal_of(error)} In both Regions, the command needs dynamodb:Scan and dynamodb:BatchGetItem "
            "on the items table, s3:GetObject and s3:ListBucket on the documents buckets and, with customer managed "
            "keys, kms:Decrypt."
        ) from error
    if as_json:
        for difference in result.different:
            click.echo(json.dumps(difference._asdict()))
    else:
        rows: list[tuple[str, ...]] = [tuple(difference) for difference in result.different[:SHOWN]]
        if rows:
            table(rows, "KIND", "KEY", "PRIMARY", "REPLICA")
        if len(result.different) > SHOWN:
            click.echo(f"… and {len(result.different) - SHOWN} more; --json shows all of them.")
        click.echo(
            f"{result.items} items and {result.documents} keys of documents compared: {len(result.different)} "
            f"different. {result.young} changed in the last {grace:g} s and don't count."
        )
    context.exit(1 if result.different else 0)
