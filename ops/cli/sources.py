"""The commands `sources`: list, check and move sources, and poll, pause, resume or reset one source."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from ops.cli import source_moves
from ops.cli.invoke import poll
from ops.cli.planned_sources import plan_sources, variable_files_option
from ops.cli.quarantine import replica_option
from ops.cli.target import Chosen, Target, checkpoints, polling_output, table
from ops.console import CommandError
from readplane.clock import now_ms
from readplane.model.timestamp import rfc3339
from readplane.poll.checkpoint import Checkpoint

RETRY_SECONDS = 2.0
"""If another poll of the source is running, `sources run` waits this many seconds before it tries again."""

TIMEOUT = 120.0
"""Seconds that `sources run --until-done` waits for another poll of the same source to end."""

dry_run_option = click.option("--dry-run", is_flag=True, help="Only print what would be done.")

BAD_OUTCOMES = ("failed", "open", "paused", "running", "elsewhere")
"""The outcomes of a poll after which the source is no fresher than before.

`open` means that the poll sent no request, because the circuit breaker is open or the back office asked for a pause.
`running` means that another poll of the source is running, and `elsewhere` that another Region polls the source.
"""

COLUMNS = (
    "source",
    "mode",
    "collection",
    "schedule",
    "state",
    "fresh_as_of",
    "staleness",
    "staleness_budget",
    "sweep",
    "polled_in",
)


@click.group()
def sources() -> None:
    """Show the state of all sources, or move them to another Region. Poll, pause, resume or reset one source."""


@sources.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@replica_option
@click.pass_obj
def list_(chosen: Chosen, as_json: bool, replica: bool) -> None:
    """List every source with its state in one Region. Staleness and staleness budget are in seconds."""
    target = chosen.target
    descriptions = [_describe(target, name, replica) for name in sorted(target.outputs.get("sources") or {})]
    if as_json:
        for description in descriptions:
            click.echo(json.dumps(description))
        return
    rows = [tuple("-" if line[column] is None else str(line[column]) for column in COLUMNS) for line in descriptions]
    table(rows, *(column.upper() for column in COLUMNS))


@sources.command()
@click.argument("name")
@click.option("--sweep", is_flag=True, help="List everything, and delete the items that two sweeps in a row miss.")
@click.option("--until-done", is_flag=True, help="Poll repeatedly until nothing is left to read, for a long catch-up.")
@replica_option
@dry_run_option
@click.pass_obj
def run(chosen: Chosen, name: str, sweep: bool, until_done: bool, replica: bool, dry_run: bool) -> None:
    """Poll a source now, with the event that its schedule sends, and print the outcome."""
    target = chosen.target
    target.source(name)
    event = {"source": name, "sweep": sweep}
    if dry_run:
        click.echo(f"Would invoke {polling_output(target, 'poll_function', replica)} with {json.dumps(event)}")
        return
    deadline = time.monotonic() + TIMEOUT
    while True:
        response = poll(target, event, replica=replica)
        click.echo(", ".join(f"{key} {value}" for key, value in response.items() if value is not None))
        outcome = response["outcome"]
        if outcome == "running" and until_done and time.monotonic() < deadline:
            time.sleep(RETRY_SECONDS)
        elif until_done and outcome not in BAD_OUTCOMES and (outcome == "unfinished" or response["sweeping"]):
            event = event | {"sweep": False}  # the first poll began the sweep, and each later poll continues it
        else:
            break
    if outcome in BAD_OUTCOMES:
        raise CommandError(f"{name} is no fresher than before: {outcome}.")


@sources.command()
@click.argument("name")
@replica_option
@dry_run_option
@click.pass_obj
def pause(chosen: Chosen, name: str, replica: bool, dry_run: bool) -> None:
    """Stop polling a source until it is resumed. Clients can still read its items, which become stale."""
    _set_paused(chosen.target, name, True, replica, dry_run)


@sources.command()
@click.argument("name")
@replica_option
@dry_run_option
@click.pass_obj
def resume(chosen: Chosen, name: str, replica: bool, dry_run: bool) -> None:
    """Let the schedule poll a paused source again."""
    _set_paused(chosen.target, name, False, replica, dry_run)


@sources.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Don't ask.")
@replica_option
@dry_run_option
@click.pass_obj
def reset(chosen: Chosen, name: str, yes: bool, replica: bool, dry_run: bool) -> None:
    """Forget a source's checkpoint, so that the next poll reads everything again.

    No item is lost. A record that is read again gives the same change as before. `apply` then recognises the change
    and doesn't write the item again. But the back office has to send all its records once more.
    """
    target = chosen.target
    target.source(name)
    if dry_run:
        click.echo(f"Would forget the checkpoint of {name}.")
        return
    if not yes:
        click.confirm(f"Read all of {name} again?", abort=True)
    checkpoints(target, replica=replica).reset(name)
    click.echo(f"The next poll of {name} reads everything again.")


@sources.command()
@click.option("--to", "region", required=True, help="The Region that polls the sources from now on.")
@click.option("--source", "names", multiple=True, help="Move only this source. May be repeated.")
@click.option("--all-records", is_flag=True, help="Let the next polls read everything.")
@click.option("--yes", is_flag=True, help="Move the sources. Without this, only print what would be done.")
@click.pass_obj
def move(chosen: Chosen, region: str, names: tuple[str, ...], all_records: bool, yes: bool) -> None:
    """Let another Region poll the sources, for example because the Region that polls them is lost.

    The command calls only the Region that takes the sources over. Its polls begin where all changes had arrived, at
    least an hour before the newest one. Records that are read again give the same changes as before. Use --all-records
    if `apply-stream` had been behind for more than an hour in the other Region.
    """
    target = chosen.target
    source_moves.is_replica(target, region)
    chosen_names = sorted(set(names) or set(target.outputs.get("sources") or {}))
    for name in chosen_names:
        target.source(name)
    moves = source_moves.plan(target, region, chosen_names, everything=all_records)
    for name in sorted(set(chosen_names) - {entry.source for entry in moves}):
        click.echo(f"{name} is polled in {region} already.")
    if not moves:
        return
    table([entry.describe() for entry in moves], "SOURCE", "POLLED IN", "READS")
    if not yes:
        click.echo(f"Would move these sources to {region}. Repeat the command with --yes.")
        return
    for entry in moves:
        source_moves.carry_out(target, region, entry)
        click.echo(f"{entry.source} is polled in {region} from now on.")


@sources.command()
@variable_files_option
def check(files: tuple[Path, ...]) -> None:
    """Check the settings of all sources in variable files, without calling AWS.

    Terraform checks its rules first. Then the rules of `poll` are checked, for example that each expression and each
    JSON Schema of a collection with a source compiles. `terraform apply` makes the same checks before it creates a
    schedule.
    """
    declared = plan_sources(files).declared()
    problems = declared.problems()
    if problems:
        raise CommandError("\n  ".join(["These sources can't be used:", *problems]))
    names = ", ".join(declared.names) or "none are declared"
    click.echo(f"{len(declared.names)} sources have no problems: {names}.")


def _set_paused(target: Target, name: str, paused: bool, replica: bool, dry_run: bool) -> None:
    target.source(name)
    state = "paused" if paused else "resumed"
    if dry_run:
        click.echo(f"{name} would be {state}.")
        return
    checkpoints(target, replica=replica).set_paused(name, paused)
    click.echo(f"{name} is {state}.")


def _describe(target: Target, name: str, replica: bool) -> dict[str, Any]:
    """Return a source's row in the output of `sources list`: each value by its column's name."""
    described = target.source(name)
    saved = checkpoints(target, replica=replica).get_checkpoint(name)
    region = target.regional(replica).region
    has_switch = bool(target.outputs.get("replica_poll_function"))
    fresh_ms = saved.fresh_as_of_ms if saved else None
    return {
        "source": name,
        "mode": described["mode"],
        "collection": described["collection"],
        "schedule": described["schedule"],
        "state": describe_state(saved, described["breaker_failures"]),
        "fresh_as_of": rfc3339(fresh_ms) if fresh_ms else None,
        "staleness": (now_ms() - fresh_ms) // 1000 if fresh_ms else None,
        "staleness_budget": described["staleness_budget"],
        "sweep": _sweep(saved),
        "polled_in": source_moves.switch(target, region).get_region(name) if has_switch else region,
    }


def describe_state(saved: Checkpoint | None, breaker_failures: int) -> str:
    """Return a source's state as text. The first row that matches, from top to bottom, decides.

    breaker_failures: how many failures in a row open the source's circuit breaker

    | the source | state |
    | --- | --- |
    | has no checkpoint | never polled |
    | is paused | paused |
    | has a circuit breaker that isn't closed | `breaker open` or `breaker half_open` |
    | has failed since its last success | the number of failures, such as `2 failed` |
    | has an unfinished pass | catching up |
    | has none of these | fine |
    """
    if saved is None:
        return "never polled"
    if saved.paused:
        return "paused"
    breaker = saved.breaker(breaker_failures, now_ms())
    if breaker != "closed":
        return f"breaker {breaker}"
    if saved.failures.count:
        return f"{saved.failures.count} failed"
    return "catching up" if saved.main_pass else "fine"


def _sweep(saved: Checkpoint | None) -> str | None:
    """Return how many records a running sweep has read, `due` if a requested one hasn't begun, else None."""
    if saved is None:
        return None
    if saved.sweep_pass:
        return f"{saved.sweep_pass.records} records in"
    return "due" if saved.sweep_due else None
