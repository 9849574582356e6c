"""Compares the live items table of a Region with the second one, page by page: the core of `rebuild items verify`.

A scan returns no order that two tables share. So the comparison pages through the keys of one table and reads the same
keys of the other, and then the other way round. `apply` writes a change to the live table first, so a difference may be
there for a moment. It counts only if the second table still lacks the live version of the first look at the second
look, at least CONFIRM_SECONDS later.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from typing import Any, Literal, NamedTuple

from ops.walk import PAGE
from readplane.aws.client import Client
from readplane.aws.faults import back_off
from readplane.clock import now_ms
from readplane.model.change import TOMBSTONE_MARGIN_MS
from readplane.model.keys import ITEM_PREFIX
from readplane.model.timestamp import ms_of
from readplane.model.version import time_ms
from readplane.stores.rows import version_of
from readplane.stores.table import MAX_KEYS, TableRecord, read_records

Side = Literal["live", "second"]
"""The table whose keys a walk pages through."""

SIDES: tuple[Side, ...] = ("live", "second")

Relation = Literal["same", "missing", "older", "newer", "deleted", "extra", "tombstone", "malformed"]

SURPLUS: tuple[Relation, ...] = ("newer", "deleted", "extra")
"""The relations of an item whose row in the second table is ahead of the live one. They are no differences."""

CONFIRM_SECONDS = 10.0
"""How long after the first look a difference is looked at again."""

MAX_SUSPECTS = 10_000
"""With so many differences that were seen once, the comparison first looks at them again."""

MAX_SURPLUS = 1000
"""How many items of each surplus relation a comparison names. It only counts the rest."""

WORKERS = 8
"""How many BatchGetItem calls are made at once."""

_ATTRIBUTES = "pk, version, as_of, expires_at"


class TableDifference(NamedTuple):
    """An item that the tables don't have in the same version.

    region: the Region
    kind: `missing` or `older` if the live table is ahead, one of SURPLUS if the second one is
    key: the item's key
    live: the version in the live table; "" if it is missing there
    second: the version in the second table; "" if it is missing or malformed
    """

    region: str
    kind: Relation
    key: str
    live: str
    second: str


class ComparedPage(NamedTuple):
    """A page of the comparison, whose differences are confirmed.

    side: the table whose keys it pages through
    last: the key after which the walk goes on; None if this is the last page
    counts: how many items were compared (`items`), and how they relate. `undeclared` rows weren't compared, because
        their collection isn't declared.
    differences: the items that the second table lacks, or has in an older version
    surplus: the items in which the second table is ahead, at most MAX_SURPLUS of each kind in a walk
    """

    side: Side
    last: str | None
    counts: Counter[str]
    differences: list[TableDifference]
    surplus: list[TableDifference]


class Findings:
    """The items that `rebuild items verify` names: its differences, and the surplus of the second table.

    :param saved: what an earlier run of the job has saved
    """

    SAVED = 20
    """How many items of each kind are saved, because a job's position must be small."""

    def __init__(self, saved: Mapping[str, list[list[Any]]] | None = None) -> None:
        self._entries = {
            name: [TableDifference(*fields) for fields in (saved or {}).get(name, [])]
            for name in ("differences", *SURPLUS)
        }

    def add(self, differences: list[TableDifference], surplus: list[TableDifference]) -> None:
        """Add what a page has. After MAX_SURPLUS items of a kind of surplus, the others are left out."""
        self._entries["differences"] += differences
        for entry in surplus:
            if len(self._entries[entry.kind]) < MAX_SURPLUS:
                self._entries[entry.kind].append(entry)

    def save(self) -> dict[str, list[TableDifference]]:
        """Return the part that the job's position holds."""
        return {name: entries[: self.SAVED] for name, entries in self._entries.items()}

    def result(self) -> dict[str, list[dict[str, Any]]]:
        """Return all items, as JSON."""
        return {name: [entry._asdict() for entry in entries] for name, entries in self._entries.items()}


class _Page(NamedTuple):
    """A page of a walk, whose differences were seen once at `seen_at`.

    suspects: the keys of those items that are missing or older, with their live versions
    surplus: the keys of those items in which the second table is ahead
    """

    side: Side
    last: str | None
    counts: Counter[str]
    suspects: dict[str, str]
    surplus: list[str]
    seen_at: float

    @property
    def is_doubtful(self) -> bool:
        """Whether the page has something to look at again."""
        return bool(self.suspects or self.surplus)


def relation(live: TableRecord | None, second: TableRecord | None, now: int, horizon_ms: int) -> Relation:
    """Return how the second table's row of an item relates to the live one.

    ===================  =====================  ==========
    live                 second                 relation
    ===================  =====================  ==========
    malformed            any                    malformed
    old tombstone        none                   same
    a version            none                   missing
    a version            smaller, or malformed  older
    a version            the same               same
    an item              a greater tombstone    deleted
    a version            any other greater      newer
    none                 none                   same
    none                 a tombstone            tombstone
    none                 an item, or malformed  extra
    ===================  =====================  ==========

    A version is that of an item or of a tombstone. A tombstone is old if `apply` no longer applies what is older than
    its delete. In a table that was filled from the log, the tombstones of old deletes live longer than in another one.

    :param now: the time in Unix milliseconds
    :param horizon_ms: the horizon in milliseconds, how old a change may be to be applied
    """
    if live is None:
        if second is None:
            return "same"
        return "tombstone" if "expires_at" in second else "extra"
    version = version_of(live)
    if version is None:
        return "malformed"
    if second is None:
        return "same" if _is_old_tombstone(live, version, now, horizon_ms) else "missing"
    other = version_of(second)
    if other is None or other <= version:
        return "same" if other == version else "older"
    return "deleted" if "expires_at" in second and "expires_at" not in live else "newer"


class TableComparison:
    """Compares two items tables in one Region.

    :param client: a client of DynamoDB in that Region
    :param horizon_ms: the horizon in milliseconds
    :param collections: the names of the declared collections, because the second table lacks the others for good; None
        for all
    :param workers: runs the reads of the other table
    :param wait: waits for some seconds
    :ivar pause: waits before a retry, for at most so many seconds. A simulation replaces it.
    """

    pause = staticmethod(back_off)

    def __init__(
        self,
        client: Client,
        region: str,
        tables: tuple[str, str],
        *,
        horizon_ms: int,
        collections: Collection[str] | None = None,
        workers: Executor,
        wait: Callable[[float], None],
        clock: Callable[[], int] = now_ms,
        monotonic: Callable[[], float] = time.monotonic,
        pace: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._region = region
        self._tables: dict[Side, str] = dict(zip(SIDES, tables, strict=True))
        self._horizon_ms = horizon_ms
        self._collections = collections
        self._workers = workers
        self._wait = wait
        self._now_ms, self._monotonic, self._pace = clock, monotonic, pace

    def pages(self, side: Side, after: str | None = None) -> Iterator[ComparedPage]:
        """Compare all items that one of the tables holds. Yield each page when its differences are confirmed.

        The walk through the second table finds only items that the live one lacks.

        :param after: the key after which the walk goes on; None to begin at the first
        """
        waiting: deque[_Page] = deque()
        self._named: Counter[str] = Counter()
        for page in self._walk(side, after):
            waiting.append(page)
            while sum(len(each.suspects) for each in waiting) > MAX_SUSPECTS:
                yield self._confirmed(waiting.popleft())
            while waiting and (not waiting[0].is_doubtful or self._age(waiting[0]) >= CONFIRM_SECONDS):
                yield self._confirmed(waiting.popleft())
        while waiting:
            yield self._confirmed(waiting.popleft())

    def _walk(self, side: Side, after: str | None) -> Iterator[_Page]:
        request: dict[str, Any] = {} if after is None else {"ExclusiveStartKey": {"pk": {"S": after}}}
        while True:
            response = self._client.call(
                "Scan", TableName=self._tables[side], ProjectionExpression=_ATTRIBUTES, Limit=PAGE, **request
            )
            rows = {row["pk"]["S"]: row for row in response["Items"] if row["pk"]["S"].startswith(ITEM_PREFIX)}
            self._pace(len(rows))
            other = self._read("second" if side == "live" else "live", rows, consistent=False)
            last = response.get("LastEvaluatedKey")
            pair = (rows, other) if side == "live" else (other, rows)
            yield self._compare(side, last and last["pk"]["S"], list(rows), *pair)
            if last is None:
                return
            request = {"ExclusiveStartKey": last}

    def _compare(
        self,
        side: Side,
        last: str | None,
        keys: list[str],
        live: dict[str, TableRecord],
        second: dict[str, TableRecord],
    ) -> _Page:
        counts: Counter[str] = Counter()
        suspects, surplus = {}, []
        for key in keys:
            found = relation(live.get(key), second.get(key), self._now_ms(), self._horizon_ms)
            # The walk through the second table finds only what the live one lacks.
            if (side == "live") != (key in live):
                continue
            if not self._is_declared(key):
                counts["undeclared"] += 1
                continue
            counts["items"] += side == "live"
            if found in ("missing", "older"):
                suspects[key] = _version(live.get(key))
            elif found in SURPLUS and self._named[found] < MAX_SURPLUS:
                self._named[found] += 1
                surplus.append(key)
            elif found != "same":
                counts[found] += 1
        return _Page(side, last, counts, suspects, surplus, self._monotonic())

    def _is_declared(self, key: str) -> bool:
        return self._collections is None or key.removeprefix(ITEM_PREFIX).split("/")[0] in self._collections

    def _confirmed(self, page: _Page) -> ComparedPage:
        """Look at the differences of a page again."""
        differences, surplus, counts = [], [], page.counts
        if page.is_doubtful:
            if (left := CONFIRM_SECONDS - self._age(page)) > 0:
                self._wait(left)
            keys = [*page.suspects, *page.surplus]
            live = self._read("live", keys, consistent=True)
            second = self._read("second", keys, consistent=True)
            for key in keys:
                found = relation(live.get(key), second.get(key), self._now_ms(), self._horizon_ms)
                difference = TableDifference(
                    self._region, found, key, _version(live.get(key)), _version(second.get(key))
                )
                if found in ("missing", "older") and difference.second < page.suspects.get(key, ""):
                    differences.append(difference)
                elif found in SURPLUS:
                    counts[found] += 1
                    surplus.append(difference)
                else:
                    counts["changing"] += 1
        counts["differences"] += len(differences)
        return ComparedPage(page.side, page.last, +counts, differences, surplus)

    def _age(self, page: _Page) -> float:
        return self._monotonic() - page.seen_at

    def _read(self, side: Side, keys: Iterable[str], *, consistent: bool) -> dict[str, TableRecord]:
        """Return the rows of one table by their keys. A key without a row is left out."""
        wanted = list(keys)
        batches = [wanted[start : start + MAX_KEYS] for start in range(0, len(wanted), MAX_KEYS)]

        def read(batch: list[str]) -> list[TableRecord]:
            table = self._tables[side]
            return list(read_records(self._client, table, batch, _ATTRIBUTES, consistent=consistent, pause=self.pause))

        return {row["pk"]["S"]: row for rows in self._workers.map(read, batches) for row in rows}


def _is_old_tombstone(row: TableRecord, version: str, now: int, horizon_ms: int) -> bool:
    if "expires_at" not in row:
        return False
    deleted_ms = max(time_ms(version), ms_of(row.get("as_of", {}).get("S", "")) or 0)
    return deleted_ms + horizon_ms + TOMBSTONE_MARGIN_MS <= now


def _version(row: TableRecord | None) -> str:
    return "" if row is None else version_of(row) or ""
