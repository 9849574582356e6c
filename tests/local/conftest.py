"""Fixtures that apply one stack to an AWS emulator for the whole test run, and remove both at the end.

The tests start the emulator on a free port.

To run tests repeatedly, run pytest with READPLANE_STACK=.local/test KEEP=1. Then the stack stays up after the run, and
the next run uses the stack as it is. After a change of code or Terraform, update the stack with
python -m ops.local.up --name test --port 0. Remove the stack with python -m ops.local.down --name test.

With READPLANE_CLIENT=boto3 the functions that serve clients call AWS with boto3 instead of the slim client. Such a run
leaves the early tests out (early.py).
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ops.console import CommandError, Progress
from ops.local import back_office, emulator, session, stores
from ops.local.stack import Stack, aws_client, destroy, forget_state, load
from ops.local.up import up
from tests.local.early import EARLY, EarlyTests, is_early, is_left_out
from tests.local.edge_world import Deployed, deployed_edge
from tests.local.support import Local, WantedStack
from tests.local.terraform_runs import Terraform

ROWS = 300
"""How many rows (subdivisions of countries) the test's back office has. ISO 3166 lists 5,000, and publishing a document
for each would take a minute."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that need no second run with boto3, and put the others into order.

    - Tests with the marker ``early`` come late, because their bodies run in a thread from the start of the run.
    - Tests with the marker ``quiet`` come after them, when that thread has ended, because they measure times.
    - The test with the marker ``runs_last`` checks the HTTP calls of all other tests.
    """
    left_out = [item for item in items if is_left_out(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    order = ("early", "quiet", "runs_last")
    items.sort(
        key=lambda item: max((order.index(name) + 1 for name in order if item.get_closest_marker(name)), default=0)
    )


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Take an early test's result from its thread, and call any other test as usual."""
    early = pyfuncitem.config.stash.get(EARLY, None)
    if early is None or not is_early(pyfuncitem):
        return None
    early.wait_for(pyfuncitem)
    return True


@pytest.fixture(scope="session")
def wanted() -> WantedStack:
    """Return which stack the tests need. A file that runs alone may replace this fixture."""
    return WantedStack("test")


@pytest.fixture(scope="session")
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, wanted: WantedStack
) -> Iterator[Local]:
    """Apply the stack, or use a running one, and sign its users in. Remove the stack at the end, unless KEEP is set."""
    reuse = os.environ.get("READPLANE_STACK")
    name = Path(reuse).name if reuse else wanted.name
    pid_file = emulator.folder(name) / "pytest.pid"
    pid_file.parent.mkdir(parents=True, exist_ok=True)
    if pid_file.exists() and _is_running(int(pid_file.read_text())):
        pytest.exit(
            f"Another run of the local tests (process {pid_file.read_text()}) uses .local/{name}.", returncode=1
        )
    pid_file.write_text(str(os.getpid()))
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        applied = _applied(name, wanted.variables, reuse=bool(reuse))
    outputs = applied.outputs
    local = Local(
        stack=applied,
        alice=session.sign_in(outputs, "alice@example.com"),
        bob=session.sign_in(outputs, "bob@example.com"),
        eve=session.sign_in(outputs, "eve@example.com", ["editors"]),
        terraform=Terraform(applied),
    )
    early = EarlyTests(request.session.items, local, tmp_path_factory.mktemp)
    request.config.stash[EARLY] = early
    yield local
    early.stop()
    pid_file.unlink()
    if not os.environ.get("KEEP"):
        if not emulator.stop(name):  # keeps the logs in .local/test until the next run
            # The tests didn't start this emulator, so they don't stop it. Remove the stack's resources from it instead.
            destroy(applied)
        back_office.stop(name)
        stores.stop(name)
        forget_state(name)


@pytest.fixture(scope="session")
def deployed(stack: Local) -> Iterator[Deployed]:
    """Return the applied edge, whose functions run in processes of their own until the end."""
    edge, functions = deployed_edge(stack)
    yield edge
    functions.stop()


def _applied(name: str, variables: Mapping[str, Any], *, reuse: bool) -> Stack:
    progress = Progress()
    print(flush=True)
    if reuse and (running := load(name)) and running.aws_client == aws_client():
        session.use(running.endpoint)
        progress.say(f"Using the stack in {running.home} as it is.")
        return running
    if not reuse:
        emulator.stop(name)  # a test run that was killed may have left its emulator running
    try:
        return up(name, 0, progress, ROWS, variables)
    except CommandError as failure:
        pytest.exit(str(failure), returncode=1)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
