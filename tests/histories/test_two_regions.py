"""Tests of `publish` on a model of a DynamoDB global table with two Regions.

In a global table, the write with the latest DynamoDB time wins, even if it has the smaller version.

Each Region applies changes to its own replica with conditional writes. DynamoDB copies every write to the other Region.
The copied write wins there if its DynamoDB time is greater than that of the stored item. If the times are equal, both
replicas keep the same one of the two writes: in this model, the write that was made in Region 1. Whenever a write
replaces an item in its own Region, DynamoDB gives the write a greater time than the item's.

Whenever the item of a replica changes, that Region's stream gets one record. The Region's `publish` handles the records
in order. For each record, `publish` publishes the item. There is one exception: if the record shows that a smaller
version has replaced a greater one, `publish` writes the greater version back to the items instead.
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
    """One Region of the model: its replica of one item, its items stream and its document.

    ``outgoing`` holds the writes that DynamoDB hasn't copied to the other Region yet.
    """

    def __init__(self, number: int, skew: int = 0) -> None:
        self.number = number
        self.skew = skew
        self.time = (0, number)
        self.item: Change | None = None
        self.stream: deque[tuple[Change | None, Change | None]] = deque()
        self.outgoing: deque[tuple[tuple[int, int], Change]] = deque()
        self.document: str | None = None

    def write(self, clock: int, new: Change) -> None:
        """Write the item. The caller has already checked the condition of the write.

        :param clock: the time of the write by a clock that both Regions share. The Region adds its own clock skew.
        """
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
        """Run the product's `publish` on a batch of up to ``records`` records of this Region's items stream.

        `publish` writes to the items and the document of this Region.
        """
        batch = [stream_record(*self.stream.popleft()) for _ in range(min(records, len(self.stream)))]
        stores = Stores(self, clock)
        settings = PublishSettings("model", "t", "d", 30, COLLECTIONS)
        publish = Publish(settings, cast(Items, stores), cast(Documents, stores), Telemetry("publish", "model"))
        assert publish({"Records": batch}) == {"batchItemFailures": []}


class Stores:
    """Fakes of one Region's items store and document store. They have only the methods that `publish` calls."""

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
    # Each tuple is a step: what happens, the number of the Region where it happens, and a number that varies the step.
    # "deliver" means that the Region receives the oldest outgoing write of the other Region.
    st.lists(st.tuples(st.sampled_from(["apply", "deliver", "publish"]), st.integers(0, 1), st.integers(0, 8))),
    st.integers(-5, 5),
    st.booleans(),
    st.sampled_from([0, 400 * 86_400_000]),
)
# In this example Region 0 writes the newest change. Then Region 1 writes two older changes. Both overwrite the newest
# change before Region 0 has published it. If `publish` put the newest change back only after the first overwrite, the
# second older change would win.
@example([("apply", 0, 1), ("apply", 1, 0), ("apply", 1, 0)], 0, False, 0)
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
    assert decide(old, None, NOW_MS, HORIZON_MS) is None
    sourced = change(data=None, ms=NOW_MS - 9 * HORIZON_MS, accepted_ms=NOW_MS - HORIZON_MS, source="shop")
    assert decide(sourced, None, NOW_MS, HORIZON_MS) == ToMend(sourced)
    assert decide(sourced, None, NOW_MS + 86_400_000, HORIZON_MS) is None
    assert decide(None, None, NOW_MS, HORIZON_MS) is None
