"""The status of a change, decided from its item's version and its quarantine marker."""

from typing import Literal, NamedTuple

from ..model.version import MAX_AHEAD_MS, time_ms

ChangeOutcome = Literal["applied", "superseded", "quarantined", "pending"]


class Status(NamedTuple):
    """The response of the status route.

    :param status: what became of the change.
    :param reason: why a quarantined change couldn't be applied; otherwise ``None``.
    """

    status: ChangeOutcome
    reason: str | None = None


def status_of(
    change_id: str, version: str | None, quarantined: str | None, now_ms: int, pending_ms: int
) -> Status | None:
    """Decide what became of a change.

    The first row that matches decides:

    ==================================================  ===============
    condition                                           status
    ==================================================  ===============
    the item's version is the change                    ``applied``
    the change has a quarantine marker                  ``quarantined``
    the item's version is greater than the change       ``superseded``
    the change is recent enough to be still on its way  ``pending``
    none of these                                       ``None``
    ==================================================  ===============

    A change that was quarantined and then redriven doesn't stay ``quarantined``. Either it is the item's version, or
    its marker was deleted.

    :param version: the item's version; ``None`` if there is no item.
    :param quarantined: the reason in the change's quarantine marker; ``None`` if it has no marker.
    :param pending_ms: how long a change may be on its way, in milliseconds. An older change that isn't found was never
        accepted.
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
