"""Parses the event of an invocation of `poll`.

An event only names sources. `poll` takes the settings of a source from its own configuration, never from an event.
Otherwise, anybody who may invoke `poll` could send the secret of a source to a host of their own.
"""

from typing import Any, NamedTuple

from .errors import EventError

MAX_KEYS = 1000
"""The maximum number of quarantine entries that one event may redrive."""


class PollEvent(NamedTuple):
    """Poll a source.

    source: the source's name.
    sweep: whether to request a sweep first.
    """

    source: str
    sweep: bool


class FreshnessEvent(NamedTuple):
    """Measure the staleness of every source."""


class RedriveEvent(NamedTuple):
    """Translate quarantined records again, and send their changes.

    source: the name of the records' source.
    keys: the keys of the quarantine entries.
    """

    source: str
    keys: list[str]


def parse_event(event: object) -> PollEvent | FreshnessEvent | RedriveEvent:
    """Parse an event.

    ==========================================  ===================
    event                                       result
    ==========================================  ===================
    ``{"source": "a", "sweep": false}``         ``PollEvent``
    ``{"source": "a"}``                         ``PollEvent``, without a sweep
    ``{"freshness": true}``                     ``FreshnessEvent``
    ``{"redrive": {"source": "a", "keys": […]}}``  ``RedriveEvent``
    anything else                               :class:`EventError`
    ==========================================  ===================

    (:class:`readplane.entrypoint.Entrypoint` serves the event ``{"check": true}`` itself.)

    :raises EventError: if `poll` doesn't serve the event.
    """
    members = _object(event, "the event")
    match sorted(members):
        case ["source"] | ["source", "sweep"]:
            return PollEvent(_text(members["source"], "source"), _boolean(members.get("sweep", False), "sweep"))
        case ["freshness"]:
            if members["freshness"] is not True:
                raise EventError("freshness must be true; `poll` knows its sources")
            return FreshnessEvent()
        case ["redrive"]:
            return _redrive(_object(members["redrive"], "redrive"))
    raise EventError("it must be {source, sweep}, {freshness} or {redrive}, and have no other members")


def _redrive(members: dict[str, Any]) -> RedriveEvent:
    if sorted(members) != ["keys", "source"]:
        raise EventError("redrive must have the members source and keys, and no others")
    keys = members["keys"]
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or len(keys) > MAX_KEYS:
        raise EventError(f"redrive.keys must be a list of at most {MAX_KEYS} strings")
    return RedriveEvent(_text(members["source"], "redrive.source"), keys)


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise EventError(f"{name} must be an object")
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise EventError(f"{name} must be the name of a source; its settings come from Terraform, not from an event")
    return value


def _boolean(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise EventError(f"{name} must be true or false")
    return value
