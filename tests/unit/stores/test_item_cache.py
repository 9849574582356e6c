"""Tests of the item cache on a real Valkey: what it stores, and how it answers reads."""

import itertools
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.local.valkey import Valkey
from readplane.aws.faults import AwsError, RefusedError
from readplane.config import SettingsError
from readplane.model.cache_entry import NO_VERSION, CacheEntry
from readplane.stores import item_cache
from readplane.stores.item_cache import PASSWORD_VARIABLE, CacheSettings, open_cached_items, open_entry_store
from tests.unit.stores.cache_support import KEY, SETTINGS, CacheWorld, RecordingTelemetry
from tests.unit.stores.resp_support import ca_pem, front_before
from tests.unit.support import NOW_MS, MemoryItems, change, version_at

CACHED = f"g1/{KEY}"
LEASE = f"g1/{KEY}/lease"
V1, V2, V3 = change(tail=1, data='{"n":1}'), change(tail=2, data='{"n":2}'), change(tail=3, data='{"n":3}')


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: NOW_MS * 1_000_000)


@pytest.fixture
def world(valkey: Valkey) -> Iterator[CacheWorld]:
    world = CacheWorld(valkey, V2)
    yield world
    world.client.close()


def put_expired(world: CacheWorld, version: str = V1.version, text: str = V1.representation()) -> None:
    """Store an entry that has been stale for two seconds."""
    assert world.store.put_newer(CacheEntry(version, NOW_MS - 2000, KEY, text)) is None


# The answers


def test_a_fresh_entry_answers_with_one_command_and_no_load(world: CacheWorld) -> None:
    world.store.put_newer(world.store.make_entry(KEY, V2, NOW_MS))
    version, text, status = world.read()
    assert (version, text) == (V2.version, V2.representation())
    assert status == "Readplane; hit; ttl=30"
    assert (world.client.commands, world.items.loads, world.telemetry.codes) == (["GET"], [], [])


def test_a_missing_entry_is_loaded_consistently_and_stored(world: CacheWorld) -> None:
    assert world.read() == (V2.version, V2.representation(), "Readplane; fwd=uri-miss; stored")
    assert world.client.commands == ["GET", "SET", "GET", "EVALSHA", "EVAL"]
    assert world.items.loads == [True]
    assert world.read()[2] == "Readplane; hit; ttl=30"
    # The server knows the script now.
    assert world.read(key="item/products/p-2")[2] == "Readplane; fwd=uri-miss; stored"
    assert world.client.commands == ["GET", "SET", "GET", "EVALSHA"]


def test_a_stale_entry_is_loaded_again_by_the_reader_with_the_lease(world: CacheWorld) -> None:
    put_expired(world)
    assert world.read() == (V2.version, V2.representation(), "Readplane; fwd=stale; stored")
    assert world.items.loads == [True]
    assert world.read()[2] == "Readplane; hit; ttl=30"


def test_a_reader_without_the_lease_answers_with_the_stale_entry(world: CacheWorld) -> None:
    put_expired(world)
    assert world.store.take_lease(KEY)
    assert world.read() == (V1.version, V1.representation(), "Readplane; hit; ttl=-2")
    assert (world.client.commands, world.items.loads) == (["GET", "SET"], [])


def test_an_older_stale_entry_answers_no_reader_that_can_wait(world: CacheWorld, valkey: Valkey) -> None:
    """Nobody has read the item for a minute. So its entry may be older than the bound."""
    world.store.put_newer(CacheEntry(V1.version, NOW_MS - 60_000, KEY, V1.representation()))
    other = world.sibling(valkey)
    assert other.store.take_lease(KEY)
    entry = other.store.make_entry(KEY, V2, NOW_MS)
    timer = threading.Timer(0.05, other.store.put_newer, (entry,))
    world.client.before["SET"] = timer.start
    assert world.read() == (V2.version, V2.representation(), "Readplane; fwd=stale; collapsed")
    assert world.items.loads == []
    timer.join()


def test_an_older_stale_entry_answers_if_nobody_loads_it_and_dynamodb_fails(world: CacheWorld) -> None:
    world.store.put_newer(CacheEntry(V1.version, NOW_MS - 60_000, KEY, V1.representation()))
    assert world.store.take_lease(KEY)
    assert world.read() == (V2.version, V2.representation(), "Readplane; fwd=stale; stored")

    world.store._client.call(b"FLUSHALL")
    world.store.put_newer(CacheEntry(V1.version, NOW_MS - 60_000, KEY, V1.representation()))
    assert world.store.take_lease(KEY)
    world.items.fault = RefusedError("ProvisionedThroughputExceededException", 400)
    assert world.read() == (V1.version, V1.representation(), "Readplane; hit; ttl=-60")


def test_a_reader_that_gets_a_lease_late_looks_again_before_it_loads(world: CacheWorld) -> None:
    def another_reader_loads() -> None:
        world.store.put_newer(world.store.make_entry(KEY, V2, NOW_MS))

    for is_stale in (False, True):
        world.store._client.call(b"FLUSHALL")
        if is_stale:
            put_expired(world)
        world.client.before["SET"] = another_reader_loads
        assert world.read() == (V2.version, V2.representation(), "Readplane; hit; ttl=30")
        assert world.items.loads == []


def test_a_reader_without_the_lease_waits_for_a_missing_entry(world: CacheWorld, valkey: Valkey) -> None:
    other = world.sibling(valkey)

    def another_reader_stores() -> None:
        other.store.put_newer(other.store.make_entry(KEY, V2, NOW_MS))

    assert other.store.take_lease(KEY)
    timer = threading.Timer(0.05, another_reader_stores)
    world.client.before["SET"] = timer.start
    assert world.read() == (V2.version, V2.representation(), "Readplane; fwd=uri-miss; collapsed")
    assert world.client.commands[:2] == ["GET", "SET"] and set(world.client.commands[2:]) == {"GET"}
    assert (world.items.loads, world.telemetry.codes) == ([], [])
    timer.join()


def test_a_reader_waits_no_longer_than_its_patience_and_then_loads(world: CacheWorld) -> None:
    assert world.store.take_lease(KEY)
    start = time.monotonic()
    assert world.read() == (V2.version, V2.representation(), "Readplane; fwd=uri-miss; stored")
    assert 0.25 <= time.monotonic() - start < 0.4
    assert world.items.loads == [True]
    assert (world.telemetry.codes, world.telemetry.metrics) == (["cache_wait_over"], {"CacheWaitsOver": 1})


def test_a_lease_is_left_to_expire(world: CacheWorld, valkey: Valkey) -> None:
    world.read()
    assert 1000 < valkey.client().pttl(LEASE) <= 2000
    assert not world.store.take_lease(KEY)


def test_an_item_that_does_not_exist_is_remembered_for_a_short_time(world: CacheWorld, valkey: Valkey) -> None:
    world.items.by_key.clear()
    assert world.read() == (NO_VERSION, "", "Readplane; fwd=uri-miss; stored")
    assert 4000 < valkey.client().pttl(CACHED) <= 5000
    assert world.read() == (NO_VERSION, "", "Readplane; hit; ttl=5")
    assert (world.client.commands, world.items.loads) == (["GET"], [])


def test_a_deleted_item_is_an_entry_with_its_version(world: CacheWorld, valkey: Valkey) -> None:
    tombstone = change(tail=4, data=None)
    world.items.by_key[KEY] = tombstone
    assert world.read()[:2] == (tombstone.version, "")
    assert world.read() == (tombstone.version, "", "Readplane; hit; ttl=30")
    assert valkey.client().pttl(CACHED) > 325_000


def test_every_key_has_a_ttl(world: CacheWorld, valkey: Valkey) -> None:
    put_expired(world)
    world.read()
    for key in ("item/products/none", "item/products/none"):
        world.read(key=key)
    client = valkey.client()
    ttls = {key.decode(): client.pttl(key) for key in client.scan_iter()}
    assert len(ttls) == 4 and all(0 < ttl <= 330_000 for ttl in ttls.values())


def test_a_greater_generation_makes_all_entries_unreachable(world: CacheWorld, valkey: Valkey) -> None:
    world.read()
    flushed = CacheWorld(valkey, V3, generation=2)
    assert flushed.read()[:2] == (V3.version, V3.representation())
    assert world.read()[:2] == (V2.version, V2.representation())


# A named version


def test_an_entry_that_is_at_least_as_new_as_the_named_version_answers(world: CacheWorld) -> None:
    world.read()
    for least in (V1.version, V2.version):
        assert world.read(least) == (V2.version, V2.representation(), "Readplane; hit; ttl=30")
        assert (world.client.commands, world.items.loads) == (["GET"], [])


def test_an_older_entry_does_not_answer_but_is_replaced(world: CacheWorld) -> None:
    world.store.put_newer(world.store.make_entry(KEY, V1, NOW_MS))
    assert world.read(V2.version) == (V2.version, V2.representation(), "Readplane; fwd=request; stored")
    assert world.items.loads == [True] and "SET" not in world.client.commands
    assert world.read()[0] == V2.version


def test_a_stale_entry_answers_a_named_version_only_if_it_is_new_enough(world: CacheWorld) -> None:
    put_expired(world)
    assert world.store.take_lease(KEY)
    assert world.read(V1.version)[::2] == (V1.version, "Readplane; hit; ttl=-2")
    assert world.read(V2.version)[::2] == (V2.version, "Readplane; fwd=stale; stored")
    assert world.items.loads == [True]


def test_a_version_that_is_not_applied_yet_is_not_waited_for(world: CacheWorld) -> None:
    world.read()
    assert world.read(V3.version)[0] == V2.version
    world.items.by_key.clear()
    world.store._client.call(b"FLUSHALL")
    assert world.read(V3.version)[0] == NO_VERSION
    assert world.read(V3.version)[::2] == (NO_VERSION, "Readplane; fwd=request; stored")


# Items that are too large


def test_an_item_that_is_too_large_is_read_from_dynamodb_each_time(valkey: Valkey) -> None:
    world = CacheWorld(valkey, V2, max_item_bytes=len(V2.representation()) - 1)
    assert world.read() == (V2.version, V2.representation(), "Readplane; fwd=uri-miss; stored")
    assert world.read() == (V2.version, V2.representation(), "Readplane; fwd=bypass")
    assert (world.client.commands, world.items.loads) == (["GET"], [True])
    assert world.read(V2.version)[::2] == (V2.version, "Readplane; fwd=bypass")
    assert V2.representation().encode() not in valkey.client().get(CACHED)


def test_no_reader_waits_for_an_item_that_is_too_large(valkey: Valkey) -> None:
    world = CacheWorld(valkey, V2, max_item_bytes=10)
    world.store.put_newer(CacheEntry(V1.version, NOW_MS - 2000, KEY, V1.representation()))
    assert world.store.take_lease(KEY)
    start = time.monotonic()
    assert world.read()[:2] == (V2.version, V2.representation())
    assert time.monotonic() - start < 0.2


def test_an_entry_and_an_item_that_is_too_large_replace_each_other(world: CacheWorld, valkey: Valkey) -> None:
    small = CacheWorld(valkey, V2, max_item_bytes=10)
    world.store.put_newer(world.store.make_entry(KEY, V1, NOW_MS))
    small.store.put_newer(small.store.make_entry(KEY, V2, NOW_MS))
    entry = world.store.get(KEY)
    assert entry is not None and entry.is_too_large and entry.version == V2.version
    world.store.put_newer(world.store.make_entry(KEY, V3, NOW_MS))
    assert world.read()[:2] == (V3.version, V3.representation())


# The guard


@pytest.mark.parametrize(("old", "new"), list(itertools.product([None, V1, V2, V3], repeat=2)))
def test_an_entry_never_replaces_one_with_a_greater_version(world: CacheWorld, old: object, new: object) -> None:
    first, second = (world.store.make_entry(KEY, item, NOW_MS) for item in (old, new))  # type: ignore[arg-type]
    assert world.store.put_newer(first) is None
    newer = world.store.put_newer(second)
    stored = world.store.get(KEY)
    assert stored is not None and stored.version == max(first.version, second.version)
    if second.version >= first.version:
        assert newer is None
    else:
        assert newer is not None and (newer.version, newer.text) == (first.version, first.text)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 3), st.booleans()), min_size=1, max_size=8))
def test_whatever_the_order_the_greatest_version_stays(world: CacheWorld, changes: list[tuple[int, int, bool]]) -> None:
    world.store._client.call(b"FLUSHALL", seconds=5)
    items = [change(ms=ms, tail=tail, data=None if deleted else "{}") for ms, tail, deleted in changes]
    for item in items:
        world.store.put_newer(world.store.make_entry(KEY, item, NOW_MS), seconds=5)
    stored = world.store.get(KEY, seconds=5)
    assert stored is not None and stored.version == max(item.version for item in items)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"~" * 30,
        b"~" * 200,
        CacheEntry(V3.version, 9_999_999_999_999, "item/products/p-9", "{}").encode(100),
        CacheEntry(V3.version, 9_999_999_999_999, KEY, "{}").encode(100)[:60],
    ],
)
def test_a_value_that_is_not_the_items_entry_is_a_miss_and_is_replaced(
    world: CacheWorld, valkey: Valkey, value: bytes
) -> None:
    client = valkey.client()
    client.set(CACHED, value, px=60_000)
    assert world.read() == (V2.version, V2.representation(), "Readplane; fwd=uri-miss; stored")
    assert set(world.telemetry.codes) == {"cache_mismatch"} and world.telemetry.metrics["CacheMismatch"] >= 1
    assert world.read()[2] == "Readplane; hit; ttl=30"


def test_a_mismatch_closes_the_connection(world: CacheWorld, valkey: Valkey) -> None:
    world.read()
    before = valkey.client().info("stats")["total_connections_received"]
    world.read()
    valkey.client().set(CACHED, b"x", px=60_000)
    assert world.store.get(KEY) is None
    assert world.client._idle_since == 0.0
    world.read()
    # One connection is this test's to set the value, one is its own here, and one is the client's.
    assert valkey.client().info("stats")["total_connections_received"] - before >= 3


def test_an_entry_that_comes_too_late_is_not_stored(world: CacheWorld) -> None:
    late = world.store.make_entry(KEY, V1, NOW_MS - 330_001)
    assert world.store.put_newer(late) is None and world.store.get(KEY) is None
    absent = world.store.make_entry(KEY, None, NOW_MS - 5_001)
    assert world.store.put_newer(absent) is None and world.store.get(KEY) is None


def test_an_item_that_went_back_in_dynamodb_does_not_go_back_for_readers(world: CacheWorld) -> None:
    put_expired(world, V3.version, V3.representation())
    assert world.read()[:2] == (V3.version, V3.representation())
    world.client.errors["EVALSHA"] = ["OOM"]
    world.client.call(b"DEL", LEASE.encode())
    assert world.read()[:2] == (V3.version, V3.representation())


# DynamoDB fails


def test_a_stale_entry_answers_while_dynamodb_fails(world: CacheWorld) -> None:
    world.items.fault = RefusedError("ProvisionedThroughputExceededException", 400)
    put_expired(world)
    assert world.read() == (V1.version, V1.representation(), "Readplane; hit; ttl=-2")
    assert world.items.loads == [True]
    assert world.telemetry.codes == ["stale_entry_used"]


def test_without_a_usable_entry_a_failing_dynamodb_is_an_error(world: CacheWorld) -> None:
    world.items.fault = RefusedError("ProvisionedThroughputExceededException", 400)
    with pytest.raises(AwsError):
        world.read()
    put_expired(world)
    with pytest.raises(AwsError):
        world.read(V2.version)


# The settings


def test_every_wrong_setting_is_listed() -> None:
    values = {"engine": "valkey", "port": "6379", "tls": True, "collections": "products", "generation": 1}
    with pytest.raises(SettingsError) as caught:
        open_cached_items(values, MemoryItems(), RecordingTelemetry())
    for name in ("host", "port", "serverless", "collections"):
        assert f"cache.{name} must be" in str(caught.value)


def test_the_settings_of_terraform_open_the_cache(valkey: Valkey) -> None:
    values = SETTINGS._replace(port=valkey.port)._asdict() | {"collections": ["products"]}
    items = MemoryItems()
    items.by_key[KEY] = V2
    cached = open_cached_items(values, items, RecordingTelemetry())
    assert cached.collections == {"products"}
    assert cached.read(KEY, "")[2] == "Readplane; fwd=uri-miss; stored"
    assert cached.read(KEY, "")[2] == "Readplane; hit; ttl=30"
    cached._store.close()


def test_the_cache_trusts_only_the_authority_of_the_settings(valkey: Valkey) -> None:
    with front_before(valkey.port, tls=True) as front:
        values = SETTINGS._replace(port=front.port, tls=True)._asdict() | {"collections": ["products"]}
        items = MemoryItems()
        items.by_key[KEY] = V2
        trusting = open_cached_items(values | {"ca_pem": ca_pem()}, items, RecordingTelemetry())
        assert trusting.read(KEY, "")[2] == "Readplane; fwd=uri-miss; stored"
        trusting._store.close()
        telemetry = RecordingTelemetry()
        assert open_cached_items(values, items, telemetry).read(KEY, "")[0] == V2.version
        assert telemetry.codes == ["cache_failed"]


def test_the_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert item_cache._password(SETTINGS) is None
    monkeypatch.setenv(PASSWORD_VARIABLE, "secret")
    password = item_cache._password(SETTINGS)
    assert password is not None and password() == "secret"


def test_an_iam_user_logs_in_with_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    password = item_cache._password(SETTINGS._replace(user="read", iam_name="demo", serverless=True))
    assert password is not None
    token = password()
    assert token.startswith("demo/?Action=connect&User=read&")
    assert "ResourceType=ServerlessCache" in token


def test_the_connection_is_opened_by_the_first_command() -> None:
    open_entry_store(SETTINGS._replace(port=1), RecordingTelemetry())


def test_the_settings_have_the_published_defaults() -> None:
    defaults = CacheSettings._field_defaults
    assert defaults == {
        "fresh_seconds": 30,
        "stale_seconds": 300,
        "negative_seconds": 5,
        "max_item_bytes": 65_536,
        "ca_pem": None,
    }
    assert version_at(1) > NO_VERSION
