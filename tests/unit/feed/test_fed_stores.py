"""Tests of the stores that `feed` writes. The stores in memory must do what the real servers do."""

from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readplane.feed.errors import StoreFaultError
from readplane.feed.fed_stores import CacheStore, DatabaseStore
from readplane.model.change import Change
from readplane.model.fields import Relational
from readplane.stores.item_cache import CacheSettings, open_entry_store
from readplane.stores.relational.errors import NotMigratedError, RelationalError, TooSlowError
from readplane.stores.relational.migrate import migrate
from readplane.stores.relational.settings import DatabaseSettings
from readplane.stores.relational.writer import RelationalWriter
from readplane.telemetry import Telemetry
from tests.unit.feed.support import CACHE_SETTINGS, MemoryResp, MemoryWriter, memory_entries
from tests.unit.support import NOW_MS, change, version_at

COLLECTIONS = frozenset(["products"])
IDS = ("a", "b", "c")
FLOORS = ("", version_at(NOW_MS - 5), version_at(NOW_MS + 9))

ROWS = st.dictionaries(
    st.sampled_from([change(item_id).key for item_id in IDS]),
    st.none() | st.tuples(st.integers(-9, 9), st.booleans(), st.integers(0, 1)),
    min_size=1,
)


def row_of(item_id: str, ms: int, is_deleted: bool, accepted_ms: int) -> Change:
    """Return a row of the items table. Equal versions have equal data, but may be accepted at different times."""
    data = None if is_deleted else f'{{"n":{ms}}}'
    return change(item_id, ms=NOW_MS + ms, tail=is_deleted, data=data, accepted_ms=NOW_MS + accepted_ms)


def rows_of(drawn: dict[str, tuple[int, bool, int] | None]) -> dict[str, Change | None]:
    return {key: None if entry is None else row_of(key[-1], *entry) for key, entry in drawn.items()}


@pytest.fixture
def writer(postgres: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("READPLANE_DATABASE_PASSWORD", postgres.passwords["feed"])
    monkeypatch.setenv("READPLANE_DATABASE_OWNER_PASSWORD", postgres.passwords["readplane_owner"])
    database = DatabaseSettings("127.0.0.1", postgres.writer_port, "readplane", "feed", tls=False)
    relational = {"products": Relational({})}
    migrate(database, relational, dry_run=False)
    yield (real := RelationalWriter(database, relational))
    real.close()


@settings(max_examples=settings().max_examples // 4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(ROWS, st.sampled_from(FLOORS)), max_size=6))
def test_the_database_in_memory_is_a_postgresql(postgres: Any, writer: Any, steps: list[Any]) -> None:
    postgres.execute("DELETE FROM readplane.products")
    memory = MemoryWriter()
    real, fake = DatabaseStore(writer, COLLECTIONS), DatabaseStore(cast(Any, memory), COLLECTIONS)
    for drawn, floor in steps:
        rows = rows_of(drawn)
        assert real.write_rows(rows, NOW_MS, floor).failed == fake.write_rows(rows, NOW_MS, floor).failed == {}
        stored = postgres.execute("SELECT item_id, version, as_of, deleted, data FROM readplane.products")
        expected = {(row.item_id, row.version, row.as_of, row.data is None, row.data) for row in memory.rows.values()}
        assert set(stored) == expected
    keys = [change(item_id).key for item_id in IDS]
    assert real.read_versions(keys) == fake.read_versions(keys)
    for after in (None, *keys):
        assert real.list_versions("products", after, 2) == fake.list_versions("products", after, 2)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROWS, max_size=6))
def test_the_cache_in_memory_is_a_valkey(valkey: Any, monkeypatch: pytest.MonkeyPatch, steps: list[Any]) -> None:
    monkeypatch.setattr("time.time_ns", lambda: NOW_MS * 1_000_000)
    memory = MemoryResp(lambda: NOW_MS)
    cache_settings: CacheSettings = CACHE_SETTINGS._replace(host="127.0.0.1", port=valkey.port)
    real_entries = open_entry_store(cache_settings, Telemetry("feed", "demo"))
    real, fake = CacheStore(real_entries, COLLECTIONS), CacheStore(memory_entries(memory), COLLECTIONS)
    with valkey.client() as client:
        client.flushdb()
        for drawn in steps:
            rows = rows_of(drawn)
            assert real.write_rows(rows, NOW_MS, "") == fake.write_rows(rows, NOW_MS, "")
        assert {key: client.get(key) for key in client.scan_iter()} == {
            key: value for key, (value, _) in memory.values.items()
        }
    keys = [change(item_id).key for item_id in IDS]
    assert real.read_versions(keys) == fake.read_versions(keys)
    real_entries.close()


def test_the_cache_keeps_the_newer_entry_and_no_entry_for_ever(valkey: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: NOW_MS * 1_000_000)
    cache_settings: CacheSettings = CACHE_SETTINGS._replace(host="127.0.0.1", port=valkey.port)
    store = CacheStore(open_entry_store(cache_settings, Telemetry("feed", "demo")), COLLECTIONS)
    old, new = change(ms=NOW_MS), change(ms=NOW_MS + 1, data=None)
    for row in (old, new, old, None):
        store.write_rows({old.key: row}, NOW_MS, "")
    assert store.read_versions([old.key]) == {old.key: new.version}
    with valkey.client() as client:
        assert 0 < client.pttl(f"g1/{old.key}") <= 330_000


@pytest.mark.parametrize("error", [TooSlowError("57014"), RelationalError("53300")])
def test_an_error_of_the_database_is_a_fault_of_the_store(error: RelationalError) -> None:
    memory = MemoryWriter()

    def fail(label: str) -> None:
        raise error

    memory.before = fail
    store = DatabaseStore(cast(Any, memory), COLLECTIONS)
    code = f"{type(error).__name__}: {error.code}"
    for call in (
        lambda: store.write_rows({change().key: change()}, NOW_MS, ""),
        lambda: store.write_rows({change().key: None}, NOW_MS, ""),
        lambda: store.read_versions([change().key]),
        lambda: store.list_versions("products", None, 1),
        store.describe,
    ):
        with pytest.raises(StoreFaultError) as fault:
            call()
        assert fault.value.code == code


def test_before_the_migration_all_rows_fail_at_once() -> None:
    memory = MemoryWriter()

    def fail(label: str) -> None:
        raise NotMigratedError("state")

    memory.before = fail
    rows: dict[str, Change | None] = {change().key: change(), change("b").key: None}
    outcome = DatabaseStore(cast(Any, memory), COLLECTIONS).write_rows(rows, NOW_MS, "")
    assert outcome.failed == dict.fromkeys(rows, "NotMigrated")
