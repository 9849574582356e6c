"""Test the stores of a local run: each Region has its own, Terraform gets their ports and passwords, they come back."""

from pathlib import Path

import pytest

from ops.console import CommandError
from ops.local import down, postgres, stores, valkey
from ops.local.stores import PORTS, ROLES, USER

STOPPED = "stopped the cache and the database of each Region, with all their data"

pytestmark = pytest.mark.usefixtures("runs_in_tmp_path")


def test_each_region_has_stores_of_its_own_that_end_and_come_back(tmp_path: Path) -> None:
    assert stores.load("x") is None and not stores.stop("x")
    servers = stores.start("x")
    try:
        ports = servers.ports
        assert sorted(ports) == sorted(port for standing in PORTS.values() for port in standing.values())
        assert len(set(ports.values())) == 6
        for role in ROLES:
            cache, database = servers.caches[role], servers.databases[role]
            with cache.client(username=USER, password=servers.cache_passwords[role]) as client:
                client.set("g1/item/countries/CH", role)
            database.execute(f"CREATE TABLE region AS SELECT '{role}' AS role")
        servers.caches["primary"].kill()
        servers.databases["replica"].kill()
        servers.databases["primary"].freeze()
        again = stores.load("x")
        assert again == servers, "the next program finds the same servers"
        again.revive()
        for role in ROLES:
            assert again.databases[role].execute("SELECT role FROM region") == [(role,)]
        with again.caches["replica"].client() as client:
            assert client.get("g1/item/countries/CH") == b"replica"
    finally:
        assert stores.stop("x")
    assert not servers.alive and not stores.stop("x")


def test_the_passwords_of_a_run_are_terraforms_and_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    servers = stores.start("x")
    try:
        names = {"cache", "feed", "query", "owner"}
        assert set(servers.passwords) == names | {f"replica_{name}" for name in names}
        assert len(set(servers.passwords.values())) == 8
        for file in stores.folder("x").rglob("*.json"):
            assert file.stat().st_mode & 0o077 == 0, file
        assert stores.main(["--name", "x", "kill", "cache"]) == stores.main(["--name", "x", "freeze", "database"]) == 0
        assert stores.main(["--name", "x", "status"]) == 0
        assert "primary cache: down\nprimary database: up\nreplica cache: up" in capsys.readouterr().out
        for store in ("cache", "database"):
            assert stores.main(["--name", "x", "start", store]) == 0
        assert servers.databases["primary"].execute("SELECT 1") == [(1,)]
    finally:
        stores.stop("x")


def test_a_run_without_stores_is_told_so() -> None:
    with pytest.raises(CommandError, match="make demo"):
        stores.main(["--name", "x", "status"])


def test_a_store_that_does_not_start_leaves_no_other_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise CommandError("no program")

    monkeypatch.setattr(postgres, "start_postgres", refuse)
    with pytest.raises(CommandError, match="no program"):
        stores.start("x")
    caches = [valkey.load(stores.folder("x") / role / "cache") for role in ROLES]
    assert [cache is not None and not cache.alive for cache in caches] == [True, True]


def test_a_store_is_removed_with_a_run_that_was_killed_before_all_had_started(tmp_path: Path) -> None:
    """A killed program starts no further store and stops none, so `down` finds only some of them."""
    database = postgres.start_postgres(stores.folder("x") / "primary" / "database", detached=True)
    assert stores.load("x") is None and database.alive
    assert down.down("x") == [STOPPED, f"removed {tmp_path / 'x'}"]
    assert not database.alive


@pytest.mark.parametrize("store", ["cache", "database"])
def test_a_store_is_found_while_it_starts(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[bool] = []

    def wait(*_: object) -> None:
        found.extend(server.alive for server in stores.running("x"))
        raise CommandError("killed meanwhile")

    monkeypatch.setattr(valkey if store == "cache" else postgres, "wait_until", wait)
    folder = stores.folder("x") / "primary" / store
    with pytest.raises(CommandError, match="killed meanwhile"):
        (valkey.start_valkey if store == "cache" else postgres.start_postgres)(folder, detached=True)
    assert found == [True] and not stores.running("x")


def test_the_stores_of_a_run_are_stopped_with_it(tmp_path: Path) -> None:
    servers = stores.start("x")
    assert down.down("x", dry_run=True) == [STOPPED, f"removed {tmp_path / 'x'}"]
    assert servers.alive
    servers.caches["primary"].kill()
    assert down.down("x") == [STOPPED, f"removed {tmp_path / 'x'}"]
    assert not servers.alive
