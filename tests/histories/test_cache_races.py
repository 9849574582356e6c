"""Readers, a writer and `feed` race for the entries of the item cache on a real Valkey.

The writer puts and deletes items in a model of DynamoDB. After each write, a feeder brings the item's newest change to
the cache, but a part of these refreshes is lost. Some entries are evicted. Loads take their time, so a reader often
stores what was true a while ago. Afterwards the history is judged by three rules:

* An answer is at most as old as the bound: the time for which an entry is fresh, a lease, and a load.
* While an entry lives, no reader gets an older version than an earlier reader got.
* While an entry lives, no reader gets an older version than the feeder has stored before.

Each mutant leaves out one rule of the protocol. The history must convict it.
"""

import heapq
import itertools
import queue
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import pytest

from ops.local.valkey import Valkey, start_valkey
from readplane.clock import now_ms
from readplane.model.cache_entry import NO_VERSION, CacheEntry
from readplane.model.change import Change
from readplane.stores.item_cache import CachedItems, EntryStore, cache_key
from readplane.stores.resp import RespClient, RespError
from tests.unit.stores.cache_support import SETTINGS, RecordingTelemetry
from tests.unit.support import MemoryItems, change

READERS = 8
READS = 60_000
MAX_READS_OF_A_MUTANT = 60_000
FRESH_SECONDS = 0.15
LEASE_MS = 40
LOAD_SECONDS = 0.02
LAG_SECONDS = 0.4
"""How far an eventually consistent read of the model lags behind."""

LOST = 0.2
EVICTED = 0.1
KEYS = [f"item/products/p-{number}" for number in range(4)]

Mutant = Literal["", "no_guard", "delete_on_delete", "eventual_load", "refresh_what_is_there"]


class Write(NamedTuple):
    """A write in the model of DynamoDB, and when it was made, on the monotonic clock."""

    at: float
    item: Change


class Answer(NamedTuple):
    """A version that somebody knows: a reader from an answer, or the feeder because it stored it.

    ``is_stored`` says whether the cache has taken this version, or had it. If the cache failed meanwhile, as on a very
    busy machine, other readers can't know the version yet.
    """

    start: float
    end: float
    version: str
    is_read: bool = True
    is_stored: bool = True


class Table(MemoryItems):
    """A model of DynamoDB that remembers all writes. Its reads take their time."""

    def __init__(self, mutant: Mutant) -> None:
        super().__init__()
        self.writes: dict[str, list[Write]] = {key: [] for key in KEYS}
        self._is_eventual = mutant == "eventual_load"
        self.slowest_load = 0.0

    def write(self, key: str, number: int, *, is_deleted: bool) -> None:
        item_id = key.rpartition("/")[2]
        item = change(item_id, ms=1_000_000 + number, data=None if is_deleted else f'{{"n":{number}}}')
        self.writes[key].append(Write(time.monotonic(), item))

    def get_item(self, key: str, *, consistent: bool = False) -> Change | None:
        start = time.monotonic()
        until = start if consistent and not self._is_eventual else start - LAG_SECONDS
        writes = self.writes[key]
        item = next((write.item for write in reversed(writes) if write.at <= until), None)
        time.sleep(random.random() * LOAD_SECONDS)
        self.slowest_load = max(self.slowest_load, time.monotonic() - start)
        return item


class UnguardedStore(EntryStore):
    """The mutant without a guard: it stores every entry, whatever its version."""

    def put_newer(self, entry: CacheEntry, seconds: float = 0.05) -> CacheEntry | None:
        key = cache_key(1, entry.key).encode()
        self._client.call(b"SET", key, entry.encode(65_536), b"PX", b"300000", seconds=seconds)
        return None


class Race:
    """One run of the readers, the writer and the feeders."""

    def __init__(self, server: Valkey, mutant: Mutant, seed: int) -> None:
        self.table = Table(mutant)
        self.answers: dict[str, list[Answer]] = defaultdict(list)
        self.evictions: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.reads = 0
        self.slowest_read = 0.0
        self._number = 0
        self._server = server
        self._mutant = mutant
        self._random = random.Random(seed)
        self._refreshes: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._errors: list[BaseException] = []
        part: Any = FRESH_SECONDS  # Terraform allows whole seconds only, but the cache can also take a part of one
        self._settings = SETTINGS._replace(port=server.port, fresh_seconds=part)

    def run(self, reads: int) -> None:
        """Let the readers make so many more reads."""
        self._goal = self.reads + reads
        readers = [threading.Thread(target=self._guard, args=(self._read,)) for _ in range(READERS)]
        feeders = [threading.Thread(target=self._guard, args=(self._feed,)) for _ in range(2)]
        writer = threading.Thread(target=self._guard, args=(self._write,))
        for thread in (*readers, *feeders, writer):
            thread.start()
        for thread in (*readers, writer):
            thread.join()
        for _ in feeders:
            self._refreshes.put(None)
        for feeder in feeders:
            feeder.join()
        if self._errors:
            raise self._errors[0]

    def _guard(self, work: Any) -> None:
        client = RespClient(self._server.host, self._server.port, tls=False, call_seconds=1.0)
        try:
            work(client)
        except BaseException as error:
            self._errors.append(error)
            self.reads = self._goal
            raise
        finally:
            client.close()

    def _store(self, client: RespClient) -> EntryStore:
        kind = UnguardedStore if self._mutant == "no_guard" else EntryStore
        return kind(self._settings, client, RecordingTelemetry(), lease_ms=LEASE_MS)

    def _read(self, client: RespClient) -> None:
        telemetry = RecordingTelemetry()
        cached = CachedItems(self._store(client), self.table, frozenset({"products"}), telemetry)
        while self.reads < self._goal:
            key = KEYS[random.randrange(len(KEYS))]
            start = time.monotonic()
            version, _, status = cached.read(key, "")
            end = time.monotonic()
            self.reads += 1
            self.slowest_read = max(self.slowest_read, end - start)
            # A read that bypasses the cache is eventually consistent, as reads without a cache are.
            if not status.endswith("bypass"):
                is_stored = any(word in status for word in ("hit", "stored", "collapsed"))
                self.answers[key].append(Answer(start, end, version, is_stored=is_stored))

    def _write(self, client: RespClient) -> None:
        while self.reads < self._goal:
            self._number += 1
            key = self._random.choice(KEYS)
            self.table.write(key, self._number, is_deleted=self._random.random() < 0.3)
            if self._random.random() >= LOST:
                self._refreshes.put(key)
            if self._random.random() < EVICTED:
                start = time.monotonic()
                client.call(b"DEL", cache_key(1, key).encode(), cache_key(1, key).encode() + b"/lease")
                self.evictions[key].append((start, time.monotonic()))
            time.sleep(self._random.random() * 0.01)

    def _feed(self, client: RespClient) -> None:
        store = self._store(client)
        while (key := self._refreshes.get()) is not None:
            start, loaded_ms = time.monotonic(), now_ms()
            item = self.table.writes[key][-1].item
            entry = store.make_entry(key, item, loaded_ms)
            try:
                if self._mutant == "delete_on_delete" and item.data is None:
                    client.call(b"DEL", cache_key(1, key).encode())
                elif self._mutant != "refresh_what_is_there" or store.get(key):
                    store.put_newer(entry)
            except RespError:
                continue  # a lost refresh
            self.answers[key].append(Answer(start, time.monotonic(), item.version, is_read=False))

    @property
    def bound(self) -> float:
        """How old an answer may be: fresh, plus a lease whose reader was as slow as the slowest read, in seconds."""
        return FRESH_SECONDS + LEASE_MS / 1000 + self.slowest_read

    def oldest_answer(self) -> float:
        """Return how long before the oldest answer's read the next version had been written, in seconds."""
        oldest = 0.0
        for key, answers in self.answers.items():
            writes = self.table.writes[key]
            superseded = {a.item.version: b.at for a, b in itertools.pairwise(writes)}
            superseded[NO_VERSION] = writes[0].at if writes else float("inf")
            ages = [a.start - superseded[a.version] for a in answers if a.is_read and a.version in superseded]
            oldest = max([oldest, *ages])
        return oldest

    def steps_back(self) -> int:
        """Return how many reads got an older version than somebody knew before they began, in the same entry's life."""
        return sum(_steps_back(answers, self.evictions[key]) for key, answers in self.answers.items())


def _steps_back(answers: list[Answer], evictions: list[tuple[float, float]]) -> int:
    """Count the steps back of one key. Ignore what overlaps an eviction, because nobody knows on which side it was."""
    steps = 0
    newest = ""
    pending: list[tuple[float, str]] = []  # what is known, but only after the present read began
    borders = iter([*evictions, (float("inf"), float("inf"))])
    begin, end = 0.0, 0.0
    next_begin, next_end = next(borders)
    for answer in sorted(answers):
        while answer.start >= next_begin:
            begin, end = next_begin, next_end
            next_begin, next_end = next(borders)
            newest, pending = "", []
        if answer.start < end or answer.start < begin or answer.end > next_begin:
            continue
        while pending and pending[0][0] < answer.start:
            newest = max(newest, heapq.heappop(pending)[1])
        steps += answer.is_read and answer.version < newest
        if answer.is_stored:
            heapq.heappush(pending, (answer.end, answer.version))
    return steps


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = start_valkey(tmp_path_factory.mktemp("valkey"))
    yield server
    server.stop()


def test_no_answer_is_older_than_the_bound_and_no_version_goes_back(server: Valkey) -> None:
    server.client().flushall()
    race = Race(server, "", seed=1)
    race.run(READS)
    oldest, steps = race.oldest_answer(), race.steps_back()
    answers = sum(map(len, race.answers.values()))
    evictions = sum(map(len, race.evictions.values()))
    print(
        f"{race.reads} reads, {sum(map(len, race.table.writes.values()))} writes, {evictions} evictions: oldest answer "
        f"{1000 * oldest:.0f} ms (bound {1000 * race.bound:.0f} ms), {steps} steps back"
    )
    assert answers >= 0.9 * READS and evictions >= 20
    assert oldest <= race.bound
    assert steps == 0


@pytest.mark.parametrize("mutant", ["no_guard", "delete_on_delete", "eventual_load", "refresh_what_is_there"])
def test_each_mutant_is_caught(server: Valkey, mutant: Mutant) -> None:
    server.client().flushall()
    race = Race(server, mutant, seed=2)
    while race.reads < MAX_READS_OF_A_MUTANT:
        race.run(3000)
        if race.steps_back() or race.oldest_answer() > race.bound:
            break
    print(f"{mutant}: {race.reads} reads, oldest {1000 * race.oldest_answer():.0f} ms, {race.steps_back()} steps back")
    assert race.steps_back() or race.oldest_answer() > race.bound


def test_the_judge_counts_steps_back_and_forgives_evictions() -> None:
    reads = [Answer(1, 2, "b"), Answer(3, 4, "a"), Answer(5, 6, "b"), Answer(5.5, 7, "c"), Answer(6.5, 7, "b")]
    assert _steps_back(reads, []) == 1
    assert _steps_back(reads, [(2.4, 2.5)]) == 0
    assert _steps_back([Answer(1, 2, "b", is_read=False), Answer(3, 4, "a")], []) == 1
    assert _steps_back([Answer(1, 2, "b"), Answer(3, 4, "a", is_read=False)], []) == 0
    assert _steps_back([Answer(1, 3, "b"), Answer(2, 4, "a")], []) == 0
    assert _steps_back([Answer(1, 2, "b", is_stored=False), Answer(3, 4, "a")], []) == 0
    assert _steps_back([Answer(1, 2, "b"), Answer(3, 4, "a", is_stored=False)], []) == 1
