"""The measurements: cold starts, warm requests, bulks and their growth, everybody in turns."""

import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks import load
from tests.benchmarks.arithmetic import exponent, interleaved, spread
from tests.benchmarks.processes import FakeProcess, Runner, SampleFailed
from tests.benchmarks.subjects import OURS, Subject

FUNCTIONS: dict[str, Callable[[], dict[str, Any]]] = {"read": load.get, "write": load.put}
COLD = ("cpu", "wall", "init_cpu", "memory", "modules")
APPLIED = ("wall", "cpu", "fake_cpu", "memory", "calls")

Result = dict[str, Any]


class Extent(NamedTuple):
    """How much is measured."""

    cold_rounds: int
    warm_rounds: int
    warm_requests: int
    bulk_records: int
    growth: tuple[tuple[int, int], ...]
    """Numbers of records, and how often each is applied."""


FULL = Extent(21, 15, 200, 100_000, ((1_000, 5), (10_000, 3), (100_000, 2), (1_000_000, 1)))
QUICK = Extent(7, 5, 100, 20_000, ((1_000, 3), (5_000, 2), (20_000, 1)))


def progress(text: str) -> None:
    """Say on standard error what is being done; the tables on standard output stay clean."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Bench:
    """One run: a fake, the subjects and the extent."""

    def __init__(
        self, fake: FakeProcess, runner: Runner, folder: Path, everybody: dict[str, Subject], extent: Extent
    ) -> None:
        self._fake = fake
        self._runner = runner
        self._folder = folder
        self._everybody = everybody
        self._extent = extent

    def cold(self, function: str) -> Result:
        """Fresh processes: import, init, first answer. Seconds and bytes."""
        event = FUNCTIONS[function]()
        samples: dict[str, list[dict[str, Any]]] = {name: [] for name in self._everybody}
        self._fake.do("reset")

        def measure(name: str) -> float:
            found = self._runner.sample(self._everybody[name], function, event)
            samples[name].append(found)
            return float(found["cpu"])

        for name in self._everybody:  # once each for the disk cache, not counted
            self._runner.sample(self._everybody[name], function, event)
        progress(f"cold {function}: {self._extent.cold_rounds} rounds of {len(samples)} fresh processes")
        interleaved(list(samples), self._extent.cold_rounds, measure)
        result: Result = {}
        for name, found in samples.items():
            result[name] = {kind: spread(sample[kind] for sample in found)._asdict() for kind in COLD}
            result[name]["names"] = found[0]["names"] if name == OURS else []
        return result

    def stages(self) -> Result:
        """Where ours spends a cold start's CPU: medians by step, for each function, and what trusting costs."""
        found: Result = {}
        progress(f"stages: {self._extent.cold_rounds} cold starts of each function, taken apart")
        for function, event in FUNCTIONS.items():
            runs = [
                self._runner.stages(self._everybody[OURS], function, event()) for _ in range(self._extent.cold_rounds)
            ]
            for kind in ("steps", "stores"):
                medians = {name: spread(run[kind][name] for run in runs).median for name in runs[0][kind]}
                found.setdefault(kind, {})[function] = medians
        return found

    def warm(self, function: str) -> Result:
        """Processes that stay, in blocks by turns. CPU seconds per request."""
        servers = {
            name: self._runner.server(subject, function, FUNCTIONS[function]())
            for name, subject in self._everybody.items()
        }
        self._fake.do("reset")
        progress(
            f"warm {function}: {self._extent.warm_rounds} rounds of {self._extent.warm_requests} requests "
            f"of {len(servers)} processes"
        )
        try:
            for server in servers.values():
                server.serve(self._extent.warm_requests)
            found = interleaved(
                list(servers), self._extent.warm_rounds, lambda name: servers[name].serve(self._extent.warm_requests)
            )
        finally:
            for server in servers.values():
                server.close()
        return {name: {"cpu": spread(samples)._asdict()} for name, samples in found.items()}

    def bulk(self, pools: dict[str, Subject], latency_ms: float) -> Result:
        """One log object, applied by ours before and after each pool; all must leave the table as it has to be."""
        log = self._log(self._extent.bulk_records)
        everybody = {OURS: self._everybody[OURS], **pools}
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in everybody}
        progress(f"bulk of {log.records} records, {latency_ms:g} ms of latency")
        # A pool's run takes minutes, and is a mean of as many calls as there are records: one of each will do.
        for name in [OURS, *(turn for pool in pools for turn in (pool, OURS))]:
            found = self._applied(everybody[name], log, latency_ms)
            progress(f"  {everybody[name].label}: {found['wall']:.1f} s, {found['calls']:.0f} calls")
            runs[name].append(found)
        rows = {
            name: {kind: spread(run[kind] for run in found)._asdict() for kind in APPLIED}
            for name, found in runs.items()
        }
        return {"records": log.records, "winners": log.winners, "latency_ms": latency_ms, "rows": rows}

    def growth(self) -> Result:
        """Ours, from few records to many; the exponent over all, of time without init."""
        points = []
        for records, times in self._extent.growth:
            log = self._log(records)
            progress(f"growth: {records} records, {times} times")
            runs = [self._applied(self._everybody[OURS], log, 0) for _ in range(times)]
            took = {kind: spread(run[kind] for run in runs).median for kind in APPLIED}
            points.append({"records": records, **took})
        return {
            "points": points,
            "exponent": exponent([(point["records"], point["wall"]) for point in points]),
            "memory_ratio": points[-1]["memory"] / points[-2]["memory"],
        }

    @functools.cache  # noqa: B019 (one bench per process)
    def _log(self, records: int) -> load.Log:
        progress(f"writing a log object of {records} records")
        return load.write_log(self._folder, records)

    def _applied(self, subject: Subject, log: load.Log, latency_ms: float) -> dict[str, float]:
        before = self._fake.do("reset", latency_ms=latency_ms)["cpu"]
        found = self._runner.sample(subject, "apply", load.notification(log))
        after = self._fake.do("counts")["cpu"]
        told = self._fake.do("state")
        state = (told["state"]["items"], told["state"]["sum"])
        if found["answer"] != {"batchItemFailures": []} or state != (log.winners, log.sum):
            raise SampleFailed(f"{subject.label}: the table isn't what it must be: {found['answer']}, {told}")
        counts = told["counts"]
        calls = sum(counts.get(name, 0) for name in ("GetItem", "PutItem", "BatchGetItem", "BatchExecuteStatement"))
        seconds = {kind: found[kind] - found[f"init_{kind}"] for kind in ("wall", "cpu")}
        return {**seconds, "fake_cpu": after - before, "memory": found["memory"], "calls": calls}
