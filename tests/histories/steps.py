"""The parts of a simulated history of a source: its settings and its steps.

The settings stay the same during the history. The steps can follow each other in any order.
"""

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
"""The rows that `poll` must quarantine. The key says what is wrong with the row.

The simulation replaces ``ID`` with the row's id, and ``MODIFIED`` with the row's modification time.
"""

BAD_TIMES = ("no time", "future")
"""The keys of :data:`BAD_ROWS` whose rows `poll` quarantines only if the source reads modification times."""


class Setting(NamedTuple):
    """The settings of a history. They stay the same during the history.

    shape: the properties of the back office's HTTP interface.
    max_pages: how many pages one poll may read.
    latency_ms: how long the back office takes to respond, in milliseconds.
    in_order: whether the source's settings say that the back office sorts its listings by modification time.
    max_deletes_percent: the greatest percentage of the items that a sweep may delete.
    """

    shape: Shape = Shape()
    max_pages: int = 100
    latency_ms: int = 5
    max_deletes_percent: int = 100
    in_order: bool = False


class Put(NamedTuple):
    """A step: a back-office user inserts or updates a row, in a transaction that began ``late_ms`` milliseconds ago."""

    id: str
    value: str
    late_ms: int


class PutBadRow(NamedTuple):
    """A step: a back-office user writes a row that `poll` must quarantine. ``kind`` is a key of :data:`BAD_ROWS`."""

    id: str
    kind: str


class Remove(NamedTuple):
    """A step: a back-office user marks a row as removed, in a transaction that began ``late_ms`` milliseconds ago."""

    id: str
    late_ms: int


class Delete(NamedTuple):
    """A step: a back-office user deletes a row without a trace. Later listings don't contain the row."""

    id: str


class Wait(NamedTuple):
    """A step: ``ms`` milliseconds pass."""

    ms: int


class Fail(NamedTuple):
    """A step: add a fault to the end of a queue. Each response of the back office takes the queue's first fault."""

    fault: Fault


class Poll(NamedTuple):
    """A step: a new invocation of `poll` begins in a slot. A slot runs one invocation at a time.

    If the slot's previous invocation hasn't ended, that invocation continues, and no new one begins.

    slot: the number of the slot. Invocations in different slots are concurrent.
    sweep: whether the event of the new invocation requests a sweep.
    calls: how many calls the slot's invocation makes before it stops; ``None`` if it runs to its end.
    immortal: whether Lambda freezes the sandbox at the deadline instead of killing it. Then the invocation can continue
        after its deadline.
    """

    slot: int
    sweep: bool
    calls: int | None
    immortal: bool


class Resume(NamedTuple):
    """A step: the stopped invocation in a slot makes ``calls`` more calls and stops again.

    If ``calls`` is ``None``, the invocation runs to its end.
    """

    slot: int
    calls: int | None


class Kill(NamedTuple):
    """A step: Lambda kills the stopped invocation in a slot before its next call."""

    slot: int


class FailAwsCall(NamedTuple):
    """A step: the ``nth`` call to AWS fails in the next new invocation of `poll`.

    ``kind`` says how the call fails. It is a :data:`tests.fakes.sandbox.AwsFault`.
    """

    kind: str
    nth: int


class RefuseRecords(NamedTuple):
    """A step: Kinesis refuses some of the records that `poll` next puts into the change stream.

    Kinesis refuses the n-th record if the n-th entry of ``refused`` is ``True``.
    """

    refused: tuple[bool, ...]


class Deliver(NamedTuple):
    """A step: `apply` receives up to ``number`` records of the change stream in one batch.

    order: ``in order`` or ``reversed`` for the order of the records in the batch. ``again`` keeps their order and also
        puts the first record back at the end of the stream, so that `apply` receives it twice.
    """

    number: int
    order: str


class Rewind(NamedTuple):
    """A step: an operator rewinds the source, so `poll` reads the changes of the last ``ms`` milliseconds again."""

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
