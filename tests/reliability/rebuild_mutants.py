"""Ways to break a rebuild of the items table. The histories of rebuilds must notice each of them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any
from unittest.mock import patch

from ops.cli import items_fill, rebuild_items
from ops.cli.items_fill import FilledItems, ListedObject, listed_objects
from ops.cli.items_rows import RowCopies
from readplane.apply.quarantine import LineParser, Replay
from readplane.apply.tally import Tally
from readplane.model.change import PoisonError, parse_line
from readplane.publish import handler as publish_handler
from readplane.publish.decide import Decision, ToMend, follow
from readplane.publish.handler import Publish
from readplane.stores.items_bulk import BulkItems, DynamoBulkItems
from readplane.stores.versioned_documents import S3NewerDocuments
from tests.reliability.mutants import Mutant
from tests.reliability.rebuild_world import RebuildStack
from tests.reliability.world import Tables

LATE_MS = 2_000
"""How long ago a change was accepted that a mutant leaves out. The histories are too short for changes of days ago."""

REBUILD_MUTANTS: dict[str, Mutant] = {}


def _mutant(make: Callable[[], AbstractContextManager[object]]) -> Mutant:
    REBUILD_MUTANTS[make.__name__] = make
    return make


@_mutant
def documents_are_written_without_conditions() -> AbstractContextManager[object]:
    """`publish` writes what comes from either stream, whichever document is there."""

    def put(self: S3NewerDocuments, key: str, text: str, version: str, cache_control: str, **_: Any) -> None:
        self.put_document(key, text, version, cache_control)

    def remove(self: S3NewerDocuments, key: str, version: str) -> None:
        self.remove_document(key)

    return patch.multiple(S3NewerDocuments, put_newer=put, remove_older=remove)


@_mutant
def the_former_stream_is_not_followed() -> AbstractContextManager[object]:
    """`publish` only mends what comes from the stream of the former table."""
    return _follow_only(lambda is_former: not is_former)


@_mutant
def the_building_stream_is_not_followed() -> AbstractContextManager[object]:
    """`publish` only mends what comes from the stream of the building table."""
    return _follow_only(lambda is_former: is_former)


@_mutant
def the_building_stream_leaves_out_new_items() -> AbstractContextManager[object]:
    """The filter of the building table's mapping lets only records of rows through that were there before."""
    publish_records = RebuildStack._publish_records

    def filtered(self: RebuildStack, generation: int, records: list[dict[str, Any]]) -> Any:
        if generation != self.live_generation and not self.tables_of("publish").follows:
            records = [record for record in records if "OldImage" in record["dynamodb"]]
        return publish_records(self, generation, records) if records else []

    return patch.object(RebuildStack, "_publish_records", filtered)


@_mutant
def the_building_stream_leaves_out_late_changes() -> AbstractContextManager[object]:
    """`publish` follows the stream of the building table only for changes that were accepted lately."""
    follow_all = Publish._follow

    def follow_young(self: Publish, decision: Decision) -> Decision | Exception | None:
        is_late = self._now_ms() - decision.change.age_starts_ms > LATE_MS
        if is_late and not self._settings.follows_second and not isinstance(decision, ToMend):
            return None
        return follow_all(self, decision)

    return patch.object(Publish, "_follow", follow_young)


@_mutant
def unknown_streams_are_published() -> AbstractContextManager[object]:
    """`publish` takes the records of every table for those of the live one."""
    return patch.object(publish_handler, "table_of", lambda _: None)


@_mutant
def apply_writes_only_the_live_table_after_a_switch() -> AbstractContextManager[object]:
    """`apply` writes the building table, but no former one."""
    make = RebuildStack._make_bulk_items

    def make_live(self: RebuildStack, tables: Tables) -> BulkItems:
        return make(self, Tables(tables.live) if tables.follows else tables)

    return patch.object(RebuildStack, "_make_bulk_items", make_live)


@_mutant
def apply_hands_on_changes_without_effect() -> AbstractContextManager[object]:
    """`apply` writes a change that is older than the horizon to both tables, if the live one has a newer version."""
    parse = LineParser.parse_or_quarantine

    def parse_more(self: LineParser, line: bytes, origin: str, tally: Tally, replay: Replay | None = None) -> Any:
        change = parse(self, line, origin, tally, replay)
        with suppress(PoisonError):
            parsed = parse_line(line, self._collections)
            item = self._items.get_item(parsed.key, consistent=True)
            return parsed if item is not None and item.version >= parsed.version else change
        return change

    return patch.object(LineParser, "parse_or_quarantine", parse_more)


@_mutant
def fill_lets_tombstones_expire() -> AbstractContextManager[object]:
    """The fill writes the tombstone of an old delete with the expiry that it had when the delete was new."""
    return patch.object(FilledItems, "_record", DynamoBulkItems._record)


@_mutant
def fill_leaves_a_region_out() -> AbstractContextManager[object]:
    """The fill reads the log of the primary Region only."""
    return _listing(lambda found: not found.region.endswith("1"))


@_mutant
def fill_leaves_the_archive_out() -> AbstractContextManager[object]:
    """The fill reads the write log, but not the archive of the change stream."""
    return _listing(lambda found: found.prefix == "log")


@_mutant
def fill_waits_for_nothing() -> AbstractContextManager[object]:
    """The fill ends before Firehose has written what the functions took before they knew the building table."""
    return patch.object(rebuild_items, "LOGGED_SECONDS", 0.0)


@_mutant
def fill_advances_before_it_writes() -> AbstractContextManager[object]:
    """The fill saves an object's position before the object's changes are written."""
    fold_object = items_fill.Fill._fold_object

    def fold(self: items_fill.Fill, found: ListedObject, lines: Iterator[bytes], job: Any) -> None:
        number = 1 if job.position is None else job.position["pass"]
        job.advance(found.position(number))
        fold_object(self, found, lines, job)

    return patch.object(items_fill.Fill, "_fold_object", fold)


@_mutant
def switch_copies_nothing() -> AbstractContextManager[object]:
    """The rows that aren't items stay in the table that was live before."""
    return patch.object(RowCopies, "_put", lambda *_: False)


def _follow_only(is_followed: Callable[[bool], bool]) -> AbstractContextManager[object]:
    """Let `publish` follow fewer records of the second table."""

    def follow_some(decision: Decision, read_live: Any, *, is_former: bool) -> Decision | None:
        if isinstance(decision, ToMend) or is_followed(is_former):
            return follow(decision, read_live, is_former=is_former)
        return None

    return patch.object(publish_handler, "follow", follow_some)


def _listing(is_listed: Callable[[ListedObject], bool]) -> AbstractContextManager[object]:
    """Let the fill list fewer objects."""
    return patch.object(rebuild_items, "listed_objects", lambda *words: filter(is_listed, listed_objects(*words)))
