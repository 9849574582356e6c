"""Tests of the benchmark of the RESP client: what it measures, and its goals."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.report import goals, tables
from tests.benchmarks.subjects import ROOT


def measure(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.unit.benchmarks.measured_clients", *arguments]
    env = os.environ | {"PYTHONPATH": "lambda_src"}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)


def test_both_clients_are_measured_with_and_without_tls(tmp_path: Path) -> None:
    done = measure(str(tmp_path))
    assert not done.returncode, done.stderr
    result = json.loads(done.stdout)
    assert {name: {client: row["cpu"]["samples"] for client, row in rows.items()} for name, rows in result.items()} == {
        "plain": {"readplane": 2, "redis_py": 2},
        "tls": {"readplane": 2, "redis_py": 2},
    }


def test_a_client_that_gets_another_value_is_not_measured(tmp_path: Path) -> None:
    done = measure(str(tmp_path), "wrong")
    assert done.returncode
    assert "DifferenceError: Readplane's RESP client gets another value" in done.stderr


def test_the_client_must_be_three_times_as_fast_as_redis_py() -> None:
    def rows(ours: float, theirs: float) -> dict[str, dict[str, dict[str, float]]]:
        pairs = (("readplane", ours), ("redis_py", theirs))
        return {name: {"cpu": dict.fromkeys(("median", "low", "high"), value)} for name, value in pairs}

    result = {"cache_client": {"plain": rows(10e-6, 30e-6), "tls": rows(20e-6, 58e-6)}}
    assert [(goal.name, round(goal.value, 6), goal.met) for goal in goals(result)] == [
        ("GET of the cache client, speed compared with redis-py", 3.0, True),
        ("GET of the cache client, TLS, speed compared with redis-py", 2.9, False),
    ]
    assert "| redis-py                |  30.0 |" in tables(result)
