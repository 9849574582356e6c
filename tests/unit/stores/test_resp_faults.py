"""Tests of the RESP client with servers that answer late, twice, in part or with garbage, with and without TLS.

No call may get another call's answer, and a connection that wasn't read to its answer must be closed.
"""

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.local.tls_front import Fault, TlsFront
from ops.local.valkey import Valkey
from readplane.model.cache_entry import CacheEntry
from readplane.stores.item_cache import EntryStore
from readplane.stores.resp import RespClient, RespError
from tests.unit.aws.slim.server import authority
from tests.unit.stores.cache_support import SETTINGS, RecordingTelemetry
from tests.unit.stores.resp_support import (
    HOST,
    ca_pem,
    client_of,
    code_of,
    front_before,
    is_closed,
    outcome,
    wait_until,
)

VALUE = b"the value\r\nof k"
PING = b"*1\r\n$4\r\nPING\r\n"
VERSION = "01930b5e-0000-7000-8000-000000000001"
REPLY = b"$%d\r\n%b\r\n" % (len(VALUE), VALUE)


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def tls(request: pytest.FixtureRequest) -> bool:
    """Return whether the test uses TLS."""
    return bool(request.param)


@pytest.fixture
def front(valkey: Valkey, tls: bool) -> Iterator[TlsFront]:
    """Return a front before a Valkey in which the key ``k`` has the value VALUE, and ``other`` another one."""
    with valkey.client() as admin:
        admin.mset({"k": VALUE, "other": b"the value of other"})
    with front_before(valkey.port, tls=tls) as front:
        yield front


@pytest.fixture
def client(front: TlsFront, tls: bool) -> Iterator[RespClient]:
    """Return a client of the front."""
    client = client_of(front.port, tls=tls, connect_seconds=1, call_seconds=1)
    yield client
    client.close()


def assert_closed_and_well(front: TlsFront, client: RespClient) -> None:
    """Check that the client has closed its connection, and that the next call gets its own answer on another one."""
    assert is_closed(client)
    before = front.connections
    assert client.call(b"GET", b"other") == b"the value of other"
    assert front.connections == before + 1
    wait_until(lambda: front.open == 1)


# --- answers in part


@pytest.mark.parametrize("end", ["close", "reset", "stall"])
def test_a_reply_that_is_cut_at_any_byte_is_an_error(front: TlsFront, client: RespClient, end: str) -> None:
    client.call(b"PING")
    for cut in range(len(REPLY)):
        front.faults = [Fault(cut=cut, end=end)]  # type: ignore[arg-type]
        code = code_of(client, b"GET", b"k", seconds=0.02 if end == "stall" else 1)
        assert code == ("ReadTimeoutError" if end == "stall" else "ConnectionClosedError"), cut
        assert_closed_and_well(front, client)


def test_a_reply_that_comes_byte_by_byte_is_read_whole(front: TlsFront, client: RespClient) -> None:
    front.faults = [Fault(drip=0.001)]
    assert client.call(b"GET", b"k") == VALUE
    assert client.call(b"GET", b"other") == b"the value of other"
    assert front.connections == 1


def test_a_reply_that_comes_byte_by_byte_has_no_more_time_than_another(front: TlsFront, client: RespClient) -> None:
    client.call(b"PING")
    front.faults = [Fault(drip=0.01)]  # 0.22 seconds in all
    began = time.monotonic()
    assert code_of(client, b"GET", b"k", seconds=0.05) == "ReadTimeoutError"
    assert 0.045 < time.monotonic() - began < 0.1
    assert_closed_and_well(front, client)


def test_a_command_that_fills_all_buffers_is_sent_whole_once_the_server_reads_on(tls: bool) -> None:
    value = bytes(2_000_000)
    received = bytearray()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        if tls:
            connection = authority(HOST).server.wrap_socket(connection, server_side=True)
        with connection:
            for pause in (0.0, 0.2):
                time.sleep(pause)
                size = len(received) + (len(PING) if not pause else len(value) + 32)
                while len(received) < size:
                    received.extend(connection.recv(65_536))
                connection.sendall(b"+OK\r\n")

    with socket.create_server((HOST, 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        client = client_of(listener.getsockname()[1], tls=tls, connect_seconds=5, call_seconds=10)
        assert client.call(b"PING") == b"OK"
        assert client._socket
        client._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        assert client.call(b"SET", b"k", value) == b"OK"
        client.close()
        server.join()
    assert bytes(received) == PING + b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2000000\r\n" + value + b"\r\n"


# --- late and second answers


def test_a_late_answer_reaches_nobody(front: TlsFront, client: RespClient) -> None:
    client.call(b"PING")
    front.faults = [Fault(seconds=0.1)]
    assert code_of(client, b"GET", b"k", seconds=0.02) == "ReadTimeoutError"
    assert_closed_and_well(front, client)
    time.sleep(0.15)
    assert client.call(b"GET", b"other") == b"the value of other"


def test_a_second_answer_in_the_same_piece_is_an_error(front: TlsFront, client: RespClient) -> None:
    front.faults = [Fault(copies=2)]
    assert code_of(client, b"GET", b"k") == "ProtocolError"
    assert_closed_and_well(front, client)


def test_a_second_answer_that_comes_later_reaches_nobody(front: TlsFront, client: RespClient) -> None:
    front.faults = [Fault(copies=2, apart=0.01)]
    assert client.call(b"GET", b"k") == VALUE
    time.sleep(0.05)
    assert client.call(b"GET", b"other") == b"the value of other"
    assert front.connections == 2


def test_a_second_error_is_an_error_of_the_protocol(front: TlsFront, client: RespClient) -> None:
    front.faults = [Fault(instead=b"-NOSCRIPT x\r\n", copies=2)]
    assert code_of(client, b"GET", b"k") == "ProtocolError"
    assert_closed_and_well(front, client)


def test_no_reader_gets_another_items_entry_whatever_the_server_does(valkey: Valkey, tls: bool) -> None:
    # A second answer may arrive just when the next command is sent. No client can tell it from the right answer, so
    # the entries hold their keys.
    chance = random.Random(13)
    keys = [f"item/products/p-{number}" for number in range(8)]
    with front_before(valkey.port, tls=tls) as front:
        client = client_of(front.port, tls=tls, connect_seconds=1, call_seconds=0.02)
        telemetry = RecordingTelemetry()
        store = EntryStore(SETTINGS, client, telemetry)
        for key in keys:
            store.put_newer(CacheEntry(VERSION, 9_999_999_999_999, key, f'{{"id":"{key}"}}'), seconds=1)
        right, errors = 0, Counter[str]()
        for _ in range(250):
            key = chance.choice(keys)
            front.faults = [chance.choice([None, None, None, *random_faults(chance)])]
            try:
                entry = store.get(key)
            except RespError as error:
                errors[error.code] += 1
                continue
            if entry:
                assert (entry.key, entry.text) == (key, f'{{"id":"{key}"}}')
                right += 1
        client.close()
        print(f"{right} right answers, {telemetry.metrics.get('CacheMismatch', 0):.0f} mismatches, {dict(errors)}")
        assert right > 60
        assert errors.keys() >= {"ReadTimeoutError", "ConnectionClosedError", "ProtocolError"}


def random_faults(chance: random.Random) -> list[Fault]:
    """Return a random fault of each kind."""
    return [
        Fault(copies=2, apart=chance.choice([0.0, 0.0001, 0.0003, 0.001])),
        Fault(seconds=chance.choice([0.001, 0.03])),
        Fault(cut=chance.randrange(120), end=chance.choice(["close", "reset", "stall"])),
        Fault(drip=0.00001),
        Fault(instead=chance.randbytes(chance.randrange(1, 60)), end="close"),
    ]


# --- garbage

GARBAGE = [
    *(b"\r\n", b"x\r\n", b"$\r\n", b"$-2\r\n", b"$-\r\n", b"$x\r\nab\r\n", b"$1_0\r\n0123456789\r\n", b"$+2\r\nab\r\n"),
    *(
        b"$ 2\r\nab\r\n",
        b"$2\r\nabc\r\n",
        b"$2\r\nab\n\r",
        b"$-1\r\n\r\n",
        b"$1048577\r\n",
        b"$99999999999999999999\r\n",
    ),
    *(b":\r\n", b":1.5\r\n", b":--1\r\n", b":1-\r\n", b":" + b"9" * 5_000 + b"\r\n", b":\xb2\r\n", b"+OK\r\n+OK\r\n"),
    *(b"*0\r\n", b"*-1\r\n", b"*1\r\n$1\r\nx\r\n", b"%1\r\n+a\r\n+b\r\n", b"_\r\n", b"#t\r\n", b",1.5\r\n", b"(1\r\n"),
    *(b">1\r\n+x\r\n", b"=5\r\ntxt:x\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x50\r\n"),
    *(b"-NOSCRIPT x\r\n+OK\r\n", b"x" * 20_000, b"\x00" * 70_000),
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda text: repr(text[:20]))
def test_garbage_is_an_error_of_the_protocol(front: TlsFront, client: RespClient, garbage: bytes) -> None:
    client.call(b"PING")
    front.faults = [Fault(instead=garbage)]
    assert code_of(client, b"GET", b"k") == "ProtocolError"
    assert_closed_and_well(front, client)


CODES = ["READONLY", "LOADING", "CLUSTERDOWN", "MASTERDOWN", "NOAUTH", "WRONGPASS", "MOVED", "ASK", "OOM", "NOPERM"]
CODES += ["BUSY", "WRONGTYPE", "ERR"]


@pytest.mark.parametrize("code", CODES)
def test_an_error_is_its_first_word_and_closes_the_connection(front: TlsFront, client: RespClient, code: str) -> None:
    front.faults = [Fault(instead=f"-{code} secret text\r\n".encode())]
    assert code_of(client, b"GET", b"k") == code
    assert_closed_and_well(front, client)


@pytest.mark.parametrize("text", [b"-", b"-secret", b"-SECRET text", b"-readonly x", b"-READONLYX", b"-\xff\xfe x"])
def test_any_other_error_is_refused_without_its_text(front: TlsFront, client: RespClient, text: bytes) -> None:
    front.faults = [Fault(instead=text + b"\r\n")]
    assert code_of(client, b"GET", b"k") == "Refused"
    assert_closed_and_well(front, client)


@pytest.mark.parametrize("answer", [b"-ERR max number of clients reached\r\n", b"-NOSCRIPT x\r\n", b"\x00\r\n"])
def test_a_login_with_a_wrong_answer_is_an_error(front: TlsFront, tls: bool, answer: bytes) -> None:
    client = client_of(front.port, tls=tls, password=lambda: "p", connect_seconds=1, call_seconds=1)
    front.faults = [Fault(instead=answer), Fault(instead=b"+OK\r\n")]
    assert isinstance(outcome(client, b"GET", b"k"), str)
    assert is_closed(client)
    assert client.call(b"GET", b"k") == VALUE
    assert front.connections == 2
    client.close()


# --- the parser alone


def feed(pieces: list[bytes]) -> tuple[object, bool]:
    """Let a server send these pieces and close. Return the outcome of one call, and whether the client has closed."""
    ours, theirs = socket.socketpair()
    client = RespClient(HOST, 1, tls=False, call_seconds=1)
    client._open = lambda: (ours, time.monotonic() + 1)  # type: ignore[assignment]
    for piece in pieces:
        theirs.send(piece)
    theirs.shutdown(socket.SHUT_WR)
    result = outcome(client, b"GET", b"k")
    closed = is_closed(client)
    client.close()
    theirs.close()
    return result, closed


replies = st.one_of(
    st.binary(max_size=50).map(lambda value: (b"$%d\r\n%b\r\n" % (len(value), value), value)),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: (b":%d\r\n" % number, number)),
    st.text("ABC xyz", max_size=9).map(lambda text: (b"+%b\r\n" % text.encode(), text.encode())),
    st.just((b"$-1\r\n", None)),
)


@settings(deadline=None)
@given(reply=replies, cuts=st.lists(st.integers(0, 60), max_size=6))
def test_a_reply_in_any_pieces_is_the_same_answer(reply: tuple[bytes, object], cuts: list[int]) -> None:
    text, answer = reply
    ends = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(ends)]
    assert feed(pieces) == (answer, False)


@settings(deadline=None)
@given(reply=replies, more=st.binary(min_size=1, max_size=20))
def test_a_reply_with_more_behind_it_is_an_error(reply: tuple[bytes, object], more: bytes) -> None:
    # What looks like a longer line is one, so let the rest never complete a longer simple string or number.
    assert feed([reply[0] + more]) == ("ProtocolError", True)


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.binary(max_size=60), st.text("$:+-*\r\n0123456789_ xOK", max_size=30).map(str.encode)))
def test_random_bytes_are_an_answer_only_if_they_are_exactly_one_reply(text: bytes) -> None:
    result, closed = feed([text] if text else [])
    if closed:
        assert isinstance(result, str)
        return
    if isinstance(result, str):
        assert (result, text[:10]) == ("NOSCRIPT", b"-NOSCRIPT ")
    elif result is None:
        assert text == b"$-1\r\n"
    elif isinstance(result, int):
        assert text[:1] == b":" and text[-2:] == b"\r\n" and int(text[1:-2]) == result
    else:
        assert isinstance(result, bytes)
        head = b"+" if text[:1] == b"+" else b"$" + text[1:].partition(b"\r\n")[0] + b"\r\n"
        assert text == head + result + b"\r\n"
        assert head == b"+" or int(head[1:]) == len(result)


# --- TLS


def test_a_handshake_that_stalls_costs_no_more_than_the_time_to_connect(valkey: Valkey) -> None:
    with front_before(valkey.port, tls=True) as front:
        front.shaking_hands = False
        client = client_of(front.port, tls=True, connect_seconds=0.05)
        began = time.monotonic()
        assert code_of(client, b"PING") == "ConnectTimeoutError"
        assert 0.045 < time.monotonic() - began < 0.1
        wait_until(lambda: front.open == 0)


def test_a_server_that_is_not_trusted_gets_no_password(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def password() -> str:
        asked.append("p")
        return "p"

    other = authority("another.example")
    with front_before(valkey.port, tls=True) as front:
        front.faults = [Fault(instead=b"+OK\r\n")] * 9
        for trusted in (None, ca_pem().replace("A", "B", 1), "", "no certificate", Path(other.bundle).read_text()):
            client = RespClient(HOST, front.port, tls=True, ca_pem=trusted, password=password, connect_seconds=1)
            assert code_of(client, b"PING") == "SSLError"
        assert len(front.faults) == 9  # the server received no command
        monkeypatch.setenv("AWS_CA_BUNDLE", authority(HOST).bundle)
        assert RespClient(HOST, front.port, tls=True, connect_seconds=1, call_seconds=1).call(b"PING") == b"OK"
    assert asked


def test_a_certificate_for_another_name_is_not_trusted(valkey: Valkey) -> None:
    other = authority("another.example")
    front = TlsFront(valkey.port, other.server)
    client = RespClient(HOST, front.port, tls=True, ca_pem=Path(other.bundle).read_text(), connect_seconds=1)
    assert code_of(client, b"PING") == "SSLError"
    front.stop()
