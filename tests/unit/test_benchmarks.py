"""The benchmark's arithmetic, what it holds to be a goal, and the load it makes."""

import gzip
import json
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from readplane.domain.change import parse_line
from tests.benchmarks.arithmetic import Goal, exponent, interleaved, spread
from tests.benchmarks.load import RECORD_BYTES, mark, write_log
from tests.benchmarks.processes import Runner, SampleFailed
from tests.benchmarks.report import goals, tables
from tests.benchmarks.subjects import Subject
from tests.unit.support import COLLECTIONS


def test_a_spread_is_the_median_and_the_quartiles() -> None:
    assert spread([5, 1, 4, 2, 3]) == (3, 2, 4, 5)
    assert spread([7]) == (7, 7, 7, 1)
    with pytest.raises(ValueError, match="no samples"):
        spread([])


@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_an_exponent_is_found_whatever_the_factor(power: float) -> None:
    assert exponent([(x, 0.003 * x**power) for x in (1_000, 10_000, 1_000_000)]) == pytest.approx(power)


@pytest.mark.parametrize("points", [[(1.0, 1.0)], [(2.0, 1.0), (2.0, 3.0)], [(1.0, 1.0), (2.0, 0.0)]])
def test_an_exponent_needs_two_points_above_zero(points: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match=r"needs? "):
        exponent(points)


def test_a_goal_is_met_on_its_side_of_the_limit_and_on_it() -> None:
    assert [Goal("g", value, 2).met for value in (1, 2, 3)] == [True, True, False]
    assert [Goal("g", value, 2, at_least=True).met for value in (1, 2, 3)] == [False, True, True]
    assert "NOT MET" in str(Goal("g", 3, 2))


def test_everybody_is_measured_once_a_round_and_nobody_always_after_the_same_one() -> None:
    order: list[str] = []

    def measure(name: str) -> float:
        order.append(name)
        return len(order)

    assert interleaved(["a", "b", "c"], 2, measure) == {"a": [1, 6], "b": [2, 5], "c": [3, 4]}
    assert order == ["a", "b", "c", "c", "b", "a"]


def test_each_goal_compares_ours_with_the_one_it_names() -> None:
    names = ("constant", "readplane", "boto3_client", "powertools", "boto3_pool")

    def rows(*kinds: str) -> dict[str, dict[str, dict[str, float]]]:
        # ours is 1 of everything, the others 10, 20 and 40
        values = dict(zip(names, (0, 1, 10, 20, 40), strict=True))
        fields = ("median", "low", "high")
        return {name: {kind: dict.fromkeys(fields, values[name]) for kind in kinds} for name in names}

    cold = rows("cpu", "wall", "init_cpu", "memory", "modules")
    applied = rows("wall", "cpu", "fake_cpu", "memory", "calls")
    bulk = {name: applied[name] for name in ("readplane", "boto3_pool")}
    points = [{"records": 10**n, "wall": 1.0, "cpu": 1.0, "memory": 2**20, "calls": 1} for n in (3, 4)]
    result = {
        "zip_bytes": 50_000,
        "cold": {"read": cold, "write": cold},
        "warm": {"read": rows("cpu"), "write": rows("cpu")},
        "bulk": {"records": 100, "winners": 4, "latency_ms": 0, "rows": bulk},
        "growth": {"points": points, "exponent": 1.5, "memory_ratio": 1.0},
    }
    found = goals(result)
    told = {goal.name: goal.value for goal in found}
    assert told["cold write, CPU against Powertools + Tracer"] == 1 / 20
    assert told["cold read, CPU against boto3 client + X-Ray SDK"] == 1 / 10
    assert told["cold read, peak memory against Powertools + Tracer"] == 1 / 20
    assert told["warm write, CPU against boto3 client + X-Ray SDK"] == 1 / 10
    assert told["bulk apply, times as fast as a boto3 pool"] == 40
    assert told["zip of the hot functions, KB"] == 50
    assert [goal.name for goal in found if not goal.met] == [
        "bulk apply, calls per winning change",  # 1 for 4
        "growth, exponent of the time",
    ]
    text = tables(result, {name: name.upper() for name in names})
    assert "| BOTO3_CLIENT" in text and "0.10 x" in text and "power of 1.50" in text


def test_a_log_object_is_changes_of_1_kb_of_which_a_tenth_came_before(tmp_path: Path) -> None:
    (tmp_path / "s3").mkdir()
    log = write_log(tmp_path, 1_000)
    lines = gzip.decompress((tmp_path / "s3" / log.key).read_bytes()).splitlines(keepends=True)
    assert len(lines) == 1_000 and {len(line) for line in lines} == {RECORD_BYTES}
    assert len(Counter(lines)) == log.winners == 900
    changes = {change.key: change for change in (parse_line(line, COLLECTIONS) for line in lines)}
    assert len(changes) == 900
    assert sum(mark(key, change.version) for key, change in changes.items()) == log.sum
    assert all(isinstance(json.loads(change.data or ""), dict) for change in changes.values())


def sampled(folder: Path, code: str) -> dict[str, Any]:
    """One sample of a handler's module."""
    (folder / "subject.py").write_text(code)
    fake: Any = SimpleNamespace(env={})
    return Runner(fake, folder).sample(Subject("s", "subject", "subject", (str(folder),), {}), "read", {})


def test_a_subject_that_complains_at_length_is_measured_all_the_same(tmp_path: Path) -> None:
    noisy = "import sys\nsys.stderr.write('no' * 100_000)\ndef handler(event, context): return {'statusCode': 200}\n"
    assert sampled(tmp_path, noisy)["answer"] == {"statusCode": 200}


def test_a_subject_that_fails_is_named_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(SampleFailed, match=r"subject, read: [\s\S]*ZeroDivisionError"):
        sampled(tmp_path, "1 / 0\n")


def test_no_sample_outlives_an_interrupted_run(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    # A shell starts what it puts in the background with the signal ignored, and Python leaves it at that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt() -> None:
        while not pid.exists() or not pid.read_text():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            sampled(tmp_path, f"import os, time\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)\n")
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
