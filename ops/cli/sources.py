"""Sources: the back offices that feed the read model."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from ops import terraform
from ops.cli.invoke import poll
from ops.cli.target import Chosen, Target, checkpoints, table
from ops.console import CommandError, run_tool
from readplane.clock import now_ms
from readplane.model.timestamp import rfc3339
from readplane.poll.checkpoint import Checkpoint
from readplane.poll.errors import SourceError
from readplane.poll.source.settings import parse_source

WAIT = 2.0
"""Seconds until a poll is asked for again while another one runs."""

PATIENCE = 120.0
"""Seconds that a command waits for another poll to end."""

dry_run_option = click.option("--dry-run", is_flag=True, help="Only say what would be done.")
BAD = ("failed", "open", "paused", "running")
"""Outcomes of a poll after which the source is no fresher."""


@click.group()
def sources() -> None:
    """See how the back offices are doing; poll one, pause one, start one over."""


@sources.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_obj
def list_(chosen: Chosen, as_json: bool) -> None:
    """List every source: its state, how fresh it is, how stale it may be."""
    target = chosen.target
    told = [_told(target, name) for name in sorted(target.outputs.get("sources") or {})]
    if as_json:
        for one in told:
            click.echo(json.dumps(one))
        return
    heads = (
        "source",
        "mode",
        "collection",
        "schedule",
        "state",
        "fresh_as_of",
        "staleness",
        "staleness_budget",
        "sweep",
    )
    rows = [tuple("-" if one[head] is None else str(one[head]) for head in heads) for one in told]
    table(rows, *(head.upper() for head in heads))


@sources.command()
@click.argument("name")
@click.option("--sweep", is_flag=True, help="List everything, and delete what two sweeps in a row have missed.")
@click.option("--until-done", is_flag=True, help="Poll again and again until it is through, as a long catch-up needs.")
@dry_run_option
@click.pass_obj
def run(chosen: Chosen, name: str, sweep: bool, until_done: bool, dry_run: bool) -> None:
    """Poll a source now, as its schedule does, and say what came of it."""
    target = chosen.target
    event = target.source(name) | {"sweep": sweep}
    if dry_run:
        click.echo(f"Would invoke {target.output('poll_function', 'it has no sources.')} with {json.dumps(event)}")
        return
    until = time.monotonic() + PATIENCE
    while True:
        answer = poll(target, event)
        click.echo(", ".join(f"{key} {value}" for key, value in answer.items() if value is not None))
        if answer["outcome"] == "running" and until_done and time.monotonic() < until:
            time.sleep(WAIT)
        elif until_done and answer["outcome"] not in BAD and (answer["outcome"] == "unfinished" or answer["sweeping"]):
            event = event | {"sweep": False}  # it is begun, and goes on by itself
        else:
            break
    if answer["outcome"] in BAD:
        raise CommandError(f"{name} is no fresher than before: {answer['outcome']}.")


@sources.command()
@click.argument("name")
@dry_run_option
@click.pass_obj
def pause(chosen: Chosen, name: str, dry_run: bool) -> None:
    """Have polls of a source do nothing, until it is resumed. Reads go on; they grow stale."""
    _set_paused(chosen.target, name, True, dry_run)


@sources.command()
@click.argument("name")
@dry_run_option
@click.pass_obj
def resume(chosen: Chosen, name: str, dry_run: bool) -> None:
    """Have polls of a paused source go on."""
    _set_paused(chosen.target, name, False, dry_run)


@sources.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Don't ask.")
@dry_run_option
@click.pass_obj
def reset(chosen: Chosen, name: str, yes: bool, dry_run: bool) -> None:
    """Forget what was polled: the next poll reads everything again.

    Nothing is lost or written twice by that (the same record is the same change), but the back office has to answer
    all of it.
    """
    target = chosen.target
    target.source(name)
    if dry_run:
        click.echo(f"Would forget the checkpoint of {name}.")
        return
    if not yes:
        click.confirm(f"Have {name} read from its beginning?", abort=True)
    checkpoints(target).reset(name)
    click.echo(f"{name} starts over with its next poll.")


@sources.command()
@click.option(
    "--var-file",
    "files",
    multiple=True,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings as `terraform apply` gets them. May be repeated.",
)
def check(files: tuple[Path, ...]) -> None:
    """Check the sources of settings, without AWS: Terraform's rules, and all that only `poll` can tell.

    As `terraform apply` does before it makes a schedule.
    """
    declared = _declared(files)
    problems = [problem for name, settings in declared.items() for problem in _problems(name, settings)]
    if problems:
        raise CommandError("\n  ".join(["These sources can't be used:", *problems]))
    click.echo(f"Nothing to mend in {len(declared)} sources: {', '.join(declared) or 'none are declared'}.")


def _declared(files: tuple[Path, ...]) -> dict[str, dict[str, Any]]:
    """The variable `sources` as Terraform reads it, its own rules kept.

    :raises Failure: with Terraform's words when they aren't.
    """
    with tempfile.TemporaryDirectory() as folder:
        # The variables alone: neither provider nor state is needed to read them.
        for path in terraform.SOURCE.glob("variables*.tf"):
            shutil.copy(path, folder)
        command = [
            terraform.terraform(),
            f"-chdir={folder}",
            "console",
            *(f"-var-file={path.resolve()}" for path in files),
        ]
        printed = run_tool(command, env=terraform.environment(), given="jsonencode(var.sources)\n")
    declared: dict[str, dict[str, Any]] = json.loads(json.loads(printed.strip().splitlines()[-1]))
    return declared


def _problems(name: str, settings: dict[str, Any]) -> list[str]:
    try:
        parse_source({"name": name, **settings})
    except SourceError as bad:
        return bad.problems
    return []


def _set_paused(target: Target, name: str, paused: bool, dry_run: bool) -> None:
    target.source(name)
    done = "paused" if paused else "resumed"
    if dry_run:
        click.echo(f"{name} would be {done}.")
        return
    checkpoints(target).set_paused(name, paused)
    click.echo(f"{name} is {done}.")


def _told(target: Target, name: str) -> dict[str, Any]:
    settings = target.source(name)["source"]
    known = checkpoints(target).get(name)
    fresh_ms = known.fresh_as_of_ms if known else None
    return {
        "source": name,
        "mode": settings["mode"],
        "collection": settings["collection"],
        "schedule": settings.get("schedule"),
        "state": _state(known, settings),
        "fresh_as_of": rfc3339(fresh_ms) if fresh_ms else None,
        "staleness": (now_ms() - fresh_ms) // 1000 if fresh_ms else None,
        "staleness_budget": settings["staleness_budget"],
        "sweep": _sweep(known),
    }


def _state(known: Checkpoint | None, settings: dict[str, Any]) -> str:
    if known is None:
        return "never polled"
    if known.paused:
        return "paused"
    breaker = known.breaker((settings.get("breaker") or {}).get("failures", 5), now_ms())
    if breaker != "closed":
        return f"breaker {breaker}"
    if known.failures.count:
        return f"{known.failures.count} failed"
    return "catching up" if known.changes else "fine"


def _sweep(known: Checkpoint | None) -> str | None:
    if known is None:
        return None
    if known.sweep:
        return f"{known.sweep.records} records in"
    return "due" if known.sweep_due else None
