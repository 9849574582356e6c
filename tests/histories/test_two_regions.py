"""A model of a global table with two Regions, in which the latest *DynamoDB* write wins, whatever our versions say.

Each Region applies changes to its own replica with conditional writes. DynamoDB copies every write to the other Region.
There the write wins if its DynamoDB time is greater than that of the stored item. If the times are equal, the write of
the same Region wins in both replicas. DynamoDB gives every write a greater time than that of the item that it replaces.

Whenever the item of a replica changes, that Region's stream gets one record. The Region's `publish` handles the records
in order. It either publishes the item or mends it.
"""

from collections import deque
from typing import cast

from hypothesis import example, given, settings
from hypothesis import strategies as st

from readplane.model.change import Change
from readplane.publish.decide import ToMend, decide
from readplane.publish.handler import Publish, PublishSettings
from readplane.stores.documents import Documents
from readplane.stores.items import ApplyOutcome, Items
from readplane.telemetry import Telemetry
from tests.unit.support import COLLECTIONS, NOW_MS, change, stream_record

HORIZON_MS = 30 * 86_400_000


class Region:
    """One Region's replica of one item, its stream, the writes on their way to the other Region, and its document."""

    def __init__(self, number: int, skew: int = 0) -> None:
        self.number = number
        self.skew = skew
        self.time = (0, number)
        self.item: Change | None = None
        self.stream: deque[tuple[Change | None, Change | None]] = deque()
        self.outgoing: deque[tuple[tuple[int, int], Change]] = deque()
        self.document: str | None = None

    def write(self, clock: int, new: Change) -> None:
        """Write the item without a check. The caller has already checked the condition."""
        self.time = max(clock + self.skew, self.time[0] + 1), self.number
        self.stream.append((self.item, new))
        self.item = new
        self.outgoing.append((self.time, new))

    def apply(self, clock: int, new: Change) -> ApplyOutcome:
        if self.item is None or self.item.version < new.version:
            self.write(clock, new)
            return "applied"
        return "duplicate" if self.item.version == new.version else "superseded"

    def receive(self, time: tuple[int, int], new: Change) -> None:
        if time > self.time:
            self.time = time
            self.stream.append((self.item, new))
            self.item = new

    def publish(self, clock: int, records: int) -> None:
        """Run the real `publish` on a batch of this Region's stream records. Its stores are those of this Region."""
        batch = [stream_record(*self.stream.popleft()) for _ in range(min(records, len(self.stream)))]
        stores = Stores(self, clock)
        settings = PublishSettings("model", "t", "d", 30, COLLECTIONS)
        publish = Publish(settings, cast(Items, stores), cast(Documents, stores), Telemetry("publish", "model"))
        assert publish({"Records": batch}) == {"batchItemFailures": []}


class Stores:
    """One Region's items and documents, with the methods that `publish` calls."""

    def __init__(self, region: Region, clock: int) -> None:
        self.region = region
        self.clock = clock

    def apply(self, change: Change) -> ApplyOutcome:
        return self.region.apply(self.clock, change)

    def put_document(self, key: str, text: str, version: str, cache_control: str) -> None:
        self.region.document = version

    def remove_document(self, key: str) -> None:
        self.region.document = None


@settings(max_examples=5 * settings().max_examples, deadline=None)
@given(
    # Each step applies a change in one Region, delivers a write of the other Region to it, or publishes records there.
    st.lists(st.tuples(st.sampled_from(["apply", "deliver", "publish"]), st.integers(0, 1), st.integers(0, 8))),
    st.integers(-5, 5),
    st.booleans(),
    st.sampled_from([0, 400 * 86_400_000]),
)
# First one Region writes the newest change. Then the other Region writes two older changes, and both overwrite the
# newest one before its Region has published it. If `publish` put the newest change back only over the first older
# change, the second older change would win.
@example([("apply", 0, 1), ("apply", 1, 0), ("apply", 1, 0)], 0, False, 0)
def test_both_regions_end_with_the_greatest_version_and_its_document(
    steps: list[tuple[str, int, int]], skew: int, deletes: bool, age_ms: int
) -> None:
    """This holds even if the versions are older than the horizon, as a back office's can be, but accepted recently."""
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
    clock = len(steps)
    for _ in range(1000):
        for region, other in (regions, reversed(regions)):
            clock += 1
            while other.outgoing:
                region.receive(*other.outgoing.popleft())
            while region.stream:
                region.publish(clock, 1 + clock % 4)
        if not any(region.stream or region.outgoing for region in regions):
            break
    else:
        raise AssertionError("the Regions never settle")
    if applied:
        winner = max(applied, key=lambda entry: entry.version)
        assert [region.item for region in regions] == [winner, winner]
        expected = None if winner.data is None else winner.version
        assert [region.document for region in regions] == [expected, expected]


def test_without_mending_the_model_does_lose_a_version() -> None:
    """The model must show the fault that `publish` mends; otherwise the test above would prove nothing."""
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
    assert decide(old, None, NOW_MS, HORIZON_MS) is None
    sourced = change(data=None, ms=NOW_MS - 9 * HORIZON_MS, accepted_ms=NOW_MS - HORIZON_MS, source="shop")
    assert decide(sourced, None, NOW_MS, HORIZON_MS) == ToMend(sourced)
    assert decide(sourced, None, NOW_MS + 86_400_000, HORIZON_MS) is None
    assert decide(None, None, NOW_MS, HORIZON_MS) is None
