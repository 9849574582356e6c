"""The slim client's credentials: from the environment, or from the endpoint that SnapStart gives instead."""

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
from readplane.aws.slim import client as slim
from readplane.aws.slim import credentials
from readplane.aws.slim.client import SlimClient
from readplane.aws.slim.credentials import REFRESH_SECONDS, RETRY_SECONDS, URI, ContainerCredentials, Credentials
from tests.unit.aws.slim.server import Received, Server, Step, answer, close, hang, refusal

Serve = Callable[..., Server]
NOW = 1_800_000_000.0
ENDS = NOW + 6 * 3600


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
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start the endpoint that the environment names."""
    servers = []

    def start(*steps: Step) -> Server:
        server = Server(steps)
        servers.append(server)
        monkeypatch.setenv(URI, f"{server.url}/2021-04-23/credentials?of=1")
        return server

    yield start
    for server in servers:
        server.stop()


def keys(name: str, ends_at: float = ENDS, **others: Any) -> Step:
    moment = datetime.fromtimestamp(ends_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    told = {"AccessKeyId": name, "SecretAccessKey": "s", "Token": "t", "Expiration": moment, **others}
    return answer(json.dumps(told).encode())


def test_the_environments_are_read_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert credentials.current() == Credentials("test", "test", None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    assert credentials.current() == Credentials("other", "test", "token")


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_of_them_is_none(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.delenv(missing)
    with pytest.raises(UnansweredError, match="NoCredentialsError"):
        credentials.current()


def test_the_endpoint_goes_before_the_environment(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_container", ContainerCredentials(lambda: NOW))
    server = serve(keys("fetched"))
    assert not server.connections  # not before they are needed: a snapshot must not hold them
    assert credentials.current() == Credentials("fetched", "s", "t")
    (request,) = server.requests
    assert (request.method, request.path) == ("GET", "/2021-04-23/credentials?of=1")
    assert "authorization" not in request.headers


def test_the_authorization_token_is_sent(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, container: ContainerCredentials, clock: Clock, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc")
    server = serve(keys("one"), keys("two", ENDS + 3600), keys("three", ENDS + 7200))
    container.current()
    # A file goes first, and is read at each fetch: it is replaced from time to time.
    file = tmp_path / "token"
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(file))
    for text, ends_at in (("first", ENDS), ("second", ENDS + 3600)):
        file.write_text(text)
        clock.now = ends_at - 1
        container.current()
    assert [request.headers["authorization"] for request in server.requests] == ["Basic abc", "first", "second"]


@pytest.mark.parametrize("token", ["a\nb", "a\r\nx: y"])
def test_a_token_that_is_no_header_is_not_sent(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, container: ContainerCredentials, token: str
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", token)
    server = serve(keys("one"))
    with pytest.raises(UnansweredError, match="CredentialRetrievalError"):
        container.current()
    assert not server.connections


def test_they_are_fetched_anew_in_time(serve: Serve, container: ContainerCredentials, clock: Clock) -> None:
    server = serve(keys("one"), keys("two", ENDS + 3600))
    assert container.current().access_key == "one"
    clock.now = ENDS - REFRESH_SECONDS - 1
    assert container.current().access_key == "one"
    assert len(server.requests) == 1
    clock.now = ENDS - REFRESH_SECONDS
    assert container.current().access_key == "two"
    assert container.current().access_key == "two"
    assert len(server.requests) == 2


@pytest.mark.parametrize("failure", [answer(b"", 500), keys("two", NOW), close])
def test_a_fetch_that_fails_keeps_the_old_ones_until_they_end(
    serve: Serve, container: ContainerCredentials, clock: Clock, failure: Step
) -> None:
    server = serve(keys("one"), failure)
    container.current()
    clock.now = ENDS - REFRESH_SECONDS
    for _ in range(5):
        assert container.current().access_key == "one"
    assert len(server.requests) == 2  # not with every call
    clock.now += RETRY_SECONDS
    assert container.current().access_key == "one"
    assert len(server.requests) == 3
    clock.now = ENDS
    for _ in range(2):
        with pytest.raises(UnansweredError, match="CredentialRetrievalError") as unanswered:
            container.current()
        assert not unanswered.value.sent
    assert len(server.requests) == 5


def test_short_lived_ones_are_not_fetched_with_every_call(
    serve: Serve, container: ContainerCredentials, clock: Clock
) -> None:
    server = serve(keys("one", NOW + 300), keys("two", NOW + 600))
    assert [container.current().access_key for _ in range(3)] == ["one"] * 3
    clock.now += RETRY_SECONDS
    assert [container.current().access_key for _ in range(3)] == ["two"] * 3
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "step",
    [
        answer(b"", 404),
        answer(b"<html>"),
        answer(b"[]"),
        answer(b"{}"),
        keys("one", Expiration="soon"),
        keys("one", Expiration=None),
        keys("one", NOW),  # has ended
        close,
    ],
)
def test_what_is_not_whole_is_not_used(serve: Serve, container: ContainerCredentials, step: Step) -> None:
    serve(step, keys("two"))
    with pytest.raises(UnansweredError, match="CredentialRetrievalError") as unanswered:
        container.current()
    assert not unanswered.value.sent
    assert container.current().access_key == "two"


def test_many_threads_fetch_once(serve: Serve, container: ContainerCredentials) -> None:
    server = serve(keys("one"))
    with ThreadPoolExecutor(8) as workers:
        found = list(workers.map(lambda _: container.current().access_key, range(64)))
    assert set(found) == {"one"}
    assert len(server.requests) == 1


def test_threads_that_waited_for_a_fetch_that_failed_have_failed_too(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, container: ContainerCredentials
) -> None:
    monkeypatch.setattr(credentials, "_TIMEOUT", 0.5)
    server = serve(hang)
    together = threading.Barrier(8)

    def fails() -> bool:
        together.wait()
        with pytest.raises(UnansweredError, match="CredentialRetrievalError") as unanswered:
            container.current()
        return not unanswered.value.sent

    with ThreadPoolExecutor(8) as workers:
        assert list(workers.map(lambda _: fails(), range(8))) == [True] * 8
    assert len(server.requests) == 1
    with pytest.raises(UnansweredError, match="CredentialRetrievalError"):
        container.current()
    assert len(server.requests) == 2  # whoever comes later tries anew


def test_nobody_waits_for_a_fetch_while_the_old_ones_are_good(
    serve: Serve, container: ContainerCredentials, clock: Clock
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(connection: Any, request: Received) -> bool:
        entered.set()
        leave.wait(5)
        return keys("two", ENDS + 3600)(connection, request)

    serve(keys("one"), slow)
    container.current()
    clock.now = ENDS - 1
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
def test_a_token_travels_in_the_clear_only_where_botocore_lets_it(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    dialled = []

    class Dialled(Exception):
        pass

    class Pool:
        def __init__(self, host: str, *_: Any, **__: Any) -> None:
            dialled.append(host)
            raise Dialled

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
        with pytest.raises(Dialled):
            ContainerCredentials().current()


def test_a_url_that_is_none_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URI, "localhost/credentials")
    with pytest.raises(UnansweredError, match="CredentialRetrievalError"):
        ContainerCredentials().current()


# --- with the client


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[SlimClient, Server]]]:
    servers = []

    def start(*steps: Step, attempts: int = 3) -> tuple[SlimClient, Server]:
        server = Server(steps)
        servers.append(server)
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        return SlimClient("dynamodb", attempts=attempts), server

    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setattr(slim, "pause", lambda _: None)
    monkeypatch.setattr(credentials, "_container", ContainerCredentials())
    yield start
    for server in servers:
        server.stop()


@pytest.mark.parametrize("attempts", [1, 3])
def test_expired_ones_are_fetched_anew_and_the_call_made_again(
    serve: Serve, dynamodb: Callable[..., tuple[SlimClient, Server]], attempts: int
) -> None:
    ends_at = time.time() + 3600
    endpoint = serve(keys("one", ends_at), keys("two", ends_at))
    client, server = dynamodb(refusal("ExpiredTokenException"), answer(b"{}"), attempts=attempts)
    assert client.call("GetItem") == {}
    assert [request.headers["authorization"].split("=")[1][:3] for request in server.requests] == ["one", "two"]
    assert len(endpoint.requests) == 2


def test_expired_ones_of_the_environment_are_refused(dynamodb: Callable[..., tuple[SlimClient, Server]]) -> None:
    client, server = dynamodb(refusal("ExpiredTokenException"))
    with pytest.raises(RefusedError, match="ExpiredTokenException"):
        client.call("GetItem")
    assert len(server.requests) == 1


def test_an_endpoint_that_does_not_answer_has_sent_nothing(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, dynamodb: Callable[..., tuple[SlimClient, Server]]
) -> None:
    monkeypatch.setattr(credentials, "_TIMEOUT", 0.1)
    endpoint = serve(hang)
    client, server = dynamodb(answer(b"{}"), attempts=2)
    with pytest.raises(UnansweredError, match="CredentialRetrievalError") as unanswered:
        client.call("GetItem")
    assert not unanswered.value.sent
    assert len(endpoint.requests) == 2
    assert not server.connections
