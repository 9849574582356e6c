"""Run the benchmarks: measure Readplane and other implementations of the same work, and check Readplane's goals."""

import argparse
import json
import os
import platform
import re
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks import cache, cache_client, edge, load, rebuild, relational
from tests.benchmarks.arithmetic import Goal
from tests.benchmarks.certificate import write_certificate
from tests.benchmarks.checks import DifferenceError, check_responses
from tests.benchmarks.measure import FULL, FUNCTIONS, QUICK, Bench, progress
from tests.benchmarks.poll import catch_up, outage
from tests.benchmarks.poll.catch_up import CatchUp
from tests.benchmarks.poll.report import chart as outage_chart
from tests.benchmarks.processes import FakeProcess, Runner, SampleError
from tests.benchmarks.report import chart, goal_table, goals, tables
from tests.benchmarks.subjects import OURS, POOL, ROOT, back_office_subjects, hot_zip, pools, subjects, unpack

PARTS = ("cold", "warm", "cache", "relational", "bulk", "growth", "rebuild", "edge", "outage", "catch-up")
RESULTS = ROOT / ".local" / "bench"
DOCS = ROOT / "docs"
BEGIN, END = "<!-- begin: written by python -m tests.benchmarks --docs -->", "<!-- end -->"
PACKAGES = (
    *("boto3", "botocore", "requests", "aws-xray-sdk", "aws-lambda-powertools", "fastapi", "mangum", "chalice"),
    *("pyjwt", "cryptography", "redis", "psycopg"),
)


def main() -> int:
    """Run the benchmarks. Return 0 if every measured goal is met, 1 if one is missed, 2 if the measurement fails."""
    options = _options()
    if options.rewrite:
        _write_docs(_documented_results())
        return 0
    start = time.monotonic()
    try:
        result = _measure(options)
    except (DifferenceError, SampleError, FileNotFoundError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    progress(f"done in {time.monotonic() - start:.0f} s")
    print(tables(result))
    _save(result, RESULTS)
    if options.docs:
        _write_docs(_merged(result) if options.only else result)
    return _verdict(goals(result))


def _documented_results() -> dict[str, Any]:
    results: dict[str, Any] = json.loads((DOCS / "performance.json").read_text("utf-8"))
    return results


def _merged(result: dict[str, Any]) -> dict[str, Any]:
    """Read the results in docs/performance.json, replace the parts that this run measured, and return the outcome.

    The member ``renewed`` holds, for each replaced part, the conditions of the run that measured this part.

    :param result: the results of a run that measured only some parts.
    """
    documented = _documented_results()
    parts = {name: part for name, part in result.items() if name != "made"}
    renewed = documented.get("renewed", {}) | dict.fromkeys(parts, result["made"])
    return documented | parts | {"renewed": renewed}


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    parts = options.only or PARTS
    conditions = _conditions(options)
    with tempfile.TemporaryDirectory(prefix="readplane-bench-") as name:
        folder = Path(name)
        schemas = load.write_state(folder)
        write_certificate(folder)
        unpack(folder)
        request_subjects, bulk_pools = subjects(folder, schemas), pools(folder)
        with FakeProcess(folder) as fake:
            runner = Runner(fake, folder)
            number = check_responses(runner, fake, request_subjects)
            progress(f"{number} responses of the references equal ours")
            bench = Bench(fake, runner, folder, request_subjects, QUICK if options.quick else FULL)
            result: dict[str, Any] = {"made": conditions, "zip_bytes": hot_zip().stat().st_size}
            for part in ("cold", "warm"):
                if part in parts:
                    result[part] = {function: getattr(bench, part)(function) for function in FUNCTIONS}
            if "cold" in parts:
                result["stages"] = bench.stages()
            if "cache" in parts:
                extent_of_cache = QUICK if options.quick else FULL
                result["cache"] = cache.measure(fake, runner, folder, request_subjects, extent_of_cache)
                result["cache_client"] = cache_client.measure(folder, extent_of_cache)
            if "relational" in parts:
                result["relational"] = relational.measure(folder)
            if "bulk" in parts:
                traced = {POOL: bulk_pools[POOL]}
                result["bulk"] = bench.bulk(traced if options.quick else bulk_pools, 0)
                if options.latency_ms:
                    result["bulk_latency"] = bench.bulk(traced, options.latency_ms)
            if "growth" in parts:
                result["growth"] = bench.growth()
            if "rebuild" in parts:
                extent_of_rebuild = rebuild.QUICK if options.quick else rebuild.FULL
                result["rebuild"] = rebuild.measure(fake, runner, folder, request_subjects[OURS], extent_of_rebuild)
            if "edge" in parts:
                result["edge"] = edge.measure(fake, runner, folder, QUICK if options.quick else FULL)
            poll_subjects = back_office_subjects(folder, schemas)
            if "outage" in parts:
                extent = outage.QUICK if options.quick else outage.FULL
                result["outage"] = outage.measure(fake, runner, folder, poll_subjects, extent)
            if "catch-up" in parts:
                caught = CatchUp(fake, runner, folder, poll_subjects)
                result["catch_up"] = caught.run(catch_up.QUICK if options.quick else catch_up.FULL)
    return result


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller logs, in about 6 minutes")
    parser.add_argument("--only", choices=PARTS, action="append", help="run only this part; repeat it for more parts")
    parser.add_argument(
        "--latency-ms",
        type=float,
        default=0,
        metavar="MS",
        help="measure the bulk a second time, with every response of the fake AWS delayed by this long",
    )
    parser.add_argument("--docs", action="store_true", help="write the tables, results and charts into docs/ too")
    parser.add_argument(
        "--rewrite",
        action="store_true",
        help="measure nothing; draw the tables and charts in docs/ again, from docs/performance.json",
    )
    options = parser.parse_args()
    if options.docs and options.quick:
        parser.error("--docs can't be combined with --quick")
    return options


def _conditions(options: argparse.Namespace) -> dict[str, Any]:
    """Return the conditions of this run: the time, the options, the machine, its load, and the package versions."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "quick": options.quick,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "packages": {name: version(name) for name in PACKAGES},
    }


def _save(result: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    result = result | {"goals": [{**goal._asdict(), "met": goal.met} for goal in goals(result)]}
    # json.dumps puts each number on its own line. Put each list of numbers on one line, because the results hold lists
    # with thousands of numbers, from which the charts are drawn.
    text = (
        re.sub(r"\[[\s\d.,e+-]+\]", lambda numbers: " ".join(numbers[0].split()), json.dumps(result, indent=1)) + "\n"
    )
    file = folder / ("performance.json" if folder == DOCS else "results.json")
    file.write_text(text)
    progress(f"wrote {file.relative_to(ROOT)}")
    charts = []
    if all(part in result for part in ("cold", "warm", "bulk")):
        charts.append(("performance.svg", partial(chart, result)))
    if "outage" in result:
        charts.append(("outage.svg", partial(outage_chart, result["outage"])))
    for name, draw in charts:
        draw(folder / name)
        progress(f"wrote {(folder / name).relative_to(ROOT)}")


def _write_docs(result: dict[str, Any]) -> None:
    """Write the results and charts into docs/, and the tables into docs/performance.md.

    The tables replace the text between the markers ``BEGIN`` and ``END`` in that page.
    """
    _save(result, DOCS)
    text = f"{tables(result, pictured=True)}\n\n### Goals\n\n{goal_table(goals(result))}"
    page = DOCS / "performance.md"
    head, begin, rest = page.read_text().partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not end:
        raise SampleError(f"{page} lacks the two marks around its tables.")
    page.write_text(f"{head}{begin}\n\n{text}\n\n{end}{tail}")


def _verdict(measured: list[Goal]) -> int:
    print("\nGoals:")
    for goal in measured:
        print(f"  {goal}")
    missed = [goal for goal in measured if not goal.met]
    print(f"{len(missed)} of {len(measured)} goals are not met." if missed else f"All {len(measured)} goals are met.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
