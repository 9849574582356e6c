"""A lease: one invocation's hold on a source, with the source's checkpoint and the invocation's remaining time."""

import time
from collections.abc import Callable
from dataclasses import replace

from ..clock import now_ms
from ..model.collection import Collection
from ..telemetry import Telemetry
from .checkpoint import Checkpoint, PassKind
from .errors import LeaseLostError
from .outcome import PollCounts
from .poll_stores import PollStores
from .source.settings import Source

RESERVED_MS = 5_000
"""Milliseconds at the end of an invocation that the back office doesn't get. Kinesis and the checkpoint need them."""


class Lease:
    """One invocation's hold on a source.

    :param checkpoint: the checkpoint as the lease was acquired with it. Assign a changed copy to ``lease.checkpoint``;
        it is saved by the next :meth:`save_checkpoint` or :meth:`release`.
    :param holder: identifies this invocation and no other.
    :param remaining_ms: returns how long the invocation may still take, in milliseconds.
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
    ) -> None:
        self.source = source
        self.collection = collection
        self.checkpoint = checkpoint
        self.stores = stores
        self.telemetry = telemetry
        self.counts = PollCounts()
        self.fault: str | None = None
        """Why the poll failed, for operators: an error's kind, a colon and its detail."""
        self.pass_kind: PassKind = "main"
        """The pass that began last."""
        self._holder = holder
        self._remaining_ms = remaining_ms
        self._pages_until = time.monotonic() + source.max_seconds
        self._pages_before_pass = 0

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Save a checkpoint and keep it as the lease's own.

        :raises LeaseLostError: if the lease is lost. Then the lease keeps the checkpoint that it had.
        """
        self.stores.checkpoints.save_checkpoint(checkpoint, self._holder)
        self.checkpoint = checkpoint

    def release(self) -> None:
        """Save the checkpoint and give the lease back.

        :raises LeaseLostError: if the lease is lost.
        """
        self.stores.checkpoints.release_lease(self.checkpoint, self._holder)

    def check(self) -> None:
        """Check that the lease hasn't ended. Call this before anything is sent.

        Lambda may freeze a sandbox at any moment and for any time. Meanwhile another poll may have taken the source.

        :raises LeaseLostError: if the lease has ended.
        """
        if now_ms() >= self.checkpoint.lease_until_ms:
            raise LeaseLostError

    def seconds_left(self) -> float:
        """Return the seconds that the back office may still take in this invocation."""
        return (self._remaining_ms() - RESERVED_MS) / 1000

    def seconds_to_send(self) -> float:
        """Return the seconds that Kinesis may still take, so that time is left to save the checkpoint."""
        return max(0.0, (self._remaining_ms() - RESERVED_MS / 2) / 1000)

    def begin_pass(self, kind: PassKind) -> None:
        """Begin or continue a pass, with a page count of its own.

        Otherwise the main pass of a busy source would use up ``max_pages``, and a sweep would never end.
        """
        self.pass_kind = kind
        self._pages_before_pass = self.counts.pages

    def restart_pass(self) -> None:
        """Have the current pass start again at its first page, without a conditional request."""
        self.checkpoint = replace(self.checkpoint.with_pass(self.pass_kind, None), conditional_request=None)

    @property
    def may_read_page(self) -> bool:
        """Whether the time and the source's settings allow another page of the current pass."""
        return (
            self.counts.pages - self._pages_before_pass < self.source.max_pages
            and time.monotonic() < self._pages_until
            and self.seconds_left() > 0
        )
