"""Fixtures that keep the unit tests away from the developer's AWS account, and hooks for the slow tests.

The hooks mark the slow tests, and let Terraform work in the background for the tests that need it.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.local.postgres import Postgres, start_postgres
from ops.local.valkey import Valkey, start_valkey
from tests.fakes.moto_aws import REGION, Aws
from tests.fakes.stores import empty_cache, empty_database
from tests.unit.planned import JOBS, Jobs, Message
from tests.unit.stacks import PlannedStacks

UNIT = Path(__file__).parent
LONG = (
    "ops/cost/test_stacks.py",
    "terraform/test_private_stores.py",
    "terraform/test_refusals.py",
    "terraform/test_upgrade.py",
)
"""The paths of the tests for which Terraform works for minutes. They judge the plans behind the cost tables, the tests
of Terraform, the way from older releases, and the private stores on the emulator, so `make test-plans` runs them
instead of `make test-unit`."""

SLOW = (
    "benchmarks/",
    "edge_auth/test_fuzz.py",
    "feed/test_fed_stores.py",
    "feed/test_handler.py",
    "ops/build/",
    "ops/local/test_back_office.py",
    "ops/local/test_edge_functions.py",
    "ops/local/test_edge_patches.py",
    "ops/local/test_servers.py",
    "ops/local/test_stores.py",
    "ops/test_tools.py",
    "poll/upstream/test_deadline.py",
    "query/test_injections.py",
    "query/test_lists_on_postgres.py",
    "query/test_readers.py",
    "stores/test_resp.py",
    "stores/test_resp_faults.py",
    "terraform/test_readme.py",
    "terraform/test_whole_numbers.py",
)
"""The paths of the tests that start processes, build zips or wait for seconds. `make test-fast` runs neither these
tests nor the property tests."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the slow tests the marker ``slow`` or ``long``, before pytest selects tests by their markers."""
    for item in items:
        if item.path.is_relative_to(UNIT):
            path = item.path.relative_to(UNIT).as_posix()
            for marker in [name for name, paths in (("slow", SLOW), ("long", LONG)) if path.startswith(paths)]:
                item.add_marker(marker)
    order = {name: number for number, name in enumerate(JOBS)}
    items.sort(key=lambda item: max((order[name] for name in _jobs_of(item)), default=-1))


JOBS_OF_SESSION = pytest.StashKey[Jobs]()


def _jobs_of(item: pytest.Item) -> list[str]:
    """Return the names of the background jobs whose results a test reads."""
    return [name for name in JOBS if name in getattr(item, "fixturenames", ())]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the background jobs that the selected tests need."""
    names = [name for name in JOBS if any(name in _jobs_of(item) for item in session.items)]
    if names and not session.config.option.collectonly:
        session.config.stash[JOBS_OF_SESSION] = Jobs(names)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the background jobs, because pytest may end before them."""
    jobs = session.config.stash.get(JOBS_OF_SESSION, None)
    if jobs:
        jobs.stop()


@pytest.fixture(scope="session")
def planned_stacks(pytestconfig: pytest.Config) -> PlannedStacks:
    """Return the plans of the stacks in tests/unit/stacks.py."""
    plans: PlannedStacks = pytestconfig.stash[JOBS_OF_SESSION].result("planned_stacks")
    return plans


@pytest.fixture(scope="session")
def planned_costs(pytestconfig: pytest.Config) -> dict[str, Any]:
    """Return what the stacks of ops/cost/stacks.json need, as Terraform plans it now."""
    costs: dict[str, Any] = pytestconfig.stash[JOBS_OF_SESSION].result("planned_costs")
    return costs


@pytest.fixture(scope="session")
def planned_upgrades(pytestconfig: pytest.Config) -> dict[str, Any]:
    """Return the changes that Terraform plans from each recorded state of an older release."""
    changes: dict[str, Any] = pytestconfig.stash[JOBS_OF_SESSION].result("planned_upgrades")
    return changes


@pytest.fixture(scope="session")
def tests_of_whole_numbers(pytestconfig: pytest.Config) -> list[Message]:
    """Return Terraform's messages about the test runs of terraform/test_whole_numbers.py."""
    messages: list[Message] = pytestconfig.stash[JOBS_OF_SESSION].result("tests_of_whole_numbers")
    return messages


@pytest.fixture(scope="session")
def tests_of_refusals(pytestconfig: pytest.Config) -> list[Message]:
    """Return Terraform's messages about the test runs of terraform/test_refusals.py."""
    messages: list[Message] = pytestconfig.stash[JOBS_OF_SESSION].result("tests_of_refusals")
    return messages


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in [key for key in os.environ if key.startswith("AWS_")]:
        monkeypatch.delenv(key)
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "test")
    for key in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(key, os.devnull)


@pytest.fixture(scope="session")
def _server() -> Iterator[Aws]:
    server = Aws()
    yield server
    server.close()


@pytest.fixture
def aws(_server: Aws, _no_account: None, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """Return an empty moto server, which simulates AWS. Every AWS client of the test calls it instead of AWS."""
    _server.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL", _server.url)
    for key in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(key, REGION)
    return _server


@pytest.fixture(params=["slim", "boto3"])
def either_client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test twice: once with our own slim AWS client and once with boto3.

    `read`, `write` and `apply` can use either of these clients.
    """
    kind: str = request.param
    monkeypatch.setenv("READPLANE_CLIENT", kind)
    return kind


@pytest.fixture(scope="session")
def _valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = start_valkey(tmp_path_factory.mktemp("valkey"))
    yield server
    server.stop()


@pytest.fixture
def valkey(_valkey: Valkey) -> Valkey:
    """Return a real, empty Valkey, which needs no password. The test may kill, restart or freeze it."""
    empty_cache(_valkey)
    return _valkey


@pytest.fixture(scope="session")
def _postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    servers = start_postgres(tmp_path_factory.mktemp("postgres"))
    yield servers
    servers.stop()


@pytest.fixture
def postgres(_postgres: Postgres) -> Postgres:
    """Return a real PostgreSQL with a reader, without Readplane's schema. The test may kill, start or freeze it."""
    empty_database(_postgres)
    return _postgres
