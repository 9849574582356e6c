"""Tests of access tokens: how they are requested, cached and renewed, and that no error shows them or a secret."""

import base64
import json
import math
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import pytest

from readplane.poll.errors import BackOfficeError
from readplane.poll.handler import _fetch_maker
from readplane.poll.source.settings import OAuth2Settings, StoredSecret
from readplane.poll.upstream.client import BackOfficeClient
from readplane.poll.upstream.oauth2 import AccessTokens
from readplane.poll.upstream.request import BackOfficeRequest
from readplane.poll.upstream.secret_values import AwsSecretValues
from readplane.telemetry import Telemetry
from tests.unit.poll.upstream.certificates import Authority, server_context
from tests.unit.poll.upstream.http_server import (
    ARN,
    HttpServer,
    SecretValuesInMemory,
    Serve,
    SkippingClock,
    client_of,
    fetch,
    raw,
    resets,
    says,
    stalls,
)
from tests.unit.poll.upstream.http_server import source as source_of

SECRET = "s3cret-of-the-client"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def authority() -> Iterator[HttpServer]:
    """An authorization server that issues the tokens ``token-1``, ``token-2`` and so on, for an hour each."""
    server = HttpServer()
    server.will(issues())
    yield server
    with suppress(OSError):
        server.close()


def issues(**members: Any) -> Serve:
    """Return a behaviour that issues a new token for each request.

    :param members: further members of the response, or other values of its members. ``None`` removes a member.
    """
    count = iter(range(1, 1000))

    def serve(connection: Any) -> None:
        response = {"access_token": f"token-{next(count)}", "token_type": "Bearer", "expires_in": 3600, **members}
        present = {name: value for name, value in response.items() if value is not None}
        says(200, json.dumps(present).encode())(connection)

    return serve


def refuses(code: str, status: int = 400) -> Serve:
    return says(status, json.dumps({"error": code, "error_description": f"{SECRET} is wrong"}).encode())


def oauth2(authority: HttpServer, **settings: Any) -> dict[str, Any]:
    return {
        "token_url": f"{authority.url}/token",
        "grant": "client_credentials",
        "client_id": "poll",
        "client_authentication": "basic",
        "parameters": {},
        "secret": {"arn": ARN},
        **settings,
    }


def form(authority: HttpServer, request: int = -1) -> dict[str, str]:
    return dict(parse_qsl(authority.bodies[request].decode(), strict_parsing=True))


def token_failure(client: BackOfficeClient, office: HttpServer, clock: SkippingClock, **more: Any) -> BackOfficeError:
    with pytest.raises(BackOfficeError) as caught:
        fetch(client, office, clock, **more)
    chain, error = "", caught.value
    cause: BaseException | None = error
    while cause:
        chain += f" {cause!r} {cause}"
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    assert SECRET not in chain and "token-" not in chain and "refresh-" not in chain
    assert error.status is None and "; " in error.detail
    return error


def test_a_token_is_requested_once_and_sent_with_each_request(
    office: HttpServer, authority: HttpServer, clock: SkippingClock
) -> None:
    settings = oauth2(authority, scope="read all", parameters={"audience": "https://office.example/ü"})
    client = client_of(office, clock, SecretValuesInMemory(f"{SECRET}\n"), oauth2=settings)
    for _ in range(3):
        response = fetch(client, office, clock)
        assert office.header("Authorization") == "Bearer token-1"
    assert authority.requests[0].startswith(b"POST /token HTTP/1.1\r\n")
    assert authority.header("Content-Type") == FORM and authority.header("Accept") == "application/json"
    assert authority.header("Authorization") == f"Basic {base64.b64encode(f'poll:{SECRET}'.encode()).decode()}"
    assert form(authority) == {
        "grant_type": "client_credentials",
        "scope": "read all",
        "audience": "https://office.example/ü",
    }
    assert len(authority.requests) == 1 and client.requests == 3
    assert response.secret_values == {"token-1"}
    client.close()


def test_id_and_secret_are_encoded_before_they_are_joined(
    office: HttpServer, authority: HttpServer, clock: SkippingClock
) -> None:
    settings = oauth2(authority, client_id="poll:1 é")
    fetch(client_of(office, clock, SecretValuesInMemory("a:b%c d"), oauth2=settings), office, clock)
    sent = base64.b64decode((authority.header("Authorization") or "").removeprefix("Basic ")).decode()
    assert sent == "poll%3A1+%C3%A9:a%3Ab%25c+d"


def test_id_and_secret_can_be_sent_in_the_body(office: HttpServer, authority: HttpServer, clock: SkippingClock) -> None:
    settings = oauth2(authority, client_authentication="body")
    fetch(client_of(office, clock, SecretValuesInMemory(SECRET), oauth2=settings), office, clock)
    expected = {"grant_type": "client_credentials", "client_id": "poll", "client_secret": SECRET}
    assert form(authority) == expected and authority.header("Authorization") is None


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (3600, 3540),
        ("3600", 3540),
        (100, 90),
        (None, 300),
        ("soon", 300),
        (True, 300),
        (0, 300),
        (-5, 300),
        ("inf", 300),
        (math.inf, 300),
    ],
)
def test_a_token_is_used_until_shortly_before_its_end(
    office: HttpServer, authority: HttpServer, clock: SkippingClock, expires_in: Any, seconds: float
) -> None:
    authority.will(issues(expires_in=expires_in))
    client = client_of(office, clock, SecretValuesInMemory(SECRET), oauth2=oauth2(authority))
    fetch(client, office, clock)
    clock.sleep(seconds - 5)
    fetch(client, office, clock)
    assert office.header("Authorization") == "Bearer token-1"
    clock.sleep(5.5)
    fetch(client, office, clock)
    assert office.header("Authorization") == "Bearer token-2" and len(authority.requests) == 2


def test_later_polls_use_the_token_of_the_same_settings(
    office: HttpServer, authority: HttpServer, clock: SkippingClock
) -> None:
    tokens, secrets = AccessTokens(), SecretValuesInMemory(SECRET)
    for scope in ("a", "a", "b"):
        settings = oauth2(authority, scope=scope)
        fetch(client_of(office, clock, secrets, tokens, oauth2=settings), office, clock)
    assert [form(authority, at)["scope"] for at in range(len(authority.requests))] == ["a", "b"]
    other = client_of(office, clock, secrets, tokens, name="other", oauth2=settings)
    fetch(other, office, clock)
    assert len(authority.requests) == 3, "another source has a token of its own"


def test_a_rejected_token_is_renewed_once(office: HttpServer, authority: HttpServer, clock: SkippingClock) -> None:
    office.will(says(401), says())
    client = client_of(office, clock, SecretValuesInMemory(SECRET), oauth2=oauth2(authority))
    assert fetch(client, office, clock).status == 200
    assert [office.header("Authorization", at) for at in (0, 1)] == ["Bearer token-1", "Bearer token-2"]
    office.will(says(401))
    with pytest.raises(BackOfficeError, match="the status is 401") as caught:
        fetch(client, office, clock)
    assert caught.value.status == 401 and len(office.requests) == 4 and len(authority.requests) == 3


def test_a_rejected_token_that_is_issued_again_is_not_sent_again(
    office: HttpServer, authority: HttpServer, clock: SkippingClock
) -> None:
    office.will(says(401))
    authority.will(issues(access_token="the-same"))
    client = client_of(office, clock, SecretValuesInMemory(SECRET), oauth2=oauth2(authority))
    with pytest.raises(BackOfficeError, match="401"):
        fetch(client, office, clock)
    assert len(office.requests) == 1 and len(authority.requests) == 2


@pytest.mark.parametrize(
    "refusal",
    [refuses("invalid_client", 401), refuses("invalid_client"), refuses("invalid_client", 200), says(401, b"")],
)
def test_a_refused_secret_is_read_again_once(
    office: HttpServer, authority: HttpServer, clock: SkippingClock, refusal: Serve
) -> None:
    authority.will(refusal, issues())
    secrets = SecretValuesInMemory("old", "new")
    client = client_of(office, clock, secrets, oauth2=oauth2(authority, client_authentication="body"))
    assert fetch(client, office, clock).status == 200
    assert [form(authority, at)["client_secret"] for at in (0, 1)] == ["old", "new"]
    assert secrets.refreshes == 1


@pytest.mark.parametrize(
    ("code", "advice", "reads"),
    [
        ("invalid_client", "check oauth2.client_id", 1),
        ("unauthorized_client", "allow this client", 1),
        ("invalid_scope", "check oauth2.scope", 0),
        ("invalid_request", "oauth2.parameters", 0),
        ("unsupported_grant_type", "set oauth2.grant", 0),
    ],
)
def test_an_error_names_the_code_and_what_to_do(
    office: HttpServer, authority: HttpServer, clock: SkippingClock, code: str, advice: str, reads: int
) -> None:
    authority.will(refuses(code))
    secrets = SecretValuesInMemory(SECRET)
    error = token_failure(client_of(office, clock, secrets, oauth2=oauth2(authority)), office, clock)
    assert (error.kind, error.retryable) == ("token", False) and code in error.detail and advice in error.detail
    assert (len(authority.requests), secrets.refreshes, office.requests) == (1, reads, [])


def test_an_error_quotes_no_unknown_code(office: HttpServer, authority: HttpServer, clock: SkippingClock) -> None:
    authority.will(refuses(SECRET, 403))
    error = token_failure(
        client_of(office, clock, SecretValuesInMemory(SECRET), oauth2=oauth2(authority)), office, clock
    )
    assert "the status 403; check the source's oauth2 settings" in error.detail


@pytest.mark.parametrize(
    "fault",
    [
        says(500),
        says(503, b""),
        says(429, b"{}"),
        resets,
        raw(b""),
        says(403, b"", Retry_After="1"),
        refuses("invalid_request", 429),
        refuses("invalid_client", 503),
    ],
)
def test_a_temporary_failure_of_the_authorization_server_is_retried(
    office: HttpServer, authority: HttpServer, clock: SkippingClock, fault: Serve
) -> None:
    client = client_of(office, clock, SecretValuesInMemory(SECRET), oauth2=oauth2(authority))
    authority.will(fault, issues())
    assert fetch(client, office, clock).status == 200 and len(clock.slept) == 1
    authority.will(fault)
    clock.sleep(3600)
    error = token_failure(client, office, clock)
    assert (error.kind, error.retryable) == ("token", True) and "authorization server" in error.detail


def test_an_authorization_server_that_is_gone_is_told_apart_from_the_back_office(
    office: HttpServer, authority: HttpServer, clock: SkippingClock
) -> None:
    authority.close()
    client = client_of(office, clock, SecretValuesInMemory(SECRET), oauth2=oauth2(authority), attempts=1)
    error = token_failure(client, office, clock)
    assert error.kind == "token" and "the host refuses connections on this port; check oauth2.token_url" in error.detail


def test_a_slow_authorization_server_times_out(office: HttpServer, authority: HttpServer, clock: SkippingClock) -> None:
    authority.will(stalls)
    settings = oauth2(authority)
    client = client_of(office, clock, SecretValuesInMemory(SECRET), oauth2=settings, attempts=1, timeout_seconds=0.3)
    error = token_failure(client, office, clock)
    assert (error.kind, error.retryable) == ("token", True) and "response within 0.3 s" in error.detail
    client = client_of(office, clock, SecretValuesInMemory(SECRET), oauth2=settings, timeout_seconds=30)
    error = token_failure(client, office, clock, deadline=clock.now() + 0.2)
    assert error.kind == "deadline" and office.requests == []


def test_a_redirect_of_the_token_request_is_not_followed(
    office: HttpServer, authority: HttpServer, clock: SkippingClock
) -> None:
    for status in (301, 302, 307, 308):
        authority.will(says(status, b"", Location=f"{office.url}/steal"))
        client = client_of(office, clock, SecretValuesInMemory(SECRET), oauth2=oauth2(authority))
        error = token_failure(client, office, clock)
        assert "set oauth2.token_url to the address" in error.detail and not error.retryable
    assert office.requests == []


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Sign in</html>",
        b"[]",
        b"{}",
        b'{"access_token": ""}',
        b'{"access_token": 5}',
        b'{"access_token": "token-a\\r\\nX-Admin: 1"}',
        b'{"access_token": "token-\\u00e4"}',
        b'{"access_token": "token-a", "token_type": "mac"}',
        b'{"access_token": "token-a", "token_type": null}',
        b"[" * 100_000,
        b" " * 300_000,
        b"",
    ],
)
def test_a_response_without_a_usable_token_is_an_error(
    office: HttpServer, authority: HttpServer, clock: SkippingClock, body: bytes
) -> None:
    authority.will(says(200, body))
    client = client_of(office, clock, SecretValuesInMemory(SECRET), oauth2=oauth2(authority))
    error = token_failure(client, office, clock)
    assert (error.kind, error.retryable, office.requests) == ("token", False, [])


def test_a_token_without_a_type_is_a_bearer_token(
    office: HttpServer, authority: HttpServer, clock: SkippingClock
) -> None:
    authority.will(issues(token_type=None))
    fetch(client_of(office, clock, SecretValuesInMemory(SECRET), oauth2=oauth2(authority)), office, clock)
    assert office.header("Authorization") == "Bearer token-1"


def refresh_text(refresh_token: str, client_secret: str | None = SECRET) -> str:
    return json.dumps({"refresh_token": refresh_token, "client_secret": client_secret})


def test_a_refresh_token_gets_a_token(office: HttpServer, authority: HttpServer, clock: SkippingClock) -> None:
    settings = oauth2(authority, grant="refresh_token", client_authentication="body")
    secrets = SecretValuesInMemory(refresh_text("refresh-1"))
    fetch(client_of(office, clock, secrets, oauth2=settings), office, clock)
    expected = {"grant_type": "refresh_token", "refresh_token": "refresh-1", "client_id": "poll"}
    assert form(authority) == {**expected, "client_secret": SECRET}
    settings = oauth2(authority, grant="refresh_token")
    for client_secret in (None, ""):
        secrets = SecretValuesInMemory(refresh_text("refresh-1", client_secret))
        fetch(client_of(office, clock, secrets, oauth2=settings), office, clock)
        assert form(authority) == expected and authority.header("Authorization") is None


@pytest.mark.parametrize(
    "text", ["refresh-1", "{}", '{"refresh_token": 1}', '{"refresh_token": "refresh-1", "client_secret": 1}']
)
def test_a_stored_secret_without_a_refresh_token_is_an_error(
    office: HttpServer, authority: HttpServer, clock: SkippingClock, text: str
) -> None:
    settings = oauth2(authority, grant="refresh_token")
    error = token_failure(client_of(office, clock, SecretValuesInMemory(text), oauth2=settings), office, clock)
    assert error.kind == "secret" and 'a JSON object with "refresh_token"' in error.detail
    assert authority.requests == []


@pytest.mark.parametrize(
    ("grant", "text"),
    [
        ("client_credentials", f"{SECRET}\ud800"),
        ("refresh_token", f"{SECRET}\ud800"),
        ("refresh_token", '{"refresh_token": "refresh-1\\ud800"}'),
        ("refresh_token", '{"refresh_token": "refresh-1", "client_secret": "' + SECRET + '\\ud800"}'),
    ],
)
def test_a_secret_that_is_no_text_is_an_error(
    office: HttpServer, authority: HttpServer, clock: SkippingClock, grant: str, text: str
) -> None:
    settings = oauth2(authority, grant=grant, client_authentication="body")
    error = token_failure(client_of(office, clock, SecretValuesInMemory(text), oauth2=settings), office, clock)
    assert error.kind == "secret" and authority.requests == []


def test_a_new_refresh_token_that_is_no_text_is_ignored(
    office: HttpServer, authority: HttpServer, clock: SkippingClock
) -> None:
    tokens, secrets = AccessTokens(), SecretValuesInMemory(refresh_text("refresh-1"))
    authority.will(issues(refresh_token="refresh-2\ud800", expires_in=1e-6))
    for _ in range(2):
        client = client_of(office, clock, secrets, tokens, oauth2=oauth2(authority, grant="refresh_token"))
        assert fetch(client, office, clock).status == 200
    assert form(authority)["refresh_token"] == "refresh-1"


def test_a_cache_of_tokens_does_not_show_them() -> None:
    tokens = AccessTokens()
    settings = OAuth2Settings("https://id.example/", "refresh_token", "c", "basic", None, {}, StoredSecret(ARN, None))
    tokens.put("articles", settings, "s3cret", 1.0)
    tokens.put_refresh_token("articles", "s3cret", "s3cret")
    assert "s3cret" not in repr(vars(tokens))


def test_a_replaced_refresh_token_is_remembered_and_reported(
    office: HttpServer, authority: HttpServer, clock: SkippingClock
) -> None:
    reported: list[str] = []
    tokens = AccessTokens(reported.append)
    settings = oauth2(authority, grant="refresh_token", client_authentication="body")
    secrets = SecretValuesInMemory(refresh_text("refresh-1"), refresh_text("refresh-9"))
    authority.will(
        issues(refresh_token="refresh-2", expires_in=1e-6),
        issues(refresh_token="refresh-2", expires_in=1e-6),
        issues(expires_in=1e-6),
        refuses("invalid_grant"),
        issues(refresh_token="", expires_in=1e-6),
    )
    for _ in range(4):
        fetch(client_of(office, clock, secrets, tokens, oauth2=settings), office, clock)
    sent = [parse_qs(body.decode())["refresh_token"][0] for body in authority.bodies]
    # The last poll's refresh token is refused, so it reads the stored secret again, which an operator has replaced.
    assert sent == ["refresh-1", "refresh-2", "refresh-2", "refresh-2", "refresh-9"]
    assert reported == ["articles"] and secrets.refreshes == 1


def test_a_refused_replacement_falls_back_on_the_stored_refresh_token(
    office: HttpServer, authority: HttpServer, clock: SkippingClock
) -> None:
    tokens = AccessTokens()
    settings = oauth2(authority, grant="refresh_token")
    secrets = SecretValuesInMemory(refresh_text("refresh-1"))
    authority.will(
        issues(refresh_token="refresh-2", expires_in=1e-6), refuses("invalid_grant"), issues(), refuses("invalid_grant")
    )
    for _ in range(2):
        assert fetch(client_of(office, clock, secrets, tokens, oauth2=settings), office, clock).status == 200
    assert [form(authority, at)["refresh_token"] for at in range(3)] == ["refresh-1", "refresh-2", "refresh-1"]
    clock.sleep(3600)
    error = token_failure(client_of(office, clock, secrets, AccessTokens(), oauth2=settings), office, clock)
    assert "invalid_grant" in error.detail and "store a new one" in error.detail


def test_a_key_and_a_token_can_be_sent_together_and_both_leave_a_redirects_url(
    office: HttpServer, authority: HttpServer, clock: SkippingClock
) -> None:
    authority.will(issues(access_token="the-access-token"))
    office.will(says(302, Location="/there?access_token=the-access-token&key=the-api-key"), says())
    secrets, secret = SecretValuesInMemory("the-api-key"), {"arn": ARN, "header": "X-Key"}
    client = client_of(office, clock, secrets, secret=secret, oauth2=oauth2(authority))
    response = fetch(client, office, clock)
    assert office.header("Authorization") == "Bearer the-access-token" and office.header("X-Key") == "the-api-key"
    assert response.secret_values == {"the-access-token", "the-api-key"}
    assert response.url == f"{office.url}/there" and office.targets[-1] == "/there"


def test_no_token_and_no_secret_is_logged(
    office: HttpServer, authority: HttpServer, clock: SkippingClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    office.will(says(401), says())
    client = client_of(office, clock, SecretValuesInMemory(SECRET), oauth2=oauth2(authority))
    fetch(client, office, clock)
    assert SECRET not in caplog.text and "token-" not in caplog.text and SECRET not in repr(vars(client))


CERTIFICATE_ARN = ARN.replace("back-office", "certificate")


class SecretsByArn(SecretValuesInMemory):
    """Secrets in memory: the client's secret, and the PEM text of the client certificate."""

    def __init__(self, pem: str) -> None:
        super().__init__(SECRET)
        self._pem = pem

    def get_secret(self, secret: StoredSecret) -> str:
        return self._pem if secret.arn == CERTIFICATE_ARN else super().get_secret(secret)


def test_an_authorization_server_on_another_origin_gets_no_client_certificate(
    clock: SkippingClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, public = Authority("private"), Authority("public")
    roots = tmp_path / "roots.pem"
    roots.write_text(public.pem)
    monkeypatch.setattr("readplane.poll.upstream.tls.DEFAULT_CA_BUNDLE_PATH", str(roots))
    office = HttpServer(server_context(tmp_path, private.issue("office"), private))
    office.will(says())
    for signer in (public, private):
        server = HttpServer(server_context(tmp_path, signer.issue("authority"), private, demands=False))
        server.will(issues())
        tls = {"ca_pem": private.pem, "client_certificate": {"arn": CERTIFICATE_ARN}}
        client = client_of(office, clock, SecretsByArn(private.issue("poll")), tls=tls, oauth2=oauth2(server))
        assert fetch(client, office, clock).status == 200
        assert office.client_certificates[-1] is not None and server.client_certificates == [None]
        server.close()
    office.close()


def test_an_authorization_server_on_the_same_origin_gets_the_client_certificate(
    clock: SkippingClock, tmp_path: Path
) -> None:
    private = Authority("private")
    server = HttpServer(server_context(tmp_path, private.issue("office"), private))
    server.will(issues(), says())
    tls = {"ca_pem": private.pem, "client_certificate": {"arn": CERTIFICATE_ARN}}
    client = client_of(server, clock, SecretsByArn(private.issue("poll")), tls=tls, oauth2=oauth2(server))
    assert fetch(client, server, clock).status == 200
    assert server.connections == 1 and len(server.requests) == 2
    server.close()


def test_an_untrusted_authorization_server_is_reported(
    office: HttpServer, clock: SkippingClock, tmp_path: Path
) -> None:
    server = HttpServer(server_context(tmp_path, Authority("private").issue("authority")))
    client = client_of(office, clock, SecretValuesInMemory(SECRET), oauth2=oauth2(server), attempts=1)
    error = token_failure(client, office, clock)
    assert "the server's certificate is signed by an authority that isn't trusted; set tls.ca_pem" in error.detail
    assert (error.kind, server.requests, office.requests) == ("token", [], [])
    server.close()


class StoredRefreshToken:
    """A client of Secrets Manager with one secret."""

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        assert (operation, parameters) == ("GetSecretValue", {"SecretId": ARN})
        return {"SecretString": refresh_text("refresh-1")}


def test_the_polls_of_a_sandbox_share_tokens_and_log_a_replaced_refresh_token(
    office: HttpServer, authority: HttpServer, clock: SkippingClock, capsys: pytest.CaptureFixture[str]
) -> None:
    authority.will(issues(refresh_token="refresh-2"))
    secrets = AwsSecretValues(lambda _: StoredRefreshToken())
    make_fetch = _fetch_maker(secrets, Telemetry("poll", "stack"))
    source = source_of(office, oauth2=oauth2(authority, grant="refresh_token"))
    for _ in range(3):
        make_fetch(source)(BackOfficeRequest(source.url), deadline=time.monotonic() + 30)
    assert len(office.requests) == 3 and len(authority.requests) == 1
    logged = capsys.readouterr().out
    assert [json.loads(line)["event"] for line in logged.splitlines()] == ["refresh_token_rotated"]
    assert "refresh-" not in logged and SECRET not in logged and "token-1" not in logged
