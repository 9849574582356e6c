"""The report of a benchmark run: its goals, its tables and its chart."""

from pathlib import Path
from typing import Any

from tests.benchmarks import cache, cache_client, edge, rebuild, relational
from tests.benchmarks.arithmetic import Goal
from tests.benchmarks.markdown import table
from tests.benchmarks.poll import report as poll_report
from tests.benchmarks.subjects import CLIENT, FLOOR, LABELS, OURS, POOL, POWERTOOLS

MIB = 1024 * 1024
KB = 1000

Result = dict[str, Any]


MAX_MEMORY = {"read": 0.40, "write": 0.45}
"""The goals for the peak memory of a cold start. That of `write` was 0.40 before jsonschema-rs, of whose file 6 MB are
mapped into memory (docs/adr/0045-check-data-with-jsonschema-rs.md)."""


def goals(result: Result) -> list[Goal]:
    """Return the goals of all parts that a benchmark run measured.

    :param result: the results of the run. A part that wasn't measured is missing.
    """
    judged: list[Goal] = []
    for function, rows in result.get("cold", {}).items():
        cpu = {name: rows[name]["cpu"]["median"] for name in rows}
        memory = rows[OURS]["memory"]["median"] / rows[POWERTOOLS]["memory"]["median"]
        judged += [
            Goal(f"cold {function}, CPU compared with Powertools + Tracer", cpu[OURS] / cpu[POWERTOOLS], 0.15),
            Goal(f"cold {function}, CPU compared with boto3 client + X-Ray SDK", cpu[OURS] / cpu[CLIENT], 0.20),
            Goal(f"cold {function}, peak memory compared with Powertools + Tracer", memory, MAX_MEMORY[function]),
            Goal(f"cold {function}, modules", rows[OURS]["modules"]["median"], 110),
        ]
    if "zip_bytes" in result:
        judged.append(Goal("zip of the hot functions, KB", result["zip_bytes"] / KB, 100))
    for function, rows in result.get("warm", {}).items():
        ratio = rows[OURS]["cpu"]["median"] / rows[CLIENT]["cpu"]["median"]
        judged.append(Goal(f"warm {function}, CPU compared with boto3 client + X-Ray SDK", ratio, 0.30))
    if "cache" in result:
        judged += cache.goals(result["cache"])
    if "cache_client" in result:
        judged += cache_client.goals(result["cache_client"])
    if "relational" in result:
        judged += relational.goals(result["relational"])
    if "bulk" in result:
        bulk = result["bulk"]
        ours, pool = bulk["rows"][OURS], bulk["rows"][POOL]
        judged += [
            Goal(
                "bulk apply, speed compared with a boto3 pool", pool["wall"]["median"] / ours["wall"]["median"], 4, True
            ),
            Goal("bulk apply, peak memory in MB", ours["memory"]["high"] / MIB, 80),
            Goal("bulk apply, calls per winning change", ours["calls"]["median"] / bulk["winners"], 0.06),
        ]
    if "growth" in result:
        growth = result["growth"]
        judged += [
            Goal("scaling of bulk apply, growth exponent of the time", growth["exponent"], 1.1),
            Goal(
                "scaling of bulk apply, peak memory of the last step compared with the step before",
                growth["memory_ratio"],
                1.1,
            ),
            Goal(
                "scaling of bulk apply, peak memory in MB", max(point["memory"] for point in growth["points"]) / MIB, 80
            ),
        ]
    if "rebuild" in result:
        judged += rebuild.goals(result["rebuild"])
    if "edge" in result:
        judged += edge.goals(result["edge"])
    return judged + poll_report.goals(result)


def tables(result: Result, *, pictured: bool = False) -> str:
    """Return the Markdown tables of all parts that a benchmark run measured.

    :param pictured: whether the Markdown also shows the charts. If so, it refers to
        ``performance.svg`` and ``outage.svg`` in the folder of the page.
    """
    parts = ["![The figures of the tables as bars](performance.svg)"] if pictured else []
    parts += [_cold(function, rows) for function, rows in result.get("cold", {}).items()]
    if "stages" in result:
        steps, stores = result["stages"]["steps"], result["stages"]["stores"]
        parts += [
            _stages("steps of Readplane's cold start, CPU ms", steps),
            _stages("reading trusted root certificates, CPU ms", stores),
        ]
    if "warm" in result:
        parts.append(_warm(result["warm"]))
    if "cache" in result:
        parts.append(cache.tables(result["cache"]))
    if "cache_client" in result:
        parts.append(cache_client.tables(result["cache_client"]))
    if "relational" in result:
        parts.append(relational.tables(result["relational"]))
    for name in ("bulk", "bulk_latency"):
        if name in result:
            parts.append(_bulk(result[name]))
    if "growth" in result:
        parts.append(_growth(result["growth"]))
    if "rebuild" in result:
        parts.append(rebuild.tables(result["rebuild"]))
    if "edge" in result:
        parts.append(edge.tables(result["edge"]))
    if "outage" in result:
        parts.append("### Reads while the back office stalls, is down and recovers")
        if pictured:
            parts.append(poll_report.PICTURE)
        parts.append(poll_report.outage(result["outage"]))
    if "catch_up" in result:
        parts += ["### Catching up with many changes", poll_report.catch_up(result["catch_up"])]
    return "\n\n".join(parts)


def goal_table(judged: list[Goal]) -> str:
    """Return a Markdown table of goals: for each goal the measured value, the limit, and whether the goal is met."""
    body = [
        [
            goal.name,
            f"{goal.value:.3g}",
            f"{'>=' if goal.at_least else '<='} {goal.limit:g}",
            "yes" if goal.met else "no",
        ]
        for goal in judged
    ]
    return table(["goal", "measured", "limit", "met"], body)


def _cold(function: str, rows: Result) -> str:
    ours = rows[OURS]["cpu"]["median"]
    head = [
        f"cold start of `{function}`",
        "CPU ms",
        "quartiles",
        "init, CPU ms",
        "wall ms",
        "peak MB",
        "modules",
        "Readplane is",
    ]
    body = []
    for name, row in rows.items():
        cpu = row["cpu"]
        body.append(
            [
                LABELS[name],
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


def _warm(functions: Result) -> str:
    head = ["warm request, CPU µs"]
    for function in functions:
        head += [f"`{function}`", "quartiles", "Readplane is"]
    body = []
    for name in next(iter(functions.values())):
        line = [LABELS[name]]
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


def _bulk(bulk: Result) -> str:
    latency = f", {bulk['latency_ms']:g} ms per call" if bulk["latency_ms"] else ""
    head = [
        f"bulk apply of {bulk['records']:,} records{latency}",
        "s",
        "records/s",
        "CPU s",
        "fake AWS, CPU s",
        "peak MB",
        "calls",
        "calls/winner",
    ]
    body = []
    for name, row in bulk["rows"].items():
        wall = row["wall"]["median"]
        body.append(
            [
                LABELS[name],
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
    head = ["bulk apply, records", "s", "CPU s", "µs per record", "peak MB", "calls"]
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
    power = f"The time grows with the number of records to the power of {growth['exponent']:.2f}."
    return f"{table(head, body)}\n\n{power} Linear growth has the power 1."


def chart(result: Result, file: Path) -> None:
    """Draw a bar chart of cold starts, warm requests and bulk apply into an SVG file.

    The same result always makes the same file, so drawing it again changes nothing in Git.
    """
    import matplotlib as mpl  # imported here, because the import takes a second and most runs draw no chart

    mpl.use("svg")
    from matplotlib import pyplot as plt

    panels: list[tuple[str, list[tuple[str, float]]]] = []
    for function, rows in result["cold"].items():
        panels.append((f"cold {function}: CPU, ms", [(name, row["cpu"]["median"] * 1e3) for name, row in rows.items()]))
    reads = result["cold"]["read"].items()
    panels.append(("cold read: peak memory, MB", [(name, row["memory"]["median"] / MIB) for name, row in reads]))
    for function, rows in result["warm"].items():
        panels.append((f"warm {function}: CPU, µs", [(name, row["cpu"]["median"] * 1e6) for name, row in rows.items()]))
    bulk = result["bulk"]
    speeds = [(name, bulk["records"] / row["wall"]["median"] / 1e3) for name, row in bulk["rows"].items()]
    panels.append(("bulk apply: thousands of records a second", speeds))
    mpl.rcParams.update({"svg.hashsalt": "readplane", "svg.fonttype": "none", "font.size": 8})
    figure, places = plt.subplots(3, 2, figsize=(11, 9), layout="constrained")
    for place, (title, bars) in zip(places.T.flat, panels, strict=True):
        names = [LABELS[name] for name, _ in bars]
        colours = ["#1f6f5c" if name.startswith(OURS) else "#9aa5b1" for name, _ in bars]
        drawn = place.barh(names, [value for _, value in bars], color=colours)
        place.bar_label(drawn, fmt="{:.0f}" if bars[-1][1] >= 20 else "{:.1f}", padding=2)
        place.invert_yaxis()
        place.margins(x=0.12)
        place.set_title(title, loc="left")
        place.spines[["top", "right"]].set_visible(False)
    poll_report.write_svg(figure, file)
