"""Tests that `apply` counts the records of a write-log object once, however often SQS delivers its message."""

from typing import Any

import pytest

from readplane.apply.tally import KEEP_SECONDS, DynamoCountedObjects
from readplane.aws.faults import RefusedError
from tests.fakes.dynamodb import MemoryDynamo
from tests.unit.apply.support import EVENT, KEY, MemoryCountedObjects, apply_with, metrics
from tests.unit.support import NOW_MS, MemoryItems, MemoryLog, change


def test_a_repeated_object_counts_once(capsys: pytest.CaptureFixture[str]) -> None:
    """If it counted twice, it would hide the loss of another object from the alarm."""
    items, log, counted = MemoryItems(), MemoryLog({KEY: [change().line()]}), MemoryCountedObjects()
    apply_with(items, log, counted=counted)(EVENT)
    assert metrics(capsys.readouterr().out)["RecordsHandled"] == 1
    apply_with(items, log, counted=counted)(EVENT)
    assert metrics(capsys.readouterr().out) == {"ChangesDuplicate": 1}


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
    assert [counted.count(key, NOW_MS) for key in ("log/a", "log/b", "log/a")] == [True, True, False]
    assert set(table.items) == {"object/log/a", "object/log/b"}
    assert table.items["object/log/a"]["expires_at"] == {"N": str(NOW_MS // 1000 + KEEP_SECONDS)}
    assert not {"version", "list_key"} & set(table.items["object/log/a"]), "lists and publish would see the record"


def test_an_object_counts_if_the_response_to_the_first_attempt_was_lost() -> None:
    class RepeatingClient:
        """Repeats each call, as the AWS client does if no response has arrived."""

        def __init__(self, table: MemoryDynamo) -> None:
            self._table = table

        def call(self, operation: str, /, **parameters: Any) -> Any:
            self._table.call(operation, **parameters)
            return self._table.call(operation, **parameters)

    assert DynamoCountedObjects(RepeatingClient(MemoryDynamo()), "items").count("log/a", NOW_MS)


def test_a_refused_call_fails_the_object() -> None:
    table = MemoryDynamo()
    table.fail_call = lambda operation: "AccessDeniedException"
    with pytest.raises(RefusedError):
        DynamoCountedObjects(table, "items").count("log/a", NOW_MS)


def test_a_malformed_record_counts_as_another_call() -> None:
    table = MemoryDynamo()
    table.items["object/log/a"] = {"pk": {"S": "object/log/a"}}
    assert not DynamoCountedObjects(table, "items").count("log/a", NOW_MS)
