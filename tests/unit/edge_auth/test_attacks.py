"""Test that `edge_auth` withstands the 60 attacks of the list, and lets every good request pass."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.token_attacks import (
    ATTACKS,
    ISSUER,
    MISSING,
    OWNER,
    SHARED,
    SUB,
    Attack,
    Attempt,
    Forge,
    bearer,
)
from tests.unit.edge_auth.support import (
    JWKS_URI,
    NOW,
    REQUEST_ID,
    SETTINGS,
    UNREACHABLE,
    Sandbox,
    header,
)
from tests.unit.edge_auth.support import sandbox as make_sandbox

ELSEWHERE = {
    11: ("test_attacks.py", "test_a_thousand_unknown_keys_cause_one_read_a_minute"),
    19: ("test_wycheproof.py", "test_every_pkcs1_vector_has_its_result"),
    20: ("test_keys.py", "test_an_unfit_key_is_not_used"),
    21: ("test_keys.py", "test_two_keys_with_one_kid_are_both_refused"),
    22: ("test_keys.py", "test_a_weak_key_is_not_used"),
    23: ("test_attacks.py", "test_without_a_key_set_a_cold_sandbox_says_503_and_a_warm_one_goes_on"),
    24: ("test_keys.py", "test_a_broken_key_set_leaves_the_last_good_one"),
    25: ("test_attacks.py", "test_after_a_rotation_the_old_key_fails_and_the_new_one_is_read_once"),
    60: ("test_attacks.py", "test_a_token_of_a_signed_out_user_passes_until_it_expires"),
}
"""The attacks that take more than one request, and the tests that make them."""


@pytest.fixture(scope="module")
def warm(forge: Forge) -> Sandbox:
    """Return one sandbox for all attacks, so that what one attack leaves behind would show in the next."""
    sandbox = make_sandbox(forge)
    assert sandbox.status(bearer(forge.valid)) == 200
    return sandbox


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack.number} {attack.name}")
def test_an_attack_fails_with_a_problem_document(attack: Attack, warm: Sandbox, forge: Forge) -> None:
    attempt = attack.attempt(forge)
    response = warm.send(attempt)
    assert "uri" not in response, "the request must not pass"
    assert int(response["status"]) == attack.status
    assert header(response, "Access-Control-Allow-Origin") == "https://app.example.com"
    assert "clientIp" not in response
    if attack.status == 204 or attempt.method == "HEAD":
        assert "body" not in response
        return
    document = json.loads(response["body"])
    assert document["status"] == attack.status and document["request_id"] == REQUEST_ID
    assert header(response, "Content-Type") == "application/problem+json"
    assert header(response, "Cache-Control") == "no-store"
    assert (header(response, "WWW-Authenticate") is not None) == (attack.status in (401, 403))
    for secret in (forge.parts[1], forge.parts[2], SUB):
        assert secret not in json.dumps(response), "a response repeats nothing of the token"


def test_every_attack_of_the_list_is_tested() -> None:
    numbers = {attack.number for attack in ATTACKS}
    assert numbers | set(ELSEWHERE) == set(range(1, 61))
    for file, test in ELSEWHERE.values():
        assert re.search(rf"^def {test}\(", Path(__file__).with_name(file).read_text(), re.M), test
    names = [(attack.number, attack.name) for attack in ATTACKS]
    assert len(set(names)) == len(names)


def test_the_attacks_leave_the_key_set_alone(warm: Sandbox, forge: Forge) -> None:
    for attack in ATTACKS:
        warm.send(attack.attempt(forge))
    assert len(warm.key_set.reads) == 1 and len(warm.parameter.reads) == 1, "the clock has not moved"
    assert warm.status(bearer(forge.valid)) == 200


def good_tokens(forge: Forge) -> dict[str, str]:
    groups = [f"group-with-a-long-name-{number}" for number in range(40)]
    return {
        "as Cognito issues it": forge.valid,
        "exp in a second": forge.token(exp=NOW + 1),
        "exp four seconds ago, within the leeway": forge.token(exp=NOW - 4),
        "iat and nbf in five seconds": forge.token(iat=NOW + 5, nbf=NOW + 5),
        "no iat": forge.token(iat=MISSING),
        "typ JWT": forge.token({"typ": "JWT"}),
        "typ at+jwt in other case": forge.token({"typ": "AT+JWT"}),
        "an unknown header parameter": forge.token({"x5t": "abc"}),
        "the mobile client": forge.token(client_id="mobile"),
        "the scope of SRP sign-in": forge.token(scope="aws.cognito.signin.user.admin"),
        "the scope last": forge.token(scope="openid email demo/read"),
        "the scope first, two spaces": forge.token(scope="demo/read  openid"),
        "40 groups": forge.token(None, **{"cognito:groups": groups}),
        "a pair of surrogates": forge.token(username="\U0001f600"),
        "letters beyond ASCII": forge.sign(
            json.dumps({"kid": forge.kid, "alg": "RS256"}).encode(),
            json.dumps(forge.claims(username="Zoë"), ensure_ascii=False).encode(),
        ),
        "members in another order": forge.sign(
            json.dumps({"alg": "RS256", "kid": forge.kid}).encode(),
            json.dumps(dict(reversed(forge.claims().items())), indent=2).encode(),
        ),
        "the other key of the pool": forge.sign(
            json.dumps({"kid": forge.id_kid, "alg": "RS256"}).encode(),
            json.dumps(forge.claims()).encode(),
            forge.id_key,
        ),
    }


def test_every_good_token_passes(sandbox: Sandbox, forge: Forge) -> None:
    tokens = good_tokens(forge)
    assert len(tokens["40 groups"]) > 2_000
    assert {name for name, token in tokens.items() if sandbox.status(bearer(token)) != 200} == set()


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_header_and_the_scheme_pass_in_any_case(name: str, scheme: str, sandbox: Sandbox, forge: Forge) -> None:
    assert sandbox.status(Attempt(((name, f"{scheme} {forge.valid}"),))) == 200


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        (SHARED, SHARED),
        ("/documents/orders/0._~-Z", "/documents/orders/0._~-Z"),
        ("/documents/orders/a..b", "/documents/orders/a..b"),
        ("/documents/orders/" + "x" * 256, "/documents/orders/" + "x" * 256),
        (OWNER, f"/documents/profiles/{SUB}/p-1"),
        ("/documents/profiles/sources", f"/documents/profiles/{SUB}/sources"),
        ("/documents/sources/erp", "/documents/sources/erp"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_good_path_becomes_that_of_the_document(
    path: str, uri: str, method: str, sandbox: Sandbox, forge: Forge
) -> None:
    passed = sandbox.send(bearer(forge.valid, path, method)._replace(query="versionId=1&x=2"))
    assert passed["uri"] == uri and passed["method"] == method
    assert passed["querystring"] == "" and "authorization" not in passed["headers"]
    assert passed["headers"]["host"] == [{"key": "Host", "value": "d111111abcdef8.cloudfront.net"}]


def test_two_pools_each_open_documents_with_their_own_keys_only(forge: Forge) -> None:
    other = Forge(NOW, issuer=ISSUER[:-3] + "999", client_id="other-client")
    pool = {"issuer": other.issuer, "jwks_uri": f"{other.issuer}/jwks.json", "client_ids": ["other-client"]}
    sets = {JWKS_URI: forge.key_set(), pool["jwks_uri"]: other.key_set()}
    sandbox = Sandbox(lambda uri: sets[str(uri)], SETTINGS | {"pools": [*SETTINGS["pools"], pool]})
    assert sandbox.status(bearer(forge.valid)) == sandbox.status(bearer(other.valid)) == 200
    # The same kid, the keys of the other pool, or its client don't help.
    assert sandbox.status(bearer(forge.token(iss=other.issuer, client_id="other-client"))) == 401
    assert sandbox.status(bearer(forge.token(client_id="other-client"))) == 401


def test_a_preflight_needs_no_token_and_names_the_headers_one_by_one(sandbox: Sandbox) -> None:
    response = sandbox.send(Attempt((("Origin", "https://app.example.com"),), OWNER, "OPTIONS"))
    assert response["status"] == "204" and "body" not in response
    assert header(response, "Access-Control-Allow-Headers") == "Authorization,If-None-Match,X-Trace"
    assert header(response, "Access-Control-Allow-Methods") == "GET,HEAD"


def test_every_response_to_a_client_asks_for_https(sandbox: Sandbox, forge: Forge) -> None:
    for attempt in (
        Attempt((("Origin", "https://app.example.com"),), OWNER, "OPTIONS"),
        Attempt((), OWNER, "GET"),
        bearer(forge.valid, OWNER, "PUT"),
    ):
        assert header(sandbox.send(attempt), "Strict-Transport-Security") == "max-age=86400; includeSubDomains"


@pytest.mark.parametrize(
    ("origins", "allowed"), [([], None), (["*"], "*"), (["https://a.example", "https://b.example"], "*")]
)
def test_cors_is_that_of_the_api(origins: list[str], allowed: str | None, forge: Forge) -> None:
    sandbox = make_sandbox(forge, origins=origins)
    for attempt in (Attempt(), Attempt(method="OPTIONS")):
        response = sandbox.send(attempt)
        assert header(response, "Access-Control-Allow-Origin") == allowed
        assert (header(response, "Access-Control-Expose-Headers") is None) == (not origins)


@pytest.mark.parametrize(
    ("attempt", "challenge"),
    [
        (lambda _: Attempt(), "Bearer"),
        (
            lambda f: bearer(f.token(exp=1)),
            'Bearer error="invalid_token", error_description="The access token has expired."',
        ),
        (
            lambda f: bearer(f.token(scope="openid")),
            'Bearer error="insufficient_scope", scope="aws.cognito.signin.user.admin demo/read"',
        ),
    ],
)
def test_a_refusal_names_its_reason_as_rfc_6750_says(
    attempt: Any, challenge: str, sandbox: Sandbox, forge: Forge
) -> None:
    assert header(sandbox.send(attempt(forge)), "WWW-Authenticate") == challenge


def test_a_thousand_unknown_keys_cause_one_read_a_minute(sandbox: Sandbox, forge: Forge) -> None:
    assert sandbox.status(bearer(forge.valid)) == 200
    reads = len(sandbox.key_set.reads)
    tokens = [forge.token({"kid": f"unknown-{number}"}) for number in range(50)]
    for second in range(120):
        sandbox.clock.now = NOW + second + 1
        for number in range(9):
            assert sandbox.status(bearer(tokens[(second * 9 + number) % 50])) == 401
        assert sandbox.status(bearer(forge.valid)) == 200, "known keys go on"
    assert len(sandbox.key_set.reads) - reads == 2


def test_without_a_key_set_a_cold_sandbox_says_503_and_a_warm_one_goes_on(
    forge: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox = Sandbox(UNREACHABLE)
    response = sandbox.send(bearer(forge.valid))
    assert response["status"] == "503" and header(response, "Retry-After") == "5"
    assert header(response, "Access-Control-Allow-Origin") == "https://app.example.com"
    assert sandbox.status(Attempt()) == 401, "no token is refused without keys too"
    for _ in range(100):
        assert sandbox.status(bearer(forge.valid)) == 503
    assert len(sandbox.key_set.reads) == 1, "requests don't hammer a failing key set"
    line = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (line["event"], line["level"]) == ("key_set_not_read", "ERROR")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line["timestamp"])

    sandbox.key_set.content = forge.key_set()
    sandbox.clock.now += 5
    assert sandbox.status(bearer(forge.valid)) == 200
    sandbox.key_set.content = UNREACHABLE
    read_at = sandbox.clock.now
    for hours in (0.5, 1, 2, 12, 23.99):
        sandbox.clock.now = read_at + hours * 3_600
        assert sandbox.status(bearer(forge.token(exp=int(sandbox.clock.now) + 60))) == 200
        unknown = forge.token({"kid": "new"}, exp=int(sandbox.clock.now) + 60)
        assert sandbox.status(bearer(unknown)) in ((503,) if hours >= 1 else (401, 503))
    sandbox.clock.now = read_at + 24 * 3_600
    assert sandbox.status(bearer(forge.token(exp=int(sandbox.clock.now) + 60))) == 503


def test_after_a_rotation_the_old_key_fails_and_the_new_one_is_read_once(sandbox: Sandbox, forge: Forge) -> None:
    assert sandbox.status(bearer(forge.valid)) == 200
    sandbox.key_set.content = json.dumps({"keys": [forge.jwk(forge.foreign_key, kid="new")]}).encode()
    sandbox.clock.now += 61
    new = forge.sign(
        json.dumps({"alg": "RS256", "kid": "new"}).encode(), json.dumps(forge.claims()).encode(), forge.foreign_key
    )
    for _ in range(5):
        assert sandbox.status(bearer(new)) == 200
    assert len(sandbox.key_set.reads) == 2
    assert sandbox.status(bearer(forge.valid)) == 401, "the old key is gone at once"


def test_a_withdrawn_key_stops_working_within_an_hour(sandbox: Sandbox, forge: Forge) -> None:
    assert sandbox.status(bearer(forge.valid)) == 200
    sandbox.key_set.content = json.dumps({"keys": [forge.jwk(forge.foreign_key, kid="new")]}).encode()
    token = forge.token(exp=NOW + 9_999)
    sandbox.clock.now = NOW + 3_599
    assert sandbox.status(bearer(token)) == 200
    sandbox.clock.now = NOW + 3_600
    assert sandbox.status(bearer(token)) == 401


def test_a_token_of_a_signed_out_user_passes_until_it_expires(sandbox: Sandbox, forge: Forge) -> None:
    # Cognito's own authorizer of API Gateway does the same. docs/edge.md says so.
    token = forge.token(exp=NOW + 1_800)
    sandbox.clock.now = NOW + 1_799
    assert sandbox.status(bearer(token)) == 200
    sandbox.clock.now = NOW + 1_805
    assert sandbox.status(bearer(token)) == 401


def test_an_expired_token_fails_however_often_a_valid_one_has_passed(sandbox: Sandbox, forge: Forge) -> None:
    expired = forge.token(exp=NOW - 60)
    for _ in range(3):
        assert sandbox.status(bearer(forge.valid)) == 200
        assert sandbox.status(bearer(expired)) == 401
