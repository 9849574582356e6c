"""Fixtures that keep the unit tests away from the developer's AWS account, and a hook that marks the slow tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.moto_aws import REGION, Aws

UNIT = Path(__file__).parent
SLOW = (
    "benchmarks/",
    "ops/build/",
    "ops/cost/test_stacks.py",
    "ops/local/test_back_office.py",
    "ops/test_tools.py",
    "poll/upstream/test_deadline.py",
    "terraform/test_refusals.py",
    "terraform/test_whole_numbers.py",
)
"""The paths of the tests that start processes, build zips or wait for seconds. `make test-fast` runs neither these
tests nor the property tests."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the slow tests the marker ``slow``, before pytest selects tests by their markers."""
    for item in items:
        if item.path.is_relative_to(UNIT) and item.path.relative_to(UNIT).as_posix().startswith(SLOW):
            item.add_marker("slow")


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
