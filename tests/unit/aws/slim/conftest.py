"""Fixtures for the tests of the slim client: a test server, and backoffs that don't sleep."""

import ssl
from collections.abc import Iterator

import pytest

from readplane.aws.slim import client as slim_client
from readplane.aws.slim import tls
from tests.unit.aws.slim.server import Server, Step
from tests.unit.aws.slim.support import StartServer


@pytest.fixture(autouse=True)
def backoffs(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the maximum of each backoff instead of sleeping, and return the list of these maximums.

    Also reset the clock skew and the TLS contexts, because all slim clients of the process share them.
    """
    recorded: list[float] = []
    monkeypatch.setattr(slim_client, "back_off", recorded.append)
    monkeypatch.setattr(slim_client.clock_skew, "seconds", 0.0)
    monkeypatch.setattr(tls, "_contexts", {})
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    return recorded


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[StartServer]:
    """Return a function that starts a test server, and makes it the endpoint of all AWS clients in the test."""
    servers = []

    def start(*steps: Step, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Server:
        server = Server(steps, tls=tls, host=host)
        servers.append(server)
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        return server

    yield start
    for server in servers:
        server.stop()
