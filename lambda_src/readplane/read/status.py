"""What became of a change, told from its item's version and its quarantine marker."""

from typing import Literal, NamedTuple

from ..model.version import MAX_AHEAD_MS, time_ms

ChangeOutcome = Literal["applied", "superseded", "quarantined", "pending"]


class Status(NamedTuple):
    """The answer of the status route; ``reason`` is set for a quarantined change."""

    status: ChangeOutcome
    reason: str | None = None


def status_of(
    change_id: str, version: str | None, quarantined: str | None, now_ms: int, pending_ms: int
) -> Status | None:
    """Tell one change's outcome; ``None`` when nobody knows it (any more).

    :param version: the item's version, ``None`` without an item.
    :param quarantined: the reason in the change's quarantine marker, if it has one. A change that was redriven since is
        the item's version, or its marker is gone.
    :param pending_ms: how long a change may be on its way before an unknown one counts as never accepted.
    """
    if version == change_id:
        return Status("applied")
    if quarantined is not None:
        return Status("quarantined", quarantined)
    if version is not None and version > change_id:
        return Status("superseded")
    if -MAX_AHEAD_MS <= now_ms - time_ms(change_id) <= pending_ms:
        return Status("pending")
    return None
