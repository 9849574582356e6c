"""The stack that a command works on, and its AWS clients."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import click
from botocore.config import Config

from ops import terraform
from ops.console import CommandError, run_tool
from ops.local import session, stack
from readplane.aws.boto import BotoClient
from readplane.poll.checkpoint_table import DynamoCheckpoints

REQUIRED = ("name", "region", "items_table", "write_log_bucket")
"""The outputs that every stack has."""


class RegionalStack(NamedTuple):
    """A stack's resources in one Region.

    region: the Region's name
    log_bucket: the bucket of the write log, which also holds the quarantine
    """

    region: str
    log_bucket: str


class Target:
    """A stack, described by its Terraform outputs."""

    def __init__(self, outputs: Mapping[str, Any]) -> None:
        """Check the outputs, and read the stack's name and Region from them.

        :param outputs: the value of each Terraform output, by its name
        :raises CommandError: if they aren't the outputs of a Readplane stack
        """
        missing = [name for name in REQUIRED if not outputs.get(name)]
        if missing:
            raise CommandError(
                f"These outputs aren't a Readplane stack's: {', '.join(missing)} missing. Apply terraform/ first."
            )
        self.outputs = outputs
        self.name: str = outputs["name"]
        self.region: str = outputs["region"]

    def output(self, name: str, reason: str) -> Any:
        """Return an output that not every stack has.

        :param reason: why a stack may lack the output, for the error message
        :raises CommandError: if this stack lacks it
        """
        value = self.outputs.get(name)
        if not value:
            raise CommandError(f"This stack has no {name}: {reason}")
        return value

    def regional(self, replica: bool) -> RegionalStack:
        """Return the stack's resources in the replica Region if `replica` is true, else in the primary Region.

        :raises CommandError: if the stack has no replica
        """
        if not replica:
            return RegionalStack(self.region, self.outputs["write_log_bucket"])
        reason = "it has no replica Region."
        return RegionalStack(self.output("replica_region", reason), self.output("replica_write_log_bucket", reason))

    def source(self, name: str) -> dict[str, Any]:
        """Return the event that a source's schedule sends to `poll`: `source` (the settings) and `sweep`.

        :raises CommandError: if the stack has no such source; the message lists the declared ones
        """
        sources: dict[str, str] = self.outputs.get("sources") or {}
        if name not in sources:
            declared = ", ".join(sorted(sources)) or "none"
            raise CommandError(f"There is no source {name}. Declared are: {declared}.")
        event: dict[str, Any] = json.loads(sources[name])
        return event

    @functools.cache  # noqa: B019 - a process has one target
    def client(self, service: str, region: str | None = None) -> Any:
        """Return a boto3 client for a service. Without `region`, it uses the stack's primary Region."""
        # An invocation of `poll` lasts up to 15 minutes, so the client must wait longer than that. It must not retry,
        # because a retry would poll again.
        config = Config(
            read_timeout=910 if service == "lambda" else 60,
            retries={"total_max_attempts": 1 if service == "lambda" else 5},
        )
        make: Any = boto3.client
        return make(service, region_name=region or self.region, config=config)


class Chosen:
    """The stack that the command line names.

    It is looked up only when a command needs it, so that --help works without a stack.
    """

    def __init__(self, local: str | None, file: Path | None) -> None:
        self._local = local
        self._file = file

    @functools.cached_property
    def target(self) -> Target:
        """The stack.

        :raises CommandError: if there is none
        """
        return find(self._local, self._file)


def find(local: str | None, file: Path | None) -> Target:
    """Return the stack that the command line names.

    :param local: the name of a local run, such as ``demo``
    :param file: a file with the output of ``terraform output -json``; without `local` and `file`, terraform/ is used
    :raises CommandError: if there is no such stack
    """
    if file:
        return Target(_values(file.read_text("utf-8"), str(file)))
    # Keep the caller's AWS settings, because the Terraform state may be in a backend on AWS.
    folder, settings = terraform.SOURCE, {key: text for key, text in os.environ.items() if key.startswith("AWS_")}
    if local:
        applied = stack.load(local)
        if applied is None:
            raise CommandError(f"`{local}` isn't up. Bring it up with: make demo")
        session.use(applied.endpoint)
        folder, settings = applied.home / "terraform", stack.environment(applied.endpoint)
    command = [terraform.terraform(), f"-chdir={folder}", "output", "-json"]
    return Target(_values(run_tool(command, env=terraform.environment() | settings), f"`terraform output` in {folder}"))


def _values(text: str, origin: str) -> dict[str, Any]:
    """Parse the output of `terraform output -json`. Return the values by name."""
    try:
        return {name: entry["value"] for name, entry in json.loads(text).items()}
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise CommandError(f"{origin} isn't what `terraform output -json` prints.") from error


def checkpoints(target: Target) -> DynamoCheckpoints:
    """Return the table of the stack's checkpoints, which is in the primary Region only.

    :raises CommandError: if the stack has no sources
    """
    name = target.output("checkpoints_table", "it has no sources.")
    return DynamoCheckpoints(BotoClient("dynamodb", region=target.region), name)


def table(rows: list[tuple[str, ...]], *heads: str) -> None:
    """Print rows as a table with column heads."""
    widths = [max(len(row[number]) for row in [heads, *rows]) for number in range(len(heads))]
    for row in [heads, *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
