"""Tests that the private stores end as the items table does, on random histories of the table, the queues and `feed`.

Each of the histories in :data:`MUTANTS` also fails if the product lacks the rule that the history is about.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readplane.feed import item_rows, messages
from readplane.feed.item_rows import ItemRows
from readplane.feed.messages import MessageFeeder
from readplane.publish.handler import Batch
from readplane.stores import table
from readplane.stores.key_queue import STORES
from tests.fakes.sandbox import Clock, simulated
from tests.histories.feed_world import DAY_MS, IDS, FeedWorld
from tests.unit.support import NOW_MS

Step = tuple[Any, ...]
"""The name of a step, and its arguments: see :func:`take`."""

KINDS = ("put", "delete", "old put", "old delete", "keyed post")
ALL = float("inf")


def take(world: FeedWorld, step: Step) -> None:
    """Take one step of a history."""
    match step:
        case ("apply", kind, item_id, tick):
            world.apply(world.make(kind, item_id, tick))
        case ("apply again", number):
            if world.changes:
                world.apply(world.changes[number % len(world.changes)])
        case ("replicate", number):
            world.replicate(number)
        case ("remove", item_id):
            world.remove(item_id)
        case ("expire",):
            world.expire()
        case ("wait", ms):
            world.wait(ms)
        case ("publish", number):
            world.publish(number)
        case ("feed", store, slot, number, calls):
            world.feed(store, slot, number, calls)
        case ("kill", slot):
            world.kill(slot)
        case ("duplicate", store):
            world.duplicate(store)
        case ("stores", database_is_down, cache_fault):
            world.writer.is_down, world.cache.fault = database_is_down, cache_fault
        case _:
            raise AssertionError(step)


def play(steps: Sequence[Step]) -> None:
    """Play a history, and check how it ends."""
    clock = Clock(NOW_MS)
    with simulated(clock, lambda *_: pytest.fail("nothing calls a back office")):
        world = FeedWorld(clock)
        for step in steps:
            take(world, step)
        world.settle()
        world.check()


STORE = st.sampled_from(STORES)
ID = st.sampled_from(IDS)
TICK = st.integers(0, 2)
NUMBER = st.integers(0, 9)
SLOT = st.integers(0, 2)
APPLY = st.tuples(st.just("apply"), st.sampled_from(KINDS), ID, TICK)
PUBLISH = st.tuples(st.just("publish"), st.sampled_from([1, 2, 100]))
FEED = st.tuples(st.just("feed"), STORE, SLOT, st.sampled_from([1, 2, 9]), st.sampled_from([1, 2, 3, ALL, ALL]))
ANY_STEP: st.SearchStrategy[Step] = st.one_of(
    APPLY,
    APPLY,
    PUBLISH,
    FEED,
    FEED,
    st.tuples(st.just("apply again"), NUMBER),
    st.tuples(st.just("replicate"), NUMBER),
    st.tuples(st.just("remove"), ID),
    st.tuples(st.just("wait"), st.sampled_from([1_000, 60_000, DAY_MS, 32 * DAY_MS])),
    st.tuples(st.just("expire")),
    st.tuples(st.just("kill"), SLOT),
    st.tuples(st.just("duplicate"), STORE),
    st.tuples(st.just("stores"), st.booleans(), st.sampled_from([None, "ReadTimeoutError", "OOM"])),
)
SLOW_FEED = st.tuples(st.just("feed"), STORE, st.just(1), st.just(9), st.sampled_from([1, 2]))
CHAPTER = st.one_of(
    ANY_STEP.map(lambda step: [step]),
    st.tuples(APPLY, PUBLISH).map(list),
    st.tuples(APPLY, PUBLISH, FEED).map(list),
    st.tuples(APPLY, PUBLISH, FEED, APPLY, PUBLISH, FEED).map(list),
    # One invocation overtakes another, which goes on later.
    st.tuples(APPLY, PUBLISH, SLOW_FEED, APPLY, PUBLISH, FEED, FEED, SLOW_FEED).map(list),
    st.sampled_from([[("wait", 32 * DAY_MS), ("expire",)], [("wait", 32 * DAY_MS), ("expire",), ("publish", 100)]]),
)


@settings(max_examples=5 * settings().max_examples, deadline=None)
@given(st.lists(CHAPTER, max_size=12))
def test_both_stores_end_as_the_items_table_does(chapters: list[list[Step]]) -> None:
    play([step for chapter in chapters for step in chapter])


PUBLISH_ALL: Step = ("publish", 100)
FEED_ALL: Step = ("feed", "database", 0, 9, ALL)
PUT: list[Step] = [("apply", "put", "a", 0), PUBLISH_ALL]
DELETE: list[Step] = [("apply", "delete", "a", 0), PUBLISH_ALL]
OLD_PUT: list[Step] = [("apply", "old put", "a", 0), PUBLISH_ALL]
NEWER_OLD_PUT: list[Step] = [("apply", "old put", "a", 1), PUBLISH_ALL]
FORGET: list[Step] = [("wait", 32 * DAY_MS), ("expire",)]
LATER: list[Step] = [("wait", 1_000)]


@contextmanager
def eventually_consistent() -> Iterator[None]:
    """`feed` reads the items table as cheaply as it can."""

    def read_cheaply(*words: Any, consistent: bool, **options: Any) -> Any:
        return table.read_records(*words, consistent=False, **options)

    with patch.object(item_rows, "read_records", read_cheaply):
        yield


@contextmanager
def greatest_ever_wins() -> Iterator[None]:
    """The store keeps the greatest version that it has ever seen."""
    with patch.object(messages, "floor_at", lambda *_: ""):
        yield


@contextmanager
def last_writer_wins() -> Iterator[None]:
    """The store writes whatever comes, and `feed` reads every row again afterwards."""
    with patch.object(messages, "floor_at", lambda *_: "g"):
        yield


@contextmanager
def never_reads_again() -> Iterator[None]:
    """`feed` reads a row once, even if no version guards it."""
    with patch.object(messages, "unsettled_rows", lambda *_: {}):
        yield


@contextmanager
def skips_missing_rows() -> Iterator[None]:
    """`feed` does nothing about an item that the table doesn't have."""
    read_rows = ItemRows.read_rows

    def read_present(self: ItemRows, keys: Sequence[str]) -> Any:
        return {key: row for key, row in read_rows(self, keys).items() if row is not None}

    with patch.object(ItemRows, "read_rows", read_present):
        yield


@contextmanager
def drops_messages() -> Iterator[None]:
    """`feed` reports no message as failed."""
    feed_messages = MessageFeeder.feed_messages

    def feed_and_drop(self: MessageFeeder, *words: Any) -> list[str]:
        feed_messages(self, *words)
        return []

    with patch.object(MessageFeeder, "feed_messages", feed_and_drop):
        yield


@contextmanager
def says_nothing_of_forgotten_items() -> Iterator[None]:
    """`publish` sends nothing when DynamoDB deletes an expired tombstone."""
    keys_of = Batch.keys_of

    def keys_of_decisions(self: Batch, collections: frozenset[str]) -> list[str]:
        return keys_of(self._replace(forgotten={}), collections)

    with patch.object(Batch, "keys_of", keys_of_decisions):
        yield


MUTANTS: dict[Callable[[], Any], list[Step]] = {
    eventually_consistent: [*PUT, FEED_ALL, *LATER, *PUT, FEED_ALL],
    # The back office puts a record again that it deleted long ago. The record still has its old modification time.
    greatest_ever_wins: [*PUT, *LATER, *DELETE, FEED_ALL, *FORGET, *OLD_PUT, FEED_ALL],
    # A slow invocation has read the item before the second put, and writes it after that.
    last_writer_wins: [*PUT, ("feed", "database", 1, 9, 1), *LATER, *PUT, FEED_ALL, ("feed", "database", 1, 9, ALL)],
    never_reads_again: [
        *OLD_PUT,
        ("feed", "database", 1, 9, 1),
        *NEWER_OLD_PUT,
        FEED_ALL,
        ("feed", "database", 1, 9, ALL),
    ],
    # The database was down from the delete until DynamoDB had forgotten it.
    skips_missing_rows: [*PUT, FEED_ALL, *LATER, *DELETE, *FORGET, PUBLISH_ALL, FEED_ALL],
    drops_messages: [("stores", True, None), *PUT, FEED_ALL],
    says_nothing_of_forgotten_items: [*PUT, *LATER, *DELETE, FEED_ALL, *FORGET],
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_each_rule_of_the_feed_is_needed(mutant: Callable[[], Any]) -> None:
    play(MUTANTS[mutant])
    with mutant(), pytest.raises(AssertionError):
        play(MUTANTS[mutant])
