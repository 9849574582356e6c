"""What a history is made of: the settings that last through it, and the steps that can follow one another."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from tests.fakes.back_office import Fault, Shape

IDS = ("a", "b", "c", "d", "e")
VALUES = ('{"n":1}', '{"n":1.0}', '{"n":2}', '{"n":3,"of":"\\u00e9"}')

BAD_ROWS: Mapping[str, str] = MappingProxyType(
    {
        "invalid": '{"id":"ID","modified":MODIFIED,"removed":false,"value":{"n":"many"}}',
        "no object": '{"id":"ID","modified":MODIFIED,"removed":false,"value":[1]}',
        "no id": '{"id":null,"modified":MODIFIED,"removed":false,"value":{"n":1,"of":"ID"}}',
        "no time": '{"id":"ID","modified":"yesterday","removed":false,"value":{"n":1}}',
        "future": '{"id":"ID","modified":"2199-01-01T00:00:00Z","removed":false,"value":{"n":1}}',
    }
)
"""The rows that `poll` must quarantine, by what is wrong with them."""

BAD_TIMES = ("no time", "future")
"""The bad rows that are bad only if the source reads modification times."""


class Setting(NamedTuple):
    """What stays the same through a history.

    shape: the back office's interface.
    max_pages: the pages that one poll may read.
    latency_ms: the time that the back office takes for a response.
    max_deletes_percent: the share of the items that a sweep may delete.
    """

    shape: Shape = Shape()
    max_pages: int = 100
    latency_ms: int = 5
    max_deletes_percent: int = 100


class Put(NamedTuple):
    """A user inserts or updates a row, in a transaction that began ``late_ms`` ago."""

    id: str
    value: str
    late_ms: int


class PutBadRow(NamedTuple):
    """A user writes a row that `poll` must quarantine; ``kind`` is a key of :data:`BAD_ROWS`."""

    id: str
    kind: str


class Remove(NamedTuple):
    """A user marks a row as removed, in a transaction that began ``late_ms`` ago."""

    id: str
    late_ms: int


class Delete(NamedTuple):
    """A user deletes a row without a trace."""

    id: str


class Wait(NamedTuple):
    """Time passes."""

    ms: int


class Fail(NamedTuple):
    """The back office's next response goes wrong."""

    fault: Fault


class Poll(NamedTuple):
    """An invocation of `poll` begins, or goes on if one runs in this slot already.

    slot: which of the concurrent invocations.
    sweep: whether the event asks for a sweep.
    calls: how many calls it makes before it stops; ``None``: it runs to its end.
    immortal: whether Lambda freezes the sandbox at the end of its time instead of killing it.
    """

    slot: int
    sweep: bool
    calls: int | None
    immortal: bool


class Resume(NamedTuple):
    """A stopped invocation makes more calls; ``None``: it runs to its end."""

    slot: int
    calls: int | None


class Kill(NamedTuple):
    """A stopped invocation ends before its next call."""

    slot: int


class FailAwsCall(NamedTuple):
    """The n-th call to AWS of the next poll goes wrong; see :data:`tests.fakes.sandbox.AwsFault`."""

    kind: str
    nth: int


class RefuseRecords(NamedTuple):
    """Kinesis refuses some of the next records: those at the positions that are ``True``."""

    refused: tuple[bool, ...]


class Deliver(NamedTuple):
    """`apply` receives up to ``number`` records.

    order: ``in order``, ``reversed``, or ``again`` if the first record stays in the stream for another delivery.
    """

    number: int
    order: str


class Rewind(NamedTuple):
    """An operator rewinds the source by this much."""

    ms: int


Step = (
    Put
    | PutBadRow
    | Remove
    | Delete
    | Wait
    | Fail
    | Poll
    | Resume
    | Kill
    | FailAwsCall
    | RefuseRecords
    | Deliver
    | Rewind
)
