"""Hypothesis strategies that draw random histories of a source.

A history has settings, some rows that exist at the start, and several chapters. A chapter is a few steps that belong
together, such as a write and the poll that reads it.
"""

from itertools import chain
from typing import get_args

from hypothesis import strategies as st

from tests.fakes.back_office import Fault, Shape, Style
from tests.fakes.sandbox import AwsFault
from tests.histories.steps import (
    BAD_ROWS,
    IDS,
    VALUES,
    Delete,
    Deliver,
    Fail,
    FailAwsCall,
    Kill,
    Poll,
    Put,
    PutBadRow,
    RefuseRecords,
    Remove,
    Resume,
    Rewind,
    Setting,
    Step,
    Wait,
)

LATE_MS = 2_000
"""The longest time in milliseconds between the timestamp of a back office's transaction and its commit.

The source's lag (how far before its watermark a pass begins) must exceed the sum of this time, the resolution of the
back office's timestamps and the skew of its clock. With a shorter lag, `poll` could miss a row.
"""

_IDS = st.sampled_from(IDS)
_LATE = st.sampled_from([0, 0, 0, 1, 999, LATE_MS])
_SLOT = st.sampled_from([0, 0, 1])
_CALLS = st.integers(1, 14)

_PUT: st.SearchStrategy[Step] = st.builds(Put, _IDS, st.sampled_from(VALUES), _LATE)
_WRITE: st.SearchStrategy[Step] = st.one_of(
    _PUT,
    _PUT,
    _PUT,
    st.builds(Remove, _IDS, _LATE),
    st.builds(Delete, _IDS),
    st.builds(PutBadRow, _IDS, st.sampled_from(sorted(BAD_ROWS))),
)
_WAIT: st.SearchStrategy[Step] = st.builds(Wait, st.sampled_from([1, 300, 1_000, 6_000, 40_000, 100_000]))
_POLL: st.SearchStrategy[Step] = st.builds(
    Poll, _SLOT, st.booleans(), st.none() | _CALLS, st.sampled_from([False, False, True])
)
_RESUME: st.SearchStrategy[Step] = st.builds(Resume, _SLOT, st.none() | _CALLS)
_KILL: st.SearchStrategy[Step] = st.builds(Kill, _SLOT)
_DELIVER: st.SearchStrategy[Step] = st.builds(
    Deliver, st.sampled_from([1, 3, 100]), st.sampled_from(["in order", "reversed", "again"])
)
_FAIL: st.SearchStrategy[Step] = st.builds(Fail, st.sampled_from(get_args(Fault)))
_AWS_FAULT: st.SearchStrategy[Step] = st.one_of(
    st.builds(FailAwsCall, st.sampled_from(get_args(AwsFault)), st.integers(1, 12)),
    st.builds(RefuseRecords, st.lists(st.booleans(), min_size=1, max_size=4).map(tuple)),
)
_REWIND: st.SearchStrategy[Step] = st.builds(Rewind, st.sampled_from([0, 10_000, 1_000_000]))
_ANY_STEP = st.one_of(_WRITE, _WRITE, _WAIT, _DELIVER, _RESUME, _POLL)


def _chapter(*steps: st.SearchStrategy[Step]) -> st.SearchStrategy[list[Step]]:
    return st.tuples(*steps).map(list)


_CHAPTERS = st.one_of(
    _chapter(_WRITE, _POLL),
    _chapter(_WRITE, _WRITE, _POLL, _WRITE, _RESUME),
    _chapter(_POLL, _WRITE, _RESUME, _WRITE, _RESUME),
    _chapter(_POLL, _ANY_STEP, _POLL, _RESUME),
    _chapter(_POLL, _KILL, _ANY_STEP),
    _chapter(_POLL, _WAIT, _POLL, _DELIVER),
    _chapter(_FAIL, _POLL, _DELIVER),
    _chapter(_FAIL, _FAIL, _POLL, _RESUME),
    _chapter(_AWS_FAULT, _WRITE, _POLL),
    _chapter(_POLL, _DELIVER, _ANY_STEP),
    _chapter(_WRITE, _WAIT, _POLL),
    _chapter(_REWIND, _WRITE, _POLL),
)


def _sound(shape: Shape) -> Shape:
    """Return a copy of a back office's shape. If its timestamps are in seconds, set their resolution to one second."""
    return shape._replace(resolution_ms=1_000) if shape.versions == "unix_s" else shape


_SHAPES = st.builds(
    Shape,
    style=st.sampled_from(get_args(Style)),
    order=st.sampled_from(["modified", "id"]),
    page_size=st.integers(2, 3),
    versions=st.sampled_from(["rfc3339", "unix_ms", "unix_s", None]),
    validator=st.sampled_from([None, "etag", "last_modified"]),
    resolution_ms=st.sampled_from([1, 1_000]),
    skew_ms=st.sampled_from([0, 1_500, -1_500]),
    relative_links=st.booleans(),
    cap=st.none(),
).map(_sound)


def _honest(setting: Setting) -> Setting:
    """Return a copy of the settings that calls listings sorted only if the back office sorts them so."""
    return setting._replace(in_order=setting.in_order and setting.shape.order == "modified")


_SETTINGS = st.builds(
    Setting,
    shape=_SHAPES,
    max_pages=st.sampled_from([100, 1, 3]),
    latency_ms=st.sampled_from([5, 900, 3_000]),
    max_deletes_percent=st.sampled_from([100, 100, 50]),
    in_order=st.booleans(),
).map(_honest)


def _steps(first_rows: list[Step], chapters: list[list[Step]]) -> list[Step]:
    return [*first_rows, *chain.from_iterable(chapters)]


def histories() -> st.SearchStrategy[tuple[Setting, list[Step]]]:
    """Return a strategy that draws the settings and the steps of a history."""
    chapters = st.sampled_from([2, 6, 10]).flatmap(lambda most: st.lists(_CHAPTERS, min_size=most // 2, max_size=most))
    return st.tuples(_SETTINGS, st.builds(_steps, st.lists(_PUT, max_size=8), chapters))
