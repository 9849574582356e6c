"""Bring the whole stack up locally: build, start the emulator, apply. A second run applies what changed.

With AWS_ENDPOINT_URL set, the emulator that answers there (LocalStack) is used and none is started.
"""

from __future__ import annotations

import argparse
import os
import sys

from ops.build import TARGETS, build
from ops.console import Failure, Progress, failures
from ops.local import emulator, session, stack
from ops.terraform import terraform


def up(name: str, port: int, progress: Progress) -> stack.Stack:
    """Build, start and apply; what is up already stays up."""
    terraform()  # says at once when it is missing
    external = os.environ.get("AWS_ENDPOINT_URL")
    if external:
        stack.environment(external)  # refuses AWS before anything is sent
    *zips, made = build(TARGETS["local"])
    progress.say(f"The zips are {'built' if made else 'up to date'}: {', '.join(path.name for path in zips)}.")
    endpoint = external.rstrip("/") if external else _start(name, port, progress)
    if not emulator.healthy(endpoint):
        raise Failure(f"No emulator answers at AWS_ENDPOINT_URL={endpoint}. Start it, or unset the variable.")
    session.use(endpoint)
    if external:
        progress.say(f"Using the emulator at {endpoint}.")
    else:
        session.make_managed_keys(stack.regions())
    applied = stack.apply(name, endpoint, (zips[0], zips[1]), progress)
    progress.say("The stack is up.")
    return applied


def _start(name: str, port: int, progress: Progress) -> str:
    up_already = emulator.running(name)
    if up_already and port not in (0, up_already.port):
        raise Failure(f"`{name}` is up on port {up_already.port}. Remove it first: make down")
    if up_already:
        progress.say(f"The emulator is up already at {up_already.endpoint}.")
        return up_already.endpoint
    stack.forget_state(name)
    started = emulator.start(name, port)
    progress.say(f"The emulator is up at {started.endpoint}, IAM enforced (log: {emulator.log_file(name)}).")
    return started.endpoint


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
