import json
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.apply.notifications import SqsApplyQueue, announced_objects, decode_key, retry_seconds
from readplane.apply.quarantine import Replay
from readplane.aws.faults import UnansweredError
from tests.unit.apply.support import EVENT, KEY, MemoryQueue, apply_with, failures, metrics
from tests.unit.support import MemoryItems, MemoryLog, change


def two_messages() -> Any:
    """Return the recorded SQS event, extended by a second message.

    The second message announces another write-log object. Its receive count says that this is its 4th delivery by SQS.
    """
    two = json.loads(json.dumps(EVENT))
    second = json.loads(json.dumps(two["Records"][0]).replace("-abc.gz", "-def.gz"))
    second |= {"messageId": "second", "receiptHandle": "second-handle"}
    second["attributes"]["ApproximateReceiveCount"] = "4"
    two["Records"].append(second)
    return two


def test_only_the_message_that_failed_comes_again_after_a_growing_delay(capsys: pytest.CaptureFixture[str]) -> None:
    items, queue = MemoryItems(), MemoryQueue()
    items.fail.add("bad")
    log = MemoryLog({KEY: [change("good").line()], KEY.replace("abc", "def"): [change("bad").line()]})
    two = two_messages()
    assert apply_with(items, log, queue)(two) == {"batchItemFailures": [{"itemIdentifier": "second"}]}
    assert list(items.by_key) == ["item/products/good"]
    assert queue.retries == [("second-handle", 16)]
    out = capsys.readouterr().out
    assert '"TimeoutError"' in out and metrics(out)["ObjectsFailed"] == 1
    two["Records"][1]["attributes"]["ApproximateReceiveCount"] = "29"
    apply_with(items, log, queue)(two)
    assert queue.retries[1] == ("second-handle", 900)
    items.fail.clear()
    assert apply_with(items, log)(two) == {"batchItemFailures": []}
    assert len(items.by_key) == 2


@pytest.mark.parametrize(("receive_count", "seconds"), [(1, 2), (2, 4), (4, 16), (9, 512), (10, 900), (1000, 900)])
def test_the_delay_of_a_retry_doubles_up_to_fifteen_minutes(receive_count: int, seconds: int) -> None:
    assert retry_seconds(receive_count) == seconds


def test_a_failed_message_is_reported_even_if_its_retry_cannot_be_scheduled(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class SilentQueue:
        def retry_in(self, receipt_handle: str, seconds: int) -> None:
            raise UnansweredError("ConnectTimeout", sent=False)

    items = MemoryItems()
    items.fail.add("bad")
    log = MemoryLog({KEY: [change("bad").line()]})
    assert failures(apply_with(items, log, SilentQueue())(EVENT)) == [EVENT["Records"][0]["messageId"]]
    assert "retry_not_scheduled" in capsys.readouterr().out


def test_no_further_message_is_started_in_the_second_half_of_the_time() -> None:
    items, queue = MemoryItems(), MemoryQueue()
    log = MemoryLog({KEY: [change("one").line()], KEY.replace("abc", "def"): [change("two").line()]})
    late = apply_with(items, log, queue, iter([30_000, 14_999]))
    assert late(two_messages()) == {"batchItemFailures": [{"itemIdentifier": "second"}]}
    assert list(items.by_key) == ["item/products/one"] and queue.retries == [("second-handle", 0)]


@pytest.mark.parametrize("time", ["08:10:01.350Z", "08:10:01.350000+00:00", "09:10:01.350+01:00"])
def test_a_message_announces_the_decoded_key_and_the_creation_time_of_an_object(time: str) -> None:
    message = json.loads(json.dumps(EVENT["Records"][0]).replace("08:10:01.350Z", time))
    assert list(announced_objects(message)) == [(KEY, 1_795_248_601_350, None)]


def announce(key: str, created: str, **marks: Any) -> Replay | None:
    """Return how an announced object is replayed, which was created at a time of 2026."""
    record = {"eventTime": f"2026-{created}:00.000Z", "s3": {"object": {"key": quote_plus(key)}}}
    ((decoded, _, replay),) = announced_objects({"body": json.dumps({"Records": [record], **marks})})
    assert decoded == key
    return replay


@pytest.mark.parametrize(("mark", "is_replay"), [(True, True), (False, False), ("true", False), (None, False)])
def test_only_true_marks_a_message_as_part_of_a_replay(mark: Any, is_replay: bool) -> None:
    assert announce(KEY, "11-21T08:10", replay=mark) == (Replay() if is_replay else None)


def test_a_replay_names_collections_and_says_whether_the_notification_was_lost() -> None:
    both = announce(KEY, "11-21T08:10", replay=True, lost=True, collections=["products"])
    assert both == Replay(is_lost=True, collections=frozenset({"products"}))
    assert announce(KEY, "11-21T08:10", replay=True, lost="yes") == Replay()
    assert announce(KEY, "11-21T08:10", lost=True, collections=["products"]) is None


@pytest.mark.parametrize("prefix", ["log/", "stream/"])
def test_an_object_of_firehose_that_is_written_again_days_later_counts_as_replayed(prefix: str) -> None:
    key = f"{prefix}year=2026/month=11/day=21/hour=08/demo-1-2026-11-21-08-10-00-abc.gz"
    assert announce(key, "11-23T08:00") is None, "Firehose may deliver an object a day late"
    assert announce(key, "11-23T08:01") == Replay()
    assert announce("log/redrive/2026-11-01/abc", "11-23T08:01") is None


@given(st.one_of(st.text(st.sampled_from("a/+ %2fFé€")), st.text().map(quote_plus)))
def test_a_key_is_decoded_as_the_standard_library_decodes_it(encoded: str) -> None:
    assert decode_key(encoded) == unquote_plus(encoded)


def test_the_test_message_of_s3_announces_no_object() -> None:
    body = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})
    test = {"Records": [{"messageId": "m", "receiptHandle": "r", "body": body}]}
    assert apply_with(MemoryItems(), MemoryLog())(test) == {"batchItemFailures": []}


def test_a_retry_is_scheduled_by_the_visibility_timeout_in_sqs() -> None:
    calls: list[tuple[str, dict[str, Any]]] = []

    class RecordingClient:
        def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
            calls.append((operation, parameters))
            return {}

    SqsApplyQueue(RecordingClient(), "https://queue").retry_in("handle", 16)
    parameters = {"QueueUrl": "https://queue", "ReceiptHandle": "handle", "VisibilityTimeout": 16}
    assert calls == [("ChangeMessageVisibility", parameters)]
