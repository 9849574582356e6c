"""Tests of migrations: they only add, a second run does nothing, and an interrupted one is completed."""

import threading
import time

import psycopg
import pytest

from ops.local.postgres import OWNER, Postgres
from readplane.model.fields import Search
from readplane.model.query import ListQuery
from readplane.stores.relational.errors import MigrationError, UnreachableError
from readplane.stores.relational.migrate import _INDEX_LOCK_TIMEOUT, migrate
from readplane.stores.relational.settings import OWNER_PASSWORD
from tests.fakes.stores import empty_database
from tests.unit.stores.relational.support import FIELDS, PRODUCTS, Stores, change, declare


@pytest.fixture
def empty(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Stores:
    """Return stores on a database without Readplane's schema."""
    return Stores(postgres, monkeypatch)


def test_dry_run_changes_nothing_and_names_what_the_run_does(empty: Stores) -> None:
    report = empty.migrate(dry_run=True)
    assert not report.done
    assert empty.servers.execute("SELECT to_regnamespace('readplane') IS NULL") == [(True,)]
    done = empty.migrate()
    assert done.done
    assert done.steps == report.steps
    assert any("CREATE INDEX CONCURRENTLY" in step for step in done.steps)


def test_second_run_does_nothing(empty: Stores) -> None:
    empty.migrate()
    assert empty.migrate().steps == ()
    assert empty.migrate(dry_run=True).steps == ()


def test_grown_declaration_adds_only_and_the_smaller_one_drops_nothing(empty: Stores) -> None:
    empty.migrate()
    empty.write(change("p", {"price": 1, "size": 2}))
    grown = {"products": declare({**FIELDS, "size": "number"}), "orders": declare({"price": "time"})}
    steps = empty.migrate(grown).steps
    assert not any(word in step for step in steps for word in ("DROP", "DELETE FROM", "ALTER COLUMN", "RENAME"))
    assert sum("ADD COLUMN" in step for step in steps) == 1
    assert empty.migrate().steps == ()
    assert empty.migrate(grown).steps == ()
    assert empty.rows("data") == [('{"price": 1, "size": 2}',)]
    unused = empty.writer.status()["products"]["unused"]
    assert [name.partition("_")[0] for name in unused] == ["size"]


def test_invalid_index_of_an_interrupted_run_is_made_again(empty: Stores) -> None:
    empty.migrate()
    table = empty.writer._tables["products"]
    name = table.fields["price"].index_name
    empty.servers.execute(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'readplane.\"{name}\"'::regclass")
    assert empty.writer.status()["products"]["missing"] == [name]
    steps = empty.migrate().steps
    assert [step.split()[0] for step in steps] == ["DROP", "CREATE"]
    assert empty.writer.status()["products"]["missing"] == []


def test_run_that_ends_at_any_step_is_completed_by_the_next(empty: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    from readplane.stores.relational import migrate as module

    count = len(empty.migrate(dry_run=True).steps)
    run = module._run
    for last in range(0, count, 3):
        empty_database(empty.servers)
        left = [last]

        def stop(connection: object, step: str, left: list[int] = left) -> None:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            run(connection, step)  # type: ignore[arg-type]

        monkeypatch.setattr(module, "_run", stop)
        with pytest.raises(KeyboardInterrupt):
            empty.migrate()
        monkeypatch.setattr(module, "_run", run)
        empty.migrate()
        assert empty.migrate().steps == ()
        assert empty.writer.status()["products"]["missing"] == []


def test_only_one_migration_runs_at_a_time(empty: Stores) -> None:
    from readplane.stores.relational.migrate import _LOCK_KEY

    with empty.servers.connect() as other:
        other.execute("SELECT pg_advisory_lock(%s)", (_LOCK_KEY,))
        with pytest.raises(MigrationError, match="another migration"):
            empty.migrate()
    empty.migrate()


def test_unknown_language_is_refused_before_anything_is_changed(empty: Stores) -> None:
    wrong = {"products": declare()._replace(search=Search(("/name",), "klingon"))}
    with pytest.raises(MigrationError, match="klingon"):
        empty.migrate(wrong)
    assert empty.servers.execute("SELECT to_regnamespace('readplane') IS NULL") == [(True,)]


def test_migration_waits_for_a_lock_without_stopping_the_writers(stores: Stores) -> None:
    """A transaction that holds the table for 5 s makes the migration give up its lock and try again."""
    stores.write(change("p", {"price": 1}))
    grown = {"products": declare({**FIELDS, "size": "number"})}
    with stores.servers.connect(autocommit=False) as other:
        other.execute("SELECT count(*) FROM readplane.products")
        thread = threading.Thread(target=stores.migrate, args=[grown])
        thread.start()
        time.sleep(1)
        begin = time.monotonic()
        stores.write(change("q", {"price": 1}))
        assert time.monotonic() - begin < 3.5  # the lock timeout of the migration
        other.rollback()
    thread.join(30)
    assert not thread.is_alive()
    assert stores.migrate(grown).steps == ()


def test_writes_go_on_while_an_index_is_made(stores: Stores) -> None:
    """The index waits for an older transaction. Meanwhile `feed` writes, and the rows are in the index afterwards."""
    assert _INDEX_LOCK_TIMEOUT == "10min"
    name = stores.writer._tables["products"].fields["price"].index_name
    stores.servers.execute(f'DROP INDEX readplane."{name}"')
    with stores.servers.connect(autocommit=False) as other:
        other.execute("INSERT INTO readplane.shapes VALUES ('x', 'x', '{}')")
        other.execute("LOCK TABLE readplane.products IN ROW EXCLUSIVE MODE")
        thread = threading.Thread(target=stores.migrate)
        thread.start()
        time.sleep(0.5)
        assert stores.write(change("p", {"price": 1})).written == 1
        assert thread.is_alive()
        other.rollback()
    thread.join(30)
    stores.wait()
    assert len(stores.page(ListQuery((), "price", False, None, 5))[0]) == 1


def test_roles_may_do_what_they_need_and_no_more(empty: Stores) -> None:
    empty.migrate()
    servers = empty.servers
    refused = psycopg.errors.InsufficientPrivilege

    def run(user: str, statement: str) -> None:
        with servers.connect(user=user, password=servers.passwords[user]) as connection:
            connection.execute(statement.encode())

    run("query", "SELECT * FROM readplane.products")
    run("feed", "DELETE FROM readplane.products")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        run("query", "DELETE FROM readplane.products")
    for user, statement in (
        ("query", "BEGIN READ WRITE; DELETE FROM readplane.products"),
        ("query", "BEGIN READ WRITE; INSERT INTO readplane.shapes VALUES ('a', 'b', '{}')"),
        ("feed", "DROP TABLE readplane.products"),
        ("feed", "CREATE TABLE readplane.mine ()"),
        ("feed", "TRUNCATE readplane.products"),
        ("feed", "UPDATE readplane.state SET number = 0"),
    ):
        with pytest.raises(refused):
            run(user, statement)


def test_settings_belong_to_the_roles_and_follow_the_declared_ones(empty: Stores) -> None:
    def shown(user: str, name: str) -> str:
        servers = empty.servers
        with servers.connect(user=user, password=servers.passwords[user]) as connection:
            row = connection.execute(f"SHOW {name}".encode()).fetchone()
        return str(row[0])

    empty.migrate()
    assert [shown("query", name) for name in ("statement_timeout", "idle_session_timeout")] == ["2s", "1min"]
    assert shown("query", "default_transaction_read_only") == "on"
    assert [shown("feed", name) for name in ("statement_timeout", "lock_timeout")] == ["30s", "5s"]
    steps = migrate(empty.settings("feed", statement_seconds=3), PRODUCTS).steps
    assert len(steps) == 1
    assert shown("query", "statement_timeout") == "3s"
    empty.migrate()


@pytest.mark.parametrize("query_iam", [True, False])
def test_iam_is_granted_to_the_roles_that_use_it(query_iam: bool, empty: Stores) -> None:
    """On AWS the role rds_iam exists, and the owner may grant it."""
    settings = empty.settings("feed", iam=True, query_iam=query_iam)
    empty.servers.execute(f"CREATE ROLE rds_iam; GRANT rds_iam TO {OWNER} WITH ADMIN OPTION")
    try:
        steps = migrate(settings, PRODUCTS).steps
        members = empty.servers.execute(
            "SELECT member::regrole::text FROM pg_auth_members WHERE roleid = 'rds_iam'::regrole ORDER BY 1"
        )
        assert members == [("feed",), *([("query",)] if query_iam else []), (OWNER,)]
        assert sum("rds_iam" in step for step in steps) == 1 + query_iam
        assert migrate(settings, PRODUCTS).steps == ()
        assert not any("rds_iam" in step for step in empty.migrate().steps)
    finally:
        empty.servers.execute("DROP ROLE rds_iam")


def test_missing_roles_are_made(empty: Stores) -> None:
    passwords = empty.servers.passwords
    empty.servers.execute("DROP OWNED BY query; DROP ROLE query")
    try:
        assert empty.migrate(dry_run=True).steps[0] == "CREATE ROLE query LOGIN"
        empty.migrate()
        assert empty.migrate().steps == ()
    finally:
        empty.servers.execute(f"ALTER ROLE query PASSWORD '{passwords['query']}'")


def test_owner_without_a_right_is_told_which_statement_failed(empty: Stores) -> None:
    empty.servers.execute(f"ALTER ROLE {OWNER} NOCREATEROLE")
    try:
        with pytest.raises(MigrationError, match="the owner may not run: ALTER ROLE feed"):
            empty.migrate()
    finally:
        empty.servers.execute(f"ALTER ROLE {OWNER} CREATEROLE")
    empty.migrate()


def test_wrong_password_is_an_error_without_the_password(empty: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OWNER_PASSWORD, "not-the-password")
    with pytest.raises(UnreachableError) as caught:
        empty.migrate()
    assert "not-the-password" not in str(caught.value)
