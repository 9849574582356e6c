"""The parts of a history: its settings, which never change, and its steps, which can follow in any order."""

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
"""The kinds of bad row that `poll` quarantines only if the source reads modification times."""


class Setting(NamedTuple):
    """The settings of a history. They never change while it is played.

    shape: the properties of the back office's HTTP interface.
    max_pages: how many pages one poll may read.
    latency_ms: how long the back office takes to respond, in milliseconds.
    max_deletes_percent: the greatest percentage of the items that a sweep may delete.
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
    """A user deletes a row without a trace: later listings leave it out."""

    id: str


class Wait(NamedTuple):
    """Time passes."""

    ms: int


class Fail(NamedTuple):
    """The back office's next response goes wrong."""

    fault: Fault


class Poll(NamedTuple):
    """An invocation of `poll` begins in a slot. If the slot's last invocation hasn't ended, that one continues instead.

    slot: the number of the slot; each slot runs one of the concurrent invocations.
    sweep: whether the event requests a sweep.
    calls: how many calls the invocation makes before it stops; ``None`` if it runs to its end.
    immortal: whether Lambda freezes the sandbox at the deadline instead of killing it.
    """

    slot: int
    sweep: bool
    calls: int | None
    immortal: bool


class Resume(NamedTuple):
    """A stopped invocation makes ``calls`` more calls and stops again; if ``calls`` is ``None``, it runs to its end."""

    slot: int
    calls: int | None


class Kill(NamedTuple):
    """A stopped invocation ends before its next call."""

    slot: int


class FailAwsCall(NamedTuple):
    """The next poll's call number ``nth`` to AWS fails; ``kind`` is a :data:`tests.fakes.sandbox.AwsFault`."""

    kind: str
    nth: int


class RefuseRecords(NamedTuple):
    """Kinesis refuses some of the next records. The n-th record is refused if the n-th entry is ``True``."""

    refused: tuple[bool, ...]


class Deliver(NamedTuple):
    """`apply` receives up to ``number`` records.

    order: ``in order``; ``reversed``; or ``again``, if the first record also goes back to the end of the stream.
    """

    number: int
    order: str


class Rewind(NamedTuple):
    """An operator rewinds the source to ``ms`` milliseconds before now."""

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
