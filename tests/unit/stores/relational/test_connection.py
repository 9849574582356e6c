"""Tests of the connections: readers only, TLS, dead and frozen servers, and the texts that the server sees."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops.local.postgres import start_postgres
from ops.local.tls_front import CertifiedFront
from readplane.model.query import Condition, ListQuery
from readplane.stores.relational import lists as lists_module
from readplane.stores.relational.connection import IDLE_SECONDS, LIFE_SECONDS, Database, translate
from readplane.stores.relational.errors import (
    NoReaderError,
    NotMigratedError,
    RelationalError,
    TooSlowError,
    UnreachableError,
)
from readplane.stores.relational.lists import RelationalLists
from readplane.stores.relational.settings import PASSWORD, DatabaseSettings
from tests.unit.stores.relational.support import PRODUCTS, Stores, change

QUERY = ListQuery((), "price", False, None, 5)


def connections(stores: Stores, user: str, *, reader: bool) -> int:
    return int(
        stores.servers.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", (user,), reader=reader)[0][0]
    )


def lists_at(stores: Stores, **changed: Any) -> RelationalLists:
    return RelationalLists(stores.settings("query", **changed), PRODUCTS)


def test_reader_endpoint_that_leads_to_the_writer_is_refused(stores: Stores) -> None:
    writer = stores.servers.writer_port
    lists = lists_at(stores, port=writer)
    for _ in range(2):
        with pytest.raises(NoReaderError, match="Writer"):
            lists.page("products", None, QUERY)
        assert connections(stores, "query", reader=False) == 0
    allowed = lists_at(stores, port=writer, reads_from_writer=True)
    assert allowed.page("products", None, QUERY) == ([], None)
    allowed.close()


def test_promoted_reader_is_refused_with_the_next_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    servers = start_postgres(tmp_path)
    try:
        stores = Stores(servers, monkeypatch)
        stores.migrate()
        servers.wait_for_replay()
        stores.page(QUERY)
        servers.promote_reader()
        for _ in range(2):
            with pytest.raises(NoReaderError, match="Writer"):
                stores.page(QUERY)
        stores.close()
    finally:
        servers.kill()


def test_reader_that_is_far_behind_is_refused(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    stores.write(change("p", {"price": 1}))
    stores.wait()
    assert len(stores.page(QUERY)[0]) == 1
    stores.servers.pause_replay()
    stores.page(QUERY)  # nothing is missing yet, so the reader isn't behind
    monkeypatch.setattr(lists_module, "MAX_LAG_SECONDS", 0.2)
    stores.write(change("q", {"price": 1}))
    deadline = time.monotonic() + 10
    with pytest.raises(NoReaderError, match="ReaderLag"):
        while time.monotonic() < deadline:
            stores.page(QUERY)
            time.sleep(0.05)
    stores.servers.resume_replay()
    stores.wait()
    assert len(stores.page(QUERY)[0]) == 2


def test_server_without_the_functions_for_lag_is_asked_for_recovery_only(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Aurora refuses these functions with the SQLSTATE 0A000. This server refuses another expression with it."""
    # A lock of rows under an aggregate is such an expression.
    monkeypatch.setattr(
        lists_module, "_LAG", "(SELECT count(*) FROM (SELECT count(*) FROM readplane.products FOR UPDATE) x)"
    )
    stores.write(change("p", {"price": 1}))
    stores.wait()
    assert len(stores.page(QUERY)[0]) == 1
    assert not stores.lists._has_lag


def test_no_reader_is_an_error_and_a_new_reader_is_used_at_once(stores: Stores) -> None:
    stores.page(QUERY)
    stores.servers.stop_reader()
    for _ in range(2):
        with pytest.raises(UnreachableError):
            stores.page(QUERY)
    assert connections(stores, "query", reader=False) == 0
    stores.servers.start()
    assert stores.page(QUERY) == ([], None)


def test_connection_that_the_server_closed_is_replaced_without_an_error(stores: Stores) -> None:
    stores.page(QUERY)
    stores.write(change("p", {"price": 1}))
    for reader in (True, False):
        stores.servers.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ('feed', 'query')", reader=reader
        )
    assert stores.write(change("q", {"price": 1})).written == 1
    stores.page(QUERY)


def test_frozen_server_is_an_error_within_the_deadline(stores: Stores) -> None:
    lists = lists_at(stores, statement_seconds=1)
    lists.page("products", None, QUERY)
    stores.servers.freeze()
    try:
        begin = time.monotonic()
        with pytest.raises(UnreachableError):
            lists.page("products", None, QUERY)  # the open connection
        assert 1.5 < time.monotonic() - begin < 3
        begin = time.monotonic()
        with pytest.raises(UnreachableError):
            lists.page("products", None, QUERY)  # a new one
        assert time.monotonic() - begin < 4
    finally:
        stores.servers.thaw()
    assert lists.page("products", None, QUERY) == ([], None)
    lists.close()


def test_statement_that_takes_too_long_is_canceled_and_the_connection_is_kept(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.servers.execute("ALTER ROLE query IN DATABASE readplane SET statement_timeout = '200ms'")
    stores.wait()
    stores.page(QUERY)
    with stores.servers.connect(reader=True) as probe:
        pid = probe.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'query'").fetchall()
        monkeypatch.setattr(lists_module, "_LAG", "(SELECT 0::float8 FROM pg_sleep(5))")
        begin = time.monotonic()
        with pytest.raises(TooSlowError):
            stores.page(QUERY)
        assert time.monotonic() - begin < 1.5
        assert probe.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'query'").fetchall() == pid
    stores.migrate()


def test_connection_lives_five_minutes_and_idles_no_longer_than_the_server_lets_it(stores: Stores) -> None:
    now = [1_000.0]
    opened: list[Any] = []
    settings = stores.settings("feed")
    password = stores.servers.passwords["feed"]
    database = Database(
        settings,
        "feed",
        lambda: password,
        statement_seconds=5,
        connect_seconds=5,
        check=opened.append,
        now=lambda: now[0],
    )

    def used() -> int:
        database.run(lambda connection: connection.execute("SELECT 1"))
        return len(opened)

    assert used() == 1
    for _ in range(int(LIFE_SECONDS // 40)):
        now[0] += 40
        assert used() == 1
    now[0] += 40
    assert used() == 2  # it is five minutes old
    now[0] += IDLE_SECONDS
    assert used() == 3
    now[0] -= 60
    assert used() == 4  # the clock was set back, so nobody knows its age
    assert all(connection.closed for connection in opened[:-1])
    database.close()


def test_connection_is_closed_if_anything_stops_its_use(stores: Stores) -> None:
    """An answer that wasn't read could otherwise be taken for that of the next statement."""
    settings = stores.settings("feed")
    password = stores.servers.passwords["feed"]
    database = Database(settings, "feed", lambda: password, statement_seconds=5, connect_seconds=5)
    seen: list[Any] = []

    def stop(connection: Any) -> None:
        seen.append(connection)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.run(stop)
    assert seen[0].closed
    database.close()


def test_statement_that_fails_is_not_run_twice_on_a_new_connection(stores: Stores) -> None:
    settings = stores.settings("feed", port=1)
    calls: list[str] = []

    def password() -> str:
        calls.append("connect")
        return "x"

    database = Database(settings, "feed", password, statement_seconds=5, connect_seconds=2)
    with pytest.raises(UnreachableError):
        database.run(lambda connection: connection.execute("SELECT 1"))
    assert calls == ["connect"]


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("57014", TooSlowError),
        ("42P01", NotMigratedError),
        ("42703", NotMigratedError),
        ("42501", NotMigratedError),
        ("25006", UnreachableError),
        ("28P01", UnreachableError),
        ("53300", UnreachableError),
        ("57P01", UnreachableError),
        ("57P03", UnreachableError),
        ("08006", UnreachableError),
        ("XX000", RelationalError),
        ("22P02", RelationalError),
    ],
)
def test_errors_of_the_server_are_told_apart(state: str, kind: type[RelationalError]) -> None:
    import psycopg

    failure = translate(psycopg.errors.lookup(state)("the text of an error is never passed on"))
    assert type(failure) is kind
    assert str(failure) == state


def test_tls_checks_the_certificate_and_the_name(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = CertifiedFront(tmp_path, stores.servers.reader_port, postgres=True)
    try:

        def page(**changed: Any) -> Any:
            lists = RelationalLists(
                stores.settings("query", host="localhost", port=front.port, tls=True)._replace(**changed), PRODUCTS
            )
            try:
                return lists.page("products", None, QUERY)
            finally:
                lists.close()

        def refusal(**changed: Any) -> str:
            with pytest.raises(UnreachableError) as caught:
                page(**changed)
            return str(caught.value.__cause__)

        assert page(ca_pem=front.ca_pem) == ([], None)
        assert "certificate verify failed" in refusal()  # the system's certificates don't cover it
        assert "does not match host name" in refusal(ca_pem=front.ca_pem, host="0.0.0.0")  # the same server
        assert "does not support SSL" in refusal(ca_pem=front.ca_pem, port=stores.servers.reader_port)
    finally:
        front.stop()


def test_password_is_an_iam_token_if_the_settings_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from readplane.stores.relational.connection import password_of

    settings = DatabaseSettings("db.cluster-x.eu-central-1.rds.amazonaws.com", 5432, "readplane", "feed", iam=True)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv(PASSWORD, "not this")
    token = password_of(settings, "feed", iam=True, variable=PASSWORD)()
    assert token is not None
    assert token.startswith("db.cluster-x.eu-central-1.rds.amazonaws.com:5432/?Action=connect&DBUser=feed&")
    assert password_of(settings, "feed", iam=False, variable=PASSWORD)() == "not this"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.delenv(name, raising=False)
    password: Callable[[], str | None] = password_of(settings, "feed", iam=True, variable=PASSWORD)
    with pytest.raises(UnreachableError, match="NoCredentials"):
        password()


def test_server_sees_a_fixed_set_of_statements_and_no_value(stores: Stores) -> None:
    for reader in (False, True):
        stores.servers.execute("SELECT pg_stat_statements_reset()", reader=reader)
    marks = [f"mark{n}" for n in range(40)]
    for mark in marks:
        text = f"{mark}'; DROP TABLE x; --"
        stores.write(change(mark, {"colour": text, "name": text, "price": 1}))
        stores.page(ListQuery((Condition("colour", "eq", text),), "colour", False, text, 5))
    seen = [
        row[0]
        for reader in (False, True)
        for row in stores.servers.execute(
            "SELECT query FROM pg_stat_statements WHERE userid IN ('feed'::regrole, 'query'::regrole)", reader=reader
        )
    ]
    assert not any("mark" in text or "DROP" in text for text in seen)
    assert 3 <= len(seen) <= 12
