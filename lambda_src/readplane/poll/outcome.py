"""The result of a poll: its outcome and its counts."""

from dataclasses import dataclass
from typing import Literal

PollOutcome = Literal["completed", "not_modified", "unfinished", "failed", "paused", "open", "running", "elsewhere"]
"""How a poll ended:

- ``completed``: the main pass is finished, or the snapshot is stored.
- ``not_modified``: the back office responded with 304.
- ``unfinished``: the next poll continues the pass.
- ``failed``: the back office, AWS or Readplane's own code failed.
- ``paused``: an operator has paused the source.
- ``open``: no request was sent, because the circuit breaker is open or the back office asked to wait (``Retry-After``).
- ``elsewhere``: another Region polls the source.
- ``running``: another poll holds the source's lease, or this poll has lost it.
"""


@dataclass
class PollCounts:
    """What one invocation of `poll` has done so far.

    :param pages: how many pages were read.
    :param records: how many records were read.
    :param changes: how many changes were sent, plus how many snapshots were written.
    :param quarantined: how many records were put into quarantine.
    :param missing: how many items were missing from the full listings that this invocation completed.
    :param lists_doubtful: how many lists had a doubtful end, so that they may not have been read as a whole.
    :param overlaps_missed: how many passes didn't read the newest record of an earlier pass again.
    :param duplicates: how many records had the id of another record of their list but another content.
    :param tied_deletes: how many deletes had the same time as a living item, so that `poll` skipped them.
    :param sweeps_refused: how many full listings weren't allowed to delete items, because they were implausible or took
        too long to compare.
    """

    pages: int = 0
    records: int = 0
    changes: int = 0
    quarantined: int = 0
    missing: int = 0
    sweeps_refused: int = 0
    lists_doubtful: int = 0
    overlaps_missed: int = 0
    duplicates: int = 0
    tied_deletes: int = 0
