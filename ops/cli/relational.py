"""The commands `relational`: migrate the database, show its state, or compare it with the items."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click
from botocore.exceptions import ClientError

from ops.cli.private_stores import feed, region_option, regions, require_store, show_status
from ops.cli.private_stores import verify as verify_store
from ops.cli.target import Chosen, RegionalStack, Target
from ops.console import CommandError

RESUME_SECONDS = 5.0
"""If a paused Aurora cluster is resuming, wait this many seconds before the next try."""

MAX_RESUMES = 24
"""The maximum number of tries while a cluster resumes. A cluster that was paused for a day takes some 30 seconds."""

PASSWORDS = (
    "Give the new roles `feed` and `query` the passwords of store_passwords, as readplane_owner: "
    "ALTER ROLE feed PASSWORD '…'; ALTER ROLE query PASSWORD '…';"
)
"""What to do if a migration made roles in an external database. `feed` knows no passwords that it could give them."""


@click.group()
def relational() -> None:
    """Migrate the relational database of each Region, show its state, or compare it with the items.

    To fill it again, use `rebuild relational`.
    """


@relational.command()
@region_option
@click.option("--dry-run", is_flag=True, help="Only print the statements that would run.")
@click.pass_obj
def migrate(chosen: Chosen, region: str | None, dry_run: bool) -> None:
    """Make the roles, tables, columns and indexes that the collections declare. Run this after an apply that adds some.

    `feed` runs the statements as the role readplane_owner. In a cluster of the stack, this command makes that role
    first, through the Data API. If the cluster has no Data API, or the database is an external one, you make it once
    (docs/lifecycle.md, "The database").

    A migration only adds, and locks nobody out. Repeat it whenever it stopped half-way. The index of a large collection
    may take longer than `feed` may run: set functions.feed.timeout_seconds to up to 900 for it. A new field is empty
    in the rows that are there already, so run `rebuild relational` afterwards. Lists that use the field get a 503 until
    then.
    """
    target = chosen.target
    for stack in regions(chosen, region):
        require_store(target, stack, "database")
        setup = _setup(target, stack)
        _make_owner(target, stack, setup, dry_run)
        click.echo(f"{stack.region}: `feed` {'compares' if dry_run else 'migrates'} the database …")
        try:
            report = feed(target, stack, {"command": "migrate", "dry_run": dry_run})
        except CommandError as error:
            raise CommandError(f"{error} {_advice(stack, setup, dry_run)}") from error
        for step in report["steps"]:
            click.echo(f"  {step}")
        done = "would run" if dry_run else "ran"
        click.echo(f"{stack.region}: {done} {len(report['steps'])} statements.")
        if not setup and any(step.startswith("CREATE ROLE ") for step in report["steps"]):
            click.echo(PASSWORDS)


def _setup(target: Target, stack: RegionalStack) -> Mapping[str, Any] | None:
    """Return what the output `database_setup` says about the cluster of a Region. None for an external database."""
    setups: Mapping[str, Mapping[str, Any]] = target.outputs.get("database_setup") or {}
    return setups.get(stack.region)


def _advice(stack: RegionalStack, setup: Mapping[str, Any] | None, dry_run: bool) -> str:
    """Return what to do if `feed` couldn't migrate the database of a Region."""
    repeat = "Remove the cause, then repeat the command. If `feed` timed out, raise functions.feed.timeout_seconds."
    if setup is None:
        return (
            f"{repeat} If the external database in {stack.region} has no role readplane_owner yet, or that role has "
            'another password than `owner` in store_passwords, see "An external database" in docs/lifecycle.md.'
        )
    if setup["data_api"]:
        without_role = "Before the first migration there is no role with which `feed` can look at the database."
        return f"{repeat} {without_role}" if dry_run else repeat
    return (
        f"{repeat} The cluster in {stack.region} has no Data API. If it has no role readplane_owner yet, run this "
        f"statement in the database {setup['database']} from a machine in the VPC, with the user and the password of "
        f"the secret {setup['secret_arn']}:\n{setup['sql']}"
    )


def _make_owner(target: Target, stack: RegionalStack, setup: Mapping[str, Any] | None, dry_run: bool) -> None:
    """Make the role that owns the tables, with the Data API, if the cluster has one."""
    if setup is None or not setup["data_api"]:
        return
    if dry_run:
        click.echo(f"  {setup['sql']}")
        return
    data_api = target.client("rds-data", stack.region)
    for attempt in range(1, MAX_RESUMES + 1):
        try:
            data_api.execute_statement(
                resourceArn=setup["cluster_arn"],
                secretArn=setup["secret_arn"],
                database=setup["database"],
                sql=setup["sql"],
            )
            return
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code != "DatabaseResumingException" or attempt == MAX_RESUMES:
                raise CommandError(
                    f"The Data API in {stack.region} can't make the role that owns the tables ({code}). The command "
                    "needs rds-data:ExecuteStatement on the cluster and secretsmanager:GetSecretValue on its secret. "
                    "If this Region has no Data API, set relational.aurora.data_api to false. Or run this statement "
                    f"yourself, as the cluster's first user: {setup['sql']}"
                ) from error
            click.echo(f"{stack.region}: the cluster is resuming …")
            time.sleep(RESUME_SECONDS)


@relational.command()
@region_option
@click.pass_context
def status(context: click.Context, region: str | None) -> None:
    """Show the rows of each collection, what a migration would have to do, and how many messages wait.

    The exit code is 1 if `feed` doesn't reach the database of a Region.
    """
    chosen: Chosen = context.obj
    reached = [show_status(chosen, stack, "database") for stack in regions(chosen, region)]
    context.exit(0 if all(reached) else 1)


@relational.command()
@region_option
@click.option("--repair", is_flag=True, help="Send the keys of the items that differ to the queue of the database.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per difference, and nothing else.")
@click.pass_context
def verify(context: click.Context, region: str | None, repair: bool, as_json: bool) -> None:
    """Compare every row of the database with its item. This only reads, unless you say --repair.

    A row is older than its item for a second or two after each write. A difference is read again before it counts.

    The exit code is 0 if all rows agree with their items, and 1 if there is a difference, even if --repair sends its
    key. Repeat the command when no messages wait.
    """
    context.exit(0 if verify_store(context.obj, region, "database", repair=repair, as_json=as_json) else 1)
