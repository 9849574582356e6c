"""Tests of the checkpoint's JSON text: a saved checkpoint is read back, and unknown members are ignored."""

import json
from dataclasses import replace

from readplane.poll.checkpoint import Checkpoint, checkpoint_json, parse_checkpoint
from readplane.poll.remembered import Remembered
from readplane.poll.sourced_version import content_of
from tests.unit.poll.support import CHANGES, World


def test_a_saved_checkpoint_is_read_back_unchanged() -> None:
    world = World()
    world.office.page_size = 1
    for name in "abc":
        world.office.row(name)
    world({**CHANGES, "max_pages": 2})
    saved = world.checkpoint()
    text = checkpoint_json(saved)
    assert parse_checkpoint("rows", text, remembered=saved.remembered, generation=saved.generation) == saved
    assert len(Remembered(saved.remembered)) == 2
    assert content_of(world.stream.changes[0].version)


def test_unknown_members_of_a_saved_checkpoint_are_ignored() -> None:
    text = json.dumps({"watermark_ms": 5, "later": 1, "failures": {"count": 2, "later": 1}})
    checkpoint = parse_checkpoint("rows", text)
    assert (checkpoint.watermark_ms, checkpoint.failures.count, checkpoint.failures.open_until_ms) == (5, 2, 0)


def test_a_watermark_is_settled_when_everything_up_to_it_was_sent_long_ago() -> None:
    def settle(checkpoint: Checkpoint, now_ms: int, watermark_ms: int) -> Checkpoint:
        return replace(checkpoint, watermark_ms=watermark_ms).settle(now_ms, 100)

    checkpoint = settle(Checkpoint("rows"), 1000, 1)
    assert checkpoint.settled_watermark_ms is None, "another Region must read everything"
    checkpoint = settle(checkpoint, 1099, 2)
    assert checkpoint.settled_watermark_ms is None
    checkpoint = settle(checkpoint, 1100, 3)
    assert checkpoint.settled_watermark_ms == 1, "the later watermarks are younger than 100 ms"
    checkpoint = settle(checkpoint, 1199, 4)
    assert checkpoint.settled_watermark_ms == 1
    checkpoint = settle(checkpoint, 9999, 5)
    assert checkpoint.settled_watermark_ms == 3
    assert checkpoint.without_progress().settled_watermark_ms is None


def test_a_poll_publishes_the_watermark_of_an_hour_ago(world: World) -> None:
    world.office.row("a", at=world.ms - 1000)
    first_ms = world.ms - 1000
    world()
    assert world.items.positions["rows"].watermark_ms is None
    world.ms += 59 * 60_000
    world.office.row("b", at=world.ms - 1000)
    world()
    assert world.items.positions["rows"].watermark_ms is None
    world.ms += 2 * 60_000
    world()
    position = world.items.positions["rows"]
    assert position.watermark_ms == first_ms and position.fingerprint == world.checkpoint().fingerprint
