"""Helpers for the tests of the relational store: declarations, changes, and stores on the tests' PostgreSQL."""

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from ops.local.postgres import DATABASE, OWNER, Postgres
from readplane.model.change import API, Change
from readplane.model.fields import Field, FieldType, Relational, Search
from readplane.model.version import stamp
from readplane.stores.relational.lists import RelationalLists
from readplane.stores.relational.migrate import MigrationReport, migrate
from readplane.stores.relational.settings import OWNER_PASSWORD, PASSWORD, DatabaseSettings
from readplane.stores.relational.writer import RelationalWriter
from tests.fakes.stores import empty_database

FIELDS: Mapping[str, FieldType] = {"price": "number", "colour": "text", "sold": "boolean", "at": "time"}
FLOOR_MS = 1_800_000_000_000


def declare(fields: Mapping[str, FieldType] = FIELDS, *, search: Iterable[str] = ("/name",)) -> Relational:
    """Return a declaration in which each field is the member of the same name."""
    declared = {name: Field(name, kind, f"/{name}") for name, kind in fields.items()}
    return Relational(declared, tuple(declared), Search(tuple(search)))


PRODUCTS = {"products": declare()}


def change(
    item_id: str,
    data: Any = None,
    *,
    at: int = 0,
    collection: str = "products",
    owner: str | None = None,
) -> Change:
    """Return a change at a number of milliseconds; a delete without data. Data may be JSON text."""
    text = data if data is None or isinstance(data, str) else json.dumps(data)
    version = stamp(FLOOR_MS + at, item_id.encode().ljust(10, b"-")[-10:])
    return Change(version, collection, item_id, text, "someone", API, "2027-01-15T08:00:00.000Z", owner)


class Stores:
    """The stores of `feed` and `query` on one database.

    :param monkeypatch: sets the passwords that the stores read from the environment.
    """

    def __init__(self, servers: Postgres, monkeypatch: Any, collections: Mapping[str, Relational] = PRODUCTS) -> None:
        self.servers = servers
        self._monkeypatch = monkeypatch
        self.collections = collections
        monkeypatch.setenv(OWNER_PASSWORD, servers.passwords[OWNER])
        self.writer = RelationalWriter(self.settings("feed"), collections)
        self.lists = RelationalLists(self.settings("query"), collections)

    def settings(self, user: str, **changed: Any) -> DatabaseSettings:
        """Return the settings of a role, and put its password into the environment."""
        self._monkeypatch.setenv(PASSWORD, self.servers.passwords[user])
        port = self.servers.reader_port if user == "query" else self.servers.writer_port
        return DatabaseSettings("127.0.0.1", port, DATABASE, user, tls=False)._replace(**changed)

    def migrate(self, collections: Mapping[str, Relational] | None = None, *, dry_run: bool = False) -> MigrationReport:
        return migrate(self.settings("feed"), collections or self.collections, dry_run=dry_run)

    def write(self, *changes: Change, **options: Any) -> Any:
        os.environ[PASSWORD] = self.servers.passwords["feed"]
        return self.writer.upsert(changes, **options)

    def page(self, query: Any, owner: str | None = None, collection: str = "products") -> Any:
        os.environ[PASSWORD] = self.servers.passwords["query"]
        return self.lists.page(collection, owner, query)

    def wait(self) -> None:
        """Wait until the reader shows what was written."""
        self.servers.wait_for_replay()

    def rows(self, columns: str = "*", table: str = 'readplane."products"') -> list[tuple[Any, ...]]:
        return self.servers.execute(f"SELECT {columns} FROM {table} ORDER BY owner, item_id")

    def check(self, condition: str) -> None:
        """Let the database refuse rows of `products` that don't meet a condition, until the test ends."""
        self.servers.execute(f"ALTER TABLE readplane.products ADD CONSTRAINT test CHECK ({condition})")

    def empty(self) -> None:
        """Bring the servers to life and empty the table `products`. Make it first if it isn't as declared."""
        self.servers.revive()
        if self.migrate(dry_run=True).steps or self.writer.status()["products"]["unused"]:
            empty_database(self.servers)
            self.migrate()
        self.servers.execute("ALTER TABLE readplane.products DROP CONSTRAINT IF EXISTS test")
        self.servers.execute("TRUNCATE readplane.products")
        self.servers.execute("SELECT pg_stat_statements_reset()")
        self.servers.wait_for_replay()

    def close(self) -> None:
        self.writer.close()
        self.lists.close()
