"""Tests of the benchmark of `rebuild items fill`: its log, its arriving changes, its comparison and its goals."""

import base64
import gzip
import json
import threading
import time
from operator import attrgetter
from pathlib import Path
from typing import Any, cast

import pytest

from readplane.clock import now_ms
from readplane.model.change import parse_line
from tests.benchmarks.fake import Fake
from tests.benchmarks.load import BUILDING, COLLECTIONS, TABLE
from tests.benchmarks.poll.plant import Function
from tests.benchmarks.processes import SampleError
from tests.benchmarks.rebuild import Arrivals, Log, Rows, count_differences, goals, summarise, tables, write_log

ITEMS = 3_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    (folder / "s3").mkdir()
    (folder / "items.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def log(folder: Path) -> Log:
    return write_log(folder, ITEMS)


def test_the_log_of_both_regions_leaves_the_rows_that_it_names(folder: Path, log: Log) -> None:
    rows: Rows = {}
    versions: list[str] = []
    outdated = 0
    for _, prefix, key, size in log.objects:
        content = (folder / "s3" / key.rpartition("/")[2]).read_bytes()
        assert len(content) == size
        for line in gzip.decompress(content).splitlines(keepends=True):
            change = parse_line(line, COLLECTIONS)
            versions.append(change.version)
            outdated += change.version < rows.get(change.key, ("",))[0]
            rows[change.key] = max(rows.get(change.key, ("", False)), (change.version, change.op == "delete"))
            assert prefix in ("log", "stream")
    assert rows == log.rows
    assert len(rows) == log.items == ITEMS
    assert len(versions) == log.lines
    assert {(region, prefix) for region, prefix, _, _ in log.objects} == {
        (region, prefix) for region in ("eu-central-1", "eu-west-1") for prefix in ("log", "stream")
    }
    assert len({key.rpartition("/")[2] for _, _, key, _ in log.objects}) == len(log.objects)
    assert 0.07 < sum(is_deleted for _, is_deleted in rows.values()) / ITEMS < 0.13
    assert outdated > ITEMS / 10
    assert len(versions) - len(set(versions)) > ITEMS / 50


def test_the_fake_stores_the_newest_changes_in_the_live_table_only(folder: Path, log: Log) -> None:
    fake = Fake(folder)
    fake.store(log.newest)
    stored: dict[str, Rows] = {}
    for name in (TABLE, BUILDING):
        fake.write_rows(name, folder / "rows.json")
        stored[name] = {key: (row[0], row[1]) for key, row in json.loads((folder / "rows.json").read_text()).items()}
    assert stored == {TABLE: log.rows, BUILDING: {}}


def test_a_difference_is_a_version_a_tombstone_or_an_item_on_one_side_only() -> None:
    rows = {"a": ("1", False), "b": ("1", True)}
    assert count_differences(rows, dict(rows)) == 0
    assert count_differences(rows, rows | {"a": ("2", False)}) == 1
    assert count_differences(rows, rows | {"b": ("1", False)}) == 1
    assert count_differences(rows, {"a": ("1", False)}) == count_differences({}, {"a": ("1", False)}) == 1


class FakeApply:
    """An `apply` that keeps the changes that it gets, and stops the arrivals after some batches."""

    def __init__(self, stop: threading.Event, batches: int, *failures: dict[str, str]) -> None:
        self._stop = stop
        self._batches = batches
        self._failures = list(failures)
        self.lines: list[bytes] = []

    def invoke(self, event: dict[str, Any], seconds: float) -> dict[str, Any]:
        self.lines += [base64.b64decode(record["kinesis"]["data"]) for record in event["Records"]]
        self._batches -= 1
        if not self._batches:
            self._stop.set()
        return {"response": {"batchItemFailures": self._failures}}


def test_new_and_known_items_change_and_late_changes_lose() -> None:
    stop = threading.Event()
    apply = FakeApply(stop, 4)
    arrivals = Arrivals(cast(Function, apply), ITEMS)
    start = time.monotonic()
    arrivals.send(stop)
    arrivals.wait_for_first()
    changes = [parse_line(line, COLLECTIONS) for line in apply.lines]
    assert len(changes) == 80 and len(arrivals.applied_at) == 4
    assert arrivals.applied_at[-1] - start >= 0.3
    numbers = [int(change.item_id.removeprefix("p-")) for change in changes]
    assert 20 < sum(number < ITEMS for number in numbers) < 60
    assert any(change.op == "delete" for change in changes)
    assert 1 <= sum(change.age_starts_ms < now_ms() - 50_000 for change in changes) < 20
    ascending = sorted(changes, key=attrgetter("version"))
    newest = {change.key: (change.version, change.op == "delete") for change in ascending}
    assert arrivals.fold({}) == newest
    greatest = "ffffffff-ffff-7fff-bfff-ffffffffffff"
    assert arrivals.fold(dict.fromkeys(newest, (greatest, False))) == dict.fromkeys(newest, (greatest, False))


def test_a_change_that_apply_refuses_fails_the_measurement() -> None:
    stop = threading.Event()
    arrivals = Arrivals(cast(Function, FakeApply(stop, 1, {"itemIdentifier": "1"})), ITEMS)
    with pytest.raises(SampleError, match="arrive during a rebuild"):
        arrivals.send(stop)


def test_the_goals_judge_every_run_and_the_medians() -> None:
    def run(cpu: float, differences: float = 0, seconds: float = 1) -> dict[str, float]:
        return {"wall": 9, "cpu": cpu, "arrived": 40, "applied": 200, "seconds": seconds, "differences": differences}

    lines = {1_000: 2_000, 10_000: 20_000}
    result = summarise({1_000: [run(1), run(1), run(7)], 10_000: [run(10)]}, lines)
    assert [goal.met for goal in goals(result)] == [True, True, True]
    assert result["exponent"] == pytest.approx(1)
    assert "| 10,000" in tables(result) and "power of 1.00" in tables(result)
    result = summarise({1_000: [run(1), run(1, differences=1)], 10_000: [run(20, seconds=3)]}, lines)
    assert [goal.met for goal in goals(result)] == [False, False, False]
