"""Test the SQL statements with which docs/lifecycle.md prepares an external database, on a real server."""

import re
from pathlib import Path

import pytest

from ops.console import ROOT
from ops.local.postgres import DATABASE, FUNCTIONS, OWNER, start_postgres
from readplane.model.fields import Field, Relational
from readplane.stores.relational.migrate import migrate
from readplane.stores.relational.settings import OWNER_PASSWORD, DatabaseSettings

DROPS = (f"DROP DATABASE {DATABASE}", *(f"DROP ROLE {role}" for role in (*FUNCTIONS, OWNER)))


def statements() -> list[str]:
    """Return the statements of the page, which ends the paragraph about external databases with them."""
    page = (ROOT / "docs/lifecycle.md").read_text().partition("**An external database.**")[2]
    (block,) = re.findall(r"\A.*?```sql\n(.*?)```", page, re.DOTALL)
    return [text.strip() for text in re.sub(r"--.*", "", block).split(";") if text.strip()]


def test_a_migration_succeeds_after_the_statements_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user who runs them is no superuser: a managed database has none."""
    server = start_postgres(tmp_path, reader=False)
    try:
        with server.connect(dbname="postgres") as superuser:
            for statement in (*DROPS, "CREATE ROLE admin LOGIN CREATEROLE CREATEDB PASSWORD 'secret'"):
                superuser.execute(statement)
        with server.connect(user="admin", password="secret", dbname="postgres") as admin:
            for statement in statements():
                admin.execute(statement)
        monkeypatch.setenv(OWNER_PASSWORD, "…")  # as on the page
        settings = DatabaseSettings(server.host, server.writer_port, DATABASE, "feed", tls=False)
        report = migrate(settings, {"products": Relational({"price": Field("price", "number", "/price")}, ("price",))})
        assert report.done and not any(step.startswith("CREATE ROLE") for step in report.steps)
        with server.connect(user="query", password="…") as query:
            assert query.execute("SELECT count(*) FROM readplane.products").fetchone() == (0,)
    finally:
        server.stop()
