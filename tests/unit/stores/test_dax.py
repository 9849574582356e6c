"""Tests of the items through DAX, with a fake of the client `amazondax`. DAX itself never ran here."""

import sys
import types
from typing import Any

import pytest

from readplane.aws.faults import AwsError, RefusedError
from readplane.config import SettingsError
from readplane.stores.dax import DaxItems, open_dax_items
from readplane.stores.items import DynamoItems
from tests.fakes.dynamodb import MemoryDynamo
from tests.unit.stores.cache_support import KEY, LoadedItems, RecordingTelemetry
from tests.unit.support import change

ENDPOINT = "daxs://demo.abc.dax-clusters.eu-central-1.amazonaws.com"
SETTINGS = {"engine": "dax", "endpoint": ENDPOINT, "ttl_seconds": 30, "collections": ["products"]}
V1, V2 = change(tail=1), change(tail=2)


class DaxError(Exception):
    """Stands for the errors of `amazondax`, which have no base class of their own."""


class FakeCluster:
    """A DAX cluster: it keeps the first response for each key, misses included.

    :ivar client_options: the arguments of each client that was made.
    :ivar fault: the error that every call raises.
    :ivar has_nodes: whether a client can be made.
    """

    def __init__(self, table: MemoryDynamo) -> None:
        self.table = table
        self.client_options: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []
        self.fault: Exception | None = None
        self.has_nodes = True
        self._responses: dict[str, dict[str, Any]] = {}

    def make_client(self, **options: Any) -> "FakeCluster":
        self.client_options.append(options)
        if not self.has_nodes:
            raise DaxError("NoRouteException")
        return self

    def get_item(self, **parameters: Any) -> dict[str, Any]:
        self.calls.append(parameters)
        if self.fault:
            raise self.fault
        key = parameters["Key"]["pk"]["S"]
        if key not in self._responses:
            self._responses[key] = self.table.call("GetItem", **parameters)
        return self._responses[key]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    cluster = FakeCluster(MemoryDynamo("t"))
    module = types.ModuleType("amazondax")
    module.AmazonDaxClient = cluster.make_client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "amazondax", module)
    return cluster


@pytest.fixture
def log() -> RecordingTelemetry:
    return RecordingTelemetry()


@pytest.fixture
def items() -> LoadedItems:
    return LoadedItems()


@pytest.fixture
def dax(cluster: FakeCluster, items: LoadedItems, log: RecordingTelemetry) -> DaxItems:
    return open_dax_items(SETTINGS, "t", items, log)


def apply(cluster: FakeCluster, items: LoadedItems, *changes: Any) -> None:
    """Apply changes to the table, which is read both through DAX and directly."""
    for each in changes:
        DynamoItems(cluster.table, "t", horizon_ms=86_400_000).apply(each)
        items.apply(each)


def test_an_item_through_dax_is_the_item_of_the_table(dax: DaxItems, cluster: FakeCluster, items: LoadedItems) -> None:
    deleted = change("p-2", data=None)
    apply(cluster, items, V1, deleted)
    assert dax.read(KEY, "") == (V1.version, V1.representation(), "")
    assert dax.read(deleted.key, "") == (deleted.version, "", "")
    assert dax.read("item/products/none", "") == ("", "", "")
    assert items.loads == []
    assert cluster.calls[0] == {"TableName": "t", "Key": {"pk": {"S": KEY}}, "ConsistentRead": False}


def test_the_client_is_made_by_the_first_read(dax: DaxItems, cluster: FakeCluster, items: LoadedItems) -> None:
    assert cluster.client_options == []
    apply(cluster, items, V1)
    for _ in range(3):
        dax.read(KEY, "")
    (options,) = cluster.client_options
    assert options["endpoint_url"] == ENDPOINT
    config = options["config"]
    assert (config.connect_timeout, config.read_timeout, config.retries) == (0.5, 0.1, {"max_attempts": 0})


def test_a_named_version_is_read_from_dynamodb(dax: DaxItems, cluster: FakeCluster, items: LoadedItems) -> None:
    apply(cluster, items, V1)
    dax.read(KEY, "")
    apply(cluster, items, V2)
    assert dax.read(KEY, "")[0] == V1.version  # at most the TTL old
    assert dax.read(KEY, V2.version)[0] == V2.version
    assert items.loads == [True]


def test_a_malformed_row_is_no_item_and_is_counted(
    dax: DaxItems, cluster: FakeCluster, log: RecordingTelemetry
) -> None:
    cluster.table.call("PutItem", TableName="t", Item={"pk": {"S": KEY}, "data": {"S": "{}"}})
    assert dax.read(KEY, "") == ("", "", "")
    assert log.metrics == {"RowsSkipped": 1}


@pytest.mark.parametrize(
    "fault", [DaxError("x"), TimeoutError(), ConnectionResetError()], ids=lambda fault: repr(fault)
)
def test_a_fault_of_dax_is_a_read_from_dynamodb(
    dax: DaxItems, cluster: FakeCluster, items: LoadedItems, log: RecordingTelemetry, fault: Exception
) -> None:
    apply(cluster, items, V1)
    cluster.fault = fault
    answers = [dax.read(KEY, "") for _ in range(10)]
    assert answers == [(V1.version, V1.representation(), "")] * 10
    assert (len(cluster.calls), items.loads) == (2, [False] * 10)  # two faults open the breaker
    assert log.metrics == {"CacheFaults": 1}
    cluster.fault = None
    dax._breaker.open_until = 0.0
    dax.read(KEY, "")
    assert (len(cluster.calls), len(items.loads)) == (3, 10)


def test_a_cluster_without_nodes_is_a_read_from_dynamodb(
    dax: DaxItems, cluster: FakeCluster, items: LoadedItems
) -> None:
    apply(cluster, items, V1)
    cluster.has_nodes = False
    assert [dax.read(KEY, "")[0] for _ in range(5)] == [V1.version] * 5
    assert len(cluster.client_options) == 2
    cluster.has_nodes = True
    dax._breaker.open_until = 0.0
    assert dax.read(KEY, "")[0] == V1.version
    assert (len(cluster.client_options), len(cluster.calls)) == (3, 1)


def test_a_missing_client_is_a_read_from_dynamodb(
    items: LoadedItems, log: RecordingTelemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "amazondax", None)
    items.apply(V1)
    assert open_dax_items(SETTINGS, "t", items, log).read(KEY, "")[0] == V1.version
    assert log.metrics == {"CacheFaults": 1}


def test_an_error_of_dynamodb_is_raised(dax: DaxItems, cluster: FakeCluster, items: LoadedItems) -> None:
    cluster.fault = DaxError("x")
    items.fault = RefusedError("InternalServerError", 500)
    with pytest.raises(AwsError):
        dax.read(KEY, "")


def test_every_wrong_setting_is_listed(items: LoadedItems, log: RecordingTelemetry) -> None:
    with pytest.raises(SettingsError) as caught:
        open_dax_items({"engine": "dax"}, "t", items, log)
    for name in ("endpoint", "collections"):
        assert f"cache.{name} must be" in str(caught.value)
