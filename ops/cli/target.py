"""The Readplane stack that a command works on, and boto3 clients for calls to it."""

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

REQUIRED = ("name", "region", "items_table", "documents_bucket", "write_log_bucket")
"""The Terraform outputs that every Readplane stack has."""


class RegionalStack(NamedTuple):
    """The resources of a Readplane stack in one Region.

    region: the Region's name, such as eu-central-1
    log_bucket: the name of the write log's bucket, which also holds the quarantine
    documents_bucket: the name of the bucket with the Region's documents
    """

    region: str
    log_bucket: str
    documents_bucket: str


class Target:
    """The Readplane stack that a command works on, described by its Terraform outputs."""

    def __init__(self, outputs: Mapping[str, Any]) -> None:
        """Check a stack's Terraform outputs, and take the stack's name and Region from them.

        :param outputs: the value of each Terraform output, by the output's name
        :raises CommandError: if an output that every Readplane stack has is missing
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
        """Return a Terraform output that some Readplane stacks lack.

        :param reason: why a stack may lack the output; the error message contains this text
        :raises CommandError: if this stack lacks the output
        """
        value = self.outputs.get(name)
        if not value:
            raise CommandError(f"This stack has no {name}: {reason}")
        return value

    def regional(self, replica: bool) -> RegionalStack:
        """Return the stack's resources in the replica Region if `replica` is true, else in the primary Region.

        :raises CommandError: if `replica` is true, but the stack has no replica Region
        """
        if not replica:
            return RegionalStack(self.region, self.outputs["write_log_bucket"], self.outputs["documents_bucket"])
        reason = "it has no replica Region."
        names = ("replica_region", "replica_write_log_bucket", "replica_documents_bucket")
        return RegionalStack(*(self.output(name, reason) for name in names))

    def regions(self) -> list[RegionalStack]:
        """Return the stack's resources in each Region: the primary Region, then the replica Region if there is one."""
        return [
            self.regional(replica) for replica in (False, True) if not replica or self.outputs.get("replica_region")
        ]

    def source(self, name: str) -> dict[str, Any]:
        """Return what the output `sources` says about a source: `mode`, `collection`, `schedule` and so on.

        :raises CommandError: if the stack has no source with this name; the message lists the declared sources
        """
        sources: dict[str, dict[str, Any]] = self.outputs.get("sources") or {}
        if name not in sources:
            declared = ", ".join(sorted(sources)) or "none"
            raise CommandError(f"There is no source {name}. Declared are: {declared}.")
        return sources[name]

    @functools.cache  # noqa: B019 - a process has only one Target, so the cache stays small
    def client(self, service: str, region: str | None = None) -> Any:
        """Return a boto3 client for an AWS service. Without `region`, the client uses the stack's primary Region.

        The client repeats a request that AWS throttles, or whose response is lost.
        """
        return _client(service, region or self.region, Config(read_timeout=60, retries={"total_max_attempts": 5}))

    @functools.cache  # noqa: B019 - a process has only one Target, so the cache stays small
    def invoker(self, region: str) -> Any:
        """Return a boto3 client for Lambda that invokes functions. For every other call of Lambda, use :meth:`client`.

        It never repeats a request, because a repeated invocation of `poll` would poll the back office again. It waits
        for longer than the 15 minutes that an invocation may last.
        """
        return _client("lambda", region, Config(read_timeout=910, retries={"total_max_attempts": 1}))


class Chosen:
    """The Readplane stack that the command line names.

    The stack is looked up only when a command needs it, so that --help works without a stack.
    """

    def __init__(self, local: str | None, file: Path | None) -> None:
        self._local = local
        self._file = file

    @functools.cached_property
    def target(self) -> Target:
        """The Readplane stack that the command line names.

        :raises CommandError: if there is no such stack
        """
        return self.find_again()

    def find_again(self) -> Target:
        """Look the stack up again, because Terraform may have changed it since the command began.

        :raises CommandError: if there is no such stack
        """
        return find(self._local, self._file)


def find(local: str | None, file: Path | None) -> Target:
    """Return the Readplane stack that the command line names.

    If the command line names none (`local` and `file` are None), return the stack in the Terraform state of terraform/.

    :param local: the name of a local run, such as ``demo``
    :param file: a file with the output of ``terraform output -json``; if it is given, `local` is ignored
    :raises CommandError: if there is no such stack
    """
    if file:
        return Target(_values(file.read_bytes(), str(file)))
    # Keep the caller's AWS_* variables, because the Terraform state may be in a bucket on AWS.
    folder, settings = terraform.SOURCE, {key: text for key, text in os.environ.items() if key.startswith("AWS_")}
    if local:
        applied = stack.load(local)
        if applied is None:
            raise CommandError(f"`{local}` isn't up. Bring it up with: make demo")
        session.use(applied.endpoint)
        folder, settings = applied.home / "terraform", stack.environment(applied.endpoint)
    command = [terraform.terraform(), f"-chdir={folder}", "output", "-json"]
    return Target(_values(run_tool(command, env=terraform.environment() | settings), f"`terraform output` in {folder}"))


def _client(service: str, region: str, config: Config) -> Any:
    make: Any = boto3.client
    return make(service, region_name=region, config=config)


def _values(text: str | bytes, origin: str) -> dict[str, Any]:
    """Parse the text that `terraform output -json` prints. Return each output's value by the output's name.

    :param text: the text, or its bytes in UTF-8 or in UTF-16, which PowerShell writes
    :param origin: where the text comes from, for the error message
    :raises CommandError: if the text isn't what `terraform output -json` prints
    """
    try:
        return {name: entry["value"] for name, entry in json.loads(text).items()}
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise CommandError(f"{origin} isn't what `terraform output -json` prints.") from error


def polling_output(target: Target, name: str, replica: bool) -> str:
    """Return the name of something that a Region has if its `poll` can poll the sources.

    :param name: the name of the Terraform output for the primary Region
    :param replica: whether the Region is the replica Region
    :raises CommandError: if the sources can't be polled there
    """
    if replica:
        return str(target.output(f"replica_{name}", "poll.in_replica isn't set, or it has no sources or no replica."))
    return str(target.output(name, "it has no sources."))


def checkpoints(target: Target, *, replica: bool = False) -> DynamoCheckpoints:
    """Return the DynamoDB table with the checkpoints of the stack's sources in the primary or the replica Region.

    :raises CommandError: if the sources can't be polled there
    """
    name = polling_output(target, "checkpoints_table", replica)
    return DynamoCheckpoints(BotoClient("dynamodb", region=target.regional(replica).region), name)


def table(rows: list[tuple[str, ...]], *heads: str) -> None:
    """Print rows of text as a table, below a row with the column heads."""
    widths = [max(len(row[number]) for row in [heads, *rows]) for number in range(len(heads))]
    for row in [heads, *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
