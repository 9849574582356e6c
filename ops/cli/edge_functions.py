"""The commands `edge leftovers` and `edge logs`: clean up after Lambda@Edge, which Terraform can't do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import boto3
import click
from botocore.exceptions import ClientError

from ops.cli.target import Chosen, table
from ops.console import CommandError
from ops.jobs import refusal_of

REGION = "us-east-1"
"""The Region of every Lambda@Edge function, and of CloudFront's API."""

RETENTION_DAYS = ("1", "3", "5", "7", "14", "30", "60", "90", "120", "150", "180", "365", "400", "545", "731")
"""The retention times that CloudWatch Logs allows, up to two years."""

_LOG_GROUPS = ("/readplane/edge-auth/", "/aws/lambda/us-east-1.")
"""What comes before the function's name in the name of its log group: in Terraform's setting, and by default."""

name_option = click.option(
    "--name", help="The stack's name, for a stack that is already destroyed. Without it: the chosen stack."
)


class Function(NamedTuple):
    """A function `edge_auth` of the stack.

    name: the function's name
    modified: when the function's code was last changed, as AWS writes it
    used_by: what still uses the function; empty for a leftover
    """

    name: str
    modified: str
    used_by: str


@click.command()
@name_option
@click.option("--yes", is_flag=True, help="Delete the leftovers. Without it, nothing is changed.")
@click.pass_obj
def leftovers(chosen: Chosen, name: str | None, yes: bool) -> None:
    """List the functions `edge_auth` that no distribution uses any more, and delete them with --yes.

    When the edge is removed, CloudFront deletes its copies of the function some hours later. Until then AWS refuses to
    delete the function, so Terraform leaves it behind. A leftover costs nothing and doesn't disturb a new edge.
    """
    stack, current = _stack(chosen, name)
    functions = list(_functions(stack, current))
    table(
        [(entry.name, entry.modified, entry.used_by or "nothing") for entry in functions],
        "FUNCTION",
        "SINCE",
        "USED BY",
    )
    unused = [entry.name for entry in functions if not entry.used_by]
    if not yes:
        click.echo(f"{len(unused)} of {len(functions)} functions are leftovers; nothing was changed.")
        return
    deleted = sum(_delete(function) for function in unused)
    click.echo(f"Deleted: {deleted} of {len(unused)} leftovers.")


@click.command()
@name_option
@click.option(
    "--days", type=click.Choice(RETENTION_DAYS), default="30", show_default=True, help="How long to keep logs."
)
@click.option("--region", "regions", multiple=True, help="Only this Region; repeat it for more. Default: all enabled.")
@click.option("--yes", is_flag=True, help="Set the retention. Without it, nothing is changed.")
@click.pass_obj
def logs(chosen: Chosen, name: str | None, days: str, regions: tuple[str, ...], yes: bool) -> None:
    """Show the log groups of `edge_auth` in every enabled Region, and set their retention with --yes.

    CloudFront runs the function in the Region nearest to a client. Its first log line there makes a log group that
    never expires. Terraform can't know these Regions, so run this command from time to time, for example once a month.
    """
    stack, _ = _stack(chosen, name)
    if unknown := set(regions) - set(boto3.Session().get_available_regions("logs")):
        raise CommandError(f"There is no Region {min(unknown)}.")
    rows: list[tuple[str, ...]] = []
    changed = 0
    for region in regions or _enabled_regions():
        client = _client("logs", region)
        for group in _log_groups(client, stack):
            retention = group.get("retentionInDays")
            rows.append((region, group["logGroupName"], f"{retention} days" if retention else "for ever"))
            if retention != int(days):
                changed += 1
                if yes:
                    client.put_retention_policy(logGroupName=group["logGroupName"], retentionInDays=int(days))
    table(rows, "REGION", "LOG GROUP", "KEPT")
    if yes:
        click.echo(f"Set to {days} days: {changed} of {len(rows)} log groups.")
    else:
        click.echo(f"{changed} of {len(rows)} log groups would get {days} days; nothing was changed.")


def _stack(chosen: Chosen, name: str | None) -> tuple[str, str | None]:
    """Return the stack's name, and the name of the function that its edge uses; ``None`` if it has no edge.

    :raises CommandError: if the command line names both a stack on AWS and a local run
    """
    if name and chosen._local:
        raise CommandError("--name is for a stack on AWS that is destroyed. Leave out --name or --stack.")
    if name:
        return name, None
    target = chosen.target
    function: dict[str, Any] = target.outputs.get("edge_function") or {}
    return target.name, function.get("name")


def _functions(stack: str, current: str | None) -> Iterator[Function]:
    """Yield each function `edge_auth` of the stack, with what uses it."""
    used = _used_functions()
    if current:
        # An apply that isn't finished may have made the function, and not yet the distribution that will use it.
        used.setdefault(current, "the Terraform state")
    pattern = re.compile(rf"{re.escape(stack)}-edge-auth-[0-9a-f]{{8}}")
    for page in _client("lambda", REGION).get_paginator("list_functions").paginate():
        for entry in page["Functions"]:
            name: str = entry["FunctionName"]
            if pattern.fullmatch(name):
                yield Function(name, entry["LastModified"], used.get(name, ""))


def _used_functions() -> dict[str, str]:
    """Return the distributions that use Lambda@Edge functions, by the function's name.

    :raises CommandError: if AWS refuses the list. Without it, no function is known to be a leftover.
    """
    used: dict[str, str] = {}
    try:
        for page in _client("cloudfront", REGION).get_paginator("list_distributions").paginate():
            for entry in page["DistributionList"].get("Items", []):
                behaviours = [entry["DefaultCacheBehavior"], *entry.get("CacheBehaviors", {}).get("Items", [])]
                for behaviour in behaviours:
                    for association in behaviour.get("LambdaFunctionAssociations", {}).get("Items", []):
                        # arn:aws:lambda:us-east-1:111122223333:function:NAME:VERSION
                        used[association["LambdaFunctionARN"].split(":")[6]] = f"distribution {entry['Id']}"
    except ClientError as error:
        raise CommandError(f"{refusal_of(error)} Without the list, nothing is known to be unused.") from error
    return used


def _delete(function: str) -> bool:
    """Delete a function. Return whether it is deleted; CloudFront's copies of it may still exist."""
    try:
        _client("lambda", REGION).delete_function(FunctionName=function)
    except ClientError as error:
        if "replicated function" not in str(error):
            raise CommandError(f"AWS refuses to delete {function}: {error}") from error
        click.echo(f"{function} waits: CloudFront still has copies of it. Try again in some hours.")
        return False
    return True


def _log_groups(client: Any, stack: str) -> Iterator[dict[str, Any]]:
    pattern = re.compile(rf"{re.escape(stack)}-edge-auth-[0-9a-f]{{8}}")
    for prefix in _LOG_GROUPS:
        pages = client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=f"{prefix}{stack}-edge-auth-")
        for page in pages:
            yield from (
                group for group in page["logGroups"] if pattern.fullmatch(group["logGroupName"].removeprefix(prefix))
            )


def _enabled_regions() -> list[str]:
    """Return the names of the Regions that are enabled in the account."""
    return sorted(entry["RegionName"] for entry in _client("ec2", REGION).describe_regions()["Regions"])


def _client(service: str, region: str) -> Any:
    """Return a boto3 client. It doesn't need a stack, which may be destroyed already."""
    make: Any = boto3.client
    return make(service, region_name=region)
