"""What came out: goals, tables, and the chart."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.benchmarks.arithmetic import Goal
from tests.benchmarks.markdown import table
from tests.benchmarks.poll import report as sync
from tests.benchmarks.subjects import CLIENT, FLOOR, OURS, POOL, POWERTOOLS, Subject

MIB = 1024 * 1024
KB = 1000

Result = dict[str, Any]


def goals(result: Result) -> list[Goal]:
    """What must be reached, as far as it was measured."""
    found: list[Goal] = []
    for function, rows in result.get("cold", {}).items():
        cpu = {name: rows[name]["cpu"]["median"] for name in rows}
        memory = rows[OURS]["memory"]["median"] / rows[POWERTOOLS]["memory"]["median"]
        found += [
            Goal(f"cold {function}, CPU against Powertools + Tracer", cpu[OURS] / cpu[POWERTOOLS], 0.15),
            Goal(f"cold {function}, CPU against boto3 client + X-Ray SDK", cpu[OURS] / cpu[CLIENT], 0.20),
            Goal(f"cold {function}, peak memory against Powertools + Tracer", memory, 0.40),
            Goal(f"cold {function}, modules", rows[OURS]["modules"]["median"], 110),
        ]
    if "zip_bytes" in result:
        found.append(Goal("zip of the hot functions, KB", result["zip_bytes"] / KB, 100))
    for function, rows in result.get("warm", {}).items():
        ratio = rows[OURS]["cpu"]["median"] / rows[CLIENT]["cpu"]["median"]
        found.append(Goal(f"warm {function}, CPU against boto3 client + X-Ray SDK", ratio, 0.30))
    if "bulk" in result:
        bulk = result["bulk"]
        ours, pool = bulk["rows"][OURS], bulk["rows"][POOL]
        found += [
            Goal("bulk apply, times as fast as a boto3 pool", pool["wall"]["median"] / ours["wall"]["median"], 4, True),
            Goal("bulk apply, peak memory in MB", ours["memory"]["high"] / MIB, 80),
            Goal("bulk apply, calls per winning change", ours["calls"]["median"] / bulk["winners"], 0.06),
        ]
    if "growth" in result:
        growth = result["growth"]
        found += [
            Goal("growth, exponent of the time", growth["exponent"], 1.1),
            Goal("growth, memory of the last step against the one before", growth["memory_ratio"], 1.1),
            Goal("growth, greatest memory in MB", max(point["memory"] for point in growth["points"]) / MIB, 80),
        ]
    return found + sync.goals(result)


def tables(result: Result, labels: dict[str, str], *, pictured: bool = False) -> str:
    """All tables, as Markdown; ``pictured`` with the charts, where they lie beside the text."""
    parts = ["![The same figures as bars](performance.svg)"] if pictured else []
    parts += [_cold(function, rows, labels) for function, rows in result.get("cold", {}).items()]
    if "stages" in result:
        steps, stores = result["stages"]["steps"], result["stages"]["stores"]
        parts += [_stages("cold start of ours, CPU ms", steps), _stages("roots to trust, CPU ms", stores)]
    if "warm" in result:
        parts.append(_warm(result["warm"], labels))
    for name in ("bulk", "bulk_latency"):
        if name in result:
            parts.append(_bulk(result[name], labels))
    if "growth" in result:
        parts.append(_growth(result["growth"]))
    if "outage" in result:
        parts += ["### While the back office stalls, is down and recovers", *([sync.PICTURE] if pictured else [])]
        parts.append(sync.outage(result["outage"]))
    if "catch_up" in result:
        parts += ["### Catching up", sync.catch_up(result["catch_up"])]
    return "\n\n".join(parts)


def goal_table(found: list[Goal]) -> str:
    """The goals, as Markdown."""
    body = [
        [
            goal.name,
            f"{goal.value:.3g}",
            f"{'>=' if goal.at_least else '<='} {goal.limit:g}",
            "yes" if goal.met else "no",
        ]
        for goal in found
    ]
    return table(["goal", "measured", "limit", "met"], body)


def labels_of(everybody: Iterable[Subject]) -> dict[str, str]:
    """The name that a table gives each subject."""
    return {subject.name: subject.label for subject in everybody}


def _cold(function: str, rows: Result, labels: dict[str, str]) -> str:
    ours = rows[OURS]["cpu"]["median"]
    head = [f"cold `{function}`", "CPU ms", "quartiles", "of it init", "wall ms", "peak MB", "modules", "Readplane is"]
    body = []
    for name, row in rows.items():
        cpu = row["cpu"]
        body.append(
            [
                labels[name],
                f"{cpu['median'] * 1e3:.1f}",
                f"{cpu['low'] * 1e3:.1f}-{cpu['high'] * 1e3:.1f}",
                f"{row['init_cpu']['median'] * 1e3:.1f}",
                f"{row['wall']['median'] * 1e3:.1f}",
                f"{row['memory']['median'] / MIB:.1f}",
                f"{row['modules']['median']:.0f}",
                _ratio(name, ours, cpu["median"]),
            ]
        )
    return table(head, body)


def _stages(title: str, functions: Result) -> str:
    names = max(functions.values(), key=len)
    body = [
        [name, *(f"{rows[name] * 1e3:.1f}" if name in rows else "" for rows in functions.values())] for name in names
    ]
    return table([title, *(f"`{function}`" for function in functions)], body)


def _warm(functions: Result, labels: dict[str, str]) -> str:
    head = ["warm request, CPU µs"]
    for function in functions:
        head += [f"`{function}`", "quartiles", "Readplane is"]
    body = []
    for name in next(iter(functions.values())):
        line = [labels[name]]
        for rows in functions.values():
            cpu = rows[name]["cpu"]
            line += [
                f"{cpu['median'] * 1e6:.0f}",
                f"{cpu['low'] * 1e6:.0f}-{cpu['high'] * 1e6:.0f}",
                _ratio(name, rows[OURS]["cpu"]["median"], cpu["median"]),
            ]
        body.append(line)
    return table(head, body)


def _ratio(name: str, ours: float, theirs: float) -> str:
    return "" if name in (OURS, FLOOR) else f"{ours / theirs:.2f} x"


def _bulk(bulk: Result, labels: dict[str, str]) -> str:
    latency = f", {bulk['latency_ms']:g} ms per call" if bulk["latency_ms"] else ""
    head = [
        f"bulk of {bulk['records']:,} records{latency}",
        "s",
        "records/s",
        "CPU s",
        "the fake's",
        "peak MB",
        "calls",
        "calls/winner",
    ]
    body = []
    for name, row in bulk["rows"].items():
        wall = row["wall"]["median"]
        body.append(
            [
                labels[name],
                f"{wall:.2f}",
                f"{bulk['records'] / wall:,.0f}",
                f"{row['cpu']['median']:.2f}",
                f"{row['fake_cpu']['median']:.2f}",
                f"{row['memory']['median'] / MIB:.1f}",
                f"{row['calls']['median']:,.0f}",
                f"{row['calls']['median'] / bulk['winners']:.3f}",
            ]
        )
    return table(head, body)


def _growth(growth: Result) -> str:
    head = ["growth: records", "s", "CPU s", "µs per record", "peak MB", "calls"]
    body = [
        [
            f"{point['records']:,}",
            f"{point['wall']:.3f}",
            f"{point['cpu']:.3f}",
            f"{point['wall'] / point['records'] * 1e6:.1f}",
            f"{point['memory'] / MIB:.1f}",
            f"{point['calls']:,.0f}",
        ]
        for point in growth["points"]
    ]
    return table(head, body) + f"\n\nTime grows with records to the power of {growth['exponent']:.2f}."


def chart(result: Result, labels: dict[str, str], file: Path) -> None:
    """Draw what was measured as bars; the same result gives the same file."""
    import matplotlib as mpl  # a second to import, and only wanted here

    mpl.use("svg")
    from matplotlib import pyplot

    panels: list[tuple[str, list[tuple[str, float]]]] = []
    for function, rows in result["cold"].items():
        panels.append((f"cold {function}: CPU, ms", [(name, row["cpu"]["median"] * 1e3) for name, row in rows.items()]))
    reads = result["cold"]["read"].items()
    panels.append(("cold read: peak memory, MB", [(name, row["memory"]["median"] / MIB) for name, row in reads]))
    for function, rows in result["warm"].items():
        panels.append((f"warm {function}: CPU, µs", [(name, row["cpu"]["median"] * 1e6) for name, row in rows.items()]))
    bulk = result["bulk"]
    speeds = [(name, bulk["records"] / row["wall"]["median"] / 1e3) for name, row in bulk["rows"].items()]
    panels.append(("bulk apply: thousand records a second", speeds))
    mpl.rcParams.update({"svg.hashsalt": "readplane", "svg.fonttype": "none", "font.size": 8})
    figure, places = pyplot.subplots(3, 2, figsize=(11, 9), layout="constrained")
    for place, (title, bars) in zip(places.T.flat, panels, strict=True):
        names = [labels[name] for name, _ in bars]
        colours = ["#1f6f5c" if name.startswith(OURS) else "#9aa5b1" for name, _ in bars]
        drawn = place.barh(names, [value for _, value in bars], color=colours)
        place.bar_label(drawn, fmt="{:.0f}" if bars[-1][1] >= 20 else "{:.1f}", padding=2)
        place.invert_yaxis()
        place.margins(x=0.12)
        place.set_title(title, loc="left")
        place.spines[["top", "right"]].set_visible(False)
    sync.write_svg(figure, file)
