"""Parses lines of the write log and records of the change stream, and quarantines those that can't be applied."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from ..aws.client import Client
from ..aws.faults import RefusedError
from ..clock import now_ms
from ..model.change import Change, PoisonError, is_expired, parse_line
from ..model.collection import Collection
from ..stores.items import Items
from ..telemetry import Telemetry
from .tally import EXPIRED, METRIC, Tally


class Replay(NamedTuple):
    """How an object is replayed.

    A replay quarantines nothing that is in quarantine already. It leaves out a change that is older than the horizon
    and has no item. And it doesn't count the object's records as handled, because `apply` has counted them before.

    :param is_lost: whether the object's first notification was lost, so that `apply` must count its records.
    :param collections: the names of the collections whose changes are applied; ``None`` for all.
    """

    is_lost: bool = False
    collections: frozenset[str] | None = None

    def skips(self, collection: str | None) -> bool:
        """Whether the replay leaves out the lines of a collection; ``None`` for a line that holds no change."""
        return self.collections is not None and collection not in self.collections


class LineQuarantine(Protocol):
    """Keeps the lines that `apply` can't apply."""

    def put_line(self, line: bytes, poison: PoisonError, origin: str, *, only_new: bool = False) -> bool:
        """Keep a whole line, together with the reason in ``poison`` and the line's origin.

        :param origin: where the line comes from: ``<object key>:<line number>`` for the write log, or
            ``stream/<event id>`` for the change stream.
        :param only_new: whether to do nothing about a line that is kept already.
        :returns: ``False`` if ``only_new`` is set and the line is kept already.
        """


class S3LineQuarantine:
    """A :class:`LineQuarantine` that keeps each line as an object in the S3 bucket of the write log."""

    def __init__(self, client: Client, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def put_line(self, line: bytes, poison: PoisonError, origin: str, *, only_new: bool = False) -> bool:
        """Write the line to an S3 object of its own.

        The object's key contains the line's hash. So if the same line is quarantined again, no second object is made.
        """
        content = line.rstrip(b"\r\n")
        try:
            entry = {"line": content.decode()}
        except UnicodeDecodeError:
            entry = {"line_base64": base64.b64encode(content).decode()}
        digest = hashlib.sha256(content or origin.encode()).hexdigest()[:32]
        try:
            self._client.call(
                "PutObject",
                Bucket=self._bucket,
                Key=f"{self._prefix}{poison.reason}/{digest}.json",
                Body=json.dumps({"reason": poison.reason, "detail": poison.detail, "origin": origin, **entry}).encode(),
                ContentType="application/json",
                **({"IfNoneMatch": "*"} if only_new else {}),
            )
        except RefusedError as error:
            if error.code != "PreconditionFailed":
                raise
            return False
        return True


class LineParser:
    """Parses lines into changes. A line that can't be applied goes to quarantine, so that it blocks no other line."""

    def __init__(
        self,
        items: Items,
        quarantine: LineQuarantine,
        collections: Mapping[str, Collection],
        horizon_ms: int,
        telemetry: Telemetry,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._items = items
        self._quarantine = quarantine
        self._collections = collections
        self._horizon_ms = horizon_ms
        self._telemetry = telemetry
        self._now_ms = clock

    def parse_or_quarantine(
        self, line: bytes, origin: str, tally: Tally, replay: Replay | None = None
    ) -> Change | None:
        """Return the change in a line. If the line can't be applied, put it in quarantine and return ``None``.

        Also return ``None`` for a change that is older than the horizon if its item already has the same or a newer
        version. Count it as a duplicate or as superseded.

        :param replay: how the line is replayed; ``None`` if it isn't. In a replay, count a change that is older than
            the horizon and has no item, and return ``None`` for it, but don't quarantine it. Its item was deleted, and
            the tombstone is gone. A replay of old objects contains many such changes, and the write log keeps them all.
        """
        try:
            change = parse_line(line, self._collections)
            if replay is not None and replay.skips(change.collection):
                return None
            if not is_expired(change, self._now_ms(), self._horizon_ms):
                return change
            # Don't quarantine a change that is older than the horizon if its item already has the same or a newer
            # version. Such a change has no effect, and a replay of the write log contains many of them. But don't hand
            # it on: a former table may have forgotten the item's tombstone, which the live table still has. Refuse an
            # old change that would alter its item, because a later delete may have deleted the item. If the tombstone
            # of that delete is gone, the old change would bring the item back.
            item = self._items.get_item(change.key, consistent=True)
            if item is None and replay is not None:
                tally[EXPIRED] += 1
                return None
            if item is None or item.version < change.version:
                raise PoisonError("expired", "the change is older than the horizon", change)
            tally[METRIC["duplicate" if item.version == change.version else "superseded"]] += 1
        except PoisonError as poison:
            self.quarantine(line, poison, origin, tally, replay)
        return None

    def quarantine(
        self, line: bytes, poison: PoisonError, origin: str, tally: Tally, replay: Replay | None = None
    ) -> None:
        """Put a line in quarantine.

        If the line holds a change, also write a marker, so that the change's status becomes ``quarantined``.

        :param replay: how the line is replayed; ``None`` if it isn't. A replay does nothing about a line that is in
            quarantine already. Otherwise every replay would set off the alarm on the quarantine.
        """
        if replay is not None and replay.skips(poison.change.collection if poison.change else None):
            return
        is_new = self._quarantine.put_line(line, poison, origin, only_new=replay is not None)
        if not is_new and self._is_marked(poison.change):
            return
        if poison.change is not None:
            self._items.mark_quarantined(poison.change, poison.reason, self._now_ms())
        tally["ChangesQuarantined"] += 1
        self._telemetry.event(
            "quarantined",
            "A change can't be applied and is in quarantine.",
            level="WARN",
            reason=poison.reason,
            detail=poison.detail,
            origin=origin,
            change_id=poison.change.change_id if poison.change else None,
        )

    def _is_marked(self, change: Change | None) -> bool:
        """Whether nothing is left to do about a line that is in quarantine already.

        The marker of a change is missing if `apply` died before it wrote the marker. It is also missing once it has
        expired, but then the change is older than the horizon.
        """
        if change is None or is_expired(change, self._now_ms(), self._horizon_ms):
            return True
        return self._items.get_change_status(change.key, change.change_id)[1] is not None
