"""The benchmarks without a back office: cold starts, warm requests, bulk apply, and how bulk apply scales."""

import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks import load
from tests.benchmarks.arithmetic import exponent, interleaved, spread
from tests.benchmarks.processes import FakeProcess, Runner, SampleError
from tests.benchmarks.subjects import OURS, Subject

FUNCTIONS: dict[str, Callable[[], dict[str, Any]]] = {"read": load.get, "write": load.put}
COLD = ("cpu", "wall", "init_cpu", "memory", "modules")
APPLIED = ("wall", "cpu", "fake_cpu", "memory", "calls")

Result = dict[str, Any]


class Extent(NamedTuple):
    """How much a run of the benchmarks measures.

    cold_rounds: how many cold starts of each implementation to measure.
    warm_rounds: how many blocks of warm requests to measure for each implementation.
    warm_requests: how many requests a block has.
    bulk_records: how many changes the log object for bulk apply has.
    growth: the sizes of the log objects that show how bulk apply scales. Each pair holds a number of changes, and how
        many times to apply a log object that has this number of changes.
    """

    cold_rounds: int
    warm_rounds: int
    warm_requests: int
    bulk_records: int
    growth: tuple[tuple[int, int], ...]


FULL = Extent(21, 15, 200, 100_000, ((1_000, 5), (10_000, 3), (100_000, 2), (1_000_000, 1)))
QUICK = Extent(7, 5, 100, 20_000, ((1_000, 3), (5_000, 2), (20_000, 1)))


def progress(text: str) -> None:
    """Print a progress message to standard error, because the tables go to standard output."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Bench:
    """The benchmarks without a back office: cold starts, warm requests, bulk apply, and how bulk apply scales."""

    def __init__(
        self, fake: FakeProcess, runner: Runner, folder: Path, subjects: dict[str, Subject], extent: Extent
    ) -> None:
        self._fake = fake
        self._runner = runner
        self._folder = folder
        self._subjects = subjects
        self._extent = extent

    def cold(self, function: str) -> Result:
        """Measure the cold starts of a function in each implementation.

        In a cold start, a fresh process imports the function's modules, runs its init and serves one request. Times are
        in seconds, and memory is in bytes.
        """
        event = FUNCTIONS[function]()
        samples: dict[str, list[dict[str, Any]]] = {name: [] for name in self._subjects}
        self._fake.do("reset")

        def measure(name: str) -> float:
            sample = self._runner.sample(self._subjects[name], function, event)
            samples[name].append(sample)
            return float(sample["cpu"])

        for name in self._subjects:  # one run that isn't measured, because it fills the disk cache
            self._runner.sample(self._subjects[name], function, event)
        progress(f"cold {function}: {self._extent.cold_rounds} rounds of {len(samples)} fresh processes")
        interleaved(list(samples), self._extent.cold_rounds, measure)
        result: Result = {}
        for name, own_samples in samples.items():
            result[name] = {kind: spread(sample[kind] for sample in own_samples)._asdict() for kind in COLD}
            result[name]["names"] = own_samples[0]["names"] if name == OURS else []
        return result

    def stages(self) -> Result:
        """Measure each step of Readplane's cold start, and how long loading each CA bundle takes.

        All results are medians in CPU seconds.
        """
        result: Result = {}
        progress(f"stages: {self._extent.cold_rounds} cold starts of each function, step by step")
        for function, event in FUNCTIONS.items():
            runs = [
                self._runner.stages(self._subjects[OURS], function, event()) for _ in range(self._extent.cold_rounds)
            ]
            for kind in ("steps", "stores"):
                medians = {name: spread(run[kind][name] for run in runs).median for name in runs[0][kind]}
                result.setdefault(kind, {})[function] = medians
        return result

    def warm(self, function: str) -> Result:
        """Measure the warm requests of a function; return each implementation's CPU seconds per request."""
        servers = {
            name: self._runner.server(subject, function, FUNCTIONS[function]())
            for name, subject in self._subjects.items()
        }
        self._fake.do("reset")
        progress(
            f"warm {function}: {self._extent.warm_rounds} rounds of {self._extent.warm_requests} requests "
            f"of {len(servers)} processes"
        )
        try:
            for server in servers.values():
                server.serve(self._extent.warm_requests)
            samples = interleaved(
                list(servers), self._extent.warm_rounds, lambda name: servers[name].serve(self._extent.warm_requests)
            )
        finally:
            for server in servers.values():
                server.close()
        return {name: {"cpu": spread(own_samples)._asdict()} for name, own_samples in samples.items()}

    def bulk(self, pools: dict[str, Subject], latency_ms: float) -> Result:
        """Measure how fast Readplane and the implementations with a thread pool apply one log object.

        Readplane runs before and after each thread pool. If the machine's speed changes meanwhile, the difference
        between the runs of Readplane shows this.

        :param pools: the implementations with a thread pool, by name.
        :param latency_ms: the delay of every response of the fake AWS server, in milliseconds.
        """
        log = self._log(self._extent.bulk_records)
        subjects = {OURS: self._subjects[OURS], **pools}
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in subjects}
        progress(f"bulk of {log.records} records, {latency_ms:g} ms of latency")
        # Run each thread pool only once, because a run takes minutes. One run is enough, because it makes a call
        # for each item, and the random delays of so many calls average out.
        for name in [OURS, *(turn for pool in pools for turn in (pool, OURS))]:
            run = self._apply(subjects[name], log, latency_ms)
            progress(f"  {subjects[name].label}: {run['wall']:.1f} s, {run['calls']:.0f} calls")
            runs[name].append(run)
        rows = {
            name: {kind: spread(run[kind] for run in own_runs)._asdict() for kind in APPLIED}
            for name, own_runs in runs.items()
        }
        return {"records": log.records, "winners": log.winners, "latency_ms": latency_ms, "rows": rows}

    def growth(self) -> Result:
        """Measure how the time and the memory of Readplane's bulk apply grow with the number of changes.

        The time excludes the init of `apply`, which runs before the first event.
        """
        points = []
        for records, times in self._extent.growth:
            log = self._log(records)
            progress(f"growth: {records} records, {times} times")
            runs = [self._apply(self._subjects[OURS], log, 0) for _ in range(times)]
            medians = {kind: spread(run[kind] for run in runs).median for kind in APPLIED}
            points.append({"records": records, **medians})
        return {
            "points": points,
            "exponent": exponent([(point["records"], point["wall"]) for point in points]),
            "memory_ratio": points[-1]["memory"] / points[-2]["memory"],
        }

    @functools.cache  # noqa: B019 (the cache keeps each Bench alive, but a process makes only one)
    def _log(self, records: int) -> load.Log:
        progress(f"writing a log object of {records} records")
        return load.write_log(self._folder, records)

    def _apply(self, subject: Subject, log: load.Log, latency_ms: float) -> dict[str, float]:
        before = self._fake.do("reset", latency_ms=latency_ms)["cpu"]
        sample = self._runner.sample(subject, "apply", load.notification(log))
        after = self._fake.do("counts")["cpu"]
        reply = self._fake.do("state")
        table = (reply["state"]["items"], reply["state"]["sum"])
        if sample["response"] != {"batchItemFailures": []} or table != (log.winners, log.sum):
            raise SampleError(f"{subject.label} left a wrong table: {sample['response']}, {reply}")
        counts = reply["counts"]
        calls = sum(counts.get(name, 0) for name in ("GetItem", "PutItem", "BatchGetItem", "BatchExecuteStatement"))
        seconds = {kind: sample[kind] - sample[f"init_{kind}"] for kind in ("wall", "cpu")}
        return {**seconds, "fake_cpu": after - before, "memory": sample["memory"], "calls": calls}
