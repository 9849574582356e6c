"""Tests of the checkpoint's JSON text: a saved checkpoint is read back, and unknown members are ignored."""

import base64
import json
from dataclasses import replace
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from readplane.poll.checkpoint import (
    Checkpoint,
    FailureState,
    MissedItems,
    PassKind,
    PassProgress,
    checkpoint_json,
    parse_checkpoint,
)
from readplane.poll.continuation import Continuation
from readplane.poll.remembered import Remembered
from readplane.poll.sourced_version import content_of
from tests.unit.poll.support import CHANGES, ORIGIN, SWEPT, World
from tests.unit.support import NOW_MS


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


OLD_STATE = (
    '{"first_polled_ms":1795000000000,"fingerprint":"67fe28c90159392e21d065c1","reread_until_ms":0,'
    '"watermark_ms":1794999995004,"settled_watermark_ms":null,"settling_watermark_ms":1794999995004,'
    '"settling_since_ms":1795000000000,"fresh_as_of_ms":1795000000001,"last_change_ms":1795000000000,"main_pass":'
    '{"started_ms":1795000000002,"cursor_ms":1794999935004,"continuation":"{\\"url\\":'
    '\\"https://office.test/rows?since=1794999935004&from=2\\",\\"number\\":0,\\"overlap\\":null,'
    '\\"body\\":\\"8cecabf84937671dd28c5990\\",\\"anchor\\":\\"a850ce2e600bf96e115746d8\\",\\"steps\\":0,'
    '\\"limit\\":2}","all_read":false,"newest_ms":1794999995002,"chunks":0,"without_id":0,"pages":1,"records":2,'
    '"changes":0},"sweep_pass":{"started_ms":1795000000001,"cursor_ms":null,"continuation":null,"all_read":true,'
    '"newest_ms":1794999995002,"chunks":1,"without_id":0,"pages":1,"records":2,"changes":0},'
    '"last_sweep_ms":1795000000001,"sweep_retry_after_until_ms":0,"missed_items":{"name":"1.missing","chunks":1},'
    '"conditional_request":null,"snapshot_version":null,'
    '"failures":{"count":1,"open_until_ms":0,"retry_after_until_ms":0}}'
)
"""A checkpoint as the version of `poll` before typed passes saved it."""

OLD_REMEMBERED = base64.b64decode(
    "amsayEL18akZBC1hY+t/EAGh7lZKeAAA95yzJqpP5BgPiGpN9rYGhQGh7lZKeQAAJrEYhKqN2JEGiJWa5j7gxwGh7lZKegAA5i61"
    "ZhiI4ZQYmTmLsnqnFgGh7lZKewAAG1Qgugyg4G81Hbz4MhFGXQGh7lZKfAAAo7tSe6msRhMAAAAAAAAAAAGh7lZeAUAA"
)
"""What that version remembered of five sent records and of a record in quarantine."""


def test_a_checkpoint_of_an_earlier_version_is_read_and_its_unfinished_passes_start_again() -> None:
    checkpoint = parse_checkpoint("rows", OLD_STATE, remembered=OLD_REMEMBERED)
    assert checkpoint.main_pass is checkpoint.sweep_pass is checkpoint.deletes_pass is None
    assert (checkpoint.watermark_ms, checkpoint.fresh_as_of_ms) == (1794999995004, 1795000000001)
    assert checkpoint.missed_items == MissedItems("1.missing", 1)
    assert checkpoint.failures == FailureState(1)
    assert (checkpoint.watermark_key, checkpoint.refused_limit, checkpoint.delta_link) == (None, None, None)
    remembered = Remembered(checkpoint.remembered)
    assert (len(remembered), remembered.quarantined, remembered.has_pending) == (5, 0, False)


def test_a_poll_goes_on_from_a_checkpoint_of_an_earlier_version(world: World) -> None:
    """The fingerprint of unchanged settings must stay the same. Otherwise each upgrade reads every source again."""
    for number in range(5):
        world.office.row(f"r{number}", NOW_MS - 5000 + number)
    world.office.row("bad", NOW_MS - 4000, "x")
    world.checkpoints.by_source["rows"] = parse_checkpoint("rows", OLD_STATE, remembered=OLD_REMEMBERED)
    world.ms = NOW_MS + 60_000
    assert world(SWEPT)["changes"] == 0
    assert world.office.urls == [f"{ORIGIN}?since={1794999995004 - 60_000}"]
    assert (world.checkpoint().refused, world.quarantine.puts) == (1, 1)
    assert world.checkpoint().fresh_as_of_ms == NOW_MS + 60_000


_STATES = st.builds(
    PassProgress,
    st.sampled_from(get_args(PassKind)),
    st.integers(0, 9),
    next_page=st.none() | st.builds(Continuation, st.text() | st.none(), pages=st.integers(0, 9)),
    newest_key=st.none() | st.integers(0, (1 << 64) - 1),
    doubtful=st.booleans(),
    first_watermark_ms=st.none() | st.integers(0, 9),
)


@given(_STATES, st.none() | st.text(), st.none() | st.integers(0, (1 << 64) - 1))
def test_a_pass_of_any_kind_is_read_back_unchanged(progress: PassProgress, link: str | None, key: int | None) -> None:
    checkpoint = replace(Checkpoint("rows"), delta_link=link, watermark_key=key).with_pass(progress.kind, progress)
    again = parse_checkpoint("rows", checkpoint_json(checkpoint))
    assert again == checkpoint
    for kind in get_args(PassKind):
        assert again.get_pass(kind) == (progress if kind == progress.kind else None)
