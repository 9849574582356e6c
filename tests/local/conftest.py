"""Fixtures that apply one stack to an AWS emulator for the whole test run, and remove both at the end.

The tests start the emulator on a free port.

To run tests repeatedly, run pytest with READPLANE_STACK=.local/test KEEP=1. Then the stack stays up after the run, and
the next run uses the stack as it is. After a change of code or Terraform, update the stack with
python -m ops.local.up --name test --port 0. Remove the stack with python -m ops.local.down --name test.

With READPLANE_CLIENT=boto3 the functions that serve clients call AWS with boto3 instead of the slim client.
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
"""How many rows (subdivisions of countries) the test's back office has. ISO 3166 lists 5,000, and publishing a document
for each would take a minute."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the test with the marker ``runs_last`` to the end, because it checks the HTTP calls of all other tests."""
    items.sort(key=lambda item: item.get_closest_marker("runs_last") is not None)


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Local]:
    """Apply the stack, or use a running one, and sign its users in. Remove the stack at the end, unless KEEP is set."""
    reuse = os.environ.get("READPLANE_STACK")
    name = Path(reuse).name if reuse else "test"
    pid_file = emulator.folder(name) / "pytest.pid"
    pid_file.parent.mkdir(parents=True, exist_ok=True)
    if pid_file.exists() and _is_running(int(pid_file.read_text())):
        pytest.exit(
            f"Another run of the local tests (process {pid_file.read_text()}) uses .local/{name}.", returncode=1
        )
    pid_file.write_text(str(os.getpid()))
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
    pid_file.unlink()
    if not os.environ.get("KEEP"):
        if not emulator.stop(name):  # keeps the logs in .local/test until the next run
            # The tests didn't start this emulator, so they don't stop it. Remove the stack's resources from it instead.
            destroy(applied)
        back_office.stop(name)
        forget_state(name)


def _applied(name: str, *, reuse: bool) -> Stack:
    progress = Progress()
    print(flush=True)
    if reuse and (running := load(name)) and running.aws_client == aws_client():
        session.use(running.endpoint)
        progress.say(f"Using the stack in {running.home} as it is.")
        return running
    if not reuse:
        emulator.stop(name)  # a test run that was killed may have left its emulator running
    try:
        return up(name, 0, progress, ROWS)
    except CommandError as failure:
        pytest.exit(str(failure), returncode=1)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
