"""Tests of the RESP client with a real Valkey: its answers, logins, errors and connections.

redis-py is the oracle: the same commands must get the same answers.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

import readplane
from ops.local.ports import free_port
from ops.local.valkey import Valkey, start_valkey
from readplane.aws.faults import UnansweredError
from readplane.stores import resp
from readplane.stores.resp import MAX_ANSWER_BYTES, REDIRECTS, RespClient, RespError
from tests.unit.stores.resp_support import HOST, client_of, code_of, front_before, is_closed, outcome, wait_until


@pytest.fixture
def client(valkey: Valkey) -> Iterator[RespClient]:
    """Return a client of an empty Valkey."""
    client = client_of(valkey.port, call_seconds=1, connect_seconds=1)
    yield client
    client.close()


# --- answers

keys = st.sampled_from([b"a", b"b", b"\x00\r\n$1\r\n"])
values = st.binary(max_size=40) | st.integers(-(2**63), 2**63 - 1).map(lambda number: b"%d" % number)
numbers = st.integers(-3, 50).map(lambda number: b"%d" % number)
commands = st.one_of(
    st.tuples(st.just(b"SET"), keys, values),
    st.tuples(st.just(b"SET"), keys, values, st.just(b"NX"), st.just(b"PX"), st.just(b"60000")),
    st.tuples(st.just(b"GETRANGE"), keys, numbers, numbers),
    st.tuples(st.just(b"SETRANGE"), keys, numbers, values),
    st.tuples(st.just(b"INCRBY"), keys, values),
    st.tuples(st.just(b"APPEND"), keys, values),
    st.tuples(st.just(b"LPUSH"), keys, values),
    st.tuples(st.just(b"ECHO"), values),
    st.tuples(
        st.just(b"EVAL"),
        st.sampled_from([b"return redis.call('get', KEYS[1])", b"x", b"return 7"]),
        st.just(b"1"),
        keys,
    ),
    st.tuples(st.sampled_from([b"GET", b"DEL", b"STRLEN", b"TYPE", b"INCR", b"LPOP", b"EVALSHA", b"NOTHING"]), keys),
)


def oracle(server: Valkey, *words: bytes) -> Any:
    """Return redis-py's raw answer, or the exception that it raises."""
    with redis.Redis(HOST, server.port, protocol=2) as their:
        connection = their.connection_pool.get_connection()
        connection.send_command(*words)
        try:
            return connection.read_response()
        except redis.ResponseError as error:
            return error


@settings(deadline=None, max_examples=60)
@given(st.lists(commands, max_size=12))
def test_random_commands_get_the_answers_that_redis_py_gets(_valkey: Valkey, sent: list[tuple[bytes, ...]]) -> None:
    client = client_of(_valkey.port, call_seconds=5)
    client.call(b"FLUSHALL")
    ours = [outcome(client, *words) for words in sent]
    client.call(b"FLUSHALL")
    for answer, words in zip(ours, sent, strict=True):
        theirs = oracle(_valkey, *words)
        if isinstance(theirs, Exception):
            assert isinstance(answer, str)
        else:
            assert (answer, type(answer)) == (theirs, type(theirs))
    client.close()


@pytest.mark.parametrize("key", ["a", "", "g1/item/products/p-1", "ä€😀", "\r\n$1\r\n", "k" * 70_000])
def test_get_is_the_command_get(client: RespClient, key: str) -> None:
    assert client.get(key) is None
    assert client.call(b"SET", key.encode(), b"v") == b"OK"
    assert client.get(key) == client.call(b"GET", key.encode()) == b"v"
    client.call(b"DEL", key.encode())
    client.call(b"LPUSH", key.encode(), b"v")
    with pytest.raises(RespError) as failed:
        client.get(key)
    assert failed.value.code == "WRONGTYPE"
    assert is_closed(client)


@pytest.mark.parametrize("size", [0, 1, 16_383, 16_384, 16_385, 65_536, MAX_ANSWER_BYTES])
@pytest.mark.parametrize("tls", [False, True])
def test_a_value_of_any_size_comes_back_whole(valkey: Valkey, tls: bool, size: int) -> None:
    value = bytes(range(256)) * (size // 256) + b"\r" * (size % 256)
    with front_before(valkey.port, tls=tls) as front:
        client = client_of(front.port, tls=tls, connect_seconds=5, call_seconds=5)
        for _ in range(2):
            assert client.call(b"SET", b"k", value) == b"OK"
            assert client.call(b"GET", b"k") == value
        assert front.connections == 1
        client.close()


def test_a_longer_answer_is_refused(client: RespClient) -> None:
    client.call(b"SET", b"k", bytes(MAX_ANSWER_BYTES + 1))
    assert code_of(client, b"GET", b"k") == "ProtocolError"
    assert is_closed(client)


def test_an_array_is_refused(client: RespClient) -> None:
    assert code_of(client, b"MGET", b"a", b"b") == "ProtocolError"
    assert is_closed(client)


# --- one connection


def test_calls_share_one_connection_and_each_sends_one_command(valkey: Valkey) -> None:
    with front_before(valkey.port, tls=False) as front, valkey.client() as admin:
        client = client_of(front.port, call_seconds=1)
        for _ in range(5):
            assert client.call(b"GET", b"k") is None
        assert admin.info("commandstats")["cmdstat_get"]["calls"] == 5
        assert front.connections == 1
        client.close()


@pytest.mark.parametrize(("seconds", "expected"), [(59, 1), (61, 2), (-10, 2)])
def test_a_connection_idle_for_over_a_minute_by_the_wall_clock_is_not_used_again(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch, seconds: int, expected: int
) -> None:
    with front_before(valkey.port, tls=False) as front:
        client = client_of(front.port, call_seconds=1)
        client.call(b"PING")
        later = time.time() + seconds
        monkeypatch.setattr(resp, "time", SimpleNamespace(time=lambda: later, monotonic=time.monotonic))
        assert client.call(b"PING") == b"PONG"
        assert front.connections == expected
        client.close()


@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_that_the_server_closed_while_idle_costs_no_call(valkey: Valkey, tls: bool) -> None:
    with front_before(valkey.port, tls=tls) as front, valkey.client() as admin:
        client = client_of(front.port, tls=tls, connect_seconds=1, call_seconds=1)
        client.call(b"SET", b"k", b"v")
        admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        wait_until(lambda: bool(client._poll(0)))
        assert client.call(b"GET", b"k") == b"v"
        assert front.connections == 2
        client.close()


def test_the_connection_is_closed_when_a_call_is_interrupted(
    client: RespClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.call(b"SET", b"k", b"v")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(client, "_wait", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        client.call(b"GET", b"k")
    assert is_closed(client)
    assert client.call(b"STRLEN", b"k") == 1


def test_close_is_allowed_at_any_time(client: RespClient) -> None:
    client.close()
    assert client.call(b"PING") == b"PONG"
    client.close()
    client.close()
    assert client.call(b"PING") == b"PONG"


# --- logins

RULES = "~g1/* +get +set +getrange +eval +evalsha +auth +ping"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """Return a Valkey with a user of limited rights. The default user is off."""
    server = start_valkey(tmp_path_factory.mktemp("guarded"), users={"read": f"on >right {RULES}"})
    yield server
    server.stop()


@pytest.mark.parametrize("tls", [False, True])
def test_the_password_is_asked_for_at_each_new_connection_and_only_then(guarded: Valkey, tls: bool) -> None:
    asked: list[str] = []

    def password() -> str:
        asked.append("right")
        return "right"

    with front_before(guarded.port, tls=tls) as front:
        client = client_of(front.port, tls=tls, user="read", password=password, connect_seconds=1, call_seconds=1)
        assert not asked
        for _ in range(3):
            assert client.call(b"SET", b"g1/k", b"v") == b"OK"
        assert (len(asked), front.connections) == (1, 1)
        client.close()
        assert client.call(b"GET", b"g1/k") == b"v"
        assert (len(asked), front.connections) == (2, 2)
        client.close()


def test_a_refused_login_is_an_error_and_the_next_call_logs_in_again(guarded: Valkey) -> None:
    passwords = ["wrong", "right"]
    client = client_of(guarded.port, user="read", password=lambda: passwords.pop(0), call_seconds=1)
    assert code_of(client, b"GET", b"g1/k") == "WRONGPASS"
    assert is_closed(client)
    assert client.call(b"PING") == b"PONG"
    client.close()


def test_without_a_login_the_server_says_noauth(guarded: Valkey) -> None:
    client = client_of(guarded.port, call_seconds=1)
    assert code_of(client, b"GET", b"g1/k") == "NOAUTH"
    assert is_closed(client)


def test_a_command_or_key_beyond_the_users_rights_is_refused(guarded: Valkey) -> None:
    client = client_of(guarded.port, user="read", password=lambda: "right", call_seconds=1)
    assert code_of(client, b"FLUSHALL") == "NOPERM"
    assert code_of(client, b"GET", b"g2/k") == "NOPERM"
    client.close()


def test_a_password_without_a_user_logs_in_the_default_user(tmp_path: Path) -> None:
    server = start_valkey(tmp_path, settings=["requirepass shared"])
    try:
        assert client_of(server.port, password=lambda: "shared", call_seconds=1).call(b"PING") == b"PONG"
        assert code_of(client_of(server.port, password=lambda: "other", call_seconds=1), b"PING") == "WRONGPASS"
    finally:
        server.stop()


def test_a_login_that_the_server_does_not_want_is_an_error_and_not_a_call_as_another_user(valkey: Valkey) -> None:
    client = client_of(valkey.port, password=lambda: "unwanted", call_seconds=1)
    for _ in range(2):
        assert code_of(client, b"PING") == "ERR"
        assert is_closed(client)


def test_missing_credentials_are_an_error_without_a_connection(valkey: Valkey) -> None:
    def password() -> str:
        raise UnansweredError("NoCredentialsError", sent=False)

    with front_before(valkey.port, tls=False) as front:
        assert code_of(client_of(front.port, user="read", password=password), b"PING") == "NoCredentialsError"
        assert front.connections == 0


# --- servers that can't serve


def test_a_replica_refuses_writes_and_without_its_primary_reads_too(tmp_path: Path) -> None:
    server = start_valkey(tmp_path, settings=["replica-serve-stale-data yes"])
    try:
        client = client_of(server.port, call_seconds=1)
        client.call(b"REPLICAOF", HOST.encode(), b"1")
        assert code_of(client, b"SET", b"k", b"v") == "READONLY"
        assert is_closed(client)
        with server.client() as admin:
            admin.config_set("replica-serve-stale-data", "no")
        assert code_of(client, b"GET", b"k") == "MASTERDOWN"
        assert is_closed(client)
    finally:
        server.stop()


def test_a_full_server_refuses_writes(tmp_path: Path) -> None:
    server = start_valkey(tmp_path, settings=["maxmemory 1", "maxmemory-policy noeviction"])
    try:
        assert code_of(client_of(server.port, call_seconds=1), b"SET", b"k", b"v") == "OOM"
    finally:
        server.stop()


def test_an_unknown_script_is_refused_and_the_connection_stays_open(valkey: Valkey) -> None:
    with front_before(valkey.port, tls=False) as front:
        client = client_of(front.port, call_seconds=1)
        assert code_of(client, b"EVALSHA", b"0" * 40, b"0") == "NOSCRIPT"
        assert client.call(b"EVAL", b"return 7", b"0") == 7
        assert front.connections == 1
        client.close()


def test_a_cluster_refers_to_other_servers_and_the_client_does_not_follow(tmp_path: Path) -> None:
    buses = [free_port() for _ in range(3)]
    nodes = [
        start_valkey(tmp_path / f"{bus}", settings=["cluster-enabled yes", f"cluster-port {bus}"]) for bus in buses
    ]
    try:
        clients = [client_of(node.port, call_seconds=1) for node in nodes]
        assert code_of(clients[0], b"GET", b"k") == "CLUSTERDOWN"
        assert is_closed(clients[0])
        third = 16_384 // 3
        for number, client in enumerate(clients):
            last = 16_383 if number == 2 else (number + 1) * third - 1
            client.call(b"CLUSTER", b"ADDSLOTSRANGE", b"%d" % (number * third), b"%d" % last)
            client.call(b"CLUSTER", b"SET-CONFIG-EPOCH", b"%d" % (number + 1))
        for node, bus in zip(nodes[1:], buses[1:], strict=True):
            clients[0].call(b"CLUSTER", b"MEET", HOST.encode(), b"%d" % node.port, b"%d" % bus)
        wait_until(lambda: all("cluster_state:ok" in str(client.call(b"CLUSTER", b"INFO")) for client in clients))

        # Each key lies on one of the three nodes, and the other two refer to it.
        for key in (b"g1/item/products/p-%d" % number for number in range(12)):
            answers = [outcome(client, b"SET", key, b"v") for client in clients]
            assert sorted(answers, key=str) == sorted([b"OK", "MOVED", "MOVED"], key=str)
            for client, answer in zip(clients, answers, strict=True):
                assert is_closed(client) is (answer == "MOVED")

        # While a slot moves, its node refers to the new node for the keys that it no longer has.
        owner = next(client for client in clients if outcome(client, b"GET", b"absent") is None)
        other = clients[(clients.index(owner) + 1) % 3]
        slot, target = owner.call(b"CLUSTER", b"KEYSLOT", b"absent"), other.call(b"CLUSTER", b"MYID")
        assert isinstance(target, bytes)
        owner.call(b"CLUSTER", b"SETSLOT", str(slot).encode(), b"MIGRATING", target)
        assert code_of(owner, b"GET", b"absent") == "ASK"
        assert is_closed(owner)
        assert REDIRECTS == ("MOVED", "ASK")
    finally:
        for node in nodes:
            node.stop()


@pytest.mark.parametrize("tls", [False, True])
def test_a_frozen_server_costs_a_call_no_more_than_its_time(valkey: Valkey, tls: bool) -> None:
    with front_before(valkey.port, tls=tls) as front:
        client = client_of(front.port, tls=tls, connect_seconds=0.5)
        client.call(b"SET", b"k", b"v", seconds=1)
        valkey.freeze()
        began = time.monotonic()
        assert code_of(client, b"GET", b"k") == "ReadTimeoutError"
        took = time.monotonic() - began
        assert is_closed(client)
        assert code_of(client, b"GET", b"k", seconds=0.2) == "ReadTimeoutError"
        valkey.thaw()
        assert client.call(b"GET", b"k", seconds=1) == b"v"
        client.close()
    assert 0.045 < took < 0.1


@pytest.mark.parametrize("size", [1, 15_000_000])
def test_a_frozen_server_costs_a_login_and_a_large_command_no_more_than_their_time(guarded: Valkey, size: int) -> None:
    client = client_of(guarded.port, user="read", password=lambda: "right", call_seconds=0.1, connect_seconds=0.1)
    if size > 1:
        client.call(b"PING")
    guarded.freeze()
    began = time.monotonic()
    assert code_of(client, b"SET", b"g1/k", bytes(size)) == "ReadTimeoutError"
    took = time.monotonic() - began
    guarded.thaw()
    assert 0.09 < took < 0.3  # the copies of the large command take some of it
    assert is_closed(client)


def test_a_server_that_is_gone_is_an_error_and_one_that_is_back_is_used(valkey: Valkey) -> None:
    client = client_of(valkey.port, call_seconds=1)
    assert client.call(b"PING") == b"PONG"
    valkey.kill()
    began = time.monotonic()
    codes = {code_of(client, b"PING") for _ in range(3)}
    assert time.monotonic() - began < 0.2
    assert codes <= {"EndpointConnectionError", "ConnectionClosedError"}
    valkey.restart()
    assert client.call(b"PING") == b"PONG"
    client.close()


def test_an_unknown_host_is_an_error() -> None:
    client = RespClient("cache.invalid", 6379, tls=False)
    assert code_of(client, b"PING") == "EndpointConnectionError"


def test_a_host_that_accepts_nothing_costs_no_more_than_the_time_to_connect() -> None:
    with socket.create_server((HOST, 0), backlog=0) as full:
        waiting = []
        for _ in range(4):  # fill the queue of connections, which nobody accepts
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(full.getsockname())
        time.sleep(0.05)
        began = time.monotonic()
        assert code_of(client_of(full.getsockname()[1]), b"PING") == "ConnectTimeoutError"
        assert 0.045 < time.monotonic() - began < 0.1
        for connection in waiting:
            connection.close()


# --- the cost of the import


def test_the_client_imports_nothing_that_the_slim_aws_client_has_not_imported() -> None:
    folder = str(Path(readplane.__file__).parent.parent)
    command = [sys.executable, "-I", str(Path(__file__).with_name("loaded_by_resp.py")), folder]
    runs = [subprocess.check_output(command, text=True).split() for _ in range(7)]
    assert [names for _, *names in runs] == [["readplane.stores.resp"]] * 7
    fastest = min(float(seconds) for seconds, *_ in runs)
    print(f"import of stores/resp.py: {fastest * 1e3:.2f} ms of CPU")
    assert fastest < 0.001
