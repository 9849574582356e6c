"""Checkpoints: how far a source is read."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from ops.cli.sources import dry_run_option
from ops.cli.target import Chosen, checkpoints
from ops.console import CommandError
from readplane.model.timestamp import rfc3339
from readplane.poll.checkpoint import Checkpoint
from readplane.poll.remembered import Remembered


@click.group()
def checkpoint() -> None:
    """See how far a source is read, and have it read again from an earlier time."""


@checkpoint.command()
@click.argument("name")
@click.pass_obj
def show(chosen: Chosen, name: str) -> None:
    """Print a source's checkpoint as JSON, times in words."""
    target = chosen.target
    target.source(name)
    known = checkpoints(target).get(name)
    if known is None:
        raise CommandError(f"{name} was never polled.")
    click.echo(json.dumps(_told(known), indent=2))


@checkpoint.command()
@click.argument("name")
@click.option("--to", "moment", required=True, help="A time of the back office's clock: 2026-01-31T12:00:00Z.")
@dry_run_option
@click.pass_obj
def rewind(chosen: Chosen, name: str, moment: str, dry_run: bool) -> None:
    """Have the next poll read again what was modified from a time on. Never forward; nothing is written twice."""
    to_ms = _ms_of(moment)
    target = chosen.target
    target.source(name)
    known = checkpoints(target).get(name)
    if known is None or known.watermark_ms is None:
        raise CommandError(f"{name} has no watermark to take back: its next poll reads everything anyway.")
    if to_ms >= known.watermark_ms:
        raise CommandError(
            f"{name} is read up to {rfc3339(known.watermark_ms)}: it can be rewound to an earlier time only."
        )
    if dry_run:
        click.echo(f"Would rewind {name} from {rfc3339(known.watermark_ms)} to {rfc3339(to_ms)}.")
        return
    checkpoints(target).rewind(name, to_ms)
    click.echo(f"{name} is rewound to {rfc3339(to_ms)}.")


def _ms_of(moment: str) -> int:
    try:
        when = datetime.fromisoformat(moment)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise click.BadParameter("must be a time with its zone, as in 2026-01-31T12:00:00Z", param_hint="--to")
    return int(when.timestamp() * 1000)


def _told(known: Checkpoint) -> dict[str, Any]:
    return {**_worded(asdict(known)), "seen": len(Remembered(known.seen))}


def _worded(state: dict[str, Any]) -> dict[str, Any]:
    """Times as they are read: `x_ms` becomes `x`."""
    worded: dict[str, Any] = {}
    for name, value in state.items():
        if name.endswith("_ms"):
            worded[name.removesuffix("_ms")] = rfc3339(value) if value else None
        else:
            worded[name] = _worded(value) if isinstance(value, dict) else value
    return worded
