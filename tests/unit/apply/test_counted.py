"""Tests that `apply` counts the records of a write-log object once, however often SQS delivers its message."""

import copy
from typing import Any

import pytest

from readplane.apply.tally import KEEP_SECONDS, Delivery, DynamoCountedObjects, ReservedError
from readplane.aws.faults import RefusedError
from readplane.clock import now_ms
from tests.fakes.dynamodb import MemoryDynamo
from tests.unit.apply.support import EVENT, KEY, MemoryCountedObjects, MemoryQueue, apply_with, failures, metrics
from tests.unit.support import NOW_MS, MemoryItems, MemoryLog, change

MESSAGE = EVENT["Records"][0]["messageId"]
FIRST = Delivery(MESSAGE, "first-receipt", 30_000)
SECOND = FIRST._replace(receipt_handle="second-receipt")
"""A second delivery of the same message."""

OTHER_EVENT = copy.deepcopy(EVENT)
"""A second message that announces the same object."""
OTHER_EVENT["Records"][0]["messageId"] = "a-second-message"


class KilledError(BaseException):
    """Lambda ends the process, so nothing can catch this."""


class FragileClient:
    """A client of a table. It does something after each call, such as ending the process."""

    def __init__(self, table: MemoryDynamo) -> None:
        self._table = table
        self.error: BaseException | None = None
        """What the next call raises after DynamoDB has carried it out."""

    def call(self, operation: str, /, **parameters: Any) -> Any:
        response = self._table.call(operation, **parameters)
        error, self.error = self.error, None
        if error:
            raise error
        return response


def handled_records(counted: Any, event: Any, out: pytest.CaptureFixture[str]) -> float | None:
    """Apply an event, and return the value of the metric `RecordsHandled`; ``None`` if `apply` emits no such metric."""
    log = MemoryLog({KEY: [change().line()]})
    assert failures(apply_with(MemoryItems(), log, counted=counted)(event)) == []
    return metrics(out.readouterr().out).get("RecordsHandled")


@pytest.mark.parametrize("again", [EVENT, OTHER_EVENT], ids=["same-message", "second-message"])
def test_a_repeated_object_counts_once(capsys: pytest.CaptureFixture[str], again: Any) -> None:
    """If it counted twice, it would hide the loss of another object from the alarm."""
    for counted in (MemoryCountedObjects(), DynamoCountedObjects(MemoryDynamo(), "items")):
        assert handled_records(counted, EVENT, capsys) == 1
        assert handled_records(counted, again, capsys) is None


def test_an_object_counts_if_apply_dies_before_it_emits_the_metric(capsys: pytest.CaptureFixture[str]) -> None:
    """The retry of the message emits the metric. Without it, the alarm would report a loss that never happened."""
    client = FragileClient(MemoryDynamo())
    counted = DynamoCountedObjects(client, "items")
    client.error = KilledError()
    with pytest.raises(KilledError):
        handled_records(counted, EVENT, capsys)
    assert "RecordsHandled" not in metrics(capsys.readouterr().out)
    assert handled_records(counted, OTHER_EVENT, capsys) is None, "the first message still counts the object"
    assert [handled_records(counted, EVENT, capsys) for _ in range(2)] == [1, None]
    assert handled_records(counted, OTHER_EVENT, capsys) is None


def test_of_two_deliveries_at_once_only_one_counts_the_object() -> None:
    counted = DynamoCountedObjects(MemoryDynamo(), "items")
    assert counted.start_count("log/a", FIRST, NOW_MS)
    assert counted.start_count("log/a", FIRST, NOW_MS + 1), "the client has repeated the call"
    with pytest.raises(ReservedError):
        counted.start_count("log/a", SECOND, NOW_MS + 2)
    counted.finish_count("log/a", NOW_MS + 3)
    assert not counted.start_count("log/a", SECOND, NOW_MS + 4)


def test_a_later_delivery_counts_the_object_once_the_first_has_ended_for_certain() -> None:
    counted = DynamoCountedObjects(MemoryDynamo(), "items")
    assert counted.start_count("log/a", FIRST, NOW_MS)
    with pytest.raises(ReservedError):
        counted.start_count("log/a", SECOND, NOW_MS + 30_000)
    assert counted.start_count("log/a", SECOND, NOW_MS + 30_001)
    with pytest.raises(ReservedError):
        counted.start_count("log/a", SECOND._replace(receipt_handle="third-receipt"), NOW_MS + 30_002)


def test_a_delivery_comes_again_while_another_may_count_its_object(capsys: pytest.CaptureFixture[str]) -> None:
    """Its changes are applied, so it is no failure, and no alarm counts it."""
    counted, items, queue = DynamoCountedObjects(MemoryDynamo(), "items"), MemoryItems(), MemoryQueue()
    counted.start_count(KEY, FIRST, now_ms())
    apply = apply_with(items, MemoryLog({KEY: [change().line()]}), queue, counted=counted)
    assert failures(apply(EVENT)) == [MESSAGE] and [seconds for _, seconds in queue.retries] == [2]
    assert list(items.by_key) == [change().key]
    out = capsys.readouterr().out
    assert "delivery_repeated" in out and not {"RecordsHandled", "ObjectsFailed"} & set(metrics(out))
    counted.finish_count(KEY, now_ms())
    assert failures(apply(EVENT)) == [] and "RecordsHandled" not in metrics(capsys.readouterr().out)


def test_a_count_that_cannot_be_finished_fails_no_message(capsys: pytest.CaptureFixture[str]) -> None:
    """If it failed the message, the retry would count the object twice."""

    class Counted(MemoryCountedObjects):
        def finish_count(self, key: str, now_ms: int) -> None:
            raise RefusedError("ThrottlingException", 400, {})

    log = MemoryLog({KEY: [change().line()]})
    assert failures(apply_with(MemoryItems(), log, counted=Counted())(EVENT)) == []
    out = capsys.readouterr().out
    assert metrics(out)["RecordsHandled"] == 1
    assert '"event":"count_not_finished"' in out and "ThrottlingException" in out


def test_a_failed_object_counts_when_a_later_delivery_applies_it(capsys: pytest.CaptureFixture[str]) -> None:
    items, log, counted = MemoryItems(), MemoryLog({KEY: [change().line()]}), MemoryCountedObjects()
    items.fail.add(change().item_id)
    apply_with(items, log, counted=counted)(EVENT)
    assert "RecordsHandled" not in metrics(capsys.readouterr().out)
    items.fail.clear()
    apply_with(items, log, counted=counted)(EVENT)
    assert metrics(capsys.readouterr().out)["RecordsHandled"] == 1


def test_the_items_table_remembers_a_counted_object_for_two_days() -> None:
    table = MemoryDynamo()
    counted = DynamoCountedObjects(table, "items")
    expires_at = {"N": str(NOW_MS // 1000 + KEEP_SECONDS)}
    for key, is_first in (("log/a", True), ("log/b", True), ("log/a", False)):
        delivery = FIRST if is_first else SECOND._replace(message_id="another")
        assert counted.start_count(key, delivery, NOW_MS) == is_first
        # Lists and `publish` would see a record with one of the attributes `version` and `list_key`.
        assert table.items[f"object/{key}"] == {
            "pk": {"S": f"object/{key}"},
            "expires_at": expires_at,
            "message_id": {"S": MESSAGE},
            "receipt_handle": {"S": "first-receipt"},
            "ends_ms": {"N": str(NOW_MS + 30_000)},
        }
    counted.finish_count("log/a", NOW_MS)
    assert table.items["object/log/a"] == {"pk": {"S": "object/log/a"}, "expires_at": expires_at}
    assert set(table.items) == {"object/log/a", "object/log/b"}


def test_an_object_counts_if_the_response_to_the_first_attempt_was_lost() -> None:
    class RepeatingClient:
        """Repeats each call, as the AWS client does if no response has arrived."""

        def __init__(self, table: MemoryDynamo) -> None:
            self._table = table

        def call(self, operation: str, /, **parameters: Any) -> Any:
            self._table.call(operation, **parameters)
            return self._table.call(operation, **parameters)

    assert DynamoCountedObjects(RepeatingClient(MemoryDynamo()), "items").start_count("log/a", FIRST, NOW_MS)


def test_a_refused_call_fails_the_object() -> None:
    table = MemoryDynamo()
    table.fail_call = lambda operation: "AccessDeniedException"
    with pytest.raises(RefusedError):
        DynamoCountedObjects(table, "items").start_count("log/a", FIRST, NOW_MS)


@pytest.mark.parametrize(
    ("attributes", "counts"),
    [
        ({}, False),
        ({"token": {"S": MESSAGE}}, False),
        ({"message_id": {"N": "1"}}, False),
        ({"message_id": {"S": MESSAGE}}, True),
    ],
    ids=["counted", "token", "malformed", "without-receipt"],
)
def test_a_record_of_an_older_release_is_understood(attributes: Any, counts: bool) -> None:
    """An older release wrote a random token in place of the message id, and a later one wrote no receipt handle."""
    table = MemoryDynamo()
    table.items["object/log/a"] = {"pk": {"S": "object/log/a"}, **attributes}
    assert DynamoCountedObjects(table, "items").start_count("log/a", FIRST, NOW_MS) == counts
