"""Decides the status of a change from the version of its item and from its quarantine marker."""

from typing import Literal, NamedTuple

from ..model.version import MAX_AHEAD_MS, is_minimal, time_ms

_MAX_FUTURE_MS = 2 * MAX_AHEAD_MS
"""How far the time in the id of an accepted change may lie in the future, in milliseconds. `write` stamps a change at
most a millisecond later than ``MAX_AHEAD_MS`` ahead of its own clock, which may be ahead of the clock of `read`."""

ChangeOutcome = Literal["applied", "superseded", "quarantined", "pending"]


class Status(NamedTuple):
    """The response to a client that asks for the status of a change.

    :param status: what became of the change.
    :param reason: why a quarantined change couldn't be applied; otherwise ``None``.
    """

    status: ChangeOutcome
    reason: str | None = None


def status_of(
    change_id: str, version: str | None, quarantined: str | None, now_ms: int, pending_ms: int
) -> Status | None:
    """Return the status of a change, or ``None`` if `write` can't have accepted a change with this id.

    Check the conditions from top to bottom. The first one that is met decides the status:

    ==================================================  ===============
    condition                                           status
    ==================================================  ===============
    the item's version equals ``change_id``             ``applied``
    the change has a quarantine marker                  ``quarantined``
    the item's version is greater than ``change_id``    ``superseded``
    the time in ``change_id`` is 0                      ``pending``
    the change is at most ``pending_ms`` old            ``pending``
    none of these conditions is met                     ``None``
    ==================================================  ===============

    A change that was quarantined and then redriven doesn't stay ``quarantined``. Either the item's version now equals
    ``change_id``, or the quarantine marker was deleted.

    The time in the id of a keyed POST is 0, so nothing says how old the change is.

    :param version: the item's version; ``None`` if the item doesn't exist.
    :param quarantined: the reason in the change's quarantine marker; ``None`` if the change has no marker.
    :param pending_ms: the maximum time in milliseconds until an accepted change is applied or quarantined. If an older
        change has no marker, and its item doesn't exist or has a smaller version, the change was never accepted.
    """
    if version == change_id:
        return Status("applied")
    if quarantined is not None:
        return Status("quarantined", quarantined)
    if version is not None and version > change_id:
        return Status("superseded")
    if is_minimal(change_id) or -_MAX_FUTURE_MS <= now_ms - time_ms(change_id) <= pending_ms:
        return Status("pending")
    return None
