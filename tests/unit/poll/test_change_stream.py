"""Tests of the change stream on moto's Kinesis, and on a fake Kinesis that refuses some records."""

import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from readplane.aws.boto import BotoClient
from readplane.aws.faults import RefusedError, UnansweredError
from readplane.model.change import Change, parse_line
from readplane.poll.change_stream import MAX_BYTES, MAX_RECORDS, KinesisChangeStream
from tests.fakes.moto_aws import Aws
from tests.unit.support import COLLECTIONS, change


class FakeKinesis:
    """A fake Kinesis client. It accepts each record, unless the function ``refuse`` returns ``True`` for the record.

    :param refuse: takes the number of the request and the record's index in the request. Both are counted from 0.
    """

    def __init__(self, refuse: Callable[[int, int], bool] = lambda call, index: False) -> None:
        self.requests: list[list[dict[str, Any]]] = []
        self.lines: list[bytes] = []
        self._refuse = refuse

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        assert (operation, parameters["StreamName"]) == ("PutRecords", "changes")
        number = len(self.requests)
        self.requests.append(parameters["Records"])
        results: list[dict[str, Any]] = []
        for index, record in enumerate(parameters["Records"]):
            if self._refuse(number, index):
                results.append({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slower"})
            else:
                self.lines.append(record["Data"])
                results.append({"SequenceNumber": "1", "ShardId": "shardId-0"})
        return {"FailedRecordCount": sum("ErrorCode" in result for result in results), "Records": results}


def changes_of(count: int, size: int = 1) -> list[Change]:
    return [change(f"p-{number}", data='{"t":"' + "x" * size + '"}') for number in range(count)]


def test_each_change_is_a_line_under_a_partition_key_of_its_item(aws: Aws) -> None:
    kinesis = boto3.client("kinesis")
    name = f"changes-{uuid.uuid4()}"
    kinesis.create_stream(StreamName=name, ShardCount=1)
    changes = [*changes_of(3), change("p-1", data=None)]
    KinesisChangeStream(BotoClient("kinesis"), name).put_changes(changes, 5)
    shard = kinesis.list_shards(StreamName=name)["Shards"][0]["ShardId"]
    start = kinesis.get_shard_iterator(StreamName=name, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    records = kinesis.get_records(ShardIterator=start["ShardIterator"])["Records"]
    assert [parse_line(record["Data"], COLLECTIONS) for record in records] == changes
    keys = [record["PartitionKey"] for record in records]
    assert keys[1] == keys[3] and len(set(keys)) == 3


def test_a_missing_stream_is_an_error(aws: Aws) -> None:
    with pytest.raises(RefusedError, match="ResourceNotFoundException"):
        KinesisChangeStream(BotoClient("kinesis"), "none").put_changes(changes_of(1), 5)


def test_without_changes_no_request_is_sent() -> None:
    kinesis = FakeKinesis()
    KinesisChangeStream(kinesis, "changes").put_changes([], 5)
    assert kinesis.requests == []


def test_a_request_holds_no_more_than_kinesis_takes() -> None:
    kinesis = FakeKinesis()
    KinesisChangeStream(kinesis, "changes").put_changes(changes_of(2 * MAX_RECORDS + 1), 5)
    assert [len(request) for request in kinesis.requests] == [500, 500, 1]
    kinesis = FakeKinesis()
    KinesisChangeStream(kinesis, "changes").put_changes(changes_of(50, 250_000), 5)
    sizes = [sum(len(entry["Data"]) + len(entry["PartitionKey"]) for entry in request) for request in kinesis.requests]
    assert len(sizes) == 3 and max(sizes) <= MAX_BYTES


def test_only_refused_records_are_retried() -> None:
    pauses: list[float] = []
    kinesis = FakeKinesis(lambda call, index: call < 3 and index % 2 == 0)
    changes = changes_of(10)
    KinesisChangeStream(kinesis, "changes", pause=pauses.append).put_changes(changes, 60)
    assert [len(request) for request in kinesis.requests] == [10, 5, 3, 2]
    assert sorted(kinesis.lines) == sorted(change.line() for change in changes)
    assert len(pauses) == 3


def test_a_record_that_is_always_refused_is_an_error() -> None:
    pauses: list[float] = []
    kinesis = FakeKinesis(lambda call, index: index == 0)
    with pytest.raises(UnansweredError, match="FailedRecords"):
        KinesisChangeStream(kinesis, "changes", pause=pauses.append).put_changes(changes_of(3), 0.5)
    assert all(longest <= 2 for longest in pauses)


def test_the_backoff_grows_while_every_record_is_refused() -> None:
    pauses: list[float] = []
    kinesis = FakeKinesis(lambda call, index: call < 8)
    KinesisChangeStream(kinesis, "changes", pause=pauses.append).put_changes(changes_of(3), 60)
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
