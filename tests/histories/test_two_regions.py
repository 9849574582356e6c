"""Tests of `publish`, and of keyed POSTs, on a model of a DynamoDB global table with two Regions.

In a global table, the write with the latest DynamoDB time wins, even if it has the smaller version.

Each Region applies changes to its own replica with conditional writes. DynamoDB copies every write to the other Region.
The copied write wins there if its DynamoDB time is greater than that of the stored item. If the times are equal, both
replicas keep the same one of the two writes: in this model, the write that was made in Region 1. Whenever a write
replaces an item in its own Region, DynamoDB gives the write a greater time than the item's.

Whenever the item of a replica changes, that Region's stream gets one record. The Region's `publish` handles the records
in order. For each record, `publish` publishes the item. There is one exception: if the record shows that a smaller
version has replaced a greater one, `publish` writes the greater version back to the items instead.

Somebody may also write a malformed row over the item by hand, in either Region. DynamoDB copies it like any other
write.

The tests of keyed POSTs (those with ``Idempotency-Key``) also run the product's `write` in each Region. A Region's
write log passes each change on to the items at any later time, in any order, and more than once.
"""

import random
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st

from readplane.model.change import Change, parse_line
from readplane.model.version import is_minimal
from readplane.publish.decide import ToForget, ToMend, decide
from readplane.publish.handler import Publish, PublishSettings
from readplane.stores.documents import Documents
from readplane.stores.items import ApplyOutcome, Items
from readplane.telemetry import Telemetry
from tests.unit.mangled_rows import Row, row_of
from tests.unit.support import COLLECTIONS, NOW_MS, MemoryRows, change
from tests.unit.write.support import WriteService, delete, post, put

HORIZON_MS = 30 * 86_400_000


class MalformedRow(NamedTuple):
    """A row without a collection, so no item. It may still have a valid version."""

    version: str | None


def image_of(item: Change | MalformedRow | None) -> Row | None:
    """Return an item or a malformed row as an image of the items stream."""
    if item is None or isinstance(item, Change):
        return None if item is None else row_of(item)
    row = row_of(change())
    del row["collection"], row["version"]
    return row if item.version is None else row | {"version": {"S": item.version}}


class Region:
    """One Region of the model: its replica of one item, its items stream and the text of its document.

    ``outgoing`` holds the writes that DynamoDB hasn't copied to the other Region yet.
    """

    def __init__(self, number: int, skew: int = 0) -> None:
        self.number = number
        self.skew = skew
        self.time = (0, number)
        self.row: Change | MalformedRow | None = None
        self.stream: deque[tuple[Row | None, Row | None]] = deque()
        self.outgoing: deque[tuple[tuple[int, int], Change | MalformedRow]] = deque()
        self.document: str | None = None
        self.quarantine = MemoryRows()

    @property
    def item(self) -> Change | None:
        """The item; ``None`` if there is none, or if its row is malformed."""
        return self.row if isinstance(self.row, Change) else None

    def write(self, clock: int, new: Change | MalformedRow) -> None:
        """Write the item. The caller has already checked the condition of the write.

        :param clock: the time of the write by a clock that both Regions share. The Region adds its own clock skew.
        """
        self.time = max(clock + self.skew, self.time[0] + 1), self.number
        self._store(new)
        self.outgoing.append((self.time, new))

    def _store(self, new: Change | MalformedRow) -> None:
        self.stream.append((image_of(self.row), image_of(new)))
        self.row = new

    def apply(self, clock: int, new: Change) -> ApplyOutcome:
        version = self.row.version if self.row else None
        if version is not None and version > new.version:
            return "superseded"
        if version == new.version and self.item:
            return "duplicate"
        self.write(clock, new)
        return "applied"

    def receive(self, time: tuple[int, int], new: Change | MalformedRow) -> None:
        if time > self.time:
            self.time = time
            self._store(new)

    def publish(self, clock: int, records: int) -> None:
        """Run the product's `publish` on a batch of up to ``records`` records of this Region's items stream.

        `publish` writes to the items and the document of this Region.
        """
        batch = []
        for number in range(min(records, len(self.stream))):
            images = zip(("OldImage", "NewImage"), self.stream.popleft(), strict=True)
            batch.append({"dynamodb": {"SequenceNumber": str(number), **{n: row for n, row in images if row}}})
        stores = Stores(self, clock)
        settings = PublishSettings("model", "t", "d", "b", "quarantine/", 30, COLLECTIONS)
        publish = Publish(
            settings, cast(Items, stores), cast(Documents, stores), self.quarantine, Telemetry("publish", "model")
        )
        assert publish({"Records": batch}) == {"batchItemFailures": []}


class Stores:
    """Fakes of one Region's items store and document store. They have only the methods that `publish` calls."""

    def __init__(self, region: Region, clock: int) -> None:
        self.region = region
        self.clock = clock

    def apply(self, change: Change) -> ApplyOutcome:
        return self.region.apply(self.clock, change)

    def put_document(self, key: str, text: str, version: str, cache_control: str) -> None:
        self.region.document = text

    def remove_document(self, key: str) -> None:
        self.region.document = None


def settle(regions: list[Region], clock: int) -> None:
    """Deliver all writes and publish all records, until nothing is left to do in either Region."""
    for _ in range(1000):
        for region, other in (regions, reversed(regions)):
            clock += 1
            while other.outgoing:
                region.receive(*other.outgoing.popleft())
            while region.stream:
                region.publish(clock, 1 + clock % 4)
        if not any(region.stream or region.outgoing for region in regions):
            return
    raise AssertionError("the Regions never settle")


def document_of(item: Change) -> str | None:
    return None if item.data is None else item.representation()


@settings(max_examples=5 * settings().max_examples, deadline=None)
@given(
    # Each tuple is a step: what happens, the number of the Region where it happens, and a number that varies the step.
    # "deliver" means that the Region receives the oldest outgoing write of the other Region.
    # "mangle" means that somebody replaces the Region's row with a malformed one, with or without the row's version.
    st.lists(
        st.tuples(
            st.sampled_from(["apply", "apply", "deliver", "deliver", "publish", "mangle"]),
            st.integers(0, 1),
            st.integers(0, 8),
        )
    ),
    st.integers(-5, 5),
    st.booleans(),
    st.sampled_from([0, 400 * 86_400_000]),
)
# In this example Region 0 writes the newest change. Then Region 1 writes two older changes. Both overwrite the newest
# change before Region 0 has published it. If `publish` put the newest change back only after the first overwrite, the
# second older change would win.
@example([("apply", 0, 1), ("apply", 1, 0), ("apply", 1, 0)], 0, False, 0)
# A malformed row replaces the only change, in the change's own Region and in the other, with and without its version.
@example([("apply", 0, 1), ("mangle", 0, 0)], 0, False, 0)
@example([("apply", 0, 1), ("mangle", 1, 0), ("deliver", 0, 0)], 0, False, 0)
@example([("apply", 0, 1), ("deliver", 1, 0), ("mangle", 1, 1)], 0, True, 0)
def test_both_regions_end_with_the_greatest_version_and_its_document(
    steps: list[tuple[str, int, int]], skew: int, deletes: bool, age_ms: int
) -> None:
    """Both Regions must end with the greatest version, even if all versions are older than the horizon of 30 days.

    A back office's change can have such an old version although Readplane accepted the change recently.

    :param steps: the steps to take, as the comment in ``@given`` describes them.
    :param skew: how far the clock of Region 1 is ahead of that of Region 0.
    :param deletes: whether some of the changes are deletes.
    :param age_ms: the age of the versions.
    """
    regions = [Region(0), Region(1, skew)]
    applied: list[Change] = []
    for clock, (step, number, tick) in enumerate(steps):
        region, other = regions[number], regions[1 - number]
        if step == "apply":
            data = None if deletes and tick % 3 == 0 else f'{{"t":{clock}}}'
            new = change(ms=NOW_MS - age_ms + tick, tail=clock, data=data, accepted_ms=NOW_MS)
            applied.append(new)
            region.apply(clock, new)
        elif step == "deliver" and other.outgoing:
            region.receive(*other.outgoing.popleft())
        elif step == "publish" and region.stream:
            region.publish(clock, 1 + tick % 4)
        elif step == "mangle":
            region.write(clock, MalformedRow(region.row.version if region.row and tick % 2 else None))
    settle(regions, len(steps))
    if applied:
        winner = max(applied, key=lambda entry: entry.version)
        assert [region.item for region in regions] == [winner, winner]
        assert [region.document for region in regions] == [document_of(winner)] * 2


def test_a_malformed_row_with_a_greater_version_stays_because_a_newer_readplane_may_have_written_it() -> None:
    """One Region may already run a version of Readplane whose rows the other Region can't read yet."""
    regions = [Region(0), Region(1)]
    newer = MalformedRow(change(ms=NOW_MS + 5).version)
    regions[0].apply(1, change())
    settle(regions, 2)
    regions[1].write(10_000, newer)
    settle(regions, 10_001)
    assert regions[0].apply(20_000, change(ms=NOW_MS + 1)) == "superseded"
    settle(regions, 20_001)
    assert [region.row for region in regions] == [newer, newer]
    assert all(region.quarantine.rows for region in regions), "each Region quarantines the row that it can't read"
    regions[1].apply(30_000, change(ms=NOW_MS + 6))
    settle(regions, 30_001)
    assert [region.row for region in regions] == [change(ms=NOW_MS + 6)] * 2


def test_without_mending_the_model_does_lose_a_version() -> None:
    """Without `publish`, an older change must replace a newer one in this model, as it does in a real global table.

    Otherwise the test with `publish` would prove nothing.
    """
    first, second = Region(0), Region(1)
    second.apply(1, change(ms=NOW_MS + 9))
    first.apply(2, change(ms=NOW_MS))
    second.receive(*first.outgoing.popleft())
    assert second.item == change(ms=NOW_MS)


def test_a_removed_item_is_put_back_unless_it_is_a_tombstone_past_the_horizon() -> None:
    living, young = change(), change(data=None)
    old = change(data=None, ms=NOW_MS - HORIZON_MS - 86_400_000)
    assert decide(living, None, NOW_MS, HORIZON_MS) == ToMend(living)
    assert decide(young, None, NOW_MS, HORIZON_MS) == ToMend(young)
    assert decide(old, None, NOW_MS, HORIZON_MS) == ToForget(old)
    sourced = change(data=None, ms=NOW_MS - 9 * HORIZON_MS, accepted_ms=NOW_MS - HORIZON_MS, source="shop")
    assert decide(sourced, None, NOW_MS, HORIZON_MS) == ToMend(sourced)
    assert decide(sourced, None, NOW_MS + 86_400_000, HORIZON_MS) == ToForget(sourced)
    assert decide(None, None, NOW_MS, HORIZON_MS) is None


KEY = "order 4711"
BODIES = tuple(f'{{"name":"body {number}"}}' for number in range(3))
ITEM_ID = WriteService()(post(KEY))[1]["item_id"]


class Entrance:
    """The product's `write` in one Region, and the write log that it appends to.

    ``log`` holds all changes that `write` has accepted in this Region. It implements ``StoredVersions``, by reading the
    Region's replica of the item.
    """

    def __init__(self, region: Region) -> None:
        self.region = region
        self.log: list[Change] = []
        self._write = WriteService(self, self)

    def append(self, line: bytes) -> None:
        self.log.append(parse_line(line, COLLECTIONS))

    def get_version(self, key: str) -> str | None:
        item = self.region.item
        assert item is None or item.key == key
        return item.version if item else None

    def post(self, body: str) -> None:
        """Send a keyed POST, and check its status.

        The status is 422 if and only if the Region's item has the version of a POST with another body.
        """
        status, response, _ = self._write(post(KEY, body=body))
        item = self.region.item
        is_other = item is not None and is_minimal(item.version) and item.data != body
        assert status == (422 if is_other else 202)
        assert status == 422 or response["item_id"] == ITEM_ID

    def send(self, request_event: Any) -> None:
        assert self._write(request_event)[0] == 202

    def apply(self, clock: int, number: int) -> None:
        """Apply a change of the log. A change may be applied in any order, and more than once."""
        if self.log:
            self.region.apply(clock, self.log[number % len(self.log)])


class Step(NamedTuple):
    """What happens, the number of the Region where it happens, and a number that varies the step."""

    what: str
    region: int
    number: int


@contextmanager
def times_of(clock: list[int]) -> Iterator[None]:
    """Make `write` take its time from ``clock``, which has one element."""
    with patch("time.time_ns", lambda: (NOW_MS + clock[0]) * 1_000_000):
        yield


def play_posts(steps: list[Step], skew: int) -> tuple[list[Entrance], list[Change]]:
    """Play a history of one item that clients POST with a key, PUT and DELETE in both Regions, and settle it.

    :param skew: how far the clock of Region 1 is ahead of that of Region 0.
    :returns: both entrances, and all changes that `write` has accepted.
    """
    regions = [Region(0), Region(1, skew)]
    entrances = [Entrance(region) for region in regions]
    time = [0]
    with times_of(time):
        for clock, step in enumerate(steps):
            time[0] = clock + skew * step.region
            region, other, entrance = regions[step.region], regions[1 - step.region], entrances[step.region]
            if step.what == "post":
                entrance.post(BODIES[step.number % len(BODIES)])
            elif step.what == "put":
                entrance.send(put(f'{{"name":"put {clock}"}}', ITEM_ID))
            elif step.what == "delete":
                entrance.send(delete(ITEM_ID))
            elif step.what == "apply":
                entrance.apply(clock, step.number)
            elif step.what == "deliver" and other.outgoing:
                region.receive(*other.outgoing.popleft())
            elif step.what == "publish" and region.stream:
                region.publish(clock, 1 + step.number % 4)
    accepted = [entry for entrance in entrances for entry in entrance.log]
    for entrance in entrances:
        for number in random.Random(len(steps)).sample(range(len(entrance.log)), len(entrance.log)):
            entrance.apply(len(steps), number)
    settle(regions, len(steps))
    return entrances, accepted


def check_posts(entrances: list[Entrance], accepted: list[Change]) -> None:
    """Check the outcome of a history: the winner, and that no further retry changes anything."""
    regions = [entrance.region for entrance in entrances]
    posted = {entry.data: entry.version for entry in accepted if is_post(entry)}
    assert {entry.version for entry in accepted if is_post(entry)} == set(posted.values()), "a retry is a new change"
    edits = [entry for entry in accepted if not is_post(entry)]
    winner = max(edits or accepted, key=lambda entry: entry.version)
    item = regions[0].item
    assert item and regions[1].item == item, "the Regions disagree"
    assert (item.version, item.data) == (winner.version, winner.data), "the wrong change wins"
    assert [region.document for region in regions] == [document_of(item)] * 2
    for entrance in entrances:
        for body in BODIES:
            entrance.post(body)
        for number in range(len(entrance.log)):
            entrance.apply(10_000, number)
    settle(regions, 10_000)
    assert [region.item for region in regions] == [item, item], "a late retry changes the item"


def is_post(entry: Change) -> bool:
    return entry.data in BODIES


@settings(max_examples=5 * settings().max_examples, deadline=None)
@given(
    st.lists(
        st.builds(
            Step,
            st.sampled_from(["post", "post", "put", "delete", "apply", "apply", "deliver", "publish"]),
            st.integers(0, 1),
            st.integers(0, 8),
        ),
        max_size=30,
    ),
    st.integers(-5, 5),
)
# The retry of a POST arrives after a PUT, in the same Region and in the other.
@example([Step("post", 0, 0), Step("put", 0, 0), Step("post", 0, 0)], 0)
@example([Step("post", 0, 0), Step("put", 0, 0), Step("post", 1, 0)], 0)
# The retry arrives after a DELETE.
@example([Step("post", 0, 0), Step("apply", 0, 0), Step("delete", 0, 0), Step("apply", 0, 1), Step("post", 1, 0)], 0)
# Two bodies under one key are accepted before either is applied.
@example([Step("post", 0, 0), Step("post", 1, 1), Step("apply", 0, 0), Step("apply", 1, 0)], 0)
def test_a_keyed_post_never_replaces_a_put_or_delete_and_a_retry_changes_nothing(steps: list[Step], skew: int) -> None:
    entrances, accepted = play_posts(steps, skew)
    if accepted:
        check_posts(entrances, accepted)
