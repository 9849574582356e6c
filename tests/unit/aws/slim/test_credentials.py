"""Tests of the slim client's credentials.

The client takes the credentials from the environment. In a function with SnapStart, it gets them from Lambda's local
credentials endpoint instead.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.utils import ContainerMetadataFetcher

from readplane.aws.faults import RefusedError, UnansweredError
from readplane.aws.slim import credentials
from readplane.aws.slim.client import SlimClient
from readplane.aws.slim.credentials import REFRESH_SECONDS, RETRY_SECONDS, URI, ContainerCredentials, Credentials
from tests.unit.aws.slim.server import Received, Server, Step, close, error_response, hang, response
from tests.unit.aws.slim.support import StartServer

NOW = 1_800_000_000.0
EXPIRES_AT = NOW + 6 * 3600


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def container(clock: Clock) -> ContainerCredentials:
    return ContainerCredentials(clock)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[StartServer]:
    """Return a function that starts a credentials endpoint and sets an environment variable to the endpoint's URL."""
    servers = []

    def start(*steps: Step) -> Server:
        server = Server(steps)
        servers.append(server)
        monkeypatch.setenv(URI, f"{server.url}/2021-04-23/credentials?of=1")
        return server

    yield start
    for server in servers:
        server.stop()


def keys(name: str, expires_at: float = EXPIRES_AT, **others: Any) -> Step:
    """Return a step that makes the test server respond with credentials. Their access key id is ``name``."""
    moment = datetime.fromtimestamp(expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    role = {"AccessKeyId": name, "SecretAccessKey": "s", "Token": "t", "Expiration": moment, **others}
    return response(json.dumps(role).encode())


def test_the_environment_is_read_again_for_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    assert credentials.current() == Credentials("test", "test", None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    assert credentials.current() == Credentials("other", "test", "token")


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_of_the_keys_in_the_environment_count_as_none(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.delenv(missing)
    with pytest.raises(UnansweredError, match="NoCredentialsError"):
        credentials.current()


def test_the_endpoint_goes_before_the_environment_and_is_called_only_when_needed(
    serve: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "_container", ContainerCredentials(lambda: NOW))
    server = serve(keys("fetched"))
    assert not server.connections  # no fetch before the first use, because a SnapStart snapshot must hold none
    assert credentials.current() == Credentials("fetched", "s", "t")
    (request,) = server.requests
    assert (request.method, request.path) == ("GET", "/2021-04-23/credentials?of=1")
    assert "authorization" not in request.headers


def test_the_authorization_token_comes_from_the_environment_or_from_a_file(
    serve: StartServer, monkeypatch: pytest.MonkeyPatch, container: ContainerCredentials, clock: Clock, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc")
    server = serve(keys("one"), keys("two", EXPIRES_AT + 3600), keys("three", EXPIRES_AT + 7200))
    container.current()
    # The token in the file takes precedence over the token in the environment. Each fetch of credentials reads the file
    # again, because the platform replaces the file from time to time.
    file = tmp_path / "token"
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(file))
    for text, expires_at in (("first", EXPIRES_AT), ("second", EXPIRES_AT + 3600)):
        file.write_text(text)
        clock.now = expires_at - 1
        container.current()
    assert [request.headers["authorization"] for request in server.requests] == ["Basic abc", "first", "second"]


@pytest.mark.parametrize("token", ["a\nb", "a\r\nx: y"])
def test_a_token_with_a_line_break_is_not_sent(
    serve: StartServer, monkeypatch: pytest.MonkeyPatch, container: ContainerCredentials, token: str
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", token)
    server = serve(keys("one"))
    with pytest.raises(UnansweredError, match="CredentialRetrievalError"):
        container.current()
    assert not server.connections


def test_new_credentials_are_fetched_before_the_current_ones_expire(
    serve: StartServer, container: ContainerCredentials, clock: Clock
) -> None:
    server = serve(keys("one"), keys("two", EXPIRES_AT + 3600))
    assert container.current().access_key == "one"
    clock.now = EXPIRES_AT - REFRESH_SECONDS - 1
    assert container.current().access_key == "one"
    assert len(server.requests) == 1
    clock.now = EXPIRES_AT - REFRESH_SECONDS
    assert container.current().access_key == "two"
    assert container.current().access_key == "two"
    assert len(server.requests) == 2


@pytest.mark.parametrize("failure", [response(b"", 500), keys("two", NOW), close])
def test_after_a_failed_fetch_the_current_credentials_serve_until_they_expire(
    serve: StartServer, container: ContainerCredentials, clock: Clock, failure: Step
) -> None:
    server = serve(keys("one"), failure)
    container.current()
    clock.now = EXPIRES_AT - REFRESH_SECONDS
    for _ in range(5):
        assert container.current().access_key == "one"
    assert len(server.requests) == 2  # only the first of the five calls tries to fetch credentials
    clock.now += RETRY_SECONDS
    assert container.current().access_key == "one"
    assert len(server.requests) == 3
    clock.now = EXPIRES_AT
    for _ in range(2):
        with pytest.raises(UnansweredError, match="CredentialRetrievalError") as unanswered:
            container.current()
        assert not unanswered.value.sent
    assert len(server.requests) == 5


def test_short_lived_credentials_are_fetched_once_a_minute_not_with_every_call(
    serve: StartServer, container: ContainerCredentials, clock: Clock
) -> None:
    server = serve(keys("one", NOW + 300), keys("two", NOW + 600))
    assert [container.current().access_key for _ in range(3)] == ["one"] * 3
    clock.now += RETRY_SECONDS
    assert [container.current().access_key for _ in range(3)] == ["two"] * 3
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "step",
    [
        response(b"", 404),
        response(b"<html>"),
        response(b"[]"),
        response(b"{}"),
        keys("one", Expiration="soon"),
        keys("one", Expiration=None),
        keys("one", NOW),  # these credentials have already expired
        close,
    ],
)
def test_incomplete_or_expired_credentials_are_not_used(
    serve: StartServer, container: ContainerCredentials, step: Step
) -> None:
    serve(step, keys("two"))
    with pytest.raises(UnansweredError, match="CredentialRetrievalError") as unanswered:
        container.current()
    assert not unanswered.value.sent
    assert container.current().access_key == "two"


def test_many_threads_share_one_fetch(serve: StartServer, container: ContainerCredentials) -> None:
    server = serve(keys("one"))
    with ThreadPoolExecutor(8) as workers:
        names = list(workers.map(lambda _: container.current().access_key, range(64)))
    assert set(names) == {"one"}
    assert len(server.requests) == 1


def test_threads_that_waited_for_a_failed_fetch_fail_without_another(
    serve: StartServer, monkeypatch: pytest.MonkeyPatch, container: ContainerCredentials
) -> None:
    monkeypatch.setattr(credentials, "_TIMEOUT_SECONDS", 0.5)
    server = serve(hang)
    together = threading.Barrier(8)

    def fail_to_get() -> bool:
        together.wait()
        with pytest.raises(UnansweredError, match="CredentialRetrievalError") as unanswered:
            container.current()
        return not unanswered.value.sent

    with ThreadPoolExecutor(8) as workers:
        assert list(workers.map(lambda _: fail_to_get(), range(8))) == [True] * 8
    assert len(server.requests) == 1
    with pytest.raises(UnansweredError, match="CredentialRetrievalError"):
        container.current()
    assert len(server.requests) == 2  # a call after the failed fetch starts another fetch


def test_no_thread_waits_for_a_fetch_while_the_current_credentials_are_valid(
    serve: StartServer, container: ContainerCredentials, clock: Clock
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def respond_late(connection: Any, request: Received) -> bool:
        entered.set()
        leave.wait(5)
        return keys("two", EXPIRES_AT + 3600)(connection, request)

    serve(keys("one"), respond_late)
    container.current()
    clock.now = EXPIRES_AT - 1
    with ThreadPoolExecutor(1) as worker:
        fetching = worker.submit(container.current)
        assert entered.wait(5)
        assert container.current().access_key == "one"
        leave.set()
        assert fetching.result().access_key == "two"
    assert container.current().access_key == "two"


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/x",
        "http://127.0.0.1:9001/2021-04-23/credentials",
        "http://127.1.2.3/x",
        "http://[::1]:80/x",
        "http://169.254.170.2/v2/x",
        "http://169.254.170.23/v1/credentials",
        "http://[fd00:ec2::23]/v1/credentials",
        "https://elsewhere.example/x",
        "http://elsewhere.example/x",
        "http://127.0.0.1.example/x",
        "http://127.elsewhere.example/x",
        "http://169.254.170.24/x",
        "http://169.254.169.254/x",
        "http://10.0.0.1/x",
        "http://[fd00:ec2::24]/x",
    ],
)
def test_a_token_is_sent_without_tls_only_to_the_hosts_that_botocore_allows(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    dialled = []

    class DialledError(Exception):
        pass

    class Pool:
        def __init__(self, host: str, *_: Any, **__: Any) -> None:
            dialled.append(host)
            raise DialledError

    monkeypatch.setattr(credentials, "ConnectionPool", Pool)
    monkeypatch.setenv(URI, url)
    fetcher: Any = ContainerMetadataFetcher()
    try:
        fetcher._validate_allowed_url(url)
    except ValueError:
        with pytest.raises(UnansweredError, match="CredentialRetrievalError"):
            ContainerCredentials().current()
        assert not dialled
    else:
        with pytest.raises(DialledError):
            ContainerCredentials().current()


def test_a_malformed_endpoint_url_raises_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URI, "localhost/credentials")
    with pytest.raises(UnansweredError, match="CredentialRetrievalError"):
        ContainerCredentials().current()


# --- credentials in a call to AWS


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[SlimClient, Server]]]:
    servers = []

    def start(*steps: Step, attempts: int = 3) -> tuple[SlimClient, Server]:
        server = Server(steps)
        servers.append(server)
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        return SlimClient("dynamodb", attempts=attempts), server

    monkeypatch.setattr(credentials, "_container", ContainerCredentials())
    yield start
    for server in servers:
        server.stop()


@pytest.mark.parametrize("attempts", [1, 3])
def test_credentials_that_aws_calls_expired_are_fetched_again_and_the_call_retried(
    serve: StartServer, dynamodb: Callable[..., tuple[SlimClient, Server]], attempts: int
) -> None:
    expires_at = time.time() + 3600
    endpoint = serve(keys("one", expires_at), keys("two", expires_at))
    client, server = dynamodb(error_response("ExpiredTokenException"), response(b"{}"), attempts=attempts)
    assert client.call("GetItem") == {}
    assert [request.headers["authorization"].split("=")[1][:3] for request in server.requests] == ["one", "two"]
    assert len(endpoint.requests) == 2


def test_expired_credentials_of_the_environment_raise_awss_error(
    dynamodb: Callable[..., tuple[SlimClient, Server]],
) -> None:
    client, server = dynamodb(error_response("ExpiredTokenException"))
    with pytest.raises(RefusedError, match="ExpiredTokenException"):
        client.call("GetItem")
    assert len(server.requests) == 1


def test_a_call_without_credentials_from_the_endpoint_has_sent_nothing(
    serve: StartServer, monkeypatch: pytest.MonkeyPatch, dynamodb: Callable[..., tuple[SlimClient, Server]]
) -> None:
    monkeypatch.setattr(credentials, "_TIMEOUT_SECONDS", 0.1)
    endpoint = serve(hang)
    client, server = dynamodb(response(b"{}"), attempts=2)
    with pytest.raises(UnansweredError, match="CredentialRetrievalError") as unanswered:
        client.call("GetItem")
    assert not unanswered.value.sent
    assert len(endpoint.requests) == 2
    assert not server.connections
