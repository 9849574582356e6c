"""Real stores for tests: a Valkey and a PostgreSQL with a streaming reader, started once per test session.

Tests that only need an empty cache or database take the fixtures `valkey` and `postgres` of tests/unit/conftest.py.
Tests that promote the reader or change settings start servers of their own.
"""

from __future__ import annotations

from ops.local.postgres import DATABASE, FUNCTIONS, OWNER, Postgres
from ops.local.valkey import Valkey


def empty_cache(server: Valkey) -> None:
    """Bring a Valkey to life if a test ended or froze it, and remove its entries, scripts and counters."""
    server.revive()
    with server.client() as client:
        client.flushall()
        client.script_flush()
        client.config_resetstat()


def empty_database(servers: Postgres) -> None:
    """Bring a PostgreSQL to life if a test ended or froze it, and remove Readplane's schema and the roles' settings."""
    servers.revive()
    if servers.execute("SELECT pg_is_wal_replay_paused()", reader=True)[0][0]:
        servers.resume_replay()
    servers.execute("DROP SCHEMA IF EXISTS readplane CASCADE")
    for role in (*FUNCTIONS, OWNER):
        servers.execute(f"ALTER ROLE {role} RESET ALL")
        servers.execute(f"ALTER ROLE {role} IN DATABASE {DATABASE} RESET ALL")
    servers.execute("SELECT pg_stat_statements_reset()")
    servers.wait_for_replay()
