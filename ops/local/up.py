"""Bring a stack up on this machine: build the zips, start emulator, back office and stores, apply terraform/, migrate.

If the stack is up already, this program applies what has changed. If AWS_ENDPOINT_URL is set, the program uses the
emulator at that URL (LocalStack) and starts none. With READPLANE_CLIENT=boto3, `read`, `write` and `apply` call AWS
with boto3 instead of the slim client.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from typing import Any

from ops.build.targets import TARGETS, Zips
from ops.build.zips import build
from ops.console import CommandError, Progress, failures
from ops.local import back_office, emulator, session, stack, stores
from ops.local.edge_control import EdgeControl
from ops.terraform import terraform


def up(
    name: str,
    port: int,
    progress: Progress,
    rows: int | None = None,
    overrides: Mapping[str, Any] = {},
) -> stack.Stack:
    """Build the zips, start the emulator, the back office and the stores, apply terraform/, and migrate the databases.

    If the emulator or the back office is up already, use it and start no other. The same goes for the cache and the
    database of each Region. One of them that has ended is started again.

    :param port: the emulator's port; 0 takes a free one
    :param rows: how many subdivisions to put into a new back office; None for all
    :param overrides: the values of variables that replace those of the local settings
    :raises CommandError: if a tool is missing, a port is in use, or the apply fails
    """
    # Make these checks before the build, so that `up` fails at once if Terraform is missing, READPLANE_CLIENT has an
    # unknown value or AWS_ENDPOINT_URL is at AWS.
    terraform()
    client = stack.aws_client()
    external = os.environ.get("AWS_ENDPOINT_URL")
    if external:
        stack.environment(external)
    zips, is_new = build(TARGETS["local"])
    progress.say(f"The zips are {'built' if is_new else 'up to date'}: {', '.join(path.name for path in zips)}.")
    if external:
        applied = _apply_to_external(external.rstrip("/"), name, zips, progress, rows, overrides)
    elif running := _running_emulator(name, port):
        progress.say(f"The emulator is up already at {running.endpoint}.")
        session.use(running.endpoint)
        office = _back_office(name, progress, rows)
        applied = stack.apply(name, running.endpoint, zips, progress, office, _stores(name, progress), overrides)
    else:
        try:
            applied = _apply_to_fresh(name, port, zips, progress, rows, overrides)
        except stack.ConflictError as conflict:
            # On a busy machine, the emulator may create a resource without Terraform getting the response. Start over
            # with a new emulator, because another apply to this emulator would fail on the same resource.
            progress.say(
                f"{conflict}\nThe emulator says a resource exists that this run hasn't made: starting over once."
            )
            applied = _apply_to_fresh(name, port, zips, progress, rows, overrides)
    _serve_edge(applied, progress)
    _migrate(applied, progress)
    progress.say(f"The stack is up. `read`, `write` and `apply` call AWS with {client}.")
    return applied


def _serve_edge(applied: stack.Stack, progress: Progress) -> None:
    """Serve the stack's CloudFront distribution at the second port of this run's emulator, if there are both."""
    running = emulator.running(applied.name)
    if applied.outputs.edge_id and running and running.edge_port:
        EdgeControl(running.endpoint).choose(applied.outputs.edge_id)
        progress.say(f"The CloudFront distribution {applied.outputs.edge_id} answers at {running.edge_url}.")


def _apply_to_external(
    endpoint: str, name: str, zips: Zips, progress: Progress, rows: int | None, overrides: Mapping[str, Any]
) -> stack.Stack:
    """Apply terraform/ to an emulator that this run hasn't started, such as LocalStack.

    If that emulator runs in a container, its functions can't reach the back office, the cache and the database on this
    machine. Reads then go to DynamoDB.
    """
    if not emulator.healthy(endpoint):
        raise CommandError(f"No emulator responds at AWS_ENDPOINT_URL={endpoint}. Start it, or unset the variable.")
    progress.say(f"Using the emulator at {endpoint}.")
    session.use(endpoint)
    office = _back_office(name, progress, rows)
    return stack.apply(name, endpoint, zips, progress, office, _stores(name, progress), overrides)


def _running_emulator(name: str, port: int) -> emulator.Emulator | None:
    """Return the emulator that an earlier run of the same name started. Return None if it isn't up.

    :raises CommandError: if the emulator is up on a port other than `port`
    """
    running = emulator.running(name)
    if running and port not in (0, running.port):
        raise CommandError(f"`{name}` is up on port {running.port}. Remove it first: make down")
    return running


def _back_office(name: str, progress: Progress, rows: int | None) -> str:
    """Return the URL of the run's back office. Start the back office first if it isn't up."""
    office = back_office.running(name) or back_office.start(name, rows=rows)
    progress.say(f"The back office, Datasette, is up at {office.url} (log: {back_office.log_file(name)}).")
    return office.url


def _stores(name: str, progress: Progress) -> stores.Stores:
    """Return the cache and the database of each Region. Start them first if they aren't up."""
    servers = stores.load(name)
    if servers and servers.alive:
        servers.revive()
    else:
        servers = stores.start(name)
    progress.say(f"{servers.describe()}.")
    return servers


def _migrate(applied: stack.Stack, progress: Progress) -> None:
    """Make the tables of the database in each Region with `feed`, as `ops/readplane relational migrate` does."""
    regions = [region for region in (applied.outputs.region, applied.outputs.replica_region) if region]
    steps = [len(session.feed(applied.outputs, region, {"command": "migrate"})["steps"]) for region in regions]
    progress.say(f"The database of each Region is migrated ({', '.join(map(str, steps))} statements).")


def _apply_to_fresh(
    name: str, port: int, zips: Zips, progress: Progress, rows: int | None, overrides: Mapping[str, Any]
) -> stack.Stack:
    """Start a new emulator, a new back office and new stores, and apply terraform/.

    If the apply fails, stop all of them, because a partial stack is of no use.
    """
    stack.forget_state(name)
    stores.stop(name)
    back_office.stop(name)
    back_office.forget(name)
    started = emulator.start(name, port)
    progress.say(f"The emulator is up at {started.endpoint}, IAM enforced (log: {emulator.log_file(name)}).")
    try:
        session.use(started.endpoint)
        session.make_managed_keys(stack.regions())
        office = _back_office(name, progress, rows)
        return stack.apply(name, started.endpoint, zips, progress, office, _stores(name, progress), overrides)
    except BaseException:
        emulator.stop(name)
        back_office.stop(name)
        stores.stop(name)
        raise


def main(arguments: list[str] | None = None) -> int:
    """Bring a stack up with the options of the command line, and print the API's URL."""
    parser = argparse.ArgumentParser(prog="python -m ops.local.up", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--name", default="demo", help="the run's name; its files are in .local/<name>/")
    parser.add_argument("--port", type=int, default=4566, help="the emulator's port, 0 for free ones (default: 4566)")
    options = parser.parse_args(arguments)
    applied = up(options.name, options.port, Progress())
    print(applied.outputs.api_url)
    return 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
