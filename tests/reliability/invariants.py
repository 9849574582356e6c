"""What must hold in every history, whatever fails. Each rule has a mutant in mutants.py that breaks it."""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from readplane.aws.faults import AwsError
from readplane.config import DAY_MS
from readplane.feed.errors import StoreFaultError
from readplane.model.cache_entry import NO_VERSION
from readplane.model.change import Change, PoisonError
from readplane.poll.errors import LeaseLostError
from readplane.stores.documents import VERSION_METADATA
from readplane.stores.rows import change_of
from tests.fakes.expressions import Item
from tests.reliability.aws import ITEM
from tests.reliability.machine import HORIZON_MS

if TYPE_CHECKING:
    from tests.reliability.world import Stack, World

BUDGET_MS = 240_000
"""How long an accepted change may take to become visible in every Region, unless an alarm fires."""

BACKLOG_MS = 60_000
"""The age of the oldest entry of a queue or stream from which its alarm fires."""

PATIENCE = 3
"""At how many checks in a row, a minute apart, a change must be missing. A replicated write may hide it briefly."""

DOCUMENTS = "/documents/"
MINUTE_MS = 60_000


class BrokenRuleError(BaseException):
    """A rule is broken. It isn't an ``Exception``, so that no code of the product can catch it."""


class Invariants:
    """The rules of one history, and what they have to remember.

    :ivar newest: the newest change of each item that the write logs and the change stream hold, by the item's key.
    """

    def __init__(self, world: "World") -> None:
        self.newest: dict[str, Change] = {}
        self._world = world
        self._accepted: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._poison: dict[str, set[bytes]] = defaultdict(set)
        self._waiting: list[tuple[int, str, str]] = []
        self._missing: dict[tuple[str, str, str], int] = {}
        self._documents: dict[tuple[str, str], str] = {}
        self._shown: dict[tuple[str, str], str] = {}
        self._versions: dict[tuple[str, str], str] = {}
        self._checked_ms = 0

    def require(self, holds: bool, rule: str) -> None:
        """End the history unless a rule holds."""
        if not holds:
            self._world.machine.note(f"BROKEN {rule}")
            raise BrokenRuleError(rule)

    # -- what happens on the way -------------------------------------------------------------------------------------

    def log_line(self, line: bytes) -> None:
        """Take note of a line that a write log or the change stream has accepted."""
        from tests.reliability.world import parse

        if any(line in lines for lines in self._poison.values()):
            return
        try:
            change = parse(line)
        except PoisonError as error:
            self.require(False, f"a line of the write log can't be applied: {error}")
            return
        key = change.key
        self._accepted[key, change.version].add(change.accepted_at)
        if change.data is not None:  # no two requests and no two rows have the same data
            first = self._versions.setdefault((key, change.data), change.version)
            self.require(first == change.version, "a retry is another change")
        newest = self.newest.get(key)
        if newest is None or newest.version < change.version:
            self.newest[key] = change
            self._waiting.append((self._world.machine.now_ms, key, change.version))

    def log_poison(self, stack: "Stack", line: bytes) -> None:
        """Take note of a line that can't be applied."""
        if not stack.region.is_lost:
            self._poison[stack.region.name].add(line)

    def check_accepted(self, key: str, version: str, min_version: str | None) -> None:
        """Check a write that a client was told is durable."""
        self.require((key, version) in self._accepted, "an accepted change isn't in the write log")
        self.require(
            min_version is None or min_version < version,
            "an accepted change isn't newer than the version that it names",
        )

    def check_local_write(self, stack: "Stack", old: Item | None, new: Item) -> None:
        """Check a write that a function makes in its own Region."""
        if old is not None and "version" in old and "version" in new:
            self.require(old["version"]["S"] < new["version"]["S"], "a write replaces a newer version")
        if "fresh_as_of" in new and self._world.source:
            self._world.source.check_freshness()

    def check_row(self, stack: "Stack", pk: str, new: Item | None) -> None:
        """Check a row of a replica that has just changed."""
        if new is not None:
            self.require((pk, new["version"]["S"]) in self._accepted, "an item has a change that nobody has accepted")

    def check_document(self, stack: "Stack", key: str, more: Mapping[str, Any]) -> None:
        """Check a document that `publish` has just written.

        Documents are written in the order of the items stream. They may go back for a moment if Lambda sends a batch
        again, or if a write of the other Region has made the item go back.
        """
        if DOCUMENTS not in key or "Metadata" not in more:
            return
        place = stack.region.name, key
        version = more["Metadata"][VERSION_METADATA]
        pk = ITEM + key.partition(DOCUMENTS)[2]
        self.require(
            stack.may_publish_older(pk) or version >= self._documents.get(place, ""),
            "a document goes back to an older version",
        )
        self._documents[place] = self._shown[place] = version

    def check_failure(self, code: str, error: BaseException) -> None:
        """Check an error that a function has reported. Only AWS and the stores may be to blame."""
        if not isinstance(error, (AwsError, StoreFaultError, LeaseLostError)):
            raise BrokenRuleError(f"{code}: a function fails by a fault of its own: {error!r}") from error

    def check_now(self) -> None:
        """Check that every accepted change is visible in time, or that an alarm fires."""
        now_ms = self._world.machine.now_ms
        # If too many invocations were in the middle of calls, several checks are late and come at once.
        if now_ms < self._checked_ms + MINUTE_MS // 2:
            return
        self._checked_ms = now_ms
        due = [entry for entry in self._waiting if entry[0] <= now_ms - BUDGET_MS]
        self._waiting = [entry for entry in self._waiting if entry[0] > now_ms - BUDGET_MS]
        for entry in due:
            _, key, version = entry
            for stack in self._world.stacks:
                place = stack.region.name, key, version
                if self._is_visible(stack, key, version) or self._alarms(now_ms):
                    self._missing.pop(place, None)
                    continue
                self._missing[place] = self._missing.get(place, 0) + 1
                self.require(self._missing[place] < PATIENCE, "a change is missing, and no alarm fires")
            if not all(self._is_visible(stack, key, version) for stack in self._world.stacks):
                self._waiting.append(entry)
        if self._world.source:
            self._world.source.check_now()

    def _is_visible(self, stack: "Stack", key: str, version: str) -> bool:
        row = stack.replica.items.get(key)
        if row is None or row["version"]["S"] < version:
            return False
        change = change_of(row)
        return change.data is None or self._has_shown(stack, change, version)

    def _has_shown(self, stack: "Stack", change: Change, version: str) -> bool:
        """Whether a Region has shown a version of an item, or a newer one, even if the document is gone."""
        return self._shown.get((stack.region.name, self._document_key(change)), "") >= version

    def _alarms(self, now_ms: int) -> bool:
        """Return whether the alarm on a lost Region, or on what waits in a queue or stream, fires."""
        for stack in self._world.stacks:
            if now_ms < stack.region.lost_until_ms + BUDGET_MS:
                return True
            oldest = (
                stack.firehose.oldest_ms,
                stack.apply_queue.oldest_ms,
                *(stream.oldest_ms for stream in stack.streams.values()),
                stack.change_stream.oldest_ms,
            )
            if any(ms is not None and ms < now_ms - BACKLOG_MS for ms in oldest):
                return True
        return False

    # -- how it ends -------------------------------------------------------------------------------------------------

    def check_end(self) -> None:
        """Check that nothing accepted is lost, and that every store of every Region agrees, when all is done."""
        for stack in self._world.stacks:
            self._check_items(stack)
            self.require(self._rows(stack) == self._rows(self._world.stacks[0]), "the Regions have different items")
            self._check_documents(stack)
            if self._world.has_stores:
                self._check_stores(stack)
            self._check_quarantine(stack)
            self._check_handled(stack)
        if self._world.source:
            self._world.source.check_end()

    def _rows(self, stack: "Stack") -> dict[str, Change]:
        return {pk: change_of(row) for pk, row in stack.replica.items.items() if pk.startswith(ITEM)}

    def _check_items(self, stack: "Stack") -> None:
        rows = self._rows(stack)
        self.require(rows.keys() == self.newest.keys(), f"{stack.region.name} has other items than the write log")
        for key, change in self.newest.items():
            # The requests of a POST with a key are one change, accepted at different times. Any of them may win, but
            # every Region and every store has to have the same one.
            times = self._accepted[key, change.version]
            is_newest = rows[key].accepted_at in times and rows[key]._replace(accepted_at="") == change._replace(
                accepted_at=""
            )
            self.require(is_newest, f"{stack.region.name} doesn't have the newest change of {key}")

    def _document_key(self, change: Change) -> str:
        from tests.reliability.world import COLLECTIONS

        return f"{COLLECTIONS[change.collection].read}{DOCUMENTS}{change.key.removeprefix(ITEM)}"

    def _check_documents(self, stack: "Stack") -> None:
        documents = {
            key: self._comparable_text(text.decode())
            for key, text in stack.buckets.objects.items()
            if DOCUMENTS in key and "/sources/" not in key
        }
        expected = {
            self._document_key(change): self._comparable_text(change.representation())
            for change in self._rows(stack).values()
            if change.data is not None
        }
        self.require(documents == expected, f"{stack.region.name} has other documents than items")

    def _comparable_text(self, text: str) -> str:
        """Return what a document has to have in common with its item."""
        return text

    def _comparable_rows(self, rows: Mapping[str, Change]) -> Mapping[str, Change]:
        """Return what the rows of the database have to have in common with the items."""
        return rows

    def _check_stores(self, stack: "Stack") -> None:
        rows = self._rows(stack)
        self.require(
            self._comparable_rows(stack.database.rows) == self._comparable_rows(rows),
            f"{stack.region.name} has other rows in the database than items",
        )
        now_ms = stack.region.clock()
        for key, entry in stack.cache.live_entries().items():
            row = rows.get(key)
            version = NO_VERSION if row is None else row.version
            # A slow `feed` may put an old entry into a cache that has just lost a newer one. The old entry isn't fresh
            # for long, so the next reader loads the item again.
            is_old = stack.cache.losses > 0 and entry.fresh_until_ms <= now_ms
            right = entry.version == version or is_old
            self.require(right, f"{stack.region.name} has another version of {key} in the cache")

    def _check_quarantine(self, stack: "Stack") -> None:
        entries = [json.loads(text) for key, text in stack.buckets.objects.items() if key.startswith("quarantine/")]
        lines = {f"{entry['line']}\n".encode() for entry in entries}
        poison = self._poison[stack.region.name]
        self.require(not lines - poison, f"the quarantine of {stack.region.name} holds a line that can be applied")
        self.require(not poison - lines, f"the quarantine of {stack.region.name} lacks a line that can't be applied")

    def _check_handled(self, stack: "Stack") -> None:
        """Check that every line of the write log is counted, and only once unless a fault came in between."""
        is_exact = self._counts_once()
        for key, content in stack.buckets.objects.items():
            if key.startswith("log/"):
                lines, counted = content.count(b"\n"), stack.apply_telemetry.handled[key]
                right = counted >= lines and counted % lines == 0 and (counted == lines or not is_exact)
                self.require(right, f"{counted} records of an object with {lines} are counted")

    def _counts_once(self) -> bool:
        """Whether `apply` must have counted no object twice."""
        profile = self._world.profile
        faults = profile.throttled + profile.unsent + profile.lost + profile.partial
        return not faults and not profile.losses and not self._world.machine.crashes

    # -- a month later -----------------------------------------------------------------------------------------------

    def forget_expired(self) -> None:
        """Forget the items whose tombstones have expired."""
        now_ms = self._world.machine.now_ms
        for key, change in list(self.newest.items()):
            if change.data is None and change.age_starts_ms < now_ms - HORIZON_MS - DAY_MS:
                del self.newest[key]
        self._documents.clear()
        self._shown.clear()
        self._waiting.clear()
        self._missing.clear()

    def picture(self) -> list[Any]:
        """Return what a replay must not change."""
        return [
            (
                self._rows(stack),
                dict(stack.database.rows),
                {key: value for key, value in stack.buckets.objects.items() if DOCUMENTS in key},
                sorted(key for key in stack.buckets.objects if key.startswith("quarantine/")),
                dict(stack.apply_telemetry.handled),
            )
            for stack in self._world.stacks
        ]

    def check_replay(self, before: list[Any]) -> None:
        """Check that a replay of all objects has changed nothing."""
        names = ("items", "rows of the database", "documents", "quarantined lines", "counted records")
        for earlier, later in zip(before, self.picture(), strict=True):
            for name, old, new in zip(names, earlier, later, strict=True):
                self.require(old == new, f"a replay changes the {name}")
