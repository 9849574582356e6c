"""Tests of redrive: `poll` translates quarantined records again, and sends their changes."""

from tests.unit.poll.support import CHANGES, LISTING, World
from tests.unit.support import NOW_MS


def test_a_quarantined_record_is_redriven_by_the_corrected_translation(world: World) -> None:
    world.office.row("a", NOW_MS - 2000, n="7")
    world.office.row("b", NOW_MS - 2000, n="x")
    world()
    keys = [*world.quarantine.entries, "quarantine/invalid/none.json"]
    fixed = {**CHANGES, "translation": "{n: to_number(n)}"}
    world.declare(fixed)
    response = world.call({"redrive": {"source": "rows", "keys": keys}})
    assert response["redriven"] == 1
    assert [entry["key"] for entry in response["failed"]] == keys[1:]
    assert world.values() == {"a": 7}
    assert len(world.quarantine.entries) == 1


def test_a_redriven_record_loses_to_what_was_modified_since(world: World) -> None:
    for source in (CHANGES, LISTING):
        world = World()
        world.office.row("a", NOW_MS - 2000, n="7")
        world(source)
        world.office.row("a", NOW_MS - 1000, n=8)
        world(source)
        fixed = {**source, "translation": "{n: to_number(n)}"}
        world.declare(fixed)
        assert world.call({"redrive": {"source": "rows", "keys": list(world.quarantine.entries)}})["redriven"] == 1
        assert world.values() == {"a": 8}


def test_another_sources_record_is_not_redriven(world: World) -> None:
    world.office.row("a", n="7")
    world()
    (key,) = world.quarantine.entries
    world.declare({**CHANGES, "name": "other"})
    response = world.call({"redrive": {"source": "other", "keys": [key]}})
    assert response["redriven"] == 0 and key in world.quarantine.entries
