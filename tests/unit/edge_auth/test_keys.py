"""Test how `edge_auth` reads a pool's key set, and which keys of it are used."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from readplane.aws.faults import AwsError
from readplane.edge_auth import keys
from readplane.edge_auth.keys import (
    MAX_BYTES,
    KeySet,
    KeySetError,
    NoKeysError,
    key_set_address,
    parse_key_set,
    read_key_set,
)
from readplane.telemetry import Telemetry
from tests.fakes.token_attacks import MISSING, Forge, bearer, encode_number
from tests.unit.edge_auth.support import NOW, UNREACHABLE, Clock, Place, Sandbox


def key_set(*entries: Any) -> bytes:
    return json.dumps({"keys": entries}).encode()


def usable(forge: Forge, **changes: Any) -> bool:
    """Return whether a key with changes is used. A good key beside it keeps the key set from being empty."""
    good = forge.jwk(forge.id_key, kid="good")
    found = parse_key_set(key_set(forge.jwk(**changes), good))
    assert "good" in found
    return forge.kid in found


@pytest.mark.parametrize(
    "changes",
    [
        {"use": "enc"},
        {"use": MISSING},
        {"use": ["sig"]},
        {"key_ops": ["sign"]},
        {"key_ops": []},
        {"key_ops": "verify"},
        {"alg": "RS512"},
        {"alg": "PS256"},
        {"alg": None},
        {"kty": "EC"},
        {"kty": "oct", "k": "AAAA"},
        {"kty": MISSING},
        {"kid": MISSING},
        {"kid": 7},
        {"n": MISSING},
        {"n": 5},
        {"n": "AA=="},
        {"n": ""},
        {"e": MISSING},
        {"e": "AQAB="},
        {"d": "AQAB"},
    ],
    ids=str,
)
def test_an_unfit_key_is_not_used(changes: dict[str, Any], forge: Forge) -> None:
    assert usable(forge) and usable(forge, alg=MISSING) and usable(forge, key_ops=["verify"])
    assert not usable(forge, **changes)


@pytest.mark.parametrize("entry", [None, 5, "key", [], {}])
def test_an_entry_that_is_no_key_is_left_out(entry: Any, forge: Forge) -> None:
    assert set(parse_key_set(key_set(entry, forge.jwk()))) == {forge.kid}


@pytest.mark.parametrize("exponent", [0, 1, 2, 65_536, 2**32 + 1, 2**2_000 + 1])
def test_a_weak_key_is_not_used(exponent: int, forge: Forge) -> None:
    assert not usable(forge, e=encode_number(exponent) or "AA")
    assert usable(forge, e=encode_number(3)), "Wycheproof's forgeries for e = 3 fail by the comparison of the padding"


@pytest.mark.parametrize(
    ("bits", "fit"), [(1_024, False), (2_047, False), (2_048, True), (4_096, True), (4_097, False)]
)
def test_a_key_has_2048_to_4096_bits(bits: int, fit: bool, forge: Forge) -> None:
    modulus = (1 << (bits - 1)) + 1_234_567  # odd; whether it is a product of two primes isn't checked
    assert usable(forge, n=encode_number(modulus)) is fit
    assert not usable(forge, n=encode_number(modulus + 1)), "an even modulus"


def test_a_real_key_of_1024_bits_is_not_used(forge: Forge) -> None:
    small = rsa.generate_private_key(65_537, 1_024).public_key().public_numbers()
    assert not usable(forge, n=encode_number(small.n))


def test_two_keys_with_one_kid_are_both_refused(forge: Forge) -> None:
    twins = (forge.jwk(), forge.jwk(forge.foreign_key))
    good = forge.jwk(forge.id_key, kid="good")
    assert set(parse_key_set(key_set(*twins, good))) == {"good"}
    assert set(parse_key_set(key_set(forge.jwk(), forge.jwk(use="enc"), good))) == {"good"}
    with pytest.raises(KeySetError):
        parse_key_set(key_set(*twins))


BROKEN: dict[str, Any] = {
    "HTML": b"<html>Sign in to the Wi-Fi</html>",
    "nothing": b"",
    "an empty list": key_set(),
    "no list": b'{"keys":{}}',
    "no keys": b"{}",
    "a list": b"[]",
    "keys twice": b'{"keys":[],"keys":[]}',
    "not UTF-8": b'{"keys":"\xff"}',
    "deep nesting": b'{"keys":' + b"[" * 30_000,
    "no network": UNREACHABLE,
    "another status": KeySetError("status 500"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_key_set_leaves_the_last_good_one(name: str, sandbox: Sandbox, forge: Forge) -> None:
    assert sandbox.status(bearer(forge.valid)) == 200
    sandbox.key_set.content = BROKEN[name]
    sandbox.clock.now = NOW + 3_601
    token = forge.token(exp=NOW + 9_999)
    for _ in range(3):
        assert sandbox.status(bearer(token)) == 200
    assert len(sandbox.key_set.reads) == 2, "the next attempt comes after a minute"
    sandbox.clock.now += 60
    assert sandbox.status(bearer(token)) == 200 and len(sandbox.key_set.reads) == 3


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_key_set_opens_nothing(name: str, forge: Forge) -> None:
    sandbox = Sandbox(BROKEN[name])
    assert sandbox.status(bearer(forge.valid)) == 503


class TickingClock(Clock):
    """A clock that moves on between any two calls, as a real one does."""

    def __call__(self) -> float:
        self.now += 0.000_01
        return self.now


def test_a_key_set_is_usable_at_once_after_each_read(forge: Forge) -> None:
    clock, place = TickingClock(), Place(forge.key_set())
    found = KeySet("https://x/jwks", Telemetry("edge_auth", "demo"), clock, place)
    assert found.find(forge.kid)
    clock.now += 61
    assert found.find("unknown") is None, "this causes a read"
    assert found.find(forge.kid)
    clock.now += 3_600
    assert found.find(forge.kid), "this causes a read too"
    assert len(place.reads) == 3


def test_a_clock_that_goes_back_during_a_read_makes_no_token_wrong(sandbox: Sandbox, forge: Forge) -> None:
    def read(_: str) -> bytes:
        sandbox.clock.now -= 1
        return forge.key_set()

    sandbox.key_set.content = read
    for pause in (0, 2):
        sandbox.clock.now += pause
        assert sandbox.status(bearer(forge.valid)) == 503, "a 401 would say that the token is wrong"
    sandbox.key_set.content = forge.key_set()
    sandbox.clock.now += 5
    assert sandbox.status(bearer(forge.valid)) == 200


def test_a_clock_that_goes_back_causes_a_read_and_no_trust(forge: Forge) -> None:
    clock, place = Clock(), Place(forge.key_set())
    found = KeySet("https://x/jwks", Telemetry("edge_auth", "demo"), clock, place)
    assert found.find(forge.kid)
    clock.now -= 3_600
    assert found.find(forge.kid) and len(place.reads) == 2
    clock.now -= 3_600
    place.content = UNREACHABLE
    with pytest.raises(NoKeysError):
        found.find(forge.kid)


@pytest.mark.parametrize(
    ("uri", "good"),
    [
        ("https://cognito-idp.eu-central-1.amazonaws.com/x/.well-known/jwks.json", True),
        ("http://localhost:4566/x/.well-known/jwks.json", True),
        ("http://127.0.0.1:80/jwks", True),
        ("http://[::1]:80/jwks", True),
        ("http://cognito-idp.eu-central-1.amazonaws.com/jwks", False),
        ("http://localhost.example.com/jwks", False),
        ("http://127.0.0.1.example.com/jwks", False),
        ("ftp://localhost/jwks", False),
        ("https://user@localhost/jwks", False),
        ("https:///jwks", False),
        ("", False),
    ],
)
def test_a_key_set_is_read_over_tls_unless_it_is_on_this_machine(uri: str, good: bool) -> None:
    if good:
        key_set_address(uri)
        return
    with pytest.raises(ValueError, match="jwks_uri must be http"):
        key_set_address(uri)


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """Serve one connection at a time. Yield the URL of a key set there, and the heads of the requests."""
    requests: list[bytes] = []

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                requests.append(connection.recv(65_536))
                with suppress(OSError):  # the client may give up
                    serve(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/pool/.well-known/jwks.json", requests
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def respond(status: bytes, body: bytes, *headers: bytes) -> Callable[[socket.socket], None]:
    head = b"\r\n".join([b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers, b"", b""])
    return lambda connection: connection.sendall(head + body)


def test_a_key_set_is_read_in_one_request() -> None:
    with server(respond(b"200 OK", b'{"keys":[]}')) as (uri, requests):
        assert read_key_set(uri) == b'{"keys":[]}'
    (request,) = requests
    assert request.startswith(b"GET /pool/.well-known/jwks.json HTTP/1.1\r\nhost: 127.0.0.1:")
    assert b"authorization" not in request.lower()


def test_a_redirect_is_not_followed() -> None:
    with server(respond(b"200 OK", b'{"keys":[]}')) as (elsewhere, requests_elsewhere):
        location = b"Location: " + elsewhere.encode()
        for status in (b"301 Moved", b"302 Found", b"307 Temporary Redirect", b"308 Permanent Redirect"):
            with server(respond(status, b"", location)) as (uri, _), pytest.raises(KeySetError, match="status 3"):
                read_key_set(uri)
    assert not requests_elsewhere


@pytest.mark.parametrize("status", [b"204 No Content", b"206 Partial Content", b"403 Forbidden", b"500 Error"])
def test_only_status_200_brings_a_key_set(status: bytes, forge: Forge) -> None:
    body = b"" if status.startswith(b"204") else forge.key_set()
    with server(respond(status, body)) as (uri, _), pytest.raises(KeySetError, match="status"):
        read_key_set(uri)


def test_a_key_set_of_10_mb_is_not_read_to_its_end() -> None:
    sent = []

    def serve(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")
        for _ in range(1_000):
            connection.sendall(b" " * 10_000)
            sent.append(10_000)

    with server(serve) as (uri, _), pytest.raises(KeySetError, match="too large"):
        read_key_set(uri)
    assert sum(sent) < 10_000_000
    with server(respond(b"200 OK", b" " * MAX_BYTES)) as (uri, _):
        assert len(read_key_set(uri)) == MAX_BYTES


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n"])
def test_a_slow_key_set_ends_after_the_time_limit(beginning: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_TIMEOUT_SECONDS", 0.2)

    def serve(connection: socket.socket) -> None:
        connection.sendall(beginning)
        for _ in range(100):  # a byte now and then must not extend the time
            time.sleep(0.02)
            connection.sendall(b"x" if beginning else b"H")

    start = time.monotonic()
    with server(serve) as (uri, _):
        with pytest.raises(AwsError):
            read_key_set(uri)
        assert time.monotonic() - start < 1


def test_the_time_limit_is_one_second() -> None:
    assert keys._TIMEOUT_SECONDS == 1
