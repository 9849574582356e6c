"""Tests of snapshots: `poll` writes one payload of a back office to every Region."""

import json

import pytest

from readplane.model.timestamp import rfc3339
from tests.unit.poll.support import SNAPSHOT, World, metric_lines
from tests.unit.support import NOW_MS

DOCUMENT = "authenticated/documents/rates/current"


def test_every_region_gets_the_snapshots_exact_bytes(world: World) -> None:
    body = b' { "usd" : 1.10, "chf": 1e2 }\n'
    world.office.answer = lambda url: body
    assert world(SNAPSHOT)["outcome"] == "completed"
    documents = [region.documents[DOCUMENT] for region in world.regions.values()]
    for version, _, document in documents:
        assert body in document
        members = json.loads(document)
        assert members["version"] == version
        assert (members["id"], members["collection"], members["as_of"]) == ("current", "rates", rfc3339(NOW_MS))
    assert documents[0][2] == documents[1][2]
    assert world.checkpoint("fx").fresh_as_of_ms == NOW_MS


def test_a_snapshot_lets_the_edge_keep_it(world: World) -> None:
    world.office.answer = lambda url: b"[1]"
    world(SNAPSHOT)
    assert [region.cache_controls[DOCUMENT] for region in world.regions.values()] == ["max-age=300"] * 2


def test_an_unchanged_snapshot_is_not_written_again(world: World) -> None:
    world.office.answer = lambda url: b"[1]"
    world(SNAPSHOT)
    (before, *_) = [region.documents[DOCUMENT] for region in world.regions.values()]
    assert world(SNAPSHOT)["changes"] == 0
    assert world.regions["eu-central-1"].documents[DOCUMENT] == before
    assert world.checkpoint("fx").fresh_as_of_ms == NOW_MS + 1
    world.office.answer = lambda url: b"[2]"
    assert world(SNAPSHOT)["changes"] == 1


def test_an_unchanged_snapshot_still_reaches_a_region_that_lacks_it(world: World) -> None:
    world.office.etags, world.office.answer = True, lambda url: b"[1]"
    world(SNAPSHOT)
    assert world(SNAPSHOT)["outcome"] == "not_modified"
    del world.regions["eu-west-1"].documents[DOCUMENT]
    assert world(SNAPSHOT)["outcome"] == "completed"
    documents = {region.documents[DOCUMENT][2] for region in world.regions.values()}
    assert len(documents) == 1


def test_an_older_snapshot_never_replaces_a_newer_one(world: World) -> None:
    world.office.answer = lambda url: b"[1]"
    region = world.regions["eu-central-1"]
    newer = "ffffffff-ffff-7000-8000-000000000000"
    region.before_replace = lambda: region.write(DOCUMENT, newer, b"newer")
    assert world(SNAPSHOT)["outcome"] == "completed"
    assert region.documents[DOCUMENT][2] == b"newer"


def test_a_region_that_is_down_delays_no_other(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.office.etags, world.office.answer = True, lambda url: b"[1]"
    world(SNAPSHOT)
    here, there = world.regions.values()
    there.down = True
    world.office.answer = lambda url: b"[2]"
    for _ in range(2):
        assert world(SNAPSHOT)["outcome"] == "completed"
        assert b"[2]" in here.documents[DOCUMENT][2]
        assert world.checkpoint("fx").fresh_as_of_ms == world.ms - 1
        lines = metric_lines(capsys.readouterr().out)
        assert [line["SnapshotsFailed"] for line in lines if "SnapshotsFailed" in line] == [1]
    there.down = False
    assert world(SNAPSHOT)["outcome"] == "completed"
    assert here.documents[DOCUMENT][2] == there.documents[DOCUMENT][2]


def test_a_snapshot_is_not_fresh_while_the_region_that_polls_lacks_it(world: World) -> None:
    world.office.answer = lambda url: b"[1]"
    world(SNAPSHOT)
    fresh = world.checkpoint("fx").fresh_as_of_ms
    world.office.answer = lambda url: b"[2]"
    here, there = world.regions.values()
    here.down = True
    assert world(SNAPSHOT)["outcome"] == "failed"
    assert b"[2]" in there.documents[DOCUMENT][2]
    assert world.checkpoint("fx").fresh_as_of_ms == fresh
    assert world.checkpoint("fx").failures.count == 0, "S3 failed, not the back office"
    here.down = False
    assert world(SNAPSHOT)["outcome"] == "completed"
    assert b"[2]" in here.documents[DOCUMENT][2]


def test_unreadable_snapshots_open_the_breaker(world: World) -> None:
    world.office.answer = lambda url: b"<html>"
    for _ in range(5):
        assert world(SNAPSHOT)["outcome"] == "failed"
    assert world(SNAPSHOT)["outcome"] == "open"


def test_an_unreadable_response_replaces_no_snapshot(world: World) -> None:
    world.office.answer = lambda url: b"[1]"
    world(SNAPSHOT)
    world.office.answer = lambda url: b"<html>"
    assert world(SNAPSHOT)["outcome"] == "failed"
    assert b"[1]" in world.regions["eu-west-1"].documents[DOCUMENT][2]
