"""Tests of the checkpoint's JSON text: a saved checkpoint is read back, and unknown members are ignored."""

import json

from readplane.poll.checkpoint import checkpoint_json, parse_checkpoint
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
