"""Audit objects: who ran which operators' command that changed something, with which options, and how it ended.

Every such command leaves one object below `config/audit/` in the write log's bucket of the primary Region. A job writes
its own (ops/jobs.py). For every other command with --dry-run, --yes or --repair, :func:`audit_changes` does.
"""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError

from ops.cli.target import Chosen, Target
from readplane.model.timestamp import rfc3339

AUDIT = "config/audit/"
"""The key prefix of the audit objects."""


def caller_arn(target: Target) -> str:
    """Return the ARN of the operator, from STS."""
    arn: str = target.client("sts").get_caller_identity()["Arn"]
    return arn


def put_audit(target: Target, command: str, job: str, **fields: Any) -> None:
    """Write an audit object. If that fails, say so, because what the object is about has happened by then.

    :param job: the id of the job, or another name for this run; a part of the object's key
    :param fields: more members of the object
    """
    now = rfc3339(int(time.time() * 1000))
    entry = {"time": now, "command": command, "job": job, **fields}
    try:
        target.client("s3").put_object(
            Bucket=target.regional(False).log_bucket,
            Key=f"{AUDIT}{now.replace(':', '-')}-{command.replace(' ', '-')}-{job}.json",
            Body=json.dumps(entry).encode(),
            ContentType="application/json",
        )
    except (ClientError, BotoCoreError) as error:
        click.echo(f"The audit object couldn't be written ({type(error).__name__}).", err=True)


def audit_changes(group: click.Group) -> None:
    """Have every command of a group that may change something, and isn't a job, write an audit object."""
    for command, name in leaf_commands(group):
        options = {option.name for option in command.params}
        is_job = "take_over" in options
        if not is_job and options & {"dry_run", "yes", "repair"} and command.callback is not None:
            command.callback = _audited(command.callback, name)


def leaf_commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[click.Command, str]]:
    """Yield each command of a group and of its groups, with its full name, such as `quarantine redrive`."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaf_commands(command, (*path, name))
        else:
            yield command, " ".join((*path, name))


def _audited(callback: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Wrap a command's function, so that it writes an audit object if it was allowed to change something."""

    @functools.wraps(callback)
    def run(**options: Any) -> Any:
        if not _may_change(options):
            return callback(**options)
        outcome = "failed"
        try:
            result = callback(**options)
            outcome = "done"
        except click.exceptions.Exit as ended:
            # `verify --repair` ends with 1 if it has found something, and it has sent the repairs then.
            outcome = "failed" if ended.exit_code and not options.get("repair") else "done"
            raise
        except (click.UsageError, click.Abort):
            outcome = ""  # the command refused the command line, or the operator said no
            raise
        finally:
            if outcome:
                _put(name, options, outcome)
        return result

    return run


def _may_change(options: Mapping[str, Any]) -> bool:
    if "dry_run" in options:
        return not options["dry_run"]
    return bool(options.get("yes") or options.get("repair"))


def _put(name: str, options: Mapping[str, Any], outcome: str) -> None:
    """Write the audit object of a command that has ended."""
    chosen = click.get_current_context().find_object(Chosen)
    target: Target | None = vars(chosen).get("target") if chosen else None
    if target is None:
        return  # the command hasn't looked the stack up, so it changed nothing of it
    arguments = json.loads(json.dumps(options, default=str))
    run = hashlib.sha256(json.dumps([name, arguments], sort_keys=True).encode()).hexdigest()[:16]
    try:
        operator = caller_arn(target)
    except (ClientError, BotoCoreError) as error:
        operator = f"unknown ({type(error).__name__})"
    put_audit(target, name, run, arguments=arguments, operator=operator, outcome=outcome, counts={})
