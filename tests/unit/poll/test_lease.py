"""Tests of the lease: what a poll does while another poll holds the lease, or after its own lease has expired."""

from dataclasses import replace
from typing import Any

from tests.unit.poll.support import DAY_MS, SWEPT, World
from tests.unit.support import NOW_MS


def test_a_second_poll_only_requests_its_sweep(world: World) -> None:
    world.office.row("a")
    responses: list[Any] = []
    world.office.before = lambda: responses.append(world(SWEPT, sweep=True))
    world(SWEPT)
    assert [(response["outcome"], response["pages"]) for response in responses] == [("running", 0)]
    assert world.checkpoint().sweep_due
    world(SWEPT)
    assert not world.checkpoint().sweep_due


def test_a_poll_that_was_frozen_past_the_end_of_its_lease_sends_nothing(world: World) -> None:
    world.office.row("a", NOW_MS - DAY_MS)

    def freeze() -> None:
        world.ms += 120_000

    world.office.before = freeze
    assert world()["outcome"] == "running"
    assert world.stream.changes == []
    assert world()["outcome"] == "completed"


def test_a_poll_whose_lease_was_taken_saves_nothing(world: World) -> None:
    world.office.row("a", NOW_MS - DAY_MS)

    def take_lease() -> None:
        world.checkpoints.by_source["rows"] = replace(world.checkpoint(), lease_holder="another")

    world.office.before = take_lease
    assert world()["outcome"] == "running"
    assert world.checkpoint().watermark_ms is None and world.checkpoint().lease_holder == "another"


def test_no_request_is_sent_without_time_left(world: World) -> None:
    assert world(remaining_ms=4_000)["outcome"] == "unfinished"
    assert world.office.urls == []
