"""Bring the whole stack up locally: build, start emulator and back office, apply. A second run applies what changed.

With AWS_ENDPOINT_URL set, the emulator that answers there (LocalStack) is used and none is started. With
READPLANE_CLIENT=boto3 the functions of the hot path call it with boto3 instead of the slim client.
"""

from __future__ import annotations

import argparse
import os
import sys

from ops.build.zips import TARGETS, Zips, build
from ops.console import CommandError, Progress, failures
from ops.local import back_office, emulator, session, stack
from ops.terraform import terraform


def up(name: str, port: int, progress: Progress, rows: int | None = None) -> stack.Stack:
    """Build, start and apply; what is up already stays up. `rows` limits a new back office's subdivisions."""
    terraform()  # says at once when it is missing
    client = stack.aws_client()  # says at once when there is no such client
    external = os.environ.get("AWS_ENDPOINT_URL")
    if external:
        stack.environment(external)  # refuses AWS before anything is sent
    zips, made = build(TARGETS["local"])
    progress.say(f"The zips are {'built' if made else 'up to date'}: {', '.join(path.name for path in zips)}.")
    if external:
        applied = _on(external.rstrip("/"), name, zips, progress, rows)
    elif kept := _kept(name, port):
        progress.say(f"The emulator is up already at {kept.endpoint}.")
        session.use(kept.endpoint)
        applied = stack.apply(name, kept.endpoint, zips, progress, _back_office(name, progress, rows))
    else:
        try:
            applied = _fresh(name, port, zips, progress, rows)
        except stack.Conflict as conflict:
            # Seen on a busy machine. A second apply can't mend it: the resource exists, but not in the state.
            progress.say(
                f"{conflict}\nThe emulator says a resource exists that this run hasn't made: starting over once."
            )
            applied = _fresh(name, port, zips, progress, rows)
    progress.say(f"The stack is up; what is on a client's path calls AWS with {client}.")
    return applied


def _on(endpoint: str, name: str, zips: Zips, progress: Progress, rows: int | None) -> stack.Stack:
    """Apply to somebody else's emulator. From within a container it doesn't reach this machine's back office."""
    if not emulator.healthy(endpoint):
        raise CommandError(f"No emulator answers at AWS_ENDPOINT_URL={endpoint}. Start it, or unset the variable.")
    progress.say(f"Using the emulator at {endpoint}.")
    session.use(endpoint)
    return stack.apply(name, endpoint, zips, progress, _back_office(name, progress, rows))


def _kept(name: str, port: int) -> emulator.Emulator | None:
    """The emulator of an earlier run."""
    kept = emulator.running(name)
    if kept and port not in (0, kept.port):
        raise CommandError(f"`{name}` is up on port {kept.port}. Remove it first: make down")
    return kept


def _back_office(name: str, progress: Progress, rows: int | None) -> str:
    """The URL of the run's back office, started unless it is up."""
    office = back_office.running(name) or back_office.start(name, rows=rows)
    progress.say(f"The back office, Datasette, is up at {office.url} (log: {back_office.log_file(name)}).")
    return office.url


def _fresh(name: str, port: int, zips: Zips, progress: Progress, rows: int | None) -> stack.Stack:
    """Start an emulator and apply to it; when that fails it is stopped: half a stack is of no use to the next run."""
    stack.forget_state(name)
    back_office.stop(name)
    back_office.forget(name)
    started = emulator.start(name, port)
    progress.say(f"The emulator is up at {started.endpoint}, IAM enforced (log: {emulator.log_file(name)}).")
    try:
        session.use(started.endpoint)
        session.make_managed_keys(stack.regions())
        return stack.apply(name, started.endpoint, zips, progress, _back_office(name, progress, rows))
    except BaseException:
        emulator.stop(name)
        back_office.stop(name)
        raise


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and bring the stack up."""
    parser = argparse.ArgumentParser(prog="python -m ops.local.up", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--name", default="demo", help="the run's name, its files are in .local/<name>/")
    parser.add_argument("--port", type=int, default=4566, help="the emulator's port, 0 for a free one (default: 4566)")
    options = parser.parse_args(arguments)
    applied = up(options.name, options.port, Progress())
    print(applied.outputs.api_url)
    return 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
