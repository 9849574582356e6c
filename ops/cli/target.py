"""Which stack a command works on, and the way to its AWS services."""

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

NEEDED = ("name", "region", "items_table", "write_log_bucket")
"""What a stack's outputs must give, whatever else it has."""


class Place(NamedTuple):
    """One Region of a stack, with the names of what the commands touch there."""

    region: str
    log_bucket: str


class Target:
    """A stack, known by its Terraform outputs."""

    def __init__(self, outputs: Mapping[str, Any]) -> None:
        """Take the outputs, values alone.

        :raises Failure: when they aren't a Readplane stack's.
        """
        missing = [name for name in NEEDED if not outputs.get(name)]
        if missing:
            raise CommandError(
                f"These outputs aren't a Readplane stack's: {', '.join(missing)} missing. Apply terraform/ first."
            )
        self.outputs = outputs
        self.name: str = outputs["name"]
        self.region: str = outputs["region"]

    def output(self, name: str, why: str) -> Any:
        """One output that not every stack has.

        :raises Failure: with ``why`` when this one hasn't.
        """
        value = self.outputs.get(name)
        if not value:
            raise CommandError(f"This stack has no {name}: {why}")
        return value

    def place(self, replica: bool) -> Place:
        """The primary Region, or the replica's.

        :raises Failure: without a replica.
        """
        if not replica:
            return Place(self.region, self.outputs["write_log_bucket"])
        why = "it has no replica Region."
        return Place(self.output("replica_region", why), self.output("replica_write_log_bucket", why))

    def source(self, name: str) -> dict[str, Any]:
        """The input of a source's schedule: its settings, and whether to sweep.

        :raises Failure: for a name that isn't declared, with those that are.
        """
        sources: dict[str, str] = self.outputs.get("sources") or {}
        if name not in sources:
            known = ", ".join(sorted(sources)) or "none"
            raise CommandError(f"There is no source {name}. Declared are: {known}.")
        read: dict[str, Any] = json.loads(sources[name])
        return read

    @functools.cache  # noqa: B019 - one target per process
    def client(self, service: str, region: str | None = None) -> Any:
        """boto3's client of a service, in the stack's Region unless told otherwise."""
        # A poll may take as long as a Lambda function may: an invocation must neither be given up nor sent twice.
        config = Config(
            read_timeout=910 if service == "lambda" else 60,
            retries={"total_max_attempts": 1 if service == "lambda" else 5},
        )
        make: Any = boto3.client
        return make(service, region_name=region or self.region, config=config)


class Chosen:
    """What the command line says of the stack, looked up when a command first needs it: --help asks nobody."""

    def __init__(self, local: str | None, file: Path | None) -> None:
        self._local = local
        self._file = file

    @functools.cached_property
    def target(self) -> Target:
        """The stack.

        :raises Failure: when there is none.
        """
        return find(self._local, self._file)


def find(local: str | None, file: Path | None) -> Target:
    """The stack that the command line means.

    :param local: name of a local run: ``demo``.
    :param file: what ``terraform output -json`` printed; without both, terraform/ is asked.
    :raises Failure: when there is none.
    """
    if file:
        return Target(_values(file.read_text("utf-8"), str(file)))
    # The caller's own AWS settings: the state may be in a backend on AWS.
    folder, settings = terraform.SOURCE, {key: text for key, text in os.environ.items() if key.startswith("AWS_")}
    if local:
        found = stack.load(local)
        if found is None:
            raise CommandError(f"`{local}` isn't up. Bring it up with: make demo")
        session.use(found.endpoint)
        folder, settings = found.home / "terraform", stack.environment(found.endpoint)
    command = [terraform.terraform(), f"-chdir={folder}", "output", "-json"]
    return Target(_values(run_tool(command, env=terraform.environment() | settings), f"`terraform output` in {folder}"))


def _values(text: str, where: str) -> dict[str, Any]:
    try:
        return {name: entry["value"] for name, entry in json.loads(text).items()}
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise CommandError(f"{where} isn't what `terraform output -json` prints.") from error


def checkpoints(target: Target) -> DynamoCheckpoints:
    """The stack's checkpoints, which the primary Region has alone.

    :raises Failure: for a stack without sources.
    """
    name = target.output("checkpoints_table", "it has no sources.")
    return DynamoCheckpoints(BotoClient("dynamodb", region=target.region), name)


def table(rows: list[tuple[str, ...]], *heads: str) -> None:
    """Print rows below their heads, in columns."""
    widths = [max(len(row[number]) for row in [heads, *rows]) for number in range(len(heads))]
    for row in [heads, *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
