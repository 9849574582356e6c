"""Catching up: a back office with so many changes that one invocation of ``poll`` isn't enough for them."""

import functools
import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.arithmetic import exponent, spread
from tests.benchmarks.load import mark
from tests.benchmarks.measure import progress
from tests.benchmarks.poll.back_office import item_id, modified_ms
from tests.benchmarks.poll.plant import BackOffice, Function, Stream
from tests.benchmarks.processes import FakeProcess, Runner, SampleFailed
from tests.benchmarks.subjects import OURS, POLL, Subject

ROW_BYTES = 1024
PAGE = 500
SECONDS = 60
"""How long an invocation may take, as Terraform's default has it."""

Result = dict[str, Any]


class Extent(NamedTuple):
    """How much is caught up with."""

    steps: tuple[tuple[int, int], ...]
    """Numbers of changes, and how often each is caught up with."""
    max_pages: int
    """Pages that one invocation may take: the last step needs several."""


FULL = Extent(((1_000, 3), (10_000, 2), (100_000, 1)), max_pages=40)
QUICK = Extent(((1_000, 2), (4_000, 2), (16_000, 1)), max_pages=8)


class CatchUp:
    """``poll`` and then ``apply`` over all the changes there are."""

    def __init__(self, fake: FakeProcess, runner: Runner, folder: Path, subjects: dict[str, Subject]) -> None:
        self._fake = fake
        self._runner = runner
        self._file = folder / "shard.json"
        self._subjects = subjects

    def run(self, extent: Extent) -> Result:
        """All steps, the exponents of their times, and the last one's memory against that of the one before."""
        runs: dict[int, list[dict[str, float]]] = {}
        for turn in range(max(times for _, times in extent.steps)):
            # There and back again: a machine that gets slower meanwhile makes no curve of a straight line.
            for changes, times in extent.steps if turn % 2 == 0 else reversed(extent.steps):
                if turn < times:
                    progress(f"catch-up: {changes} changes")
                    runs.setdefault(changes, []).append(self._step(changes, extent.max_pages))
        points = [
            {name: spread(run[name] for run in some).median for name in some[0]} for _, some in sorted(runs.items())
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
            told = self._poll(office, changes, max_pages)
            stream = Stream(self._fake, apply, self._file)
            seconds = 0.0
            while (handed := stream.hand_on())[0]:
                seconds += handed[1]
        state = self._fake.do("state")["state"]
        if state["items"] != changes or state["stamps"] != stamps(changes):
            raise SampleFailed(f"after catching up with {changes} changes the table isn't what it must be: {state}")
        return {**told, "changes": changes, "apply": seconds}

    def _poll(self, office: BackOffice, changes: int, max_pages: int) -> dict[str, float]:
        """Invoke ``poll`` until it has all. Its second half is a process of its own: what it knows, it knows from its
        checkpoint."""
        event = {"source": office.source(max_pages=max_pages), "sweep": False}
        taken = invocations = 0
        wall = cpu = memory = 0.0
        unfinished = True
        for until in (changes / 2, math.inf):
            if not unfinished:
                break  # few changes need no second process
            with Function(self._runner, self._subjects[POLL], "poll") as poll:
                while unfinished and taken < until:
                    found = poll.invoke(SECONDS, event=event)
                    answer = found["answer"]
                    if answer["outcome"] not in ("completed", "unfinished") or not answer["changes"]:
                        raise SampleFailed(f"poll, invocation {invocations + 1}: {answer}")
                    unfinished = answer["outcome"] == "unfinished"
                    invocations += 1
                    taken += answer["changes"]
                    wall, cpu, memory = wall + found["wall"], cpu + found["cpu"], max(memory, found["memory"])
        return {"poll": wall, "poll_cpu": cpu, "memory": memory, "invocations": invocations}


@functools.cache
def stamps(changes: int) -> int:
    """What the sum of the items' times must be."""
    texts = (f"{modified_ms(number):012x}" for number in range(changes))
    return sum(mark(f"item/products/{item_id(number)}", f"{text[:8]}-{text[8:]}") for number, text in enumerate(texts))
