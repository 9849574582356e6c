"""Tests of the switch, which says in which Region a source is polled, and of `poll` in a Region that must not poll."""

from typing import Any

import pytest

from readplane.aws.faults import AwsError
from readplane.model.freshness import Freshness
from readplane.model.timestamp import rfc3339
from readplane.poll.checkpoint import Position
from readplane.poll.errors import EventError
from readplane.poll.sourced_items import DynamoSourcedItems
from readplane.poll.switch import DynamoSwitch
from tests.fakes.dynamodb import MemoryDynamo
from tests.unit.poll.support import CHANGES, World, metric_lines
from tests.unit.support import NOW_MS

PRIMARY, REPLICA = "eu-central-1", "eu-west-1"


def switches(table: MemoryDynamo) -> tuple[DynamoSwitch, DynamoSwitch]:
    """Return the switch as the primary and as the replica Region see it, if DynamoDB copies at once."""
    return DynamoSwitch(table, "items", PRIMARY, PRIMARY), DynamoSwitch(table, "items", REPLICA, PRIMARY)


def test_the_first_region_polls_until_a_source_is_moved_and_exactly_one_region_polls_at_any_time() -> None:
    table = MemoryDynamo()
    primary, replica = switches(table)
    assert primary.polls_here("rows") and not replica.polls_here("rows")
    replica.move_here("rows", NOW_MS)
    assert replica.polls_here("rows") and not primary.polls_here("rows")
    assert primary.get_region("rows") == REPLICA and primary.polls_here("others")
    primary.move_here("rows", NOW_MS)
    assert primary.polls_here("rows") and not replica.polls_here("rows")


def test_a_switch_is_read_as_it_was_last_written_in_this_region() -> None:
    table = MemoryDynamo()
    table.stale = lambda pk: True
    primary, replica = switches(table)
    replica.move_here("rows", NOW_MS)
    assert not primary.polls_here("rows")


def test_a_switch_is_neither_an_item_nor_does_it_expire() -> None:
    table = MemoryDynamo()
    switches(table)[1].move_here("rows", NOW_MS)
    assert table.items == {
        "switch/rows": {
            "pk": {"S": "switch/rows"},
            "region": {"S": REPLICA},
            "moved_at": {"S": rfc3339(NOW_MS)},
        }
    }


@pytest.mark.parametrize("region", [{"N": "5"}, {"S": ""}, None])
def test_a_switch_that_somebody_broke_by_hand_counts_for_the_first_region(region: Any) -> None:
    table = MemoryDynamo()
    table.items["switch/rows"] = {"pk": {"S": "switch/rows"}} | ({"region": region} if region else {})
    primary, replica = switches(table)
    assert primary.polls_here("rows") and not replica.polls_here("rows")


def test_the_position_of_a_source_is_what_its_last_poll_has_published() -> None:
    table = MemoryDynamo()
    _, replica = switches(table)
    assert replica.get_position("rows") is None
    items = DynamoSourcedItems(table, "items", horizon_ms=1)
    fresh = Freshness(rfc3339(NOW_MS), "closed", rfc3339(NOW_MS))
    items.put_freshness("rows", fresh, Position(NOW_MS - 5, "f", fresh.fresh_as_of))
    assert replica.get_position("rows") == Position(NOW_MS - 5, "f", rfc3339(NOW_MS))
    # After a reset, the source has no watermark. An older one must not stay.
    items.put_freshness("rows", fresh, Position(None, "g", fresh.fresh_as_of))
    assert replica.get_position("rows") == Position(None, "g", rfc3339(NOW_MS))
    assert items.get_freshness("rows") == fresh


class Elsewhere:
    """A switch that says that another Region polls some sources, and this Region the others."""

    def __init__(self, *sources: str) -> None:
        self.sources = sources

    def polls_here(self, source: str) -> bool:
        return source not in self.sources


@pytest.mark.parametrize("sweep", [False, True])
def test_a_source_of_another_region_is_left_alone(world: World, sweep: bool) -> None:
    world.office.row("a")
    world.switch = Elsewhere("rows")
    assert world(sweep=sweep)["outcome"] == "elsewhere"
    assert not world.office.urls and not world.stream.changes
    assert not world.checkpoints.by_source, "neither a lease nor the request for a sweep is stored"
    assert not world.items.sources and not any(region.documents for region in world.regions.values())
    world.switch = Elsewhere("another")
    assert world()["outcome"] == "completed" and world.values() == {"a": 1}


def test_a_source_that_cannot_be_used_fails_only_where_it_is_polled(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.switch = Elsewhere("rows")
    assert world({**CHANGES, "id": "["})["outcome"] == "elsewhere"
    assert not metric_lines(capsys.readouterr().out)
    world.switch = None
    assert world({**CHANGES, "id": "["})["outcome"] == "failed"


def test_a_source_that_is_not_declared_is_an_error_in_every_region(world: World) -> None:
    world.switch = Elsewhere("nobody")
    with pytest.raises(EventError):
        world.call({"source": "nobody"})


def test_without_the_switch_nothing_is_polled(world: World) -> None:
    class Broken:
        def polls_here(self, source: str) -> bool:
            raise AwsError("ProvisionedThroughputExceededException")

    world.switch = Broken()
    with pytest.raises(AwsError):
        world()
    assert not world.office.urls and not world.checkpoints.by_source


def test_both_regions_measure_how_stale_a_source_is(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world()
    polled_ms = world.ms - 1
    world.declare({**CHANGES, "name": "new"})
    # In the other Region the checkpoints are old or missing. What the Region that polls has published counts.
    world.checkpoints.by_source.clear()
    world.switch = Elsewhere("rows", "new")
    world.ms = polled_ms + 90_000
    capsys.readouterr()
    assert world.call({"freshness": True}) == {"staleness": {"rows": 90.0}}
    (line,) = metric_lines(capsys.readouterr().out)
    assert line["Source"] == "rows" and line["Staleness"] == 90.0
    world.switch = Elsewhere("new")
    assert world.call({"freshness": True}) == {"staleness": {}}, "where it is polled, the checkpoint counts"


def test_a_source_that_was_never_read_completely_has_no_known_staleness_elsewhere(world: World) -> None:
    world.declare(CHANGES)
    world.items.sources["rows"] = Freshness(None, "closed", rfc3339(NOW_MS))
    world.switch = Elsewhere("rows")
    assert world.call({"freshness": True}) == {"staleness": {}}
