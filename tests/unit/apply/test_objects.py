import gzip
import io
import json
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import boto3
import pytest

from readplane.apply.objects import MAX_PENDING_BATCHES, WORKERS, S3LogObjects
from readplane.aws.client import make_client
from readplane.model.change import Change, PoisonError
from readplane.model.window import Window
from readplane.stores.items import ApplyOutcome
from readplane.stores.items_bulk import MAX_CHANGES
from tests.fakes.moto_aws import REGION
from tests.unit.apply.support import EVENT, KEY, apply_with, failures, metrics
from tests.unit.support import NOW_MS, MemoryItems, MemoryLog, change


def test_an_object_of_the_write_log_is_folded_into_the_items(capsys: pytest.CaptureFixture[str]) -> None:
    old, new, gone = change(ms=NOW_MS - 2), change(ms=NOW_MS - 1), change("p-2", data=None)
    items = MemoryItems()
    log = MemoryLog({KEY: [entry.line() for entry in (new, old, gone, new)]})
    assert apply_with(items, log)(EVENT) == {"batchItemFailures": []}
    assert items.by_key == {new.key: new, gone.key: gone}
    assert metrics(capsys.readouterr().out) == {
        "ChangesApplied": 2,
        "ChangesSuperseded": 1,
        "ChangesDuplicate": 1,
        "RecordsHandled": 4,
    }


def test_a_repeated_delivery_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    items, log = MemoryItems(), MemoryLog({KEY: [change().line()]})
    apply_with(items, log)(EVENT)
    capsys.readouterr()
    apply_with(items, log)(EVENT)
    assert items.by_key == {change().key: change()}
    assert metrics(capsys.readouterr().out) == {"ChangesDuplicate": 1, "RecordsHandled": 1}


def test_records_count_at_the_time_of_their_delivery(capsys: pytest.CaptureFixture[str]) -> None:
    apply_with(MemoryItems(), MemoryLog({KEY: [change().line()]}))(EVENT)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (handled,) = [line for line in lines if "RecordsHandled" in line]
    assert handled["_aws"]["Timestamp"] == 1_795_248_601_350
    assert handled["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Stack"]]


def test_a_redriven_object_does_not_count_as_delivered_records(capsys: pytest.CaptureFixture[str]) -> None:
    """An alarm compares how many records Firehose has delivered with how many `apply` has handled.

    Firehose doesn't deliver redriven records. If `apply` counted them as handled, they would hide lost records from
    this alarm.
    """
    redriven = json.loads(json.dumps(EVENT).replace(quote(KEY), "log/redrive/2026/a.jsonl"))
    items = MemoryItems()
    apply_with(items, MemoryLog({"log/redrive/2026/a.jsonl": [change().line()]}))(redriven)
    assert metrics(capsys.readouterr().out) == {"ChangesApplied": 1} and items.by_key


def test_a_damaged_object_is_applied_up_to_the_damage_and_then_goes_to_quarantine() -> None:
    items, log = MemoryItems(), MemoryLog({KEY: [change().line()]})
    log.damaged.add(KEY)
    assert apply_with(items, log)(EVENT) == {"batchItemFailures": []}
    assert items.by_key and log.quarantined == [(b"", "unparsable", f"{KEY}:2")]


def many_changes(count: int) -> list[Change]:
    return [change(f"i{number}", data=json.dumps({"text": "y" * 10})) for number in range(count)]


class BlockedItems(MemoryItems):
    """Items in memory that block each write of a batch until the event ``unblocked`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.unblocked = threading.Event()

    def apply_all(self, changes: Sequence[Change]) -> Counter[ApplyOutcome]:
        assert self.unblocked.wait(30)
        return super().apply_all(changes)


def test_parsing_waits_for_writing_so_that_a_large_object_needs_little_memory() -> None:
    lines_read = 0

    class CountedLog(MemoryLog):
        def lines(self, key: str) -> Iterator[bytes]:
            nonlocal lines_read
            for line in super().lines(key):
                lines_read += 1
                yield line

    items = BlockedItems()
    log = CountedLog({KEY: [entry.line() for entry in many_changes(20_000)]})
    thread = threading.Thread(target=apply_with(items, log), args=(EVENT,))
    thread.start()
    deadline = time.monotonic() + 30
    while lines_read < Window.MAX_CHANGES and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    assert Window.MAX_CHANGES <= lines_read <= MAX_PENDING_BATCHES * MAX_CHANGES + Window.MAX_CHANGES
    items.unblocked.set()
    thread.join(30)
    assert lines_read == len(items.by_key) == 20_000


def test_nothing_is_written_after_an_object_has_failed(capsys: pytest.CaptureFixture[str]) -> None:
    """`apply` must end all writes before it reports a message as failed, because Lambda may freeze the sandbox then."""

    class FailingItems(BlockedItems):
        def apply_all(self, changes: Sequence[Change]) -> Counter[ApplyOutcome]:
            if any(entry.item_id == "i0" for entry in changes):
                threading.Timer(1, self.unblocked.set).start()  # let the blocked batches end a second later
                raise TimeoutError
            return super().apply_all(changes)

    items = FailingItems()
    assert failures(apply_with(items, MemoryLog({KEY: [entry.line() for entry in many_changes(10_000)]}))(EVENT))
    written = len(items.by_key)
    assert written <= WORKERS * MAX_CHANGES, "batches that no thread had started are cancelled"
    time.sleep(0.2)
    assert len(items.by_key) == written
    assert metrics(capsys.readouterr().out) == {"ObjectsFailed": 1}


# The tests below test `S3LogObjects`, which reads the lines of write-log objects from S3.


def log_object(content: bytes) -> S3LogObjects:
    """Write ``content`` to the object ``log/a.gz`` in a new S3 bucket, and return the reader of this bucket."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="bucket", Key="log/a.gz", Body=content)
    return S3LogObjects(make_client("s3"), "bucket")


@pytest.mark.usefixtures("aws", "either_client")
@pytest.mark.parametrize("pack", [gzip.compress, bytes, lambda text: gzip.compress(text[:7]) + gzip.compress(text[7:])])
def test_lines_are_read_from_gzip_from_plain_text_and_from_joined_gzip_members(pack: Any) -> None:
    text = b'{"a":1}\n\n{"b":"\xc3\xa4"}\n{"c":3}'
    assert [line.strip() for line in log_object(pack(text)).lines("log/a.gz")] == [
        b'{"a":1}',
        b'{"b":"\xc3\xa4"}',
        b'{"c":3}',
    ]


@pytest.mark.usefixtures("aws", "either_client")
@pytest.mark.parametrize("count", [10, 2000])
@pytest.mark.parametrize("part", [0.5, 0.99])
def test_a_damaged_object_yields_every_line_before_the_damage_and_then_raises(count: int, part: float) -> None:
    packed = gzip.compress(b"".join(change(f"i{number}").line() for number in range(count)))
    cut = packed[: int(len(packed) * part)]
    whole = [line for line in zlib.decompressobj(31).decompress(cut).splitlines(True) if line.endswith(b"\n")]
    lines: list[bytes] = []
    with pytest.raises(PoisonError) as caught:
        lines.extend(log_object(cut).lines("log/a.gz"))
    assert caught.value.reason == "unparsable"
    assert lines == whole and (count == 10 or len(whole) > 400)


@pytest.mark.usefixtures("aws", "either_client")
def test_an_empty_object_has_no_lines() -> None:
    assert list(log_object(b"").lines("log/a.gz")) == []


class OneObject:
    """An S3 client that returns the same body for every object."""

    def __init__(self, body: io.BytesIO) -> None:
        self._body = body

    def call(self, operation: str, /, **parameters: Any) -> Any:
        return {"Body": self._body}


def test_the_first_line_is_yielded_before_the_rest_of_the_object_is_read() -> None:
    class CountedBody(io.BytesIO):
        bytes_read = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            CountedBody.bytes_read += len(data)
            return data

    content = b"".join(change(f"i{number}", data='{"x":"' + "y" * 1000 + '"}').line() for number in range(1000))
    first = next(S3LogObjects(OneObject(CountedBody(content)), "bucket").lines("log/a"))
    assert first == content.split(b"\n")[0] + b"\n" and CountedBody.bytes_read < len(content) / 10


@pytest.mark.parametrize("damage", [0, 10])
def test_the_connection_is_closed_after_a_whole_and_after_a_damaged_object(damage: int) -> None:
    packed = gzip.compress(b"".join(entry.line() for entry in many_changes(10)))
    body = io.BytesIO(packed[: len(packed) - damage])
    try:
        assert len(list(S3LogObjects(OneObject(body), "bucket").lines("log/a"))) == 10
        assert not damage
    except PoisonError:
        assert damage
    assert body.closed
