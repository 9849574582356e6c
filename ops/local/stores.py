"""Start and stop the private stores of a local run: a real Valkey and a real PostgreSQL for each Region.

Terraform gets them as external stores (environments/local.tfvars), because the emulator's ElastiCache and Aurora have
no server behind them. Each local run has a name and its own stores, with all files in .local/<name>/stores/. The
passwords are new in each run. The functions that `make down` calls use only the standard library.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import json
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from ops.console import CommandError, failures
from ops.local import emulator, postgres, valkey
from ops.local.postgres import OWNER, Postgres
from ops.local.valkey import RULES, Valkey

ROLES = ("primary", "replica")
"""The Regions of the local stack, each of which has stores of its own."""

USER = "readplane"
"""The user of the cache in environments/local.tfvars."""

PORTS = {
    "primary": {"cache": 16379, "writer": 15432, "reader": 15433},
    "replica": {"cache": 16380, "writer": 15434, "reader": 15435},
}
"""The ports of the stores in environments/local.tfvars. Each local run copies the file and puts its own ports there."""


@dataclasses.dataclass(frozen=True)
class Stores:
    """The private stores of a local run, by the role of their Region.

    cache_passwords: the password of the caches' user USER
    """

    caches: Mapping[str, Valkey]
    databases: Mapping[str, Postgres]
    cache_passwords: Mapping[str, str]

    @property
    def ports(self) -> dict[int, int]:
        """The port of each store, by the port that stands for it in environments/local.tfvars."""
        ports = {}
        for role, standing in PORTS.items():
            ports[standing["cache"]] = self.caches[role].port
            ports[standing["writer"]] = self.databases[role].writer_port
            ports[standing["reader"]] = self.databases[role].reader_port
        return ports

    @property
    def passwords(self) -> dict[str, str]:
        """Terraform's variable `store_passwords`."""
        passwords = {}
        for role in ROLES:
            prefix = "" if role == "primary" else "replica_"
            database = self.databases[role].passwords
            passwords[f"{prefix}cache"] = self.cache_passwords[role]
            passwords |= {f"{prefix}{user}": database[user] for user in ("feed", "query")}
            passwords[f"{prefix}owner"] = database[OWNER]
        return passwords

    @property
    def alive(self) -> bool:
        """Whether a server of the stores runs."""
        caches = any(cache.alive for cache in self.caches.values())
        return caches or any(database.alive for database in self.databases.values())

    def revive(self) -> None:
        """Start the servers that have ended, and let frozen ones go on."""
        for cache in self.caches.values():
            cache.revive()
        for database in self.databases.values():
            database.revive()

    def describe(self) -> str:
        """Return one sentence that says where the primary Region's stores listen."""
        cache, database = self.caches["primary"], self.databases["primary"]
        ports = f"{database.writer_port}, reader {database.reader_port}"
        return f"Valkey is up on port {cache.port}, PostgreSQL on {ports} (each Region has its own)"


def folder(name: str) -> Path:
    """Return the folder with all files of a local run's stores."""
    return emulator.folder(name) / "stores"


def start(name: str) -> Stores:
    """Start new, empty stores for a local run. Stop older ones first.

    :raises CommandError: if a server doesn't start, or this system has no program for it
    """
    stop(name)
    home = folder(name)
    home.mkdir(parents=True, exist_ok=True)
    passwords = {role: secrets.token_urlsafe(24) for role in ROLES}
    file = home / "passwords.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(passwords))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        # Wait for all, so that `stop` finds every server if one of them doesn't start.
        databases = {role: pool.submit(_start_database, home / role / "database") for role in ROLES}
        caches = {role: pool.submit(_start_cache, home / role / "cache", passwords[role]) for role in ROLES}
    try:
        return Stores(
            {role: cache.result() for role, cache in caches.items()},
            {role: database.result() for role, database in databases.items()},
            passwords,
        )
    except BaseException:
        stop(name)
        raise


def _start_cache(home: Path, password: str) -> Valkey:
    return valkey.start_valkey(home, users={USER: f"on >{password} {RULES}"}, detached=True)


def _start_database(home: Path) -> Postgres:
    return postgres.start_postgres(home, detached=True)


def load(name: str) -> Stores | None:
    """Return the stores of a local run, running or not. Return None if the run has none."""
    home = folder(name)
    caches = {role: valkey.load(home / role / "cache") for role in ROLES}
    databases = {role: postgres.load(home / role / "database") for role in ROLES}
    file = home / "passwords.json"
    if not file.exists() or None in (*caches.values(), *databases.values()):
        return None
    return Stores(
        {role: cache for role, cache in caches.items() if cache},
        {role: database for role, database in databases.items() if database},
        json.loads(file.read_text()),
    )


def running(name: str) -> list[Valkey | Postgres]:
    """Return the servers of a local run that run, also if the run never got as far as starting all of them."""
    home = folder(name)
    servers = [
        server
        for role in ROLES
        for server in (valkey.load(home / role / "cache"), postgres.load(home / role / "database"))
    ]
    return [server for server in servers if server and server.alive]


def stop(name: str) -> bool:
    """Stop the servers of a local run. Return whether one was running. Their files stay."""
    servers = running(name)
    for server in servers:
        server.stop()
    return bool(servers)


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says: show a local run's stores, or kill, freeze or start one."""
    parser = argparse.ArgumentParser(prog="python -m ops.local.stores", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--name", default="demo", help="the run's name (default: demo)")
    parser.add_argument("--role", choices=ROLES, default="primary", help="whose Region (default: primary)")
    parser.add_argument("action", choices=["status", "kill", "freeze", "start"], help="start: after kill or freeze")
    parser.add_argument("store", nargs="?", choices=["cache", "database"], help="for kill, freeze and start")
    options = parser.parse_args(arguments)
    stores = load(options.name)
    if stores is None:
        raise CommandError(f"`{options.name}` has no stores. Bring it up with: make demo")
    if options.action == "status":
        for role in ROLES:
            for kind, server in (("cache", stores.caches[role]), ("database", stores.databases[role])):
                print(f"{role} {kind}: {'up' if server.alive else 'down'}")
        return 0
    if options.store is None:
        parser.error(f"{options.action} needs a store: cache or database")
    server = (stores.caches if options.store == "cache" else stores.databases)[options.role]
    if options.action == "start":
        server.revive()
    elif options.action == "kill":
        server.kill()
    else:
        server.freeze()
    print(f"{options.action} {options.store}: done.")
    return 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
