"""Tests of the benchmark of the RESP client: what it measures, and its goals."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import cache_client
from tests.benchmarks.certificate import write_certificate
from tests.benchmarks.measure import QUICK
from tests.benchmarks.report import goals, tables
from tests.benchmarks.subjects import ROOT


def test_both_clients_are_measured_with_and_without_tls_in_each_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_client, "PROCESSES", 2)
    write_certificate(tmp_path)
    result = cache_client.measure(tmp_path, QUICK._replace(warm_rounds=2, warm_requests=3))
    assert {name: {client: row["cpu"]["samples"] for client, row in rows.items()} for name, rows in result.items()} == {
        "plain": {"readplane": 4, "redis_py": 4},
        "tls": {"readplane": 4, "redis_py": 4},
    }


def test_a_client_that_gets_another_value_is_not_measured(tmp_path: Path) -> None:
    write_certificate(tmp_path)
    command = [sys.executable, "-m", "tests.unit.benchmarks.measured_clients", str(tmp_path)]
    env = os.environ | {"PYTHONPATH": "lambda_src"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
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
