"""The change stream: against moto's Kinesis, and one that refuses some."""

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
    """Takes what ``refuse`` doesn't, and notes each request's records."""

    def __init__(self, refuse: Callable[[int, int], bool] = lambda call, place: False) -> None:
        self.requests: list[list[dict[str, Any]]] = []
        self.taken: list[bytes] = []
        self._refuse = refuse

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        assert (operation, parameters["StreamName"]) == ("PutRecords", "changes")
        number = len(self.requests)
        self.requests.append(parameters["Records"])
        answers: list[dict[str, Any]] = []
        for place, record in enumerate(parameters["Records"]):
            if self._refuse(number, place):
                answers.append({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slower"})
            else:
                self.taken.append(record["Data"])
                answers.append({"SequenceNumber": "1", "ShardId": "shardId-0"})
        return {"FailedRecordCount": sum("ErrorCode" in answer for answer in answers), "Records": answers}


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr("readplane.poll.change_stream.pause", taken.append)
    return taken


def some(count: int, size: int = 1) -> list[Change]:
    return [change(f"p-{number}", data='{"t":"' + "x" * size + '"}') for number in range(count)]


def test_kinesis_has_each_change_as_a_line_by_its_items_key(aws: Aws) -> None:
    kinesis = boto3.client("kinesis")
    name = f"changes-{uuid.uuid4()}"
    kinesis.create_stream(StreamName=name, ShardCount=1)
    changes = [*some(3), change("p-1", data=None)]
    KinesisChangeStream(BotoClient("kinesis"), name).put(changes, 5)
    shard = kinesis.list_shards(StreamName=name)["Shards"][0]["ShardId"]
    start = kinesis.get_shard_iterator(StreamName=name, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    records = kinesis.get_records(ShardIterator=start["ShardIterator"])["Records"]
    assert [parse_line(record["Data"], COLLECTIONS) for record in records] == changes
    keys = [record["PartitionKey"] for record in records]
    assert keys[1] == keys[3] and len(set(keys)) == 3


def test_a_stream_that_is_not_there_is_an_error(aws: Aws) -> None:
    with pytest.raises(RefusedError, match="ResourceNotFoundException"):
        KinesisChangeStream(BotoClient("kinesis"), "none").put(some(1), 5)


def test_nothing_is_no_request() -> None:
    kinesis = FakeKinesis()
    KinesisChangeStream(kinesis, "changes").put([], 5)
    assert kinesis.requests == []


def test_a_request_holds_no_more_than_kinesis_takes() -> None:
    kinesis = FakeKinesis()
    KinesisChangeStream(kinesis, "changes").put(some(2 * MAX_RECORDS + 1), 5)
    assert [len(request) for request in kinesis.requests] == [500, 500, 1]
    kinesis = FakeKinesis()
    KinesisChangeStream(kinesis, "changes").put(some(50, 250_000), 5)
    sizes = [sum(len(entry["Data"]) + len(entry["PartitionKey"]) for entry in request) for request in kinesis.requests]
    assert len(sizes) == 3 and max(sizes) <= MAX_BYTES


def test_only_what_was_refused_comes_again(pauses: list[float]) -> None:
    kinesis = FakeKinesis(lambda call, place: call < 3 and place % 2 == 0)
    changes = some(10)
    KinesisChangeStream(kinesis, "changes").put(changes, 60)
    assert [len(request) for request in kinesis.requests] == [10, 5, 3, 2]
    assert sorted(kinesis.taken) == sorted(change.line() for change in changes)
    assert len(pauses) == 3


def test_what_is_refused_for_good_is_an_error(pauses: list[float]) -> None:
    kinesis = FakeKinesis(lambda call, place: place == 0)
    with pytest.raises(UnansweredError, match="FailedRecords"):
        KinesisChangeStream(kinesis, "changes").put(some(3), 0.5)
    assert all(longest <= 2 for longest in pauses)


def test_pauses_grow_while_nothing_is_taken(pauses: list[float]) -> None:
    kinesis = FakeKinesis(lambda call, place: call < 8)
    KinesisChangeStream(kinesis, "changes").put(some(3), 60)
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
