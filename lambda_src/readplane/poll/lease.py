"""One invocation's hold on one source: its lease, its time, and what it has got done."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple, Protocol

from ..clock import now_ms
from ..model.collection import Collection
from ..telemetry import Telemetry
from .change_stream import ChangeStream
from .checkpoint import Checkpoint
from .checkpoint_table import Checkpoints
from .errors import LeaseLostError
from .quarantine import Quarantine
from .snapshot_documents import SnapshotDocuments
from .source.settings import Source
from .sourced_items import SourcedItems
from .upstream.client import BackOfficeResponse

RESERVED_MS = 5_000
"""Of the invocation's time, left for Kinesis and the checkpoint when the back office has had all the rest."""


class Fetch(Protocol):
    """Asks the back office: :meth:`readplane.poll.upstream.client.Upstream.fetch`."""

    def __call__(
        self,
        url: str,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        probe: bool = False,
        deadline: float,
    ) -> BackOfficeResponse:
        """GET one page."""


class PollStores(NamedTuple):
    """Where things come from and go to; ``documents`` by Region."""

    checkpoints: Checkpoints
    items: SourcedItems
    stream: ChangeStream
    quarantine: Quarantine
    documents: Mapping[str, SnapshotDocuments]


class PollCounts:
    """What an invocation has done."""

    def __init__(self) -> None:
        self.pages = self.records = self.changes = self.quarantined = self.missing = self.refused = 0
        self.fault: str | None = None


class Lease:
    """A source under this invocation's lease.

    :param remaining_ms: how long the invocation may still take.
    """

    def __init__(
        self,
        source: Source,
        collection: Collection,
        checkpoint: Checkpoint,
        owner: str,
        stores: PollStores,
        telemetry: Telemetry,
        remaining_ms: Callable[[], int],
    ) -> None:
        self.source = source
        self.collection = collection
        self.checkpoint = checkpoint
        self.stores = stores
        self.telemetry = telemetry
        self.tally = PollCounts()
        self.walking: Literal["changes", "sweep"] = "changes"
        self._owner = owner
        self._remaining_ms = remaining_ms
        self._pages_until = time.monotonic() + source.max_seconds
        self._pages_before = 0

    def keep(self, **changes: Any) -> None:
        """Change the checkpoint, to be saved with what comes next."""
        self.checkpoint = replace(self.checkpoint, **changes)

    def save(self, **changes: Any) -> None:
        """Change and save the checkpoint.

        :raises LeaseLost: when another has the source; then nothing is changed.
        """
        changed = replace(self.checkpoint, **changes)
        self.stores.checkpoints.save(changed, self._owner)
        self.checkpoint = changed

    def release(self) -> None:
        """Save the checkpoint and give the lease back.

        :raises LeaseLost: when another has it.
        """
        self.stores.checkpoints.release(self.checkpoint, self._owner)

    def check(self) -> None:
        """To be called before anything is sent.

        :raises LeaseLost: when the lease is over. A sandbox may be frozen at any moment; another may poll by now.
        """
        if now_ms() >= self.checkpoint.lease_until_ms:
            raise LeaseLostError

    def seconds_left(self) -> float:
        """For the back office, in this invocation."""
        return (self._remaining_ms() - RESERVED_MS) / 1000

    def seconds_to_send(self) -> float:
        """For Kinesis, with some left to save the checkpoint."""
        return max(0.0, (self._remaining_ms() - RESERVED_MS / 2) / 1000)

    def begin(self, walking: Literal["changes", "sweep"]) -> None:
        """Count pages anew, for a pass of its own: a sweep must not starve beside a busy list.

        :param walking: which pass of the checkpoint.
        """
        self.walking = walking
        self._pages_before = self.tally.pages

    def give_up_place(self) -> None:
        """Have the pass that was begun last begin anew, with a request like any other."""
        self.keep(**{self.walking: None}, validators=None)

    @property
    def may_go_on(self) -> bool:
        """Whether there is time, and leave, for another page of the pass."""
        return (
            self.tally.pages - self._pages_before < self.source.max_pages
            and time.monotonic() < self._pages_until
            and self.seconds_left() > 0
        )
