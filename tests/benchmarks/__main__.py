"""Measure Readplane beside what people use today: ``make bench``, or ``python -m tests.benchmarks --help``."""

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

from tests.benchmarks import load
from tests.benchmarks.arithmetic import Goal
from tests.benchmarks.certificate import write_certificate
from tests.benchmarks.checks import Different, check_answers
from tests.benchmarks.measure import FULL, FUNCTIONS, QUICK, Bench, progress
from tests.benchmarks.poll import catch_up, outage
from tests.benchmarks.poll.catch_up import CatchUp
from tests.benchmarks.poll.report import chart as outage_chart
from tests.benchmarks.processes import FakeProcess, Runner, SampleFailed
from tests.benchmarks.report import chart, goal_table, goals, labels_of, tables
from tests.benchmarks.subjects import POOL, ROOT, hot_zip, pools, subjects, synced, unpack

PARTS = ("cold", "warm", "bulk", "growth", "outage", "catch-up")
RESULTS = ROOT / ".local" / "bench"
DOCS = ROOT / "docs"
BEGIN, END = "<!-- begin: written by python -m tests.benchmarks --docs -->", "<!-- end -->"
PACKAGES = ("boto3", "botocore", "requests", "aws-xray-sdk", "aws-lambda-powertools", "fastapi", "mangum", "chalice")


def main() -> int:
    """Run; 0 if every goal that was measured is met, 1 if one isn't, 2 where nothing can be measured."""
    asked = _arguments()
    start = time.monotonic()
    try:
        result = _measured(asked)
    except (Different, SampleFailed, FileNotFoundError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    labels = result.pop("labels")
    progress(f"done in {time.monotonic() - start:.0f} s")
    print(tables(result, labels))
    _save(result, labels, RESULTS)
    if asked.docs:
        told = _renewed(result) if asked.only else result
        _save(told, labels, DOCS)
        _write_page(f"{tables(told, labels, pictured=True)}\n\n### Goals\n\n{goal_table(goals(told))}")
    return _verdict(goals(result))


def _renewed(result: dict[str, Any]) -> dict[str, Any]:
    """The results in docs/ with the parts that were measured now; `renewed` says with what, and when."""
    known: dict[str, Any] = json.loads((DOCS / "performance.json").read_text("utf-8"))
    parts = {name: part for name, part in result.items() if name != "made"}
    renewed = known.get("renewed", {}) | dict.fromkeys(parts, result["made"])
    return known | parts | {"renewed": renewed}


def _measured(asked: argparse.Namespace) -> dict[str, Any]:
    parts = asked.only or PARTS
    made = _made(asked)
    with tempfile.TemporaryDirectory(prefix="readplane-bench-") as name:
        folder = Path(name)
        schemas = load.write_state(folder)
        write_certificate(folder)
        unpack(folder)
        everybody, bulk_pools = subjects(folder, schemas), pools(folder)
        with FakeProcess(folder) as fake:
            runner = Runner(fake, folder)
            number = check_answers(runner, fake, everybody)
            progress(f"{number} answers are as they must be")
            bench = Bench(fake, runner, folder, everybody, QUICK if asked.quick else FULL)
            result: dict[str, Any] = {"made": made, "zip_bytes": hot_zip().stat().st_size}
            for part in ("cold", "warm"):
                if part in parts:
                    result[part] = {function: getattr(bench, part)(function) for function in FUNCTIONS}
            if "cold" in parts:
                result["stages"] = bench.stages()
            if "bulk" in parts:
                traced = {POOL: bulk_pools[POOL]}
                result["bulk"] = bench.bulk(traced if asked.quick else bulk_pools, 0)
                if asked.latency_ms:
                    result["bulk_latency"] = bench.bulk(traced, asked.latency_ms)
            if "growth" in parts:
                result["growth"] = bench.growth()
            fed = synced(folder, schemas)
            if "outage" in parts:
                extent = outage.QUICK if asked.quick else outage.FULL
                result["outage"] = outage.measure(fake, runner, folder, fed, extent)
            if "catch-up" in parts:
                caught = CatchUp(fake, runner, folder, fed)
                result["catch_up"] = caught.run(catch_up.QUICK if asked.quick else catch_up.FULL)
    result["labels"] = labels_of([*everybody.values(), *bulk_pools.values()])
    return result


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, 20,000 records, no million: 2-3 minutes")
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part (may be given several times)")
    parser.add_argument(
        "--latency-ms", type=float, default=0, metavar="MS", help="apply the bulk once more, with every call this late"
    )
    parser.add_argument("--docs", action="store_true", help="put tables, results and charts into docs/ too")
    asked = parser.parse_args()
    if asked.docs and asked.quick:
        parser.error("--docs takes no --quick")
    return asked


def _made(asked: argparse.Namespace) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "quick": asked.quick,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "packages": {name: version(name) for name in PACKAGES},
    }


def _save(result: dict[str, Any], labels: dict[str, str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    result = result | {"goals": [{**goal._asdict(), "met": goal.met} for goal in goals(result)]}
    # A list of numbers on one line: those of the chart would be thousands.
    text = re.sub(r"\[[\s\d.,e+-]+\]", lambda found: " ".join(found[0].split()), json.dumps(result, indent=1)) + "\n"
    place = folder / ("performance.json" if folder == DOCS else "results.json")
    place.write_text(text)
    progress(f"wrote {place.relative_to(ROOT)}")
    charts = []
    if all(part in result for part in ("cold", "warm", "bulk")):
        charts.append(("performance.svg", partial(chart, result, labels)))
    if "outage" in result:
        charts.append(("outage.svg", partial(outage_chart, result["outage"])))
    for name, draw in charts:
        draw(folder / name)
        progress(f"wrote {(folder / name).relative_to(ROOT)}")


def _write_page(text: str) -> None:
    """Put the tables between the page's two marks."""
    page = DOCS / "performance.md"
    head, begin, rest = page.read_text().partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not end:
        raise SampleFailed(f"{page} lacks its marks")
    page.write_text(f"{head}{begin}\n\n{text}\n\n{end}{tail}")


def _verdict(found: list[Goal]) -> int:
    print("\nGoals:")
    for goal in found:
        print(f"  {goal}")
    missed = [goal for goal in found if not goal.met]
    print(f"{len(missed)} of {len(found)} goals are not met." if missed else f"All {len(found)} goals are met.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
