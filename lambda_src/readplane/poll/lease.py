"""A lease: one invocation's exclusive right to poll a source, with the source's checkpoint and the remaining time."""

from collections.abc import Callable
from dataclasses import replace

from ..model.collection import Collection
from ..telemetry import Telemetry
from .checkpoint import Checkpoint, PassKind
from .errors import LeaseLostError
from .outcome import PollCounts
from .poll_stores import PollStores
from .runtime import REAL, Runtime
from .source.settings import Source

RESERVED_MS = 5_000
"""How long before the end of an invocation `poll` stops reading pages, in milliseconds.

`poll` needs this time to send the last changes to Kinesis and to save the checkpoint.
"""


class Lease:
    """One invocation's exclusive right to poll a source.

    :param checkpoint: the source's checkpoint when the lease was acquired. To change the checkpoint, assign a changed
        copy to ``lease.checkpoint``. The method :meth:`release` saves that copy.
    :param holder: a text that is unique to this invocation.
    :param remaining_ms: a function that returns the milliseconds until Lambda ends the invocation.
    :param runtime: the clocks of the invocation.
    """

    def __init__(
        self,
        source: Source,
        collection: Collection,
        checkpoint: Checkpoint,
        holder: str,
        stores: PollStores,
        telemetry: Telemetry,
        remaining_ms: Callable[[], int],
        runtime: Runtime = REAL,
    ) -> None:
        self.source = source
        self.collection = collection
        self.checkpoint = checkpoint
        self.stores = stores
        self.telemetry = telemetry
        self.runtime = runtime
        self.counts = PollCounts()
        self.fault: str | None = None
        """Why the poll failed, for operators: ``<kind of error>: <detail>``. ``None`` if the poll hasn't failed."""
        self.pass_kind: PassKind = "incremental"
        """The kind of the current pass, as last given to :meth:`begin_pass`."""
        self.pages_reached = 0
        """How many pages the current pass had read before its requests, at most. It may have started again since."""
        self._holder = holder
        self._remaining_ms = remaining_ms
        self._pages_until = runtime.monotonic() + source.max_seconds
        self._pages_before_pass = 0

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Save a checkpoint in the table of checkpoints, then assign it to ``lease.checkpoint``.

        :raises LeaseLostError: if this poll no longer holds the lease. In that case ``lease.checkpoint`` stays as it
            was.
        """
        self.stores.checkpoints.save_checkpoint(checkpoint, self._holder)
        self.checkpoint = checkpoint

    def release(self) -> None:
        """Save ``lease.checkpoint`` in the table of checkpoints, and release the lease.

        :raises LeaseLostError: if this poll no longer holds the lease.
        """
        self.stores.checkpoints.release_lease(self.checkpoint, self._holder)

    def check(self) -> None:
        """Check that the lease hasn't expired. Call this method before sending changes or writing snapshots.

        Lambda may freeze an execution environment at any moment and for any length of time. When the poll continues,
        its lease may have expired, and another poll may have taken the lease.

        :raises LeaseLostError: if the lease has expired.
        """
        if self.runtime.now_ms() >= self.checkpoint.lease_until_ms:
            raise LeaseLostError

    def seconds_left(self) -> float:
        """Return how many seconds of this invocation are left for requests to the back office."""
        return (self._remaining_ms() - RESERVED_MS) / 1000

    def seconds_to_send(self) -> float:
        """Return how many seconds of this invocation are left to send changes, before the checkpoint must be saved."""
        return max(0.0, (self._remaining_ms() - RESERVED_MS / 2) / 1000)

    def begin_pass(self, kind: PassKind) -> None:
        """Begin or continue a pass in this invocation, and count its pages from 0.

        In one invocation, each pass may read ``max_pages`` pages. If the passes shared that limit, the main pass of a
        busy source would use up the limit, and a sweep would never end.
        """
        self.pass_kind = kind
        self._pages_before_pass = self.counts.pages

    def restart_pass(self) -> None:
        """Make the current pass start again at its first page. The first request will be unconditional."""
        self.checkpoint = replace(self.checkpoint.with_pass(self.pass_kind, None), conditional_request=None)

    @property
    def may_read_page(self) -> bool:
        """Whether the invocation's remaining time and the source's limits let the current pass read another page."""
        return (
            self.counts.pages - self._pages_before_pass < self.source.max_pages
            and self.runtime.monotonic() < self._pages_until
            and self.seconds_left() > 0
        )
