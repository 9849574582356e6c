"""Tests of the read of an item's version, with both AWS clients."""

from typing import Any

import pytest

from readplane.aws.client import make_client
from readplane.model.keys import item_key
from readplane.write.stored_versions import DynamoStoredVersions
from tests.unit.stores.support import new_table
from tests.unit.support import change

KEY = item_key("products", "p-1", None)


@pytest.mark.usefixtures("aws", "either_client")
@pytest.mark.parametrize("data", ['{"n":1}', None], ids=["item", "tombstone"])
def test_the_version_is_that_of_the_newest_change(data: str | None) -> None:
    items, table = new_table()
    versions = DynamoStoredVersions(make_client("dynamodb"), table)
    assert versions.get_version(KEY) is None
    items.apply(change(data=data))
    assert versions.get_version(KEY) == change().version


class Recorder:
    """An AWS client that finds no item and keeps the parameters of its last call."""

    def __init__(self) -> None:
        self.parameters: dict[str, Any] = {}

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        self.parameters = {"operation": operation, **parameters}
        return {}


def test_the_read_is_consistent_and_returns_no_data() -> None:
    recorder = Recorder()
    assert DynamoStoredVersions(recorder, "t").get_version(KEY) is None
    assert recorder.parameters == {
        "operation": "GetItem",
        "TableName": "t",
        "Key": {"pk": {"S": KEY}},
        "ProjectionExpression": "version",
        "ConsistentRead": True,
    }
