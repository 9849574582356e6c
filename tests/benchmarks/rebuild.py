"""The benchmark of `rebuild items fill`: how its time grows with the items, and whether it makes the right table.

While the fill runs, `apply` gets 200 changes a second and writes each of them to the live table and to the building
table. At the end, both tables must hold the newest change of every item.
"""

import base64
import gzip
import json
import random
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ops.walk import PREFIXES, Prefix
from readplane.clock import now_ms
from readplane.model.change import API, Change
from readplane.model.timestamp import rfc3339
from readplane.model.version import stamp
from tests.benchmarks.arithmetic import Goal, exponent, spread
from tests.benchmarks.fake import event_record
from tests.benchmarks.load import BUILDING, SOURCE, SUB, TABLE
from tests.benchmarks.markdown import table
from tests.benchmarks.measure import progress
from tests.benchmarks.poll.plant import BackgroundTasks, Function
from tests.benchmarks.processes import CommandProcess, FakeProcess, Runner, SampleError
from tests.benchmarks.subjects import Subject, changed_settings

REGIONS = ("eu-central-1", "eu-west-1")
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
OBJECT_LINES = 1_000
"""How many lines an object of the log has, except the last one of a Region and a prefix."""

CHANGES_OF_ITEMS = (1, 2, 3)
"""How many changes an item has in the log. Each number holds for a third of the items."""

DELETED, REPEATED = 0.1, 0.02
"""The shares of the changes that delete their item, and that are in the log twice."""

LOG_MS = 3_600_000
"""The time in which the changes of the log were made. It ends a minute before the benchmark."""

ARRIVING, BATCHES = 200, 10
"""How many changes a second arrive, and in how many batches."""

LATE = 0.1
"""The share of the arriving changes that are as old as those in the log."""

Result = dict[str, Any]
Extent = tuple[tuple[int, int], ...]
"""The sizes of the tables. Each pair holds a number of items, and how many times to fill the table."""

FULL: Extent = ((1_000, 9), (10_000, 5), (100_000, 2))
QUICK: Extent = ((1_000, 5), (10_000, 2), (100_000, 1))

Rows = dict[str, tuple[str, bool]]
"""The version of each item by the item's key, and whether the item is deleted."""


class Log(NamedTuple):
    """The log of both Regions.

    items: how many items it has.
    objects: the Region, the prefix, the key and the size of each object, in the order in which the command lists them.
    lines: how many lines the objects have.
    rows: what a table must hold after the fill.
    newest: a file with the newest change of each item.
    """

    items: int
    objects: list[tuple[str, Prefix, str, int]]
    lines: int
    rows: Rows
    newest: Path


def measure(fake: FakeProcess, runner: Runner, folder: Path, subject: Subject, extent: Extent) -> Result:
    """Measure the fill of tables of several sizes.

    :param subject: the implementation of `apply` that applies what arrives.
    :raises SampleError: if the fill skips a line of the log, or if `apply` fails.
    """
    logs = {items: write_log(folder, items) for items, _ in extent}
    runs: dict[int, list[dict[str, float]]] = {items: [] for items in logs}
    settings = changed_settings(subject, second_table=BUILDING)
    spec = {"env": fake.env | KEYS, "regions": REGIONS}
    with (
        CommandProcess("tests.benchmarks.rebuild_filler", json.dumps(spec)) as filler,
        Function(runner, subject, "apply", READPLANE_SETTINGS=settings) as apply,
    ):
        # Open all connections before the first measurement.
        _run(fake, filler, apply, folder, logs[extent[0][0]])
        for turn in range(max(times for _, times in extent)):
            # Reverse the order in every other turn, so that a machine that becomes slower changes no exponent.
            for items, times in extent if turn % 2 == 0 else reversed(extent):
                if turn < times:
                    progress(f"rebuild: {items} items, while {ARRIVING} changes a second arrive")
                    runs[items].append(_run(fake, filler, apply, folder, logs[items]))
    return summarise(runs, {items: log.lines for items, log in logs.items()})


def summarise(runs: Mapping[int, list[dict[str, float]]], lines: Mapping[int, int]) -> Result:
    """Return the medians for each number of items, the exponent of the CPU time, and what holds for all runs.

    :param runs: the measured runs by the number of items.
    :param lines: how many lines the log has, by the number of items.
    """
    points = [
        {"items": items, "lines": lines[items], **{kind: spread(run[kind] for run in own).median for kind in own[0]}}
        for items, own in sorted(runs.items())
    ]
    all_runs = [run for own in runs.values() for run in own]
    return {
        "points": points,
        "exponent": exponent([(point["items"], point["cpu"]) for point in points]),
        "differences": sum(run["differences"] for run in all_runs),
        "arrival_rate": sum(run["applied"] for run in all_runs) / sum(run["seconds"] for run in all_runs),
    }


def goals(result: Result) -> list[Goal]:
    """Return the goals of the benchmark."""
    name = "rebuild of the items table"
    return [
        Goal(f"{name}, items that differ from the log and what arrived", result["differences"], 0),
        Goal(f"{name}, growth exponent of the CPU time", result["exponent"], 1.1),
        Goal(f"{name}, changes a second that arrive meanwhile", result["arrival_rate"], 0.95 * ARRIVING, True),
    ]


def tables(result: Result) -> str:
    """Return the Markdown table of the benchmark."""
    head = [
        "rebuild of the items table, items",
        "lines of the log",
        "s",
        "CPU s",
        "CPU µs per item",
        "arrived meanwhile",
    ]
    body = [
        [
            f"{point['items']:,}",
            f"{point['lines']:,}",
            f"{point['wall']:.2f}",
            f"{point['cpu']:.2f}",
            f"{point['cpu'] / point['items'] * 1e6:.1f}",
            f"{point['arrived']:,.0f}",
        ]
        for point in result["points"]
    ]
    power = f"The CPU time of the fill grows with the number of items to the power of {result['exponent']:.2f}."
    return f"{table(head, body)}\n\n{power}"


def write_log(folder: Path, items: int) -> Log:
    """Write a log into the fake S3 bucket.

    The changes are spread at random over both Regions and both prefixes. So an older change of an item often comes
    after a newer one.
    """
    chance = random.Random(items)
    order = [number for number in range(items) for _ in range(CHANGES_OF_ITEMS[number % len(CHANGES_OF_ITEMS)])]
    chance.shuffle(order)
    parts: dict[tuple[str, Prefix], list[bytes]] = {(region, prefix): [] for region in REGIONS for prefix in PREFIXES}
    places = list(parts)
    start_ms = now_ms() - 60_000 - LOG_MS
    newest: dict[str, tuple[Change, bytes]] = {}
    for count, number in enumerate(order):
        part = chance.choice(places)
        change = make_change(chance, number, start_ms + count * LOG_MS // len(order), part[1])
        line = change.line()
        parts[part].append(line)
        if chance.random() < REPEATED:
            parts[chance.choice(places)].append(line)
        if change.key not in newest or change.version > newest[change.key][0].version:
            newest[change.key] = change, line
    file = folder / f"rebuild-{items}.lines"
    file.write_bytes(b"".join(line for _, line in newest.values()))
    rows = {key: (change.version, change.op == "delete") for key, (change, _) in newest.items()}
    objects = [
        stored for (region, prefix), lines in parts.items() for stored in _put(folder, region, prefix, items, lines)
    ]
    return Log(items, objects, sum(map(len, parts.values())), rows, file)


def _put(
    folder: Path, region: str, prefix: Prefix, items: int, lines: list[bytes]
) -> Iterator[tuple[str, Prefix, str, int]]:
    """Write the lines of a Region and a prefix into objects, compressed as Firehose writes them."""
    for number in range(-(-len(lines) // OBJECT_LINES)):
        # The fake finds an object by the last part of its key.
        name = f"rebuild-{items}-{region}-{prefix}-{number:05}.gz"
        content = gzip.compress(b"".join(lines[number * OBJECT_LINES : (number + 1) * OBJECT_LINES]), 1)
        (folder / "s3" / name).write_bytes(content)
        yield region, prefix, f"{prefix}/{name}", len(content)


def make_change(chance: random.Random, number: int, ms: int, prefix: Prefix) -> Change:
    """Return a change of an item, with about 200 bytes of data, or a delete.

    :param number: the item's number.
    :param ms: when the change was made, in Unix milliseconds.
    :param prefix: the prefix of the log that the change belongs to.
    """
    source = API if prefix == PREFIXES[0] else SOURCE
    text = "copper kettle " * 10
    data = f'{{"name":"Product {number}","price":{chance.randrange(10_000) / 100},"description":"{text}"}}'
    return Change(
        stamp(ms, chance.randbytes(10)),
        "products",
        f"p-{number:07}",
        None if chance.random() < DELETED else data,
        SUB if source == API else f"source/{source}",
        source,
        rfc3339(ms),
    )


def count_differences(expected: Rows, rows: Rows) -> int:
    """Return the number of items that are on one side only, or whose versions differ, or that only one side deletes."""
    return sum(expected.get(key) != rows.get(key) for key in expected.keys() | rows.keys())


def _run(fake: FakeProcess, filler: CommandProcess, apply: Function, folder: Path, log: Log) -> dict[str, float]:
    """Fill the building table once, while changes arrive.

    The changes that arrive aren't in the log, so only `apply` can write them to the building table.
    """
    fake.do("reset")
    fake.do("store", file=str(log.newest))  # the live table
    arrivals = Arrivals(apply, log.items)
    with BackgroundTasks(arrivals.send):
        arrivals.wait_for_first()
        start = time.monotonic()
        run = filler.do("fold", objects=log.objects)
        end = time.monotonic()
    if run["counts"].get("lines") != log.lines:
        raise SampleError(f"The log has {log.lines} lines, and the fill read {run['counts']}.")
    expected = arrivals.fold(log.rows)
    differences = sum(count_differences(expected, _rows(fake, folder, name)) for name in (TABLE, BUILDING))
    return {
        "wall": run["wall"],
        "cpu": run["cpu"],
        "arrived": arrivals.size * sum(start <= at <= end for at in arrivals.applied_at),
        "applied": arrivals.size * (len(arrivals.applied_at) - 1),  # in these seconds, that is, after the first batch
        "seconds": arrivals.applied_at[-1] - arrivals.applied_at[0],
        "differences": differences,
    }


def _rows(fake: FakeProcess, folder: Path, name: str) -> Rows:
    file = folder / "rows.json"
    fake.do("rows", table=name, file=str(file))
    return {key: (version, is_deleted) for key, (version, is_deleted) in json.loads(file.read_bytes()).items()}


class Arrivals:
    """Changes that arrive in the change stream. Half of them are of items in the log, the others are of new items.

    :ivar applied_at: when `apply` had applied each batch, in seconds of the monotonic clock.
    """

    size = ARRIVING // BATCHES
    """How many changes a batch has."""

    def __init__(self, apply: Function, items: int) -> None:
        self._apply = apply
        self._items = items
        self._chance = random.Random(f"arrivals {items}")
        self._changes: list[Change] = []
        self._new_items = 0
        self._begun = threading.Event()
        self.applied_at: list[float] = []

    def send(self, stop: threading.Event) -> None:
        """Invoke `apply` with a batch of changes whenever one is due, until ``stop`` is set.

        :raises SampleError: if `apply` reports that any of the changes failed.
        """
        start, number = time.monotonic(), 0
        while not stop.wait(max(0.0, start + number / BATCHES - time.monotonic())):
            batch = [self._make_change() for _ in range(self.size)]
            records = [
                event_record(
                    {"PartitionKey": change.key, "Data": base64.b64encode(change.line()).decode()},
                    len(self._changes) + place,
                )
                for place, change in enumerate(batch)
            ]
            response = self._apply.invoke({"Records": records}, 60)["response"]
            if response != {"batchItemFailures": []}:
                raise SampleError(f"apply, changes that arrive during a rebuild: {response}")
            self._changes += batch
            self.applied_at.append(time.monotonic())
            self._begun.set()
            number += 1

    def wait_for_first(self) -> None:
        """Wait until the first batch is applied.

        :raises SampleError: if it isn't applied within 30 seconds.
        """
        if not self._begun.wait(30):
            raise SampleError("apply applied no change within 30 s.")

    def fold(self, rows: Rows) -> Rows:
        """Return what a table must hold that had some rows before the changes arrived."""
        folded = dict(rows)
        for change in self._changes:
            folded[change.key] = max(folded.get(change.key, ("", False)), (change.version, change.op == "delete"))
        return folded

    def _make_change(self) -> Change:
        is_late = self._chance.random() < LATE
        ms = now_ms() - (60_000 + self._chance.randrange(LOG_MS) if is_late else 0)
        if self._chance.random() < 0.5:
            number = self._chance.randrange(self._items)
        else:
            number = self._items + self._new_items
            self._new_items += 1
        return make_change(self._chance, number, ms, PREFIXES[1])
