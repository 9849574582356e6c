"""Tests of two items tables that are kept in step: every change gets into both, and an error of either comes again."""

import json
from collections import Counter
from typing import Any

import pytest

from ops.cli.items_fill import FilledItems
from readplane.apply.handler import ApplySettings, make_items
from readplane.aws.faults import RefusedError, UnansweredError
from readplane.config import DAY_MS
from readplane.stores import table as stores_table
from readplane.stores.items_bulk import DynamoBulkItems
from readplane.stores.two_tables import TwoTables
from readplane.telemetry import Telemetry
from tests.fakes.dynamodb import MemoryDynamo
from tests.unit.apply.support import EVENT, KEY, apply_with, failures, sequence
from tests.unit.stores.support import HORIZON_MS
from tests.unit.support import COLLECTIONS, NOW_MS, MemoryLog, change, kinesis_event


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: NOW_MS * 1_000_000)
    monkeypatch.setattr(stores_table, "_BACKOFF_SECONDS", 0.0)


class RefusingTable(MemoryDynamo):
    """A table that refuses every write of an item whose key is in ``bad``."""

    def __init__(self, table: str) -> None:
        super().__init__(table)
        self.bad: set[str] = set()
        self.fail_statement = lambda pk: "AccessDenied" if pk in self.bad else None

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        if operation == "PutItem" and parameters["Item"]["pk"]["S"] in self.bad:
            raise RefusedError("AccessDeniedException", 400)
        return super().call(operation, **parameters)


class Tables:
    """A live and a second table in memory, and the store that writes to both."""

    def __init__(self) -> None:
        self.live, self.second = RefusingTable("live"), RefusingTable("second")
        self.items = TwoTables(
            DynamoBulkItems(self.live, "live", horizon_ms=HORIZON_MS),
            DynamoBulkItems(self.second, "second", horizon_ms=HORIZON_MS),
        )


def test_a_change_gets_into_both_tables_and_its_outcome_is_that_of_the_live_one() -> None:
    tables = Tables()
    older, newer = change(ms=NOW_MS), change(ms=NOW_MS + 1)
    DynamoBulkItems(tables.second, "second", horizon_ms=HORIZON_MS).apply(newer)
    assert tables.items.apply(older) == "applied"
    assert tables.items.get_item(older.key) == older
    assert tables.items.get_change_status(older.key, older.change_id) == (older.version, None)
    assert tables.items.apply(newer) == "applied" and tables.items.apply(older) == "superseded"
    assert tables.live.items == tables.second.items


def test_many_changes_get_into_both_tables() -> None:
    tables = Tables()
    changes = [change(f"p-{number}", ms=NOW_MS + 1) for number in range(60)]
    earlier = [change(f"p-{number}", ms=NOW_MS + number % 3) for number in range(50)]
    DynamoBulkItems(tables.second, "second", horizon_ms=HORIZON_MS).apply_all(earlier)
    assert tables.items.apply_all(changes) == Counter(applied=60)
    assert tables.items.apply_all(changes) == Counter(duplicate=60)
    assert tables.live.items.keys() == tables.second.items.keys()
    versions = {pk: item["version"]["S"] for pk, item in tables.second.items.items()}
    assert versions == {entry.key: entry.version for entry in changes} | {
        entry.key: entry.version for entry in earlier if entry.version > changes[0].version
    }


@pytest.mark.parametrize("table", ["live", "second"])
def test_an_error_of_either_table_fails_the_call_and_a_retry_completes_both(table: str) -> None:
    tables = Tables()
    failing: MemoryDynamo = getattr(tables, table)
    changes = [change(f"p-{number}") for number in range(10)]
    failing.fail_call = lambda operation: "ThrottlingException"
    with pytest.raises(RefusedError, match="ThrottlingException"):
        tables.items.apply(changes[0])
    with pytest.raises(RefusedError, match="ThrottlingException"):
        tables.items.apply_all(changes)
    failing.fail_call = None
    failing.fail_statement = lambda pk: "ThrottlingError"
    with pytest.raises(UnansweredError, match="UnprocessedStatements"):
        tables.items.apply_all(changes)
    failing.fail_statement = None
    tables.items.apply_all(changes)
    assert tables.live.items == tables.second.items and len(tables.live.items) == 10


@pytest.mark.parametrize("table", ["live", "second"])
def test_a_marker_is_in_the_live_table_only_if_it_is_in_both(table: str) -> None:
    tables = Tables()
    failing: MemoryDynamo = getattr(tables, table)
    failing.fail_call = lambda operation: "ThrottlingException" if operation == "PutItem" else None
    with pytest.raises(RefusedError):
        tables.items.mark_quarantined(change(), "expired", NOW_MS)
    assert tables.items.get_change_status(change().key, change().change_id) == (None, None)
    failing.fail_call = None
    tables.items.mark_quarantined(change(), "expired", NOW_MS)
    assert tables.items.get_change_status(change().key, change().change_id) == (None, "expired")
    assert tables.live.items == tables.second.items and len(tables.live.items) == 1


@pytest.mark.parametrize("table", ["live", "second"])
def test_a_record_that_one_table_refuses_comes_again_and_stops_no_other(table: str) -> None:
    tables = Tables()
    changes = [change(f"p-{number}") for number in range(9)]
    bad = changes[4].key
    refusing: RefusingTable = getattr(tables, table)
    refusing.bad.add(bad)
    event = kinesis_event([entry.line() for entry in changes])
    apply = apply_with(tables.items, MemoryLog())
    assert failures(apply(event)) == [sequence(4)]
    others = {entry.key for entry in changes} - {bad}
    assert others <= tables.live.items.keys() and others <= tables.second.items.keys()
    refusing.bad.clear()
    assert failures(apply(event)) == []
    assert tables.live.items == tables.second.items and len(tables.live.items) == 9


def test_all_threads_write_a_large_object_to_both_tables() -> None:
    tables = Tables()
    lines = [change(f"p-{number}").line() for number in range(3_000)]
    assert failures(apply_with(tables.items, MemoryLog({KEY: lines}))(EVENT)) == []
    assert tables.live.items == tables.second.items and len(tables.live.items) == 3_000


@pytest.mark.parametrize("replay", [False, True])
def test_an_old_put_does_not_come_back_in_a_former_table_that_has_forgotten_its_delete(replay: bool) -> None:
    """The live table was filled from the log, so it still has the tombstone."""
    tables = Tables()
    puts = [change(f"p-{number}", ms=NOW_MS - 50 * DAY_MS) for number in range(4)]
    deletes = [change(f"p-{number}", ms=NOW_MS - 40 * DAY_MS, data=None) for number in range(4)]
    FilledItems(tables.live, "live", horizon_ms=HORIZON_MS, clock=lambda: NOW_MS).apply_all(deletes)
    apply = apply_with(tables.items, MemoryLog({KEY: [entry.line() for entry in (*puts, *deletes)]}))
    (message,) = EVENT["Records"]
    body = json.dumps(json.loads(message["body"]) | {"replay": replay})
    assert failures(apply({"Records": [message | {"body": body}]})) == []
    assert failures(apply(kinesis_event([entry.line() for entry in puts]))) == []
    assert tables.second.items == {} and all("data" not in row for row in tables.live.items.values())


@pytest.mark.parametrize("second", [None, "second"])
def test_apply_writes_to_a_second_table_only_if_the_settings_name_one(second: str | None) -> None:
    tables = Tables()

    class Both:
        """A client of both tables."""

        def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
            table = tables.live if parameters["TableName"] == "live" else tables.second
            return table.call(operation, **parameters)

    settings = ApplySettings("demo", "live", "q", "b", "quarantine/", 30, COLLECTIONS, second)
    items = make_items(settings, Both(), Telemetry("apply", "demo"))
    assert type(items) is (TwoTables if second else DynamoBulkItems)
    items.apply(change())
    assert len(tables.live.items) == 1 and len(tables.second.items) == (1 if second else 0)
