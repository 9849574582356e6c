"""Tests of a back office's HTTP client: retries, deadlines, redirects, the secret header and the rate limit."""

import base64
import socket
import time

import pytest

from readplane.poll.errors import BackOfficeError, SecretError
from readplane.poll.source.settings import StoredSecret
from readplane.poll.upstream.client import BackOfficeClient
from readplane.poll.upstream.request import BackOfficeRequest
from tests.unit.poll.upstream.http_server import (
    ARN,
    PAGE,
    HttpServer,
    SecretValuesInMemory,
    SkippingClock,
    client_of,
    failure,
    fetch,
    post,
    resets,
    says,
    stalls,
)
from tests.unit.poll.upstream.http_server import source as source_of


def test_a_page_arrives_unchanged_over_one_connection(office: HttpServer, clock: SkippingClock) -> None:
    office.will(
        says(ETag='"1"', Last_Modified="Sat, 01 Jan 2000 00:00:00 GMT", Link='</p?n=2>; rel="next", <x>; rel=a')
    )
    client = client_of(office, clock, headers={"X-Tenant": "7"})
    for _ in range(3):
        response = fetch(client, office, clock, "/feed?a=1&b=%2F")
        assert (response.status, response.body, response.url) == (200, PAGE, office.url + "/feed?a=1&b=%2F")
    assert (response.etag, response.last_modified) == ('"1"', "Sat, 01 Jan 2000 00:00:00 GMT")
    assert response.headers["link"] == '</p?n=2>; rel="next", <x>; rel=a'
    assert office.requests[0].startswith(b"GET /feed?a=1&b=%2F HTTP/1.1\r\n")
    assert (office.header("User-Agent"), office.header("X-Tenant")) == ("readplane", "7")
    assert (office.connections, client.requests, clock.slept) == (1, 3, [])
    client.close()


def test_an_unchanged_page_is_a_304(office: HttpServer, clock: SkippingClock) -> None:
    office.will(says(304, b""))
    response = fetch(client_of(office, clock), office, clock, etag='"1"', last_modified="Sat, 01 Jan 2000 00:00:00 GMT")
    assert (response.status, response.body) == (304, None)
    assert office.header("If-None-Match") == '"1"'
    assert office.header("If-Modified-Since") == "Sat, 01 Jan 2000 00:00:00 GMT"


def test_a_304_without_a_condition_is_no_data(office: HttpServer, clock: SkippingClock) -> None:
    office.will(says(304, b""))
    assert failure(office, clock).status == 304


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 520, 522, 524, 529])
def test_retryable_statuses_are_retried_with_growing_pauses(
    office: HttpServer, clock: SkippingClock, status: int
) -> None:
    office.will(says(status), says(status), says())
    assert fetch(client_of(office, clock, attempts=3), office, clock).body == PAGE
    assert clock.slept == [1.0, 2.0] and len(office.requests) == 3


def test_the_number_of_tries_is_bounded_and_a_probe_tries_once(office: HttpServer, clock: SkippingClock) -> None:
    office.will(says(503))
    caught = failure(office, clock, attempts=4)
    assert (caught.kind, caught.status, len(office.requests)) == ("status", 503, 4)
    failure(office, clock, attempts=4, more={"probe": True})
    assert len(office.requests) == 5


@pytest.mark.parametrize("status", [201, 206, 400, 401, 403, 404, 410])
def test_other_statuses_are_not_retried(office: HttpServer, clock: SkippingClock, status: int) -> None:
    office.will(says(status, b"{}"))
    caught = failure(office, clock)
    assert (caught.kind, caught.status, len(office.requests)) == ("status", status, 1)


@pytest.mark.parametrize(
    ("value", "slept"),
    [
        ("7", 7.0),
        ("2.0", 2.0),
        ("Sun, 09 Sep 2001 01:46:49 GMT", 9.0),
        ("Sun, 09 Sep 2001 01:00:00 GMT", 1.0),
        ("0", 1.0),
        ("soon", 1.0),
    ],
)
def test_the_client_waits_for_retry_after(office: HttpServer, clock: SkippingClock, value: str, slept: float) -> None:
    office.will(says(429, Retry_After=value), says())
    assert fetch(client_of(office, clock), office, clock).status == 200
    assert clock.slept == [slept]


@pytest.mark.parametrize(
    ("status", "headers", "slept"),
    [
        (403, {"Retry-After": "3"}, 3.0),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1000000004"}, 4.0),
        (429, {"RateLimit-Reset": "5"}, 5.0),
        # The back office's clock is behind: the reset has passed, so the backoff decides.
        (429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "999999000"}, 1.0),
        (400, {"X-Rate-Limit-Remaining": "0"}, 1.0),
    ],
)
def test_a_rate_limit_is_temporary_whatever_its_status(
    office: HttpServer, clock: SkippingClock, status: int, headers: dict[str, str], slept: float
) -> None:
    office.will(says(status, b"{}", **headers), says())
    assert fetch(client_of(office, clock), office, clock).status == 200
    assert clock.slept == [slept]


def test_a_rate_limited_status_that_stays_says_so(office: HttpServer, clock: SkippingClock) -> None:
    office.will(says(403, b"{}", X_RateLimit_Remaining="0", X_RateLimit_Reset="1000003600"))
    caught = failure(office, clock)
    assert (caught.status, caught.retryable, caught.retry_after, len(office.requests)) == (403, True, 3600.0, 1)
    assert "requests_per_second" in caught.detail
    office.will(says(403, b"{}", X_RateLimit_Remaining="12"))
    caught = failure(office, clock)
    assert (caught.status, caught.retryable) == (403, False) and "denies access" in caught.detail


@pytest.mark.parametrize("status", [404, 416, 500])
def test_a_status_that_ends_the_list_is_not_retried(office: HttpServer, clock: SkippingClock, status: int) -> None:
    office.will(says(status, b"{}"))
    paging = {"style": "page", "parameter": "page", "end_status": [404, 416, 500]}
    caught = failure(office, clock, paging=paging)
    assert (caught.status, caught.retryable, len(office.requests)) == (status, False, 1)


def test_no_content_is_a_response_without_a_body(office: HttpServer, clock: SkippingClock) -> None:
    office.will(says(204, b"", Content_Length="", Content_Type=""))
    response = fetch(client_of(office, clock), office, clock)
    assert (response.status, response.body) == (204, b"")


def test_a_body_is_posted_as_json(office: HttpServer, clock: SkippingClock) -> None:
    office.will(says(503), says())
    response = post(client_of(office, clock), office, clock, b'{"filter":"\xc3\xa4"}')
    assert (response.status, response.body) == (200, PAGE)
    assert office.requests[-1].startswith(b"POST /feed HTTP/1.1\r\n")
    assert office.bodies == [b'{"filter":"\xc3\xa4"}'] * 2, "a retry sends the body again"
    assert office.header("Content-Type") == "application/json"
    post(client_of(office, clock, headers={"content-type": "application/graphql+json"}), office, clock)
    assert office.header("content-type") == "application/graphql+json" and office.header("Content-Type") is None
    client_of(office, clock).fetch(BackOfficeRequest(office.url + "/feed"), deadline=clock.now() + 90)
    assert office.header("Content-Type") is None and office.bodies[-1] == b""


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_that_keeps_the_method_posts_the_body_again(
    office: HttpServer, clock: SkippingClock, status: int
) -> None:
    office.will(says(status, Location="/moved"), says())
    assert post(client_of(office, clock), office, clock).url == f"{office.url}/moved"
    assert office.requests[-1].startswith(b"POST /moved ") and office.bodies[0] == office.bodies[1] != b""
    assert office.header("Content-Type") == "application/json"


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_would_lose_the_body_is_an_error(office: HttpServer, clock: SkippingClock, status: int) -> None:
    office.will(says(status, Location="/moved"), says())
    with pytest.raises(BackOfficeError, match="set url to the address") as caught:
        post(client_of(office, clock), office, clock)
    assert (caught.value.kind, caught.value.status, len(office.requests)) == ("redirect", status, 1)


@pytest.mark.parametrize(
    ("payload", "accept"),
    [
        (None, "application/json, */*;q=0.1"),
        ({"format": "json"}, "application/json, */*;q=0.1"),
        ({"format": "csv"}, "text/csv, */*;q=0.1"),
        ({"format": "xml"}, "application/xml, text/xml;q=0.9, */*;q=0.1"),
    ],
)
def test_a_request_asks_for_the_format_of_the_payload(
    office: HttpServer, clock: SkippingClock, payload: dict[str, str] | None, accept: str
) -> None:
    fetch(client_of(office, clock, payload=payload), office, clock)
    assert office.header("Accept") == accept
    fetch(client_of(office, clock, payload=payload, headers={"accept": "application/vnd.x+json"}), office, clock)
    assert office.header("accept") == "application/vnd.x+json" and office.header("Accept") is None


def test_a_retry_after_beyond_the_deadline_is_reported_at_once(office: HttpServer, clock: SkippingClock) -> None:
    office.will(says(503, Retry_After="3600"))
    caught = failure(office, clock)
    assert (caught.status, caught.retry_after, clock.slept, len(office.requests)) == (503, 3600.0, [], 1)


def test_the_callers_deadline_is_not_the_back_offices_fault(office: HttpServer, clock: SkippingClock) -> None:
    office.will(stalls)
    start = time.monotonic()
    caught = failure(office, clock, timeout_seconds=30, more={"deadline": clock.now() + 0.3})
    assert caught.kind == "deadline" and time.monotonic() - start < 10
    assert failure(office, clock, more={"deadline": clock.now() - 1}).kind == "deadline"
    assert len(office.requests) == 1


def test_a_failure_before_the_deadline_is_the_one_reported(office: HttpServer, clock: SkippingClock) -> None:
    office.will(says(503), stalls)
    caught = failure(office, clock, timeout_seconds=30, more={"deadline": clock.now() + 2})
    assert (caught.kind, caught.status, len(office.requests)) == ("status", 503, 2)


def test_a_request_that_had_nearly_its_whole_timeout_counts_as_slow(office: HttpServer, clock: SkippingClock) -> None:
    office.will(stalls)
    assert failure(office, clock, timeout_seconds=1, more={"deadline": clock.now() + 0.9}).kind == "timeout"


def test_redirects_are_followed_within_the_origin_only(office: HttpServer, clock: SkippingClock) -> None:
    secrets = SecretValuesInMemory("s3cret")
    secret = {"arn": ARN, "header": "X-Key"}
    office.will(says(302, Location="/moved?x=1"), says(307, Location=f"{office.url}/again"), says())
    response = fetch(client_of(office, clock, secrets, secret=secret), office, clock)
    assert response.url == f"{office.url}/again" and office.header("X-Key") == "s3cret"

    elsewhere = HttpServer()
    elsewhere.will(says())
    for target in (
        f"{elsewhere.url}/feed",
        elsewhere.url.replace("http:", ""),
        "https://127.0.0.1/",
        "http://[",
        "ftp://x",
    ):
        office.will(says(302, Location=target))
        with pytest.raises(BackOfficeError) as caught:
            fetch(client_of(office, clock, secrets, secret=secret), office, clock)
        assert caught.value.kind == "redirect"
    assert elsewhere.requests == []
    elsewhere.close()


def test_a_redirect_that_leads_to_a_stall_is_a_timeout(office: HttpServer, clock: SkippingClock) -> None:
    def late(connection: socket.socket) -> None:
        time.sleep(0.4)
        says(302, Location="/there")(connection)

    office.will(late, stalls)
    assert failure(office, clock, timeout_seconds=0.6, attempts=1).kind == "timeout"


def test_circular_redirects_end(office: HttpServer, clock: SkippingClock) -> None:
    office.will(says(302, Location="/feed"))
    assert failure(office, clock).kind == "redirect" and len(office.requests) == 6


def test_no_request_goes_to_another_origin(office: HttpServer, clock: SkippingClock) -> None:
    client = client_of(office, clock)
    host = office.url.removeprefix("http://")
    for url in (
        "http://127.0.0.1:1/feed",
        f"https://{host}/feed",
        f"http://127.0.0.1@{host}.evil.example/",
        "file:///x",
    ):
        with pytest.raises(BackOfficeError) as caught:
            client.fetch(BackOfficeRequest(url), deadline=clock.now() + 60)
        assert caught.value.kind == "origin"
    assert client.requests == 0


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "http://{cursor}.example/", "http://[::1/", "/feed", "http://x:99999/"]
)
def test_a_source_whose_url_terraform_would_refuse_sends_no_request(
    office: HttpServer, clock: SkippingClock, url: str
) -> None:
    source = source_of(office, url=url)
    client = BackOfficeClient(source, clock=clock.now, sleep=clock.sleep)
    with pytest.raises(BackOfficeError, match="origin"):
        client.fetch(BackOfficeRequest.of_page(source.main_list(None), None), deadline=clock.now() + 60)
    assert client.requests == 0


@pytest.mark.parametrize(
    "headers", [{"X-Y": "a\r\nX-Admin: 1"}, {"X-Y": " a"}, {"X Y\r\nX-Admin": "1"}], ids=["value", "space", "name"]
)
def test_a_header_that_terraform_would_refuse_is_not_sent(
    office: HttpServer, clock: SkippingClock, headers: dict[str, str]
) -> None:
    office.will(says())
    error = failure(office, clock, headers=headers)
    assert not error.retryable and office.requests == []


def test_the_secret_is_sent_and_refreshed_once_after_a_401(office: HttpServer, clock: SkippingClock) -> None:
    secret = {"arn": ARN, "header": "Authorization", "format": "Bearer {secret}"}
    secrets = SecretValuesInMemory("old\n", "new")
    office.will(says(401), says())
    assert fetch(client_of(office, clock, secrets, secret=secret), office, clock).status == 200
    assert [office.header("Authorization", at) for at in (0, 1)] == ["Bearer old", "Bearer new"]
    office.will(says(401))
    with pytest.raises(BackOfficeError) as caught:
        fetch(client_of(office, clock, secrets, secret=secret), office, clock)
    # The first fetch sent two requests, the second fetch only one. After the second 401, the client read the
    # secret again. The secret was unchanged, so the client didn't repeat the request, which would get another 401.
    assert (caught.value.status, len(office.requests), secrets.refreshes) == (401, 3, 2)


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "", "schlüssel"])
def test_a_secret_that_no_header_can_hold_is_never_quoted(office: HttpServer, clock: SkippingClock, value: str) -> None:
    with pytest.raises(BackOfficeError) as caught:
        fetch(
            client_of(office, clock, SecretValuesInMemory(value), secret={"arn": ARN, "header": "X-Key"}), office, clock
        )
    assert caught.value.kind == "secret" and (not value or value not in str(caught.value))
    assert office.requests == []


def test_a_secret_that_cannot_be_read_is_an_error(office: HttpServer, clock: SkippingClock) -> None:
    class Locked(SecretValuesInMemory):
        def get_secret(self, secret: StoredSecret) -> str:
            raise SecretError("secretsmanager doesn't give it (AccessDeniedException)")

    with pytest.raises(BackOfficeError, match="AccessDenied") as caught:
        fetch(client_of(office, clock, Locked(), secret={"arn": ARN, "header": "X-Key"}), office, clock)
    assert caught.value.kind == "secret"


def test_requests_keep_to_the_rate_limit(office: HttpServer, clock: SkippingClock) -> None:
    client = client_of(office, clock, requests_per_second=0.05)
    start = clock.now()
    for _ in range(3):
        fetch(client, office, clock)
    assert clock.now() - start >= 40 and len(clock.slept) == 2 and max(clock.slept) <= 20
    with pytest.raises(BackOfficeError) as caught:
        fetch(client, office, clock, deadline=clock.now() + 0.5)
    assert caught.value.kind == "deadline" and len(office.requests) == 3


def test_the_rate_limit_counts_retries_and_redirects(office: HttpServer, clock: SkippingClock) -> None:
    office.will(says(302, Location="/feed"), says(503), says())
    start = clock.now()
    fetch(client_of(office, clock, requests_per_second=0.05), office, clock)
    assert clock.now() - start >= 40 and sum(clock.slept) <= 40


QUERY_SECRET = {"arn": ARN, "query": "api_key"}


def test_a_secret_goes_into_a_query_parameter(office: HttpServer, clock: SkippingClock) -> None:
    secrets = SecretValuesInMemory("a&b c\n")
    secret = {**QUERY_SECRET, "format": "v1:{secret}"}
    response = fetch(client_of(office, clock, secrets, secret=secret), office, clock, "/feed?page=1&api_key=old")
    assert office.targets[0] == "/feed?page=1&api_key=v1%3Aa%26b%20c"
    assert response.url == f"{office.url}/feed?page=1&api_key=old", "the response must not hold the secret"


def test_a_redirect_gets_the_secret_in_its_query_once(office: HttpServer, clock: SkippingClock) -> None:
    office.will(says(302, Location="/moved?api_key=k3y&x=1"), says())
    response = fetch(client_of(office, clock, SecretValuesInMemory("k3y"), secret=QUERY_SECRET), office, clock)
    assert office.targets == ["/feed?api_key=k3y", "/moved?x=1&api_key=k3y"]
    assert response.url == f"{office.url}/moved?x=1"


def test_a_refreshed_secret_replaces_the_old_one_in_the_query(office: HttpServer, clock: SkippingClock) -> None:
    office.will(says(401), says())
    client = client_of(office, clock, SecretValuesInMemory("old", "new"), secret=QUERY_SECRET)
    fetch(client, office, clock)
    assert office.targets == ["/feed?api_key=old", "/feed?api_key=new"]


def test_a_secret_in_the_query_is_in_no_error_and_no_warning(
    office: HttpServer, clock: SkippingClock, caplog: pytest.LogCaptureFixture
) -> None:
    def malformed(connection: socket.socket) -> None:
        """Send a header that urllib3 can't parse. urllib3 would log a warning with the whole URL."""
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nno header\r\n\r\n{}")

    secrets = SecretValuesInMemory("k3y")
    for fault in (malformed, resets, says(500), says(302, Location="https://elsewhere.example/?api_key=k3y")):
        office.will(fault)
        try:
            fetch(client_of(office, clock, secrets, secret=QUERY_SECRET, attempts=1), office, clock)
        except BackOfficeError as error:
            assert "k3y" not in f"{error} {error!r}"
    assert office.requests and "k3y" not in caplog.text


def test_a_password_is_sent_by_basic_authentication(office: HttpServer, clock: SkippingClock) -> None:
    secret = {"arn": ARN, "basic_username": "poll"}
    secrets = SecretValuesInMemory("schlüssel:1\n", "neu")
    office.will(says(401), says())
    response = fetch(client_of(office, clock, secrets, secret=secret), office, clock)
    pairs = [base64.b64encode(f"poll:{password}".encode()).decode() for password in ("schlüssel:1", "neu")]
    assert [office.header("Authorization", at) for at in (0, 1)] == [f"Basic {pair}" for pair in pairs]
    assert {"neu", pairs[1].rstrip("=")} <= response.secret_values


@pytest.mark.parametrize("place", [{"header": "X-Key"}, {"query": "key"}, {"basic_username": "poll"}])
def test_a_secret_that_is_no_text_is_an_error_that_does_not_hold_it(
    office: HttpServer, clock: SkippingClock, place: dict[str, str]
) -> None:
    client = client_of(office, clock, SecretValuesInMemory("k3y\ud800"), secret={"arn": ARN, **place})
    with pytest.raises(BackOfficeError, match="control characters") as caught:
        fetch(client, office, clock)
    assert caught.value.kind == "secret" and caught.value.__context__ is None and office.requests == []


@pytest.mark.parametrize(
    ("secret", "value", "forms"),
    [
        ({"header": "X-Key"}, "a/b c", {"a/b c", "a%2Fb%20c", "a%2Fb+c"}),
        (
            {"header": "Authorization", "format": "Bearer {secret}"},
            "q7",
            {"q7", "Bearer q7", "Bearer%20q7", "Bearer+q7"},
        ),
        ({"query": "key", "format": "v1:{secret}"}, "q7", {"q7", "v1:q7", "v1%3Aq7"}),
    ],
)
def test_a_response_knows_the_secrets_of_its_request_but_never_shows_them(
    office: HttpServer, clock: SkippingClock, secret: dict[str, str], value: str, forms: set[str]
) -> None:
    secrets = SecretValuesInMemory(value)
    response = fetch(client_of(office, clock, secrets, secret={"arn": ARN, **secret}), office, clock)
    assert response.secret_values == forms
    assert value not in repr(response)
    assert fetch(client_of(office, clock), office, clock).secret_values == frozenset()


def test_a_redirect_never_puts_the_secret_into_the_url_of_the_response(
    office: HttpServer, clock: SkippingClock
) -> None:
    secret = {"arn": ARN, "header": "X-Key"}
    secrets = SecretValuesInMemory("s3cret/key")
    office.will(says(302, Location="/moved?token=s3cret%2Fkey&x=1"), says())
    response = fetch(client_of(office, clock, secrets, secret=secret), office, clock)
    assert response.url == f"{office.url}/moved?x=1" and office.targets[-1] == "/moved?x=1"
    for target in ("/s3cret%2Fkey/feed", "/s3cret/key/feed"):
        office.will(says(302, Location=target), says())
        with pytest.raises(BackOfficeError, match="path holds the secret") as caught:
            fetch(client_of(office, clock, secrets, secret=secret), office, clock)
        assert "s3cret" not in str(caught.value)
