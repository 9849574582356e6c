"""Applies the records of the change stream, one batch of one shard at a time."""

from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from ..aws.faults import RefusedError
from ..entrypoint import Event
from ..model.change import Change
from ..model.window import Window
from ..stores.items import ApplyOutcome
from ..stores.items_bulk import MAX_CHANGES, BulkItems, sent_bytes
from ..stores.table import split_into_batches
from ..telemetry import Telemetry
from .quarantine import LineParser
from .tally import Tally, count_outcomes, fold_and_count

Result = TypeVar("Result")


class ShardApplier:
    """Applies the records that Lambda reads from one shard of the change stream."""

    def __init__(self, items: BulkItems, parser: LineParser, pool: Executor, telemetry: Telemetry) -> None:
        self._items = items
        self._parser = parser
        self._pool = pool
        self._telemetry = telemetry

    def apply_records(self, records: Sequence[Event], remaining_ms: Callable[[], int]) -> list[str]:
        """Apply a batch of records.

        If a record fails, Lambda sends that record and every later one again. This method still applies the
        later records. Applying their changes again does no harm and costs only one more read for each change.

        :returns: a list with the sequence number of the first failed record, from which Lambda must retry. The list is
            empty if no record failed.
        """
        total_ms = remaining_ms()
        # Stop parsing records after a quarter of the time, because quarantining many bad records is slow. This leaves
        # time to write the good records. Without that time, nothing would be applied, and Lambda would send the same
        # batch again and again.
        attempts = _Attempts(self._telemetry, lambda: remaining_ms() < 3 / 4 * total_ms)
        tally: Tally = Counter()
        changes, positions = self._newest_changes(records, attempts, tally)
        attempts.is_late = lambda: remaining_ms() < total_ms / 2
        batches = split_into_batches(changes, MAX_CHANGES, sent_bytes)
        for outcomes in self._pool.map(lambda batch: self._write(batch, positions, attempts), batches):
            tally.update(count_outcomes(outcomes))
        self._telemetry.event(
            "changes_applied",
            "Changes are applied to their items.",
            metrics=tally,
            records=len(records),
            first=records[0]["eventID"],
        )
        return self._restart(records, attempts.failed)

    def _newest_changes(
        self, records: Sequence[Event], attempts: "_Attempts", tally: Tally
    ) -> tuple[list[Change], dict[str, int]]:
        """Parse the records, and find the newest change of each item.

        :returns: the newest changes, and a dict from each item's key to the position of its newest change in the batch.
        """
        # The window is a buffer that keeps the newest change of each item. Don't empty it when it counts as full,
        # because the whole batch (at most 6 MB) is in memory anyway.
        window = Window()
        positions: dict[str, int] = {}
        for position, record in enumerate(records):
            line, origin = b64decode(record["kinesis"]["data"]), f"stream/{record['eventID']}"
            change = attempts.run([position], partial(self._parser.parse_or_quarantine, line, origin, tally))
            if change and fold_and_count(window, change, tally) is not change:
                positions[change.key] = position
        return window.take(), positions

    def _write(
        self, changes: list[Change], positions: Mapping[str, int], attempts: "_Attempts"
    ) -> Counter[ApplyOutcome]:
        """Write a batch of changes. ``changes`` must hold at most one change of each item.

        If DynamoDB refuses the batch, write each change alone, so that one bad change doesn't stop the others.
        """

        def write() -> Counter[ApplyOutcome]:
            try:
                return self._items.apply_all(changes)
            except RefusedError:
                if len(changes) == 1:
                    raise
            return sum((self._write([change], positions, attempts) for change in changes), Counter())

        return attempts.run([positions[change.key] for change in changes], write) or Counter()

    def _restart(self, records: Sequence[Event], failed: list[int]) -> list[str]:
        """Return a list with the sequence number of the first failed record, or an empty list if no record failed.

        :param failed: the positions of the failed records in ``records``.
        """
        if not failed:
            return []
        # Write a metric of our own, because the invocation itself succeeds and Lambda's error metric doesn't count
        # these failures.
        self._telemetry.event(
            "retry_requested",
            "Part of the batch comes again.",
            level="WARN",
            metrics={"ChangesFailed": len(failed)},
        )
        return [records[min(failed)]["kinesis"]["sequenceNumber"]]


class _Attempts:
    """Runs the steps of a batch while there is time, and collects the records that Lambda must send again.

    A step parses one record or writes the changes of some records.

    :param is_late: a function that returns whether it is too late to start another step.
    """

    def __init__(self, telemetry: Telemetry, is_late: Callable[[], bool]) -> None:
        self.is_late = is_late
        self.failed: list[int] = []
        """The positions of the failed records in the batch. Several threads append to this list."""
        self._telemetry = telemetry

    def run(self, positions: list[int], step: Callable[[], Result]) -> Result | None:
        """Run a step and return its result. Return ``None`` if the step fails or if it is too late to start it.

        :param positions: the positions of the step's records in the batch. These records count as failed if the step
            isn't run or fails.
        """
        try:
            if not self.is_late():
                return step()
        except Exception as error:  # noqa: BLE001 (a failed step must not stop the others)
            self._telemetry.failure(
                "records_failed",
                "Records of the change stream could not be applied; Lambda sends them again.",
                error,
                records=str(len(positions)),
            )
        self.failed += positions
        return None
