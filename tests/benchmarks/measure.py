"""The measurements without a back office: cold starts, warm requests, bulk apply and its growth, in turns."""

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
    """How much a run measures.

    cold_rounds: the rounds of cold starts.
    warm_rounds, warm_requests: the rounds of warm requests, and the requests of a round.
    bulk_records: the records of the bulk.
    growth: the numbers of records, each with how often to apply them.
    """

    cold_rounds: int
    warm_rounds: int
    warm_requests: int
    bulk_records: int
    growth: tuple[tuple[int, int], ...]


FULL = Extent(21, 15, 200, 100_000, ((1_000, 5), (10_000, 3), (100_000, 2), (1_000_000, 1)))
QUICK = Extent(7, 5, 100, 20_000, ((1_000, 3), (5_000, 2), (20_000, 1)))


def progress(text: str) -> None:
    """Print what the run does now to standard error, because standard output is for the tables."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Bench:
    """One run of the benchmarks."""

    def __init__(
        self, fake: FakeProcess, runner: Runner, folder: Path, subjects: dict[str, Subject], extent: Extent
    ) -> None:
        self._fake = fake
        self._runner = runner
        self._folder = folder
        self._subjects = subjects
        self._extent = extent

    def cold(self, function: str) -> Result:
        """Measure fresh processes: imports, init and the first response, in seconds and bytes."""
        event = FUNCTIONS[function]()
        samples: dict[str, list[dict[str, Any]]] = {name: [] for name in self._subjects}
        self._fake.do("reset")

        def measure(name: str) -> float:
            sample = self._runner.sample(self._subjects[name], function, event)
            samples[name].append(sample)
            return float(sample["cpu"])

        for name in self._subjects:  # fills the disk cache; doesn't count
            self._runner.sample(self._subjects[name], function, event)
        progress(f"cold {function}: {self._extent.cold_rounds} rounds of {len(samples)} fresh processes")
        interleaved(list(samples), self._extent.cold_rounds, measure)
        result: Result = {}
        for name, own_samples in samples.items():
            result[name] = {kind: spread(sample[kind] for sample in own_samples)._asdict() for kind in COLD}
            result[name]["names"] = own_samples[0]["names"] if name == OURS else []
        return result

    def stages(self) -> Result:
        """Measure where our cold starts spend their CPU: medians by step, and by store of trusted roots."""
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
        """Measure processes that stay, in blocks of requests: CPU seconds per request."""
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
        """Measure how fast a log object is applied: by ours, and by each pool between two runs of ours."""
        log = self._log(self._extent.bulk_records)
        subjects = {OURS: self._subjects[OURS], **pools}
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in subjects}
        progress(f"bulk of {log.records} records, {latency_ms:g} ms of latency")
        # One run of a pool is enough, because it takes minutes and averages over one call for each record.
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
        """Measure how our time and memory grow with the records. The time excludes init."""
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

    @functools.cache  # noqa: B019 (a process makes one Bench)
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
