"""The outage: the read model and a straightforward proxy side by side while the back office stalls, fails and recovers.

Both answer the same clients through the same HTTP front end in the same run. The read model is fed as on AWS: ``poll``
on its schedule, the change stream, ``apply``.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tests.benchmarks.arithmetic import percentile
from tests.benchmarks.measure import progress
from tests.benchmarks.poll.back_office import item_id
from tests.benchmarks.poll.clients import Plan, Sample
from tests.benchmarks.poll.phases import Phases
from tests.benchmarks.poll.plant import BackOffice, Function, Steps, Stream
from tests.benchmarks.processes import FakeProcess, Runner, SampleFailed, Told
from tests.benchmarks.subjects import OURS, POLL, PROXY, Subject

ROWS = 1_000
ROW_BYTES = 600
PAGE = 500
STREAM_PAUSE = 1.0
"""Seconds until Lambda looks again at a shard that had nothing."""
RATE = 200.0
CLIENTS = 50
THINK = 0.230
"""Seconds: with an answer of 20 ms, each of the clients asks four times a second, and all of them as often as in the
open loop."""


class Extent(NamedTuple):
    """How long it takes. EventBridge has no interval below a minute, which would only make the run longer."""

    phases: Phases
    interval: float
    """Seconds between two polls."""
    timeout: float
    """Seconds that a poll waits for an answer."""

    @property
    def bound(self) -> float:
        """Seconds: no older may data be, once the back office has been up for as long."""
        return self.interval + self.timeout


FULL = Extent(Phases(calm=5, stalling=30, down=30, recovered=15), interval=3, timeout=5)
QUICK = Extent(Phases(calm=1, stalling=6, down=8, recovered=8), interval=2, timeout=3)
EDGE = 1.0
"""Seconds: what is asked so shortly after the outage's begin or before its end may meet a back office that is up."""
LOOPS = ("open", "closed")
ATTEMPTS = 3
"""A loop is measured at most, on a machine that has other things to do."""

Result = dict[str, Any]
T = TypeVar("T")


class Outage:
    """One back office, the two front ends and what feeds the read model, all in processes of their own."""

    def __init__(
        self,
        stack: ExitStack,
        fake: FakeProcess,
        runner: Runner,
        folder: Path,
        subjects: dict[str, Subject],
        extent: Extent,
    ) -> None:
        """Set up everything, until ``stack`` is closed.

        :param subjects: :data:`OURS`, :data:`PROXY` and :data:`POLL`.
        """
        fake.do("reset", whole=True)
        self._fake = fake
        self._folder = folder
        self._extent = extent
        self._office = stack.enter_context(BackOffice(ROWS, ROW_BYTES, PAGE, slow=True))
        address = f"http://127.0.0.1:{self._office.port}"
        self._ports: dict[str, int] = {}
        for name in (OURS, PROXY):
            host = stack.enter_context(Function(runner, subjects[name], "read", http=True, BACK_OFFICE=address))
            self._ports[name] = host.told["port"]
        self._poll = stack.enter_context(Function(runner, subjects[POLL], "poll"))
        apply = stack.enter_context(Function(runner, subjects[OURS], "apply"))
        self._stream = Stream(fake, apply, folder / "shard.json")
        self._event = {"source": source_of(self._office, extent), "sweep": False}

    def fill(self) -> None:
        """Have the read model filled by a first poll, and prove that both answer alike.

        :raises SampleFailed: where it isn't filled, or they don't.
        """
        answer = self._poll.invoke(60, event=self._event)["answer"]
        while self._stream.hand_on()[0]:
            pass
        items = self._fake.do("state")["state"]["items"]
        if answer["outcome"] != "completed" or items != ROWS + 1:
            raise SampleFailed(f"the first poll made {items} items of {ROWS + 1}: {answer}")
        check_answers(self._ports)

    def loop(self, name: str) -> Result:
        """One loop through all phases; once more where it misses its goal: six of 6,000 reads decide on p99.9."""
        for attempt in range(1, ATTEMPTS + 1):
            progress(f"outage, {name} loop: {self._extent.phases.seconds:.0f} s")
            told = self._once(name)
            late = max(target["late"] for target in told["targets"].values())
            allowed = told["targets"][PROXY]["all"]["p99.9"] / 100
            told["attempts"] = attempt
            told["hidden"] = told["ratio"] > 0.01 and late >= allowed / 2
            if told["ratio"] <= 0.01:
                break
            progress(f"  the clients themselves were {late * 1e3:.0f} ms late, of {allowed * 1e3:.0f} that are allowed")
        return told

    def _once(self, name: str) -> Result:
        phases, polls = self._extent.phases, list[tuple[float, str]]()
        start = time.monotonic() + 1
        self._office.do("begin", phases=phases, start=start)
        with Steps(partial(self._schedule, start, polls), self._follow):
            samples = self._clients(name, start)
            calls = self._office.do("counts")["counts"].get("changes", 0)
        # A refused connection is a call that the back office can't count.
        calls += sum(phases.down_at <= at < phases.hangs_at for at, _ in polls)
        return found(samples, self._extent, calls) | {"polls": Counter(outcome for _, outcome in polls)}

    def _schedule(self, start: float, polls: list[tuple[float, str]], stop: threading.Event) -> None:
        """Poll at every interval; while one is still at it, the schedule's next does nothing, so it isn't begun."""
        due, interval = start, self._extent.interval
        while not stop.wait(max(0.0, due - time.monotonic())):
            at = time.monotonic() - start
            polls.append((at, self._poll.invoke(60, event=self._event)["answer"]["outcome"]))
            due += interval * (1 + int((time.monotonic() - due) / interval))

    def _follow(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if not self._stream.hand_on()[0]:
                stop.wait(STREAM_PAUSE)

    def _clients(self, loop: str, start: float) -> dict[str, list[Sample]]:
        rate, clients = (RATE, 0) if loop == "open" else (0.0, CLIENTS)
        samples: dict[str, list[Sample]] = {}
        with ExitStack() as stack:
            running: dict[str, tuple[Told, Path]] = {}
            for name, port in self._ports.items():
                out = self._folder / f"{name}-samples.json"
                plan = json.dumps(Plan(port, start, self._extent.phases.seconds, ROWS, rate, clients, THINK)._asdict())
                running[name] = stack.enter_context(Told("tests.benchmarks.poll.clients", plan, str(out))), out
            for name, (process, out) in running.items():
                process.line()
                samples[name] = [Sample(*row) for row in json.loads(out.read_text())]
        return samples


def measure(fake: FakeProcess, runner: Runner, folder: Path, subjects: dict[str, Subject], extent: Extent) -> Result:
    """Both loops, one after the other; see :class:`Outage`."""
    with ExitStack() as stack:
        outage = Outage(stack, fake, runner, folder, subjects, extent)
        outage.fill()
        loops = {name: outage.loop(name) for name in LOOPS}
    return {**extent._asdict(), "bound": extent.bound, "loops": loops}


def source_of(office: BackOffice, extent: Extent) -> dict[str, Any]:
    """The source's settings: a poll that fails leaves it to the next one to try again."""
    return office.source(
        timeout_seconds=extent.timeout, attempts=1, breaker={"failures": 5, "cooldown_seconds": extent.interval - 1}
    )


def check_answers(ports: dict[str, int]) -> None:
    """Prove that both give the same item: its data and what names it, digit for digit.

    :raises SampleFailed: where they differ.
    """
    for name in (item_id(0), item_id(ROWS - 1)):
        told = {subject: _item(port, name) for subject, port in ports.items()}
        kept = [{member: item.get(member) for member in ("id", "collection", "data")} for item in told.values()]
        if kept[0] != kept[1] or kept[0]["id"] != name:
            raise SampleFailed(f"read model and proxy answer differently: {told}")


def _item(port: int, name: str) -> dict[str, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", f"/items/products/{name}")
        answer = connection.getresponse()
        item: dict[str, Any] = json.loads(answer.read(), parse_float=str) if answer.status == HTTPStatus.OK else {}
    finally:
        connection.close()
    return item


def found(samples: dict[str, list[Sample]], extent: Extent, calls: int) -> Result:
    """What a loop's samples say.

    :param calls: how often ``poll`` called the back office, or tried to.
    """
    ages = [(sample.at + sample.took, sample.age) for sample in samples[OURS] if sample.age is not None]
    phases = extent.phases
    after = [age for at, age in ages if at >= phases.up_at + extent.bound]
    fresh = [at - phases.up_at for at, age in ages if at >= phases.up_at and age <= extent.bound]
    if not after or not fresh:
        raise SampleFailed("no good answer told its age after the recovery")
    targets = {name: _summary(told, phases) for name, told in samples.items()}
    return {
        "targets": targets,
        "ratio": targets[OURS]["all"]["p99.9"] / targets[PROXY]["all"]["p99.9"],
        "calls": calls,
        "calls_per_read": calls / len(samples[OURS]),
        "age_after": max(after),
        "fresh_again": fresh[0],
        "ages": [[second, round(max(age for _, age in some), 2)] for second, some in _by_second(ages)],
    }


def _summary(samples: Sequence[Sample], phases: Phases) -> Result:
    outage = [sample.good for sample in samples if phases.down_at + EDGE <= sample.at < phases.up_at - EDGE]
    in_phase = {name: [sample for sample in samples if phases.at(sample.at) == name] for name in phases._fields}
    curve = []
    for second, some in _by_second((sample.at, sample) for sample in samples):
        took = [sample.took for _, sample in some]
        bad = sum(not sample.good for _, sample in some)
        curve.append([second, *(round(value, 4) for value in (percentile(took, 50), max(took))), bad])
    return {
        "requests": len(samples),
        "all": _percentiles(samples),
        "phases": {name: _percentiles(some) for name, some in in_phase.items()},
        "good_while_down": sum(outage) / len(outage),
        "late": percentile((sample.late for sample in samples), 99.9),
        "curve": curve,
    }


def _percentiles(samples: Sequence[Sample]) -> Result:
    took = [sample.took for sample in samples]
    told = {f"p{percent:g}": percentile(took, percent) for percent in (50, 99, 99.9, 100)}
    return {**told, "requests": len(samples), "good": sum(sample.good for sample in samples) / len(samples)}


def _by_second(timed: Iterable[tuple[float, T]]) -> list[tuple[int, list[tuple[float, T]]]]:
    seconds: dict[int, list[tuple[float, T]]] = {}
    for entry in timed:
        seconds.setdefault(int(entry[0]), []).append(entry)
    return sorted(seconds.items())
