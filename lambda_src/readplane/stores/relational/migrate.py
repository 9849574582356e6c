"""Makes what the declarations need: roles, tables, columns, indexes and privileges. It only ever adds.

`feed` runs a migration on command, as the role that owns the tables. A second run finds nothing to do. The next run
completes one that was interrupted. If that one left an invalid index, the next run drops the index and makes it again.
A migration drops nothing else. Columns and tables that no declaration needs any more stay until somebody drops them by
hand. `status` names such columns.

Reads and writes go on meanwhile. A new column has no default, so adding it takes no time. A statement that waits for a
lock gives up after 3 s and is tried again. ``CREATE INDEX CONCURRENTLY`` locks nobody out. Only one migration runs at a
time.
"""

import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import psycopg

from ...model.fields import Relational
from .catalog import IAM_ROLE, Catalog
from .connection import Connection, Database, execute, is_retryable, password_of
from .errors import MigrationError
from .settings import OWNER_PASSWORD, DatabaseSettings
from .tables import FEED, QUERY, SCHEMA, Column, Table
from .upsert import register
from .writer import STATEMENT_SECONDS

IDLE_SESSION_SECONDS = 60
"""After how many seconds the server closes an idle session. Otherwise frozen sandboxes keep a cluster from pausing."""

_LOCK_KEY = 0x52_65_61_64  # "Read"
_LOCK_TIMEOUT = "3s"
_INDEX_LOCK_TIMEOUT = "10min"
"""How long a new index may wait for transactions that began earlier. It locks nobody out meanwhile."""

_ATTEMPTS = 10
_PAUSE_SECONDS = 1.0


class MigrationReport(NamedTuple):
    """What a migration does.

    :param steps: the SQL statements, in order. They contain no passwords.
    :param done: whether the statements were run.
    """

    steps: tuple[str, ...]
    done: bool


def migrate(
    settings: DatabaseSettings, collections: Mapping[str, Relational], *, dry_run: bool = False
) -> MigrationReport:
    """Make what the declarations need and the database lacks.

    :param settings: how `feed` connects. The migration connects to the same host, as the owner.
    :param collections: the declaration of each relational collection.
    :param dry_run: whether to return the statements only.
    :raises MigrationError: if another migration runs, a declared language is unknown, or the owner lacks a right.
    :raises RelationalError: if the database can't be reached. Run the migration again.
    """
    password = password_of(settings, settings.owner, iam=settings.owner_iam, variable=OWNER_PASSWORD)
    database = Database(settings, settings.owner, password, statement_seconds=None, connect_seconds=10)
    tables = [Table(name, relational) for name, relational in collections.items()]
    try:
        return database.run(lambda connection: _migrate(connection, settings, tables, dry_run=dry_run))
    finally:
        database.close()


def _migrate(
    connection: Connection, settings: DatabaseSettings, tables: list[Table], *, dry_run: bool
) -> MigrationReport:
    catalog = Catalog(connection)
    unknown = {table.language for table in tables if table.search}
    unknown -= catalog.texts("SELECT cfgname::text FROM pg_ts_config")
    if unknown:
        raise MigrationError(f"unknown search languages: {', '.join(sorted(unknown))}")
    if dry_run:
        return MigrationReport(tuple(_steps(catalog, settings, tables)), done=False)
    if not catalog.holds("SELECT pg_try_advisory_lock(%s)", _LOCK_KEY):
        raise MigrationError("another migration is running")
    steps: list[str] = []
    for step in _steps(catalog, settings, tables):
        _run(connection, step)
        steps.append(step)
    for table in tables:
        register(connection, table, catalog.columns(table.name))
    return MigrationReport(tuple(steps), done=True)


def _steps(catalog: Catalog, settings: DatabaseSettings, tables: list[Table]) -> Iterator[str]:
    """Yield the missing statements in their order. The caller may run each one before it asks for the next."""
    roles = catalog.roles
    for role in (FEED, QUERY):
        if role not in roles:
            yield f"CREATE ROLE {role} LOGIN"
    if not catalog.schema:
        yield f"CREATE SCHEMA {SCHEMA}"
    if not catalog.columns(f"{SCHEMA}.state"):
        yield (
            f"CREATE TABLE {SCHEMA}.state (one boolean PRIMARY KEY DEFAULT true CHECK (one), number integer NOT NULL);"
            f" INSERT INTO {SCHEMA}.state (number) VALUES (1)"
        )
    if not catalog.columns(f"{SCHEMA}.shapes"):
        yield (
            f"CREATE TABLE {SCHEMA}.shapes (collection text NOT NULL, shape text NOT NULL, columns text[] NOT NULL,"
            " PRIMARY KEY (collection, shape))"
        )
    for table in tables:
        yield from _table_steps(catalog, table)
    yield from _privilege_steps(catalog, tables)
    yield from _role_steps(catalog, settings, roles)
    for table in tables:
        yield from _index_steps(catalog, table)


def _table_steps(catalog: Catalog, table: Table) -> Iterator[str]:
    existing = catalog.columns(table.name)
    missing = [column for column in table.columns if column.name not in existing]
    # The number tells `feed` to look at the columns again, so it changes in the same transaction.
    count = f"UPDATE {SCHEMA}.state SET number = number + 1"
    if not existing:
        text = 'text COLLATE "C"'
        fixed = (
            f"owner {text} NOT NULL, item_id {text} NOT NULL, version {text} NOT NULL, as_of text NOT NULL,"
            f" data text, deleted boolean NOT NULL, shape {text} NOT NULL"
        )
        declared = "".join(f", {_definition(column)}" for column in missing)
        yield f"CREATE TABLE {table.name} ({fixed}{declared}, PRIMARY KEY (owner, item_id)); {count}"
    elif missing:
        added = ", ".join(f"ADD COLUMN {_definition(column)}" for column in missing)
        yield f"ALTER TABLE {table.name} {added}; {count}"


def _definition(column: Column) -> str:
    return f'"{column.name}" {column.sql_type}'


def _privilege_steps(catalog: Catalog, tables: list[Table]) -> Iterator[str]:
    for role in (FEED, QUERY):
        # A role or a schema that isn't there yet has no privileges.
        if not catalog.holds("SELECT has_schema_privilege(to_regrole(%s), to_regnamespace(%s), 'USAGE')", role, SCHEMA):
            yield f"GRANT USAGE ON SCHEMA {SCHEMA} TO {role}"
    wanted = [(f"{SCHEMA}.state", ("SELECT",)), (f"{SCHEMA}.shapes", ("SELECT", "INSERT"))]
    wanted += [(table.name, ("SELECT", "INSERT", "UPDATE", "DELETE")) for table in tables]
    for name, privileges in wanted:
        if catalog.lacks_privilege(FEED, name, privileges):
            yield f"GRANT {', '.join(privileges)} ON {name} TO {FEED}"
        if catalog.lacks_privilege(QUERY, name, ("SELECT",)):
            yield f"GRANT SELECT ON {name} TO {QUERY}"


def _role_steps(catalog: Catalog, settings: DatabaseSettings, roles: set[str]) -> Iterator[str]:
    both = {"idle_session_timeout": f"{IDLE_SESSION_SECONDS}s", "client_min_messages": "error", "timezone": "UTC"}
    wanted = {
        FEED: {"statement_timeout": f"{STATEMENT_SECONDS}s", "lock_timeout": "5s", **both},
        QUERY: {
            "default_transaction_read_only": "on",
            "statement_timeout": f"{settings.statement_seconds}s",
            # One list takes one process of the server, and no time to compile a plan that runs for milliseconds.
            "max_parallel_workers_per_gather": "0",
            "jit": "off",
            **both,
        },
    }
    for role, values in wanted.items():
        existing = {text.lower() for text in catalog.role_settings(role)}
        for name, value in values.items():
            if f"{name}={value}".lower() not in existing:
                yield f"ALTER ROLE {role} IN DATABASE {_quoted(settings.name)} SET {name} = '{value}'"
    for role, uses_iam in ((FEED, settings.iam), (QUERY, settings.iam and settings.query_iam)):
        # A member of this role can log in with an IAM token only, and no longer with a password.
        if (
            uses_iam
            and IAM_ROLE in roles
            and not catalog.holds("SELECT pg_has_role(to_regrole(%s), to_regrole(%s), 'MEMBER')", role, IAM_ROLE)
        ):
            yield f"GRANT {IAM_ROLE} TO {role}"


def _index_steps(catalog: Catalog, table: Table) -> Iterator[str]:
    valid, invalid = catalog.indexes(table.name, valid=True), catalog.indexes(table.name, valid=False)
    # Deleted items are in no index, so that they cost lists nothing.
    wanted = {column.index_name: f'(owner, "{column.name}", item_id)' for column in table.fields.values()} | {
        table.shape_index: "(shape)"
    }
    if table.search:
        wanted[table.search.index_name] = f'USING gin ("{table.search.name}")'
    for index, what in wanted.items():
        if index in invalid:
            yield f'DROP INDEX CONCURRENTLY {SCHEMA}."{index}"'
        if index not in valid:
            yield f'CREATE INDEX CONCURRENTLY "{index}" ON {table.name} {what} WHERE NOT deleted'


def _run(connection: Connection, step: str) -> None:
    """Run one step, again and again if it can't get its lock."""
    concurrently = " CONCURRENTLY " in step
    execute(connection, f"SET lock_timeout = '{_INDEX_LOCK_TIMEOUT if concurrently else _LOCK_TIMEOUT}'")
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            execute(connection, step)
        except psycopg.Error as error:
            if error.sqlstate == "42501":
                raise MigrationError(f"the owner may not run: {step}") from error
            # An index that could not get its lock is left invalid, so only the next run can make it.
            if not is_retryable(error) or concurrently or attempt == _ATTEMPTS:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
