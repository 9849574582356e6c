"""The commands `checkpoint`: show how far a source has been read, and rewind the source to an earlier time."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from ops.cli.quarantine import replica_option
from ops.cli.sources import dry_run_option
from ops.cli.target import Chosen, checkpoints
from ops.console import CommandError
from readplane.model.timestamp import rfc3339
from readplane.poll.checkpoint import Checkpoint
from readplane.poll.remembered import Remembered


@click.group()
def checkpoint() -> None:
    """Show how far a source has been read, and rewind the source to an earlier time."""


@checkpoint.command()
@click.argument("name")
@replica_option
@click.pass_obj
def show(chosen: Chosen, name: str, replica: bool) -> None:
    """Print a source's checkpoint as JSON, with times in RFC 3339."""
    target = chosen.target
    target.source(name)
    saved = checkpoints(target, replica=replica).get_checkpoint(name)
    if saved is None:
        raise CommandError(f"{name} was never polled.")
    click.echo(json.dumps(_printable(saved), indent=2))


@checkpoint.command()
@click.argument("name")
@click.option("--to", "moment", required=True, help="A time by the back office's clock, such as 2026-01-31T12:00:00Z.")
@replica_option
@dry_run_option
@click.pass_obj
def rewind(chosen: Chosen, name: str, moment: str, replica: bool, dry_run: bool) -> None:
    """Let a source's next poll read all records again that were modified since a given time.

    The time must be earlier than the source's watermark. A record that is read again gives the same change as before.
    `apply` then recognises the change and doesn't write the item again.
    """
    to_ms = parse_ms(moment, "--to")
    target = chosen.target
    target.source(name)
    saved = checkpoints(target, replica=replica).get_checkpoint(name)
    if saved is None or saved.watermark_ms is None:
        raise CommandError(f"{name} has no watermark to rewind: its next poll reads everything anyway.")
    if to_ms >= saved.watermark_ms:
        raise CommandError(
            f"{name} is read up to {rfc3339(saved.watermark_ms)}: it can be rewound to an earlier time only."
        )
    if dry_run:
        click.echo(f"Would rewind {name} from {rfc3339(saved.watermark_ms)} to {rfc3339(to_ms)}.")
        return
    checkpoints(target, replica=replica).rewind(name, to_ms)
    click.echo(f"{name} is rewound to {rfc3339(to_ms)}.")


def parse_ms(text: str, option: str) -> int:
    """Return the time that an option names, in Unix milliseconds.

    :raises click.BadParameter: if the text isn't a time with its zone
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise click.BadParameter("must be a time with its zone, as in 2026-01-31T12:00:00Z", param_hint=option)
    return int(moment.timestamp() * 1000)


def _printable(saved: Checkpoint) -> dict[str, Any]:
    """Return a checkpoint as JSON values. The fields that hold hashes of records show only how many there are."""
    counts = {"remembered": len(Remembered(saved.remembered)), "redriven": len(saved.redriven)}
    return {**_with_readable_times(asdict(saved)), **counts}


def _with_readable_times(fields: dict[str, Any]) -> dict[str, Any]:
    """Replace each field `x_ms` by a field `x`: the time in RFC 3339, or None if the time is 0 or missing."""
    readable: dict[str, Any] = {}
    for name, value in fields.items():
        if name.endswith("_ms"):
            readable[name.removesuffix("_ms")] = rfc3339(value) if value else None
        else:
            readable[name] = _with_readable_times(value) if isinstance(value, dict) else value
    return readable
