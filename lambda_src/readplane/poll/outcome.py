"""What a poll came to: its outcome and its counts."""

from dataclasses import dataclass
from typing import Literal

PollOutcome = Literal["completed", "not_modified", "unfinished", "failed", "paused", "open", "running"]
"""``completed``: a pass has ended. ``not_modified``: the back office responded with 304. ``unfinished``: the next poll
continues the pass. ``failed``: the back office or AWS failed. ``paused``: an operator has paused the source. ``open``:
the circuit breaker is open, or the back office wants no request yet (``Retry-After``). ``running``: another poll holds
the source's lease."""


@dataclass
class PollCounts:
    """What one invocation of `poll` has done so far.

    :param pages: pages read.
    :param records: records read.
    :param changes: changes sent, and snapshots written.
    :param quarantined: records put into quarantine.
    :param missing: items that a full listing lacks.
    :param sweeps_refused: sweeps that were not allowed to delete anything.
    """

    pages: int = 0
    records: int = 0
    changes: int = 0
    quarantined: int = 0
    missing: int = 0
    sweeps_refused: int = 0
