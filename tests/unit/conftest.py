"""Unit tests know no AWS account: the caller's credentials and endpoint are out of reach."""

import os
from collections.abc import Iterator

import pytest

from tests.fakes.moto_aws import REGION, Aws


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
    """An empty AWS that every client of the test reaches."""
    _server.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL", _server.url)
    for key in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(key, REGION)
    return _server


@pytest.fixture(params=["slim", "boto3"])
def either_client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs the test with each of the clients that the hot path may have."""
    kind: str = request.param
    monkeypatch.setenv("READPLANE_CLIENT", kind)
    return kind
