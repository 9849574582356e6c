"""`poll`, above stores in memory and a back office that is a function: what one invocation does and tells."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

import pytest

from readplane.aws.faults import UnansweredError
from readplane.model.change import Change
from readplane.model.collection import Collection
from readplane.model.schema import compile_schemas
from readplane.model.timestamp import rfc3339
from readplane.model.version import time_ms
from readplane.poll.checkpoint import Checkpoint, checkpoint_of, state_text
from readplane.poll.checkpoint_table import CHUNK_SECONDS
from readplane.poll.errors import BackOfficeError, ChunkMissingError, LeaseLostError
from readplane.poll.handler import DocumentsBucket, Poll, PollSettings, poll_settings
from readplane.poll.lease import Fetch, PollStores
from readplane.poll.quarantine import QuarantineEntry
from readplane.poll.remembered import Remembered, state_of
from readplane.poll.snapshot_documents import StoredDocument
from readplane.poll.source.settings import Source
from readplane.poll.source.translate import UntranslatableRecord
from readplane.poll.upstream.client import BackOfficeResponse
from readplane.poll.upstream.pages import validators_of
from readplane.telemetry import Telemetry
from tests.unit.support import NOW_MS, MemorySourcedItems, settings_text

DAY_MS = 86_400_000
ORIGIN = "https://office.test/rows"
COLLECTIONS = {
    "things": Collection("things", "public", cache_ttl=60),
    "others": Collection("others", "public", cache_ttl=60),
    "rates": Collection("rates", "authenticated"),
    "mine": Collection("mine", "owner"),
}
SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
CHANGES = {
    "name": "rows",
    "mode": "changes",
    "collection": "things",
    "url": f"{ORIGIN}?since={{cursor}}",
    "records": "rows",
    "id": "id",
    "version": {"expression": "at", "format": "unix_ms"},
    "deleted": "gone",
    "translation": "{n: n}",
    "paging": {"style": "link", "next": "next"},
    "staleness_budget": 600,
}
LISTING = {
    **{name: value for name, value in CHANGES.items() if name not in ("version", "url")},
    "url": ORIGIN,
    "sweep": {"schedule": "rate(1 day)", "max_deletes_percent": 50},
}
SWEPT = {**CHANGES, "sweep": {"schedule": "rate(1 day)", "max_deletes_percent": 50}}
SNAPSHOT = {"name": "fx", "mode": "snapshot", "collection": "rates", "url": ORIGIN, "staleness_budget": 600}


class MemoryCheckpoints:
    """:class:`readplane.poll.checkpoint_table.Checkpoints` in a dictionary; ``fail_save`` counts down to a kill."""

    def __init__(self) -> None:
        self.held: dict[str, Checkpoint] = {}
        self.parts: dict[str, bytes] = {}
        self.kept_seconds: dict[str, int] = {}
        self.saves = 0
        self.before_save: Callable[[int], None] | None = None

    def acquire(self, source: str, owner: str, now_ms: int, until_ms: int) -> Checkpoint | None:
        known = self.held.get(source, Checkpoint(source))
        if known.owner not in (None, owner) and known.lease_until_ms > now_ms:
            return None
        self.held[source] = replace(known, owner=owner, lease_until_ms=until_ms, generation=known.generation + 1)
        return self.held[source]

    def save(self, checkpoint: Checkpoint, owner: str) -> None:
        self.saves += 1
        if self.before_save:
            self.before_save(self.saves)
        known = self.held[checkpoint.source]
        if known.owner != owner:
            raise LeaseLostError
        told = {name: getattr(known, name) for name in ("paused", "sweep_asked_ms", "owner", "lease_until_ms")}
        text = state_text(checkpoint)
        self.held[checkpoint.source] = checkpoint_of(
            checkpoint.source, text, seen=checkpoint.seen, generation=known.generation, **told
        )

    def release(self, checkpoint: Checkpoint, owner: str) -> None:
        self.save(checkpoint, owner)
        self.held[checkpoint.source] = replace(self.held[checkpoint.source], owner=None, lease_until_ms=0)

    def get(self, source: str) -> Checkpoint | None:
        return self.held.get(source)

    def set_paused(self, source: str, paused: bool) -> None:
        self.held[source] = replace(self.held.get(source, Checkpoint(source)), paused=paused)

    def request_sweep(self, source: str, now_ms: int) -> None:
        self.held[source] = replace(self.held.get(source, Checkpoint(source)), sweep_asked_ms=now_ms)

    def rewind(self, source: str, to_ms: int) -> None:
        raise NotImplementedError

    def reset(self, source: str) -> None:
        self.held[source] = replace(self.held[source].anew(), owner=None, lease_until_ms=0)

    def put_chunk(
        self,
        checkpoint: Checkpoint,
        name: str,
        number: int,
        content: bytes,
        now_ms: int,
        seconds: int = CHUNK_SECONDS,
    ) -> None:
        self.parts[f"{checkpoint.source}/{name}/{number}"] = content
        self.kept_seconds[f"{checkpoint.source}/{name}/{number}"] = seconds

    def chunks(self, source: str, name: str, count: int) -> Iterator[bytes]:
        for number in range(count):
            part = self.parts.get(f"{source}/{name}/{number}")
            if part is None:
                raise ChunkMissingError
            yield part


class MemoryStream:
    """:class:`readplane.poll.change_stream.ChangeStream`; ``apply`` has what it takes at once, unless held back."""

    def __init__(self, items: MemorySourcedItems) -> None:
        self.taken: list[Change] = []
        self.failure: Exception | None = None
        self.holding = False
        self._items = items

    def put(self, changes: Iterable[Change], seconds: float) -> None:
        if self.failure:
            raise self.failure
        for change in changes:
            self.taken.append(change)
            if not self.holding:
                self._items.apply(change)


class MemoryQuarantine:
    """:class:`readplane.poll.quarantine.Quarantine` in a dictionary."""

    def __init__(self) -> None:
        self.held: dict[str, QuarantineEntry] = {}
        self.puts = 0

    def put(self, source: str, record: UntranslatableRecord, at_ms: int) -> None:
        self.puts += 1
        self.held[f"quarantine/{record.reason}/{record.raw_text}"] = QuarantineEntry(source, record.raw_text, at_ms)

    def get(self, key: str) -> QuarantineEntry | None:
        return self.held.get(key)

    def remove(self, key: str) -> None:
        del self.held[key]


class MemoryRegion:
    """:class:`readplane.poll.snapshot_documents.Snapshots` in a dictionary."""

    def __init__(self) -> None:
        self.held_documents: dict[str, tuple[str, str, bytes]] = {}
        self.down = False
        self.puts = 0
        self.before_replace: Callable[[], None] | None = None
        self._etags = itertools.count()

    def held(self, key: str) -> StoredDocument | None:
        self._reach()
        known = self.held_documents.get(key)
        return StoredDocument(known[0], known[1]) if known else None

    def replace(self, key: str, body: bytes, version: str, cache_control: str, held: StoredDocument | None) -> bool:
        self._reach()
        if self.before_replace:
            before, self.before_replace = self.before_replace, None
            before()
        if self.held(key) != held:
            return False
        self.write(key, version, body)
        return True

    def put(self, key: str, text: str, version: str, cache_control: str) -> None:
        self._reach()
        self.write(key, version, text.encode())

    def write(self, key: str, version: str, body: bytes) -> None:
        self.puts += 1
        self.held_documents[key] = version, f'"{next(self._etags)}"', body

    def _reach(self) -> None:
        if self.down:
            raise UnansweredError("ConnectTimeoutError", sent=False)


class Office:
    """A back office: rows in the order of their times, some a page, or whatever ``answer`` says."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.page_size = 100
        self.asked: list[str] = []
        self.conditions: list[str | None] = []
        self.fault: BackOfficeError | None = None
        self.answer: Callable[[str], bytes] | None = None
        self.etags = False
        self.link = False
        self.before: Callable[[], None] | None = None

    def row(self, row_id: str, at: int = NOW_MS - 1000, n: Any = 1, gone: bool = False) -> None:
        self.rows[row_id] = {"id": row_id, "at": at, "n": n, "gone": gone}

    def __call__(
        self,
        url: str,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        probe: bool = False,
        deadline: float,
    ) -> BackOfficeResponse:
        self.asked.append(url)
        self.conditions.append(etag)
        if self.before:
            before, self.before = self.before, None
            before()
        if self.fault:
            raise self.fault
        body = self.answer(url) if self.answer else self._page(url)
        headers = {"ETag": f'"{hash(body)}"'} if self.etags else {}
        if self.etags and etag == headers["ETag"]:
            return BackOfficeResponse(304, None, headers, url)
        return BackOfficeResponse(200, body, headers, url)

    def _page(self, url: str) -> bytes:
        query = dict(parse_qsl(urlsplit(url).query))
        rows = sorted(self.rows.values(), key=lambda row: (row["at"], row["id"]))
        rows = [row for row in rows if row["at"] >= int(query.get("since", 0))]
        start = int(query.get("from", 0))
        more = start + self.page_size < len(rows)
        base = f"{ORIGIN}?since={query['since']}&" if "since" in query else f"{ORIGIN}?"
        link = f"{base}from={start + self.page_size}" if more else None
        return json.dumps({"rows": rows[start : start + self.page_size], "next": link}).encode()


class World:
    """A function and all that it reaches; the clock stands still unless a test moves it."""

    def __init__(self) -> None:
        self.ms = NOW_MS
        self.office = Office()
        self.items = MemorySourcedItems()
        self.checkpoints = MemoryCheckpoints()
        self.stream = MemoryStream(self.items)
        self.quarantine = MemoryQuarantine()
        self.regions = {"eu-central-1": MemoryRegion(), "eu-west-1": MemoryRegion()}
        self.poll = Poll(
            PollSettings("model", "i", "x", "c", "s", "log", "quarantine/", (), 30 * DAY_MS, {}, COLLECTIONS),
            compile_schemas({"things": SCHEMA}),
            PollStores(self.checkpoints, self.items, self.stream, self.quarantine, self.regions),
            self._upstream,
            Telemetry("poll", "model"),
        )

    def _upstream(self, source: Source) -> Fetch:
        return self.office

    def __call__(self, source: object = CHANGES, sweep: bool = False, remaining_ms: int = 60_000) -> Any:
        answer = self.call({"source": source, "sweep": sweep}, remaining_ms)
        self.ms += 1
        return answer

    def call(self, event: object, remaining_ms: int = 60_000) -> Any:
        clock = patch("readplane.clock.time.time_ns", lambda: self.ms * 1_000_000)
        with clock:
            return self.poll(event, lambda: remaining_ms)  # type: ignore[arg-type]

    def checkpoint(self, source: str = "rows") -> Checkpoint:
        return self.checkpoints.held[source]

    def values(self) -> dict[str, Any]:
        """What the living items say."""
        return {item.item_id: json.loads(item.data)["n"] for item in self.items.held.values() if item.data}


@pytest.fixture
def world() -> World:
    return World()


def metrics(text: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, text.splitlines()) if "_aws" in line]


# -- changes -----------------------------------------------------------------------------------------------------------


def test_every_page_becomes_changes_and_the_checkpoint_stands_a_lag_behind(world: World) -> None:
    world.office.page_size = 2
    for number in range(5):
        world.office.row(f"r{number}", NOW_MS - 900_000 + number, number)
    answer = world()
    assert (answer["outcome"], answer["pages"], answer["records"], answer["changes"]) == ("completed", 3, 5, 5)
    assert world.values() == {f"r{number}": number for number in range(5)}
    assert world.checkpoint().watermark_ms == NOW_MS - 900_000 + 4
    assert world.checkpoint().fresh_as_of_ms == NOW_MS
    assert world()["changes"] == 0
    assert world.office.asked[3] == f"{ORIGIN}?since={NOW_MS - 900_000 + 4 - 60_000}"


def test_a_change_says_where_it_comes_from_and_when_it_was_accepted(world: World) -> None:
    world.office.row("a", NOW_MS - 500)
    world()
    (change,) = world.stream.taken
    assert (change.source, change.actor) == ("rows", "source/rows")
    assert (time_ms(change.version), change.accepted_at) == (NOW_MS - 500, rfc3339(NOW_MS))


def test_a_state_polled_again_is_the_same_change_and_a_second_one_in_its_timestamp_wins(world: World) -> None:
    world.office.row("a", n=1)
    world()
    for n in (2, 1, 3, 1):
        world.office.row("a", n=n)
        world()
        assert world.values() == {"a": n}
    assert [change.version for change in world.stream.taken] == sorted(change.version for change in world.stream.taken)


def test_what_was_sent_before_a_crash_is_not_decided_by_chance(world: World) -> None:
    """Whichever of two states of one timestamp Kinesis got last before the crash, the later one wins."""
    for first, second in itertools.permutations(range(1, 6), 2):
        world = World()
        world.office.row("a", n=first)

        def killed(save: int) -> None:
            if save == 2:
                raise KeyboardInterrupt

        world.checkpoints.before_save = killed
        with pytest.raises(KeyboardInterrupt):
            world()
        assert world.values() == {"a": first}
        world.checkpoints.before_save = None
        world.office.row("a", n=second)
        world.ms += 60_000
        world()
        assert world.values() == {"a": second}


def test_a_kill_before_kinesis_has_a_page_loses_none_of_it(world: World) -> None:
    world.office.row("young")
    world.office.row("old", NOW_MS - DAY_MS)
    world.stream.failure = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        world()
    world.stream.failure = None
    world.ms += 60_000
    assert world()["changes"] == 2
    assert set(world.values()) == {"young", "old"}


def test_the_checkpoint_stands_while_kinesis_refuses(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.office.row("a")
    world.stream.failure = UnansweredError("FailedRecords", sent=True)
    assert world()["outcome"] == "failed"
    assert world.checkpoint().watermark_ms is None
    assert world.checkpoint().failures.count == 0, "the back office isn't to blame"
    world.stream.failure = None
    assert world()["outcome"] == "completed"
    assert world.values() == {"a": 1}


def test_a_long_catch_up_goes_on_where_it_stopped(world: World) -> None:
    world.office.page_size = 10
    for number in range(95):
        world.office.row(f"r{number:02}", NOW_MS - DAY_MS + number)
    source = {**CHANGES, "max_pages": 3}
    outcomes = [world(source) for _ in range(4)]
    assert [answer["outcome"] for answer in outcomes] == ["unfinished"] * 3 + ["completed"]
    assert sum(answer["records"] for answer in outcomes) == 95
    assert len(world.values()) == 95
    # It is as fresh as its first request, and nothing that was modified during the pass may be left out.
    assert world.checkpoint().fresh_as_of_ms == NOW_MS


def test_what_is_committed_late_within_the_lag_is_found(world: World) -> None:
    world.office.row("a", NOW_MS - 1000)
    world()
    world.office.row("late", NOW_MS - 50_000)
    assert world()["changes"] == 1
    assert set(world.values()) == {"a", "late"}


def test_a_state_behind_one_that_is_in_doubt_is_sent_until_the_item_has_it(world: World) -> None:
    """As where a row was deleted and put in again by an older transaction while a poll was killed."""
    world.office.row("a", NOW_MS - 1000, n=2)
    world.stream.failure = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        world()
    world.stream.failure = None
    world.office.row("a", NOW_MS - 2000, n=1)
    world.ms += 60_000
    assert [world()["changes"] for _ in range(3)] == [1, 0, 0]
    assert world.values() == {"a": 1}
    world.office.row("a", NOW_MS - 1000, n=2)
    world()
    assert world.values() == {"a": 2}


def test_what_was_modified_during_a_pass_is_not_passed_over(world: World) -> None:
    """A page's record may be younger than pages that were read before it: the watermark ends at the first request."""
    world.office.row("a", NOW_MS + 100_000)
    world()
    assert world.checkpoint().watermark_ms == NOW_MS


def test_records_before_the_watermark_that_are_not_remembered_are_looked_up(world: World) -> None:
    world.office.row("a", NOW_MS - DAY_MS)
    world.office.row("b", NOW_MS - 1000)
    world()
    world.office.answer = lambda url: json.dumps({"rows": list(world.office.rows.values()), "next": None}).encode()
    assert world()["changes"] == 0
    world.office.row("c", NOW_MS - DAY_MS)
    assert world()["changes"] == 1


@pytest.mark.parametrize("by", ["itself", "reset"])
def test_a_corrected_translation_reaches_what_was_not_modified_since(world: World, by: str) -> None:
    """Of two states of one timestamp, which a hash alone would tell apart by chance."""
    for number in range(1, 21):
        world.office.row(f"r{number}", NOW_MS - DAY_MS, number)
    for factor in (1, 2, 3, 1):
        translation = (
            CHANGES["translation"] if factor == 1 else f"{{n: to_number(join('', [to_string(n), '{factor}']))}}"
        )
        if by == "reset" and world.checkpoints.held:
            world.checkpoints.reset("rows")
        world.ms += DAY_MS
        assert world({**CHANGES, "translation": translation})["records"] == 20
        assert world.values() == {f"r{n}": n if factor == 1 else 10 * n + factor for n in range(1, 21)}
        assert world({**CHANGES, "translation": translation})["changes"] == 0
    assert not world.checkpoint().again_ms


def test_a_record_that_stands_on_a_page_twice_ends_as_the_later_says_when_it_is_read_again(world: World) -> None:
    for factor in range(1, 9):
        rows = [{"id": "a", "at": NOW_MS - DAY_MS, "n": factor * n} for n in (1, 2)]
        world.office.answer = lambda url, rows=rows: json.dumps({"rows": rows}).encode()
        world()
        assert world.values() == {"a": 2 * factor}
        world.checkpoints.reset("rows")


def test_a_record_that_stands_on_two_pages_in_two_states_ends_as_the_later_page_says(world: World) -> None:
    """As a feed of events tells it, and again when all of it is read again."""
    ms = NOW_MS - DAY_MS
    links = [f"{ORIGIN}?from=1", f"{ORIGIN}?from=2", f"{ORIGIN}?from=3", None]
    pages = [{"rows": [{"id": "a", "at": ms, "n": n}], "next": link} for n, link in enumerate(links)]
    world.office.answer = lambda url: json.dumps(
        pages[int(dict(parse_qsl(urlsplit(url).query)).get("from", 0))]
    ).encode()
    for _ in range(4):
        world()
        assert world.values() == {"a": 3}
        world.checkpoints.reset("rows")


@pytest.mark.parametrize("setting", [{"url": f"{ORIGIN}/2?since={{cursor}}"}, {"collection": "others"}])
def test_another_back_office_is_read_from_its_beginning(world: World, setting: dict[str, Any]) -> None:
    world.office.row("a", NOW_MS - 1000)
    world()
    world.office.rows.clear()
    world.office.row("b", NOW_MS - 2 * DAY_MS)
    assert world({**CHANGES, "lag_seconds": 5, "timeout_seconds": 3})["changes"] == 0, "how it is asked means nothing"
    assert world({**CHANGES, **setting})["changes"] == 1
    assert world.checkpoint().watermark_ms == NOW_MS - 2 * DAY_MS


def test_a_full_listing_is_not_taken_for_unchanged_by_another_translation(world: World) -> None:
    world.office.etags = True
    world.office.row("a", n=1)
    world(LISTING)
    world.ms += DAY_MS
    assert world(LISTING)["outcome"] == "not_modified"
    assert world({**LISTING, "translation": "{n: `7`}"})["outcome"] == "completed"
    assert world.values() == {"a": 7}


def test_a_delete_becomes_a_tombstone(world: World) -> None:
    world.office.row("a", NOW_MS - 1000)
    world()
    world.office.row("a", NOW_MS - 500, gone=True)
    world()
    assert world.values() == {}
    assert world.items.held["item/things/a"].op == "delete"


def test_a_poison_record_goes_to_quarantine_once_and_the_others_go_on(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(100):
        world.office.row(f"r{number}", n="secret" if number == 50 else number)
    answer = world()
    assert (answer["changes"], answer["quarantined"]) == (99, 1)
    for _ in range(3):
        world.ms += 70_000
        assert world()["quarantined"] == 0
    assert world.quarantine.puts == 1
    (key,) = world.quarantine.held
    assert key.startswith("quarantine/invalid/")
    assert "secret" not in capsys.readouterr().out


def test_a_page_of_poison_is_a_fault_and_floods_no_quarantine(world: World) -> None:
    """A translation that fits no record is to be mended, not to be redriven a million times."""
    rows = [{"id": f"r{number}", "at": NOW_MS, "n": "bad"} for number in range(1_001)]
    rows.append({"id": "good", "at": NOW_MS, "n": 1})
    world.office.answer = lambda url: json.dumps({"rows": rows}).encode()
    assert world()["outcome"] == "failed"
    assert world.quarantine.puts == 0 and world.checkpoint().failures.count == 1
    assert list(world.items.held) == ["item/things/good"], "what is right goes on all the same"
    del rows[0]
    answer = world()
    assert (answer["outcome"], answer["quarantined"]) == ("completed", 1_000)
    assert world()["quarantined"] == 0
    assert world.quarantine.puts == 1_000


def test_unfit_owners_go_to_quarantine(world: World) -> None:
    function = {**CHANGES, "owner": "owner", "collection": "mine"}
    world.office.answer = lambda url: json.dumps(
        {"rows": [{"id": "a", "at": NOW_MS, "n": 1, "owner": "u-1"}, {"id": "b", "at": NOW_MS, "n": 1}]}
    ).encode()
    answer = world(function)
    assert (answer["changes"], answer["quarantined"]) == (1, 1)
    assert list(world.items.held) == ["item/mine/u-1/a"]


def test_an_unchanged_page_is_asked_for_by_its_etag(world: World) -> None:
    world.office.etags = True
    world.office.row("a", NOW_MS - DAY_MS)
    world()
    world()  # another cursor, so another URL
    answer = world()
    assert answer["outcome"] == "not_modified"
    assert world.checkpoint().fresh_as_of_ms == NOW_MS + 2
    assert world.office.conditions[:2] == [None, None] and world.office.conditions[2] is not None
    world.office.row("b", NOW_MS)
    assert world()["changes"] == 1


def test_pages_of_several_are_never_taken_for_unchanged(world: World) -> None:
    world.office.etags, world.office.page_size = True, 1
    for name in "ab":
        world.office.row(name)
    for _ in range(3):
        world()
    assert set(world.office.conditions) == {None}


# -- the lease ---------------------------------------------------------------------------------------------------------


def test_a_second_poll_does_nothing_and_leaves_its_sweep_to_the_first(world: World) -> None:
    world.office.row("a")
    answers: list[Any] = []
    world.office.before = lambda: answers.append(world(SWEPT, sweep=True))
    world(SWEPT)
    assert [(answer["outcome"], answer["pages"]) for answer in answers] == [("running", 0)]
    assert world.checkpoint().sweep_due
    world(SWEPT)
    assert not world.checkpoint().sweep_due


def test_a_poll_that_was_frozen_past_its_lease_sends_nothing_more(world: World) -> None:
    world.office.row("a", NOW_MS - DAY_MS)

    def frozen() -> None:
        world.ms += 120_000

    world.office.before = frozen
    assert world()["outcome"] == "running"
    assert world.stream.taken == []
    assert world()["outcome"] == "completed"


def test_a_poll_whose_lease_was_taken_saves_nothing(world: World) -> None:
    world.office.row("a", NOW_MS - DAY_MS)

    def taken() -> None:
        world.checkpoints.held["rows"] = replace(world.checkpoint(), owner="another")

    world.office.before = taken
    assert world()["outcome"] == "running"
    assert world.checkpoint().watermark_ms is None and world.checkpoint().owner == "another"


def test_a_paused_source_is_left_alone(world: World) -> None:
    world.checkpoints.set_paused("rows", True)
    assert world()["outcome"] == "paused"
    assert world.office.asked == []
    world.checkpoints.set_paused("rows", False)
    assert world()["outcome"] == "completed"


# -- a back office that fails ------------------------------------------------------------------------------------------


def test_the_breaker_opens_after_failures_in_a_row_probes_and_closes(world: World) -> None:
    source = {**CHANGES, "breaker": {"failures": 2, "cooldown_seconds": 30}}
    world.office.fault = BackOfficeError("timeout", "no answer within 10 s", again=True)
    assert [world(source)["outcome"] for _ in range(3)] == ["failed", "failed", "open"]
    assert len(world.office.asked) == 2
    assert world.items.sources["rows"].breaker == "open"
    world.ms += 30_000
    assert world(source)["outcome"] == "failed", "half open: one request probes"
    assert world(source)["outcome"] == "open"
    world.ms += 30_000
    world.office.fault = None
    assert world(source)["outcome"] == "completed"
    assert world.items.sources["rows"].breaker == "closed"


def test_a_poll_that_fails_says_why(world: World) -> None:
    assert world()["fault"] is None
    world.office.fault = BackOfficeError("timeout", "no answer within 10 s", again=True)
    assert world()["fault"] == "timeout: no answer within 10 s"
    world.office.fault = None
    world.office.answer = lambda url: b'{"rows": "hush"}'
    assert world()["fault"] == "PageError: records: found a text, not a list"
    world.office.answer = None
    world.office.row("a")
    world.stream.failure = UnansweredError("FailedRecords", sent=True)
    assert world()["fault"] == "Unanswered"


def test_a_good_page_ends_the_row_of_failures(world: World) -> None:
    source = {**CHANGES, "breaker": {"failures": 2, "cooldown_seconds": 30}}
    for _ in range(3):
        world.office.fault = BackOfficeError("connect", "ConnectionRefusedError", again=True)
        assert world(source)["outcome"] == "failed"
        world.office.fault = None
        assert world(source)["outcome"] == "completed"


def test_a_back_office_that_wants_to_be_left_alone_is(world: World) -> None:
    world.office.fault = BackOfficeError("status", "it answers 429", status=429, retry_after=120, again=True)
    world()
    world.office.fault = None
    world.ms += 100_000
    assert world()["outcome"] == "open"
    world.ms += 20_000
    assert world()["outcome"] == "completed"


def test_running_out_of_time_is_no_fault_of_the_back_office(world: World) -> None:
    world.office.fault = BackOfficeError("deadline", "the time for this poll ran out before the answer came")
    assert world()["outcome"] == "unfinished"
    assert world.checkpoint().failures.count == 0


def test_no_time_left_means_no_request(world: World) -> None:
    assert world(remaining_ms=4_000)["outcome"] == "unfinished"
    assert world.office.asked == []


@pytest.mark.parametrize("body", [b"<html>", b'{"rows":', b"{}", b'{"rows":null}', b"[]", b"\xff\xfe"])
def test_what_is_no_page_is_no_empty_page(world: World, body: bytes) -> None:
    world.office.row("a")
    world()
    before = world.checkpoint()
    world.office.answer = lambda url: body
    assert world()["outcome"] == "failed"
    after = world.checkpoint()
    assert (after.watermark_ms, after.fresh_as_of_ms) == (before.watermark_ms, before.fresh_as_of_ms)
    assert after.failures.count == 1


def test_a_place_that_the_back_office_has_forgotten_is_given_up(world: World) -> None:
    world.office.page_size = 1
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    assert world({**CHANGES, "max_pages": 1})["outcome"] == "unfinished"
    world.office.fault = BackOfficeError("status", "it answers 410", status=410)
    world(), world()
    world.office.fault = None
    assert world()["pages"] == 3
    assert len(world.values()) == 3


@pytest.mark.parametrize("style", ["link", "token"])
@pytest.mark.parametrize("lead", ["\ud800", "x" * 400_000], ids=["surrogate", "endless"])
def test_a_lead_that_cannot_be_followed_is_not_kept(world: World, style: str, lead: str) -> None:
    paging = {"style": style, "next": "next"} | ({"parameter": "from"} if style == "token" else {})
    rows = [{"id": "a", "at": NOW_MS - DAY_MS, "n": 1}]
    world.office.answer = lambda url: json.dumps({"rows": rows, "next": lead}).encode()
    assert world({**CHANGES, "paging": paging})["outcome"] == "failed"
    assert world.checkpoint().failures.count == 1
    world.office.answer = lambda url: json.dumps({"rows": rows}).encode()
    assert world({**CHANGES, "paging": paging})["outcome"] == "completed"


@pytest.mark.parametrize("source", [CHANGES, LISTING, SNAPSHOT], ids=["changes", "listing", "snapshot"])
def test_a_back_office_that_takes_no_conditional_requests_gets_others(world: World, source: dict[str, Any]) -> None:
    world.office.etags = True
    world.office.row("a", NOW_MS - DAY_MS)
    world.office.answer = (lambda url: b"[1]") if source is SNAPSHOT else None
    world(source)
    world(source)
    world.ms += DAY_MS

    def refuse() -> None:
        if world.office.conditions[-1]:
            raise BackOfficeError("status", "it answers 412", status=412)

    outcomes = []
    for _ in range(3):
        world.office.before = refuse
        outcomes.append(world(source)["outcome"])
    assert outcomes == ["failed", "failed", "completed"]


def test_an_etag_that_no_header_can_hold_is_not_kept() -> None:
    assert validators_of("u", BackOfficeResponse(200, b"", {"ETag": '"a\r\n b"'}, "u")) is None
    assert validators_of("u", BackOfficeResponse(200, b"", {"ETag": 'W/"é"'}, "u"))


def test_one_bad_page_costs_no_place(world: World) -> None:
    world.office.page_size = 1
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world({**CHANGES, "max_pages": 1})
    world.office.answer = lambda url: b"{"
    assert world()["outcome"] == "failed"
    world.office.answer = None
    assert world()["pages"] == 2


def test_an_outage_gives_no_place_up(world: World) -> None:
    world.office.page_size = 1
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world({**CHANGES, "max_pages": 1})
    world.office.fault = BackOfficeError("status", "it answers 503", status=503, again=True)
    world()
    world.office.fault = None
    assert world()["pages"] == 2


# -- full listings and sweeps ------------------------------------------------------------------------------------------


def test_without_times_only_what_says_something_else_is_a_change(world: World) -> None:
    for name in "abc":
        world.office.row(name)
    assert world(LISTING)["changes"] == 3
    assert world(LISTING)["changes"] == 0
    world.office.row("b", n=7)
    assert world(LISTING)["changes"] == 1
    assert world.values() == {"a": 1, "b": 7, "c": 1}
    assert time_ms(world.items.held["item/things/b"].version) == NOW_MS + 2


def test_what_is_on_its_way_to_an_item_counts(world: World) -> None:
    """A change that `apply` doesn't have yet would put away what the listing has said since."""
    world.office.row("a", n=1)
    world.office.row("b", n=1)
    world(LISTING)
    world.stream.holding = True
    world.office.row("a", n=2)
    world.office.row("c", n=1)
    assert world(LISTING)["changes"] == 2
    assert world(LISTING)["changes"] == 0
    world.office.row("a", n=1)
    world.office.row("c", n=1, gone=True)
    assert world(LISTING)["changes"] == 2
    for change in reversed(world.stream.taken):
        world.items.apply(change)
    world.stream.holding = False
    assert world.values() == {"a": 1, "b": 1}
    assert world(LISTING)["changes"] == 0


def test_what_got_lost_on_its_way_is_sent_again(world: World) -> None:
    world.stream.holding = True
    world.office.row("a")
    assert [world(LISTING)["changes"] for _ in range(2)] == [1, 0]
    world.stream.holding = False
    world.ms += 2 * 3_600_000
    assert world(LISTING)["changes"] == 1
    assert world.values() == {"a": 1}


def test_a_clock_behind_the_item_is_overruled(world: World) -> None:
    world.office.row("a", n=1)
    world(LISTING)
    world.ms -= 60_000
    world.office.row("a", n=2)
    world(LISTING)
    assert world.values() == {"a": 2}


def test_an_item_is_deleted_when_two_listings_in_a_row_lack_it(world: World) -> None:
    for name in "abc":
        world.office.row(name)
    world(LISTING)
    world.ms += DAY_MS
    row = world.office.rows.pop("b")
    assert world(LISTING)["missing"] == 1
    assert set(world.values()) == {"a", "b", "c"}
    world.office.rows["b"] = row
    world(LISTING)
    del world.office.rows["b"]
    world(LISTING)
    assert set(world.values()) == {"a", "b", "c"}, "not in a row"
    world(LISTING)
    assert set(world.values()) == {"a", "c"}


def test_an_item_that_changed_between_two_sweeps_was_alive(world: World) -> None:
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world(SWEPT)
    row = world.office.rows.pop("b")
    world(SWEPT, sweep=True)
    world.office.rows["b"] = row | {"n": 2, "at": NOW_MS - DAY_MS + 1}
    world.stream.put([change_of(world, "b", 2, NOW_MS - DAY_MS + 1)], 1)
    del world.office.rows["b"]
    world(SWEPT, sweep=True)
    assert "b" in world.values()
    world(SWEPT, sweep=True)
    assert "b" not in world.values()


def change_of(world: World, row: str, n: int, ms: int) -> Change:
    known = world.items.held[f"item/things/{row}"]
    version = f"{ms:012x}"
    return known._replace(change_id=f"{version[:8]}-{version[8:]}{known.version[13:]}", data=f'{{"n":{n}}}')


@pytest.mark.parametrize("listing", ["empty", "shrunken", "unreadable"])
def test_a_listing_that_cannot_be_true_deletes_nothing(
    world: World, listing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(10):
        world.office.row(f"r{number}")
    world(LISTING)
    world.ms += DAY_MS
    kept = {"empty": 0, "shrunken": 4, "unreadable": 9}[listing]
    rows = [world.office.rows[f"r{number}"] for number in range(kept)]
    if listing == "unreadable":
        rows.append({"id": None, "n": 1})
    world.office.answer = lambda url: json.dumps({"rows": rows}).encode()
    for _ in range(3):
        answer = world(LISTING)
        assert answer["sweep_refused"]
        assert (answer["outcome"], answer["changes"]) == ("completed", 0)
    assert len(world.values()) == 10


def test_a_listing_that_names_a_record_it_cannot_tell_more_of_keeps_its_item(world: World) -> None:
    for name in "abc":
        world.office.row(name)
    world(LISTING)
    world.ms += DAY_MS
    world.office.row("b", n="many")
    for _ in range(3):
        assert world(LISTING)["missing"] == 0
    assert world.values()["b"] == 1


def test_a_listing_is_not_taken_for_unchanged_while_something_is_pending(world: World) -> None:
    world.office.etags = True
    for name in "abc":
        world.office.row(name)
    for _ in range(3):
        assert world(LISTING)["outcome"] == "completed", "apply may not have it yet"
    world.ms += DAY_MS
    assert world(LISTING)["outcome"] == "not_modified"
    del world.office.rows["b"]
    assert world(LISTING)["missing"] == 1
    assert world(LISTING)["outcome"] == "completed", "it must be missing again, in the same answer"
    assert set(world.values()) == {"a", "c"}


def test_a_sweep_deletes_what_upstream_deleted_without_a_word(world: World) -> None:
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world(SWEPT)
    del world.office.rows["c"]
    assert set(world.values()) == {"a", "b", "c"}
    assert world(SWEPT, sweep=True)["missing"] == 1
    world(SWEPT)
    assert set(world.values()) == {"a", "b", "c"}
    world(SWEPT, sweep=True)
    assert set(world.values()) == {"a", "b"}


def test_a_later_change_on_its_way_beats_a_tombstone(world: World) -> None:
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world(SWEPT)
    row = world.office.rows.pop("c")
    world(SWEPT, sweep=True)
    world(SWEPT, sweep=True)
    world.office.rows["c"] = row | {"at": NOW_MS - DAY_MS + 1, "n": 5}
    world.checkpoints.held["rows"] = replace(world.checkpoint(), watermark_ms=NOW_MS - DAY_MS)
    world(SWEPT)
    assert world.values()["c"] == 5


def test_a_sweep_mends_what_upstream_changed_without_a_new_time(world: World) -> None:
    for name in "ab":
        world.office.row(name, NOW_MS - DAY_MS)
    world(SWEPT)
    before = world.items.held["item/things/a"].version
    world.office.row("a", NOW_MS - 2 * DAY_MS, n=9)
    world(SWEPT)
    assert world.values()["a"] == 1
    world(SWEPT, sweep=True)
    assert world.values()["a"] == 9
    after = world.items.held["item/things/a"].version
    assert time_ms(after) == time_ms(before) and after > before
    world.office.row("a", NOW_MS - DAY_MS + 1, n=10)
    world(SWEPT, sweep=True)
    assert world.values()["a"] == 10, "whatever is modified later wins"


def test_a_sweep_takes_a_collection_over_from_clients(world: World) -> None:
    """Their versions are younger than the back office's times."""
    world.office.row("a", NOW_MS - DAY_MS, 2)
    version = f"{NOW_MS - 1000:012x}"
    theirs = f"{version[:8]}-{version[8:]}-7fff-bfff-ffffffffffff"
    world.items.apply(Change(theirs, "things", "a", '{"n":1}', "someone", "api", rfc3339(NOW_MS - 1000)))
    world(SWEPT)
    world.ms += 2 * 60_000
    world(SWEPT, sweep=True)
    assert world.values() == {"a": 2}


def test_a_sweep_sends_nothing_twice(world: World) -> None:
    for number in range(20):
        world.office.row(f"r{number}", NOW_MS - DAY_MS * (number % 2) - 1000, number)
    world(SWEPT)
    count = len(world.stream.taken)
    world(SWEPT, sweep=True)
    assert len(world.stream.taken) == count


def test_a_sweep_goes_on_where_it_stopped_beside_the_passes(world: World) -> None:
    world.office.page_size = 3
    for number in range(10):
        world.office.row(f"r{number}", NOW_MS - DAY_MS + number)
    world(SWEPT)
    source = {**SWEPT, "max_pages": 3}
    for _ in range(2):
        world(SWEPT, sweep=True)
        assert world.checkpoint().missing is None
    del world.office.rows["r9"]
    world(source, sweep=True)
    for _ in range(8):
        world(source)
    assert world.checkpoint().sweep is None and world.checkpoint().missing is not None
    world(source, sweep=True)
    for _ in range(8):
        world(source)
    assert len(world.values()) == 9


def test_a_back_office_that_wants_no_sweep_for_a_while_is_polled_on(world: World) -> None:
    world.office.row("a", NOW_MS - DAY_MS)
    world(SWEPT)

    def busy(url: str) -> bytes:
        if "since=0" in url:
            raise BackOfficeError("status", "it answers 429", status=429, retry_after=600, again=True)
        return world.office._page(url)

    world.office.answer = busy
    world.ms += 60_000
    assert world(SWEPT, sweep=True)["outcome"] == "failed"
    asked = len(world.office.asked)
    world.ms += 60_000
    assert world(SWEPT)["outcome"] == "completed"
    assert (len(world.office.asked), world.checkpoint().fresh_as_of_ms) == (asked + 1, world.ms - 1)
    world.office.answer = None
    world.ms += 600_000
    world(SWEPT)
    assert not world.checkpoint().sweep_due


def test_a_sweep_whose_parts_are_gone_begins_anew(world: World) -> None:
    world.office.page_size = 1
    for days in range(1, 5):
        world.office.row(f"r{days}", NOW_MS - days * DAY_MS)
    world(SWEPT)
    answer = world({**SWEPT, "max_pages": 2}, sweep=True)
    assert (answer["outcome"], answer["sweeping"]) == ("completed", True)
    assert world.checkpoint().sweep is not None
    world.checkpoints.parts.clear()
    assert world(SWEPT)["missing"] == 0
    assert world.checkpoint().sweep_due
    world(SWEPT)
    assert not world.checkpoint().sweep_due
    assert len(world.values()) == 4


def test_a_sweep_whose_place_is_forgotten_begins_anew(world: World) -> None:
    world.office.page_size = 1
    for days in range(1, 5):
        world.office.row(f"r{days}", NOW_MS - days * DAY_MS)
    world(SWEPT)
    world({**SWEPT, "max_pages": 2}, sweep=True)
    old = world.checkpoint().sweep
    world.office.answer = lambda url: b"gone" if "from=2" in url else world.office._page(url)
    assert world(SWEPT)["outcome"] == "failed"
    world.office.answer = None
    assert old and world.checkpoint().sweep is None
    world(SWEPT)
    assert not world.checkpoint().sweep_due


@pytest.mark.parametrize("source", [SWEPT, {**LISTING, "version": CHANGES["version"]}], ids=["swept", "listing"])
def test_a_record_that_comes_back_as_it_was_is_there_again(world: World, source: dict[str, Any]) -> None:
    """What a back office left out for a while is still remembered, by its time: the newest that there is."""
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world(source)
    row = world.office.rows.pop("b")
    for _ in range(2):
        world(source, sweep=True)
    assert "b" not in world.values()
    world.office.rows["b"] = row
    world(source, sweep=True)
    assert world.values() == {"a": 1, "b": 1, "c": 1}
    assert world(source, sweep=True)["changes"] == 0


def test_a_listing_of_one_huge_page_is_remembered_in_parts_that_dynamodb_takes(world: World) -> None:
    world.office.page_size = 100_000
    world.office.answer = lambda url: json.dumps({"rows": [{"id": f"r{n}", "n": n} for n in range(45_000)]}).encode()
    with patch.object(world.stream, "put"):
        assert world(LISTING)["records"] == 45_000
    assert sum(map(len, world.checkpoints.parts.values())) == 45_000 * 8
    assert max(map(len, world.checkpoints.parts.values())) < 390 * 1024


def test_what_a_sweep_doubted_is_deleted_by_the_next_however_late_that_comes(world: World) -> None:
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world(SWEPT)
    del world.office.rows["b"]
    world(SWEPT, sweep=True)
    for key in [key for key in world.checkpoints.parts if not key.endswith(".missing/0")]:
        del world.checkpoints.parts[key]
    assert world.checkpoints.kept_seconds[next(iter(world.checkpoints.parts))] >= 366 * 86_400
    world.ms += 60 * DAY_MS
    world(SWEPT, sweep=True)
    assert "b" not in world.values()


def test_doubts_that_are_gone_cost_no_more_than_one_sweep(world: World) -> None:
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world(SWEPT)
    del world.office.rows["b"]
    world(SWEPT, sweep=True)
    world.checkpoints.parts.clear()
    world(SWEPT, sweep=True)
    assert "b" in world.values()
    world(SWEPT, sweep=True)
    assert "b" not in world.values()


def test_a_pass_is_kept_before_what_is_missing_is_looked_for(world: World) -> None:
    """That takes as long as the collection is large: a time-out there must not cost the pass."""
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world(SWEPT)
    with patch.object(world.items, "living", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        world(SWEPT, sweep=True)
    assert world.checkpoint().fresh_as_of_ms == world.ms
    begun = world.checkpoint().sweep
    assert begun and begun.listed
    pages = len(world.office.asked)
    world.ms += 60_000
    world(SWEPT)
    assert len(world.office.asked) == pages + 1, "the listing isn't read again"
    assert world.checkpoint().sweep is None


@pytest.mark.parametrize("source", [SWEPT, LISTING], ids=["swept", "listing"])
def test_a_collection_too_large_to_be_looked_through_stops_no_pass(world: World, source: dict[str, Any]) -> None:
    for name in "abc":
        world.office.row(name, NOW_MS - DAY_MS)
    world(source)
    remaining = [60_000]

    def living(_: Iterable[str]) -> Iterator[tuple[str, str]]:
        for number in range(1_000):
            remaining[0] -= 100
            yield f"r{number}", "00000000-0000-7000-8000-000000000000"

    for _ in range(2):
        remaining[0] = 60_000
        pages = len(world.office.asked)
        with (
            patch.object(world.items, "living", living),
            patch("readplane.clock.time.time_ns", lambda: world.ms * 10**6),
        ):
            answer = world.poll({"source": source, "sweep": True}, lambda: remaining[0])
        assert (answer["outcome"], answer["sweep_refused"], answer["changes"]) == ("completed", True, 0)
        assert len(world.office.asked) > pages
        assert world.checkpoint().fresh_as_of_ms == world.ms
        world.ms += 60_000
    world(source)
    assert world.checkpoint().sweep is world.checkpoint().changes is None


def test_a_young_item_is_not_missing(world: World) -> None:
    """It may have come to be behind the page that would have held it."""
    for name in "abc":
        world.office.row(name)
    world(LISTING)
    rows = [world.office.rows["a"]]
    world.office.answer = lambda url: json.dumps({"rows": rows}).encode()
    assert world(LISTING)["missing"] == 0


# -- snapshots ---------------------------------------------------------------------------------------------------------

DOCUMENT = "authenticated/rates/current.json"


def test_a_snapshots_bytes_stand_as_they_came_in_every_region(world: World) -> None:
    body = b' { "usd" : 1.10, "chf": 1e2 }\n'
    world.office.answer = lambda url: body
    assert world(SNAPSHOT)["outcome"] == "completed"
    documents = [region.held_documents[DOCUMENT] for region in world.regions.values()]
    for version, _, document in documents:
        assert body in document
        told = json.loads(document)
        assert told["version"] == version
        assert (told["id"], told["collection"], told["as_of"]) == ("current", "rates", rfc3339(NOW_MS))
    assert documents[0][2] == documents[1][2]
    assert world.checkpoint("fx").fresh_as_of_ms == NOW_MS


def test_an_unchanged_snapshot_is_not_put_again(world: World) -> None:
    world.office.answer = lambda url: b"[1]"
    world(SNAPSHOT)
    (before, *_) = [region.held_documents[DOCUMENT] for region in world.regions.values()]
    assert world(SNAPSHOT)["changes"] == 0
    assert world.regions["eu-central-1"].held_documents[DOCUMENT] == before
    assert world.checkpoint("fx").fresh_as_of_ms == NOW_MS + 1
    world.office.answer = lambda url: b"[2]"
    assert world(SNAPSHOT)["changes"] == 1


def test_an_unmodified_snapshot_still_reaches_a_region_that_lacks_it(world: World) -> None:
    world.office.etags, world.office.answer = True, lambda url: b"[1]"
    world(SNAPSHOT)
    assert world(SNAPSHOT)["outcome"] == "not_modified"
    del world.regions["eu-west-1"].held_documents[DOCUMENT]
    assert world(SNAPSHOT)["outcome"] == "completed"
    documents = {region.held_documents[DOCUMENT][2] for region in world.regions.values()}
    assert len(documents) == 1


def test_an_older_snapshot_never_replaces_a_newer(world: World) -> None:
    world.office.answer = lambda url: b"[1]"
    region = world.regions["eu-central-1"]
    newer = "ffffffff-ffff-7000-8000-000000000000"
    region.before_replace = lambda: region.write(DOCUMENT, newer, b"newer")
    assert world(SNAPSHOT)["outcome"] == "completed"
    assert region.held_documents[DOCUMENT][2] == b"newer"


def test_a_region_that_is_down_keeps_a_snapshot_from_no_other(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.office.etags, world.office.answer = True, lambda url: b"[1]"
    world(SNAPSHOT)
    here, there = world.regions.values()
    there.down = True
    world.office.answer = lambda url: b"[2]"
    for _ in range(2):
        assert world(SNAPSHOT)["outcome"] == "completed"
        assert b"[2]" in here.held_documents[DOCUMENT][2]
        assert world.checkpoint("fx").fresh_as_of_ms == world.ms - 1
        told = metrics(capsys.readouterr().out)
        assert [line["SnapshotsFailed"] for line in told if "SnapshotsFailed" in line] == [1]
    there.down = False
    assert world(SNAPSHOT)["outcome"] == "completed"
    assert here.held_documents[DOCUMENT][2] == there.held_documents[DOCUMENT][2]


def test_a_snapshot_is_not_fresh_while_the_region_that_polls_lacks_it(world: World) -> None:
    world.office.answer = lambda url: b"[1]"
    world(SNAPSHOT)
    fresh = world.checkpoint("fx").fresh_as_of_ms
    world.office.answer = lambda url: b"[2]"
    here, there = world.regions.values()
    here.down = True
    assert world(SNAPSHOT)["outcome"] == "failed"
    assert b"[2]" in there.held_documents[DOCUMENT][2]
    assert world.checkpoint("fx").fresh_as_of_ms == fresh
    assert world.checkpoint("fx").failures.count == 0, "the back office isn't to blame"
    here.down = False
    assert world(SNAPSHOT)["outcome"] == "completed"
    assert b"[2]" in here.held_documents[DOCUMENT][2]


def test_snapshots_that_fit_no_schema_open_the_breaker(world: World) -> None:
    world.office.answer = lambda url: b"<html>"
    for _ in range(5):
        assert world(SNAPSHOT)["outcome"] == "failed"
    assert world(SNAPSHOT)["outcome"] == "open"


def test_what_is_no_snapshot_replaces_none(world: World) -> None:
    world.office.answer = lambda url: b"[1]"
    world(SNAPSHOT)
    world.office.answer = lambda url: b"<html>"
    assert world(SNAPSHOT)["outcome"] == "failed"
    assert b"[1]" in world.regions["eu-west-1"].held_documents[DOCUMENT][2]


# -- telling -----------------------------------------------------------------------------------------------------------


def test_freshness_is_told_in_the_items_and_a_document_of_every_region(world: World) -> None:
    world()
    assert world.items.sources["rows"]._asdict() == {
        "fresh_as_of": rfc3339(NOW_MS),
        "breaker": "closed",
        "checked_at": rfc3339(NOW_MS),
    }
    for region in world.regions.values():
        document = json.loads(region.held_documents["public/sources/rows.json"][2])
        assert document == {
            "source": "rows",
            "collection": "things",
            "fresh_as_of": rfc3339(NOW_MS),
            "staleness_budget": 600,
            "breaker": "closed",
            "checked_at": rfc3339(NOW_MS),
        }


def test_a_region_that_is_down_fails_no_poll_of_changes(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.regions["eu-west-1"].down = True
    assert world()["outcome"] == "completed"
    failed = [line for line in metrics(capsys.readouterr().out) if "FreshnessFailed" in line]
    assert [line["FreshnessFailed"] for line in failed] == [1]


def test_every_metric_is_the_sources_own(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.office.row("a")
    world.office.row("b", n="bad")
    world()
    (line,) = [line for line in metrics(capsys.readouterr().out) if line["event"] == "polled"]
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Stack", "Source"]]
    told = {metric["Name"]: line[metric["Name"]] for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert told == {
        "PollsCompleted": 1,
        "PollsFailed": 0,
        "RecordsPolled": 2,
        "ChangesPolled": 1,
        "RecordsQuarantined": 1,
        "BreakerOpen": 0,
        "SweepMissing": 0,
        "SweepRefused": 0,
        "Staleness": 0.0,
    }


def test_staleness_grows_while_nothing_is_polled(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world()
    world.ms = NOW_MS + 90_000
    event = {"freshness": [{"name": "rows", "staleness_budget": 60}, {"name": "never", "staleness_budget": 60}]}
    assert world.call(event) == {"staleness": {"rows": 90.0}}
    world.office.fault = BackOfficeError("connect", "ConnectionRefusedError", again=True)
    world({**CHANGES, "name": "failing"})
    world.ms += 30_000
    answer = world.call({"freshness": [{"name": "failing", "staleness_budget": 60}]})
    assert answer == {"staleness": {"failing": 30.001}}


def test_every_problem_of_every_source_is_told(world: World) -> None:
    bad = {**CHANGES, "name": "bad", "id": "[", "collection": "nowhere"}
    owners = {**CHANGES, "name": "owners", "collection": "mine"}
    answer = world.call({"validate": [CHANGES, bad, LISTING, owners, SNAPSHOT]})
    assert [problem.partition(":")[0] for problem in answer["problems"]] == [
        "sources.bad.id",
        "sources.bad.collection",
        "sources.owners.owner",
    ]


def test_nothing_that_the_back_office_or_an_error_says_is_logged(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.office.row("a", n="hush")
    world()
    world.stream.failure = ValueError("hush")
    world.office.row("b")
    assert world()["outcome"] == "failed"
    world.office.answer = lambda url: b'{"rows": "hush"}'
    world()
    assert "hush" not in capsys.readouterr().out


# -- redrive -----------------------------------------------------------------------------------------------------------


def test_a_quarantined_record_is_redriven_by_the_corrected_translation(world: World) -> None:
    world.office.row("a", NOW_MS - 2000, n="7")
    world.office.row("b", NOW_MS - 2000, n="x")
    world()
    keys = [*world.quarantine.held, "quarantine/invalid/none.json"]
    fixed = {**CHANGES, "translation": "{n: to_number(n)}"}
    answer = world.call({"redrive": {"source": fixed, "keys": keys}})
    assert answer["redriven"] == 1
    assert [entry["key"] for entry in answer["failed"]] == keys[1:]
    assert world.values() == {"a": 7}
    assert len(world.quarantine.held) == 1


def test_a_redriven_record_never_beats_what_was_modified_since(world: World) -> None:
    for source in (CHANGES, LISTING):
        world = World()
        world.office.row("a", NOW_MS - 2000, n="7")
        world(source)
        world.office.row("a", NOW_MS - 1000, n=8)
        world(source)
        fixed = {**source, "translation": "{n: to_number(n)}"}
        assert world.call({"redrive": {"source": fixed, "keys": list(world.quarantine.held)}})["redriven"] == 1
        assert world.values() == {"a": 8}


def test_another_sources_record_is_not_redriven(world: World) -> None:
    world.office.row("a", n="7")
    world()
    (key,) = world.quarantine.held
    answer = world.call({"redrive": {"source": {**CHANGES, "name": "other"}, "keys": [key]}})
    assert answer["redriven"] == 0 and key in world.quarantine.held


# -- settings ----------------------------------------------------------------------------------------------------------


def test_the_settings_are_those_that_terraform_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "name": "model",
        "items_table": "items",
        "items_index": "by_collection",
        "checkpoints_table": "checkpoints",
        "stream": "changes",
        "log_bucket": "log",
        "quarantine_prefix": "quarantine/",
        "documents": [{"region": "eu-central-1", "bucket": "one"}, {"region": "eu-west-1", "bucket": "two"}],
        "horizon_days": 30,
        "schemas": {"bucket": "log", "key": "config/x.json", "sha256": "0" * 64},
        "collections": {"things": {"read": "public", "cache_ttl": 60}},
    }
    monkeypatch.setenv("READPLANE_SETTINGS", settings_text(given))
    settings = poll_settings()
    assert settings.documents == (DocumentsBucket("eu-central-1", "one"), DocumentsBucket("eu-west-1", "two"))
    assert settings.horizon_ms == 30 * DAY_MS
    assert settings.collections["things"].cache_ttl == 60
    monkeypatch.setenv("READPLANE_SETTINGS", settings_text({**given, "documents": [{"region": 1}], "stream": ""}))
    with pytest.raises(Exception, match=r"stream.*region.*bucket"):
        poll_settings()


def test_a_checkpoint_survives_being_saved() -> None:
    world = World()
    world.office.page_size = 1
    for name in "abc":
        world.office.row(name)
    world({**CHANGES, "max_pages": 2})
    saved = world.checkpoint()
    text = state_text(saved)
    assert replace(checkpoint_of("rows", text), seen=saved.seen, generation=saved.generation) == saved
    assert len(Remembered(saved.seen)) == 2
    assert state_of(world.stream.taken[0].version)


def test_a_checkpoint_of_another_version_of_the_code_is_understood() -> None:
    text = json.dumps({"watermark_ms": 5, "later": 1, "failures": {"count": 2, "later": 1}})
    found = checkpoint_of("rows", text)
    assert (found.watermark_ms, found.failures.count, found.failures.open_until_ms) == (5, 2, 0)


def test_a_page_that_kinesis_cannot_take_at_once_gets_there(world: World) -> None:
    """What was applied of it isn't sent again, so that every poll gets further."""
    listed = [{"id": f"r{number}", "at": NOW_MS - DAY_MS, "n": 1} for number in range(6_000)]
    world.office.answer = lambda url: json.dumps({"rows": listed}).encode()
    put = world.stream.put

    def some(changes: Iterable[Change], seconds: float) -> None:
        put(itertools.islice(changes, 2_000), seconds)
        raise UnansweredError("FailedRecords", sent=True)

    with patch.object(world.stream, "put", some):
        assert [world()["outcome"] for _ in range(2)] == ["failed"] * 2
    assert world()["changes"] == 2_000
    assert len(world.values()) == 6_000
