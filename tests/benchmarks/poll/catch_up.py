"""The catch-up benchmark: a back office has so many changes that `poll` needs several invocations to read them all."""

import functools
import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.arithmetic import exponent, spread
from tests.benchmarks.load import mark
from tests.benchmarks.measure import progress
from tests.benchmarks.poll.back_office import item_id, modified_ms
from tests.benchmarks.poll.plant import BackOffice, Function, Poll, Stream
from tests.benchmarks.processes import FakeProcess, Runner, SampleError
from tests.benchmarks.subjects import OURS, POLL, Subject

ROW_BYTES = 1024
PAGE = 500
SECONDS = 60
"""The time limit of an invocation of `poll`, in seconds. It equals the default in the Terraform module."""

Result = dict[str, Any]


class Extent(NamedTuple):
    """How much the catch-up benchmark measures.

    steps: the steps of the benchmark. Each pair holds a number of changes, and how many times to measure it.
    max_pages: the greatest number of pages that one invocation of `poll` may read. It is so small that the last step
        needs several invocations.
    """

    steps: tuple[tuple[int, int], ...]
    max_pages: int


FULL = Extent(((1_000, 3), (10_000, 2), (100_000, 1)), max_pages=40)
QUICK = Extent(((1_000, 2), (4_000, 2), (16_000, 1)), max_pages=8)


class CatchUp:
    """Measures how fast `poll` reads all changes of a back office, and then how fast `apply` applies them."""

    def __init__(self, fake: FakeProcess, runner: Runner, folder: Path, subjects: dict[str, Subject]) -> None:
        self._fake = fake
        self._runner = runner
        self._folder = folder
        self._file = folder / "shard.json"
        self._subjects = subjects

    def run(self, extent: Extent) -> Result:
        """Measure how `poll` and `apply` catch up with each number of changes in ``extent``.

        :returns: the medians for each number of changes; the growth exponents of the times that `poll` and `apply`
            take; and the peak memory of `poll` in the last step divided by that in the step before.
        """
        runs: dict[int, list[dict[str, float]]] = {}
        for turn in range(max(times for _, times in extent.steps)):
            # Reverse the order in every other turn. Otherwise the step with the most changes would always run last, and
            # a machine that becomes slower during a turn would increase the growth exponent.
            for changes, times in extent.steps if turn % 2 == 0 else reversed(extent.steps):
                if turn < times:
                    progress(f"catch-up: {changes} changes")
                    runs.setdefault(changes, []).append(self._step(changes, extent.max_pages))
        points = [
            {name: spread(run[name] for run in own_runs).median for name in own_runs[0]}
            for _, own_runs in sorted(runs.items())
        ]
        exponents = {
            name: exponent([(point["changes"], point[name]) for point in points]) for name in ("poll", "apply")
        }
        ratio = points[-1]["memory"] / points[-2]["memory"]
        return {"points": points, "exponents": exponents, "memory_ratio": ratio}

    def _step(self, changes: int, max_pages: int) -> dict[str, float]:
        self._fake.do("reset")
        with ExitStack() as stack:
            office = stack.enter_context(BackOffice(changes, ROW_BYTES, PAGE))
            apply = stack.enter_context(Function(self._runner, self._subjects[OURS], "apply"))
            polled = self._poll(office, changes, max_pages)
            stream = Stream(self._fake, apply, self._file)
            seconds = 0.0
            while (delivered := stream.deliver())[0]:
                seconds += delivered[1]
        state = self._fake.do("state")["state"]
        if state["items"] != changes or state["stamps"] != stamps(changes):
            raise SampleError(f"Catching up with {changes} changes left a wrong table: {state}")
        return {**polled, "changes": changes, "apply": seconds}

    def _poll(self, office: BackOffice, changes: int, max_pages: int) -> dict[str, float]:
        """Invoke `poll` until it has read all changes.

        After half of the changes, a new process of `poll` replaces the first one. So `poll` can continue only from its
        stored checkpoint, not from its memory.
        """
        source = office.source(max_pages=max_pages)
        read = invocations = 0
        wall = cpu = memory = 0.0
        unfinished = True
        for until in (changes / 2, math.inf):
            if not unfinished:
                break  # the first process has read all changes
            with Poll(self._runner, self._subjects[POLL], self._folder, source) as poll:
                while unfinished and read < until:
                    reply = poll.invoke(poll.event, SECONDS)
                    report = reply["response"]
                    if report["outcome"] not in ("completed", "unfinished") or not report["changes"]:
                        raise SampleError(f"poll, invocation {invocations + 1}: {report}")
                    unfinished = report["outcome"] == "unfinished"
                    invocations += 1
                    read += report["changes"]
                    wall, cpu, memory = wall + reply["wall"], cpu + reply["cpu"], max(memory, reply["memory"])
        return {"poll": wall, "poll_cpu": cpu, "memory": memory, "invocations": invocations}


@functools.cache
def stamps(changes: int) -> int:
    """Return the checksum that the items table must have once `apply` has applied all changes.

    The checksum covers each item's key, and the timestamp in its version.
    """
    texts = (f"{modified_ms(number):012x}" for number in range(changes))
    return sum(mark(f"item/products/{item_id(number)}", f"{text[:8]}-{text[8:]}") for number, text in enumerate(texts))
