"""One stack for the whole run: built, applied to an emulator of its own on a free port, and removed.

To iterate, run pytest with READPLANE_STACK=.local/test KEEP=1: the stack stays up, and the next run uses it as it is.
After a change of code or Terraform: python -m ops.local.up --name test --port 0.
With READPLANE_CLIENT=boto3 the functions on a client's path call AWS with boto3 and not with the slim client.
To end: python -m ops.local.down --name test.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.console import CommandError, Progress
from ops.local import back_office, emulator, session
from ops.local.stack import Stack, aws_client, destroy, forget_state, load
from ops.local.up import up
from tests.local.support import Local

ROWS = 300
"""How many subdivisions the back office has: real ones, but not all 5,000, whose documents would take a minute."""


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Local]:
    """The applied stack with its users."""
    reuse = os.environ.get("READPLANE_STACK")
    name = Path(reuse).name if reuse else "test"
    owner = emulator.folder(name) / "pytest.pid"
    owner.parent.mkdir(parents=True, exist_ok=True)
    if owner.exists() and _alive(int(owner.read_text())):
        pytest.exit(f"Another run of the local tests (process {owner.read_text()}) has .local/{name}.", returncode=1)
    owner.write_text(str(os.getpid()))
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        applied = _applied(name, reuse=bool(reuse))
    outputs = applied.outputs
    yield Local(
        stack=applied,
        alice=session.sign_in(outputs, "alice@example.com"),
        bob=session.sign_in(outputs, "bob@example.com"),
        eve=session.sign_in(outputs, "eve@example.com", ["editors"]),
    )
    owner.unlink()
    if not os.environ.get("KEEP"):
        if not emulator.stop(name):  # the logs stay in .local/test until the next run
            destroy(applied)  # the emulator isn't ours, and goes on
        back_office.stop(name)
        forget_state(name)


def _applied(name: str, *, reuse: bool) -> Stack:
    progress = Progress()
    print(flush=True)
    if reuse and (kept := load(name)) and kept.aws_client == aws_client():
        session.use(kept.endpoint)
        progress.say(f"Using the stack in {kept.home} as it is.")
        return kept
    if not reuse:
        emulator.stop(name)  # left over from a run that was killed
    try:
        return up(name, 0, progress, ROWS)
    except CommandError as failure:
        pytest.exit(str(failure), returncode=1)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
