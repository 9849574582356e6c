"""The report of the outage benchmark and the catch-up benchmark: their goals, tables and chart."""

from pathlib import Path
from typing import Any

from tests.benchmarks.arithmetic import Goal
from tests.benchmarks.markdown import table
from tests.benchmarks.poll.phases import Phases
from tests.benchmarks.subjects import OURS, PROXY

PICTURE = "![The time that a read takes, and the age of the data that it returns, second by second](outage.svg)"
MIB = 1024 * 1024
NAMES = {OURS: "read model", PROXY: "proxy"}
COLOURS = {OURS: "#1f6f5c", PROXY: "#b4532a"}

Result = dict[str, Any]


def goals(result: Result) -> list[Goal]:
    """Return the goals of the outage benchmark and the catch-up benchmark. Leave out a benchmark that didn't run."""
    judged: list[Goal] = []
    if "outage" in result:
        outage = result["outage"]
        for loop, measured in outage["loops"].items():
            down = {name: target["good_while_down"] * 100 for name, target in measured["targets"].items()}
            name = f"outage, {loop} loop"
            # On a busy machine, clients may send requests so late that this delay determines the measured p99.9. The
            # measurement is then marked as ``hidden``, and a quick run ignores the goal for p99.9. A full run never
            # ignores this goal.
            if not (measured.get("hidden") and result["made"]["quick"]):
                judged.append(Goal(f"{name}, p99.9 of a read compared with the proxy", measured["ratio"], 0.01))
            judged += [
                Goal(f"{name}, good responses while down, %", down[OURS], 99.9, True),
                Goal(f"{name}, the proxy's good responses while down, %", down[PROXY], 0),
                Goal(f"{name}, calls to the back office per read", measured["calls_per_read"], 0.01),
                Goal(f"{name}, age of data after the recovery, s", measured["age_after"], outage["bound"]),
            ]
    if "catch_up" in result:
        caught = result["catch_up"]
        memory = max(point["memory"] for point in caught["points"]) / MIB
        judged += [
            Goal("catch-up, growth exponent of the time of poll", caught["exponents"]["poll"], 1.1),
            Goal("catch-up, growth exponent of the time of apply", caught["exponents"]["apply"], 1.1),
            Goal("catch-up, peak memory of the last step compared with the step before", caught["memory_ratio"], 1.1),
            Goal("catch-up, peak memory of poll in MB", memory, 128),
            Goal("catch-up, invocations of poll in the last step", caught["points"][-1]["invocations"], 4, True),
        ]
    return judged


def outage(result: Result) -> str:
    """Return the Markdown tables of the outage benchmark: how long reads took, and how many got a good response."""
    return "\n\n".join(_loop(loop, measured, result["bound"]) for loop, measured in result["loops"].items())


def _loop(loop: str, measured: Result, bound: float) -> str:
    head = [f"{loop} loop, ms", "requests", "p50", "p99", "p99.9", "slowest", "good responses"]
    body = []
    for name, target in measured["targets"].items():
        for phase, row in {"all": target["all"], **target["phases"]}.items():
            times = [f"{row[percent] * 1e3:,.1f}" for percent in ("p50", "p99", "p99.9", "p100")]
            good = f"{row['good'] * 100:.2f} %"
            body.append([f"{NAMES[name]}, {phase}", f"{row['requests']:,}", *times, good])
    reads = measured["targets"][OURS]["requests"]
    late = max(target["late"] for target in measured["targets"].values()) * 1e3
    sentences = (
        f"`poll` called the back office {measured['calls']} times during {reads:,} reads.",
        f"The first read with fresh data came {measured['fresh_again']:.1f} s after the recovery.",
        f"Later than {bound:g} s after the recovery, no read returned data older than {measured['age_after']:.1f} s.",
        f"The clients sent 99.9 % of their requests within {late:.1f} ms of the time when they were due.",
    )
    return f"{table(head, body)}\n\n" + "\n".join(sentences)


def catch_up(result: Result) -> str:
    """Return the Markdown table of how long `poll` takes to read many changes and `apply` takes to apply them."""
    head = ["catch-up, changes", "poll s", "changes/s", "CPU s", "peak MB", "invocations", "apply s", "changes/s"]
    body = [
        [
            f"{point['changes']:,.0f}",
            f"{point['poll']:.2f}",
            f"{point['changes'] / point['poll']:,.0f}",
            f"{point['poll_cpu']:.2f}",
            f"{point['memory'] / MIB:.1f}",
            f"{point['invocations']:.0f}",
            f"{point['apply']:.2f}",
            f"{point['changes'] / point['apply']:,.0f}",
        ]
        for point in result["points"]
    ]
    exponents = result["exponents"]
    sentences = (
        f"The time that `poll` takes grows with the number of changes to the power of {exponents['poll']:.2f}.",
        f"The time that `apply` takes grows to the power of {exponents['apply']:.2f}. Linear growth has the power 1.",
    )
    return f"{table(head, body)}\n\n" + "\n".join(sentences)


def chart(result: Result, file: Path) -> None:
    """Draw a chart of the outage benchmark into an SVG file. Drawing the same result again makes the same file.

    For each second of the benchmark, the chart shows how long reads took through the read model and through the proxy,
    and how old the data from the read model was.
    """
    import matplotlib as mpl  # imported here, because the import takes a second and most runs draw no chart

    mpl.use("svg")
    from matplotlib import pyplot as plt

    mpl.rcParams.update({"svg.hashsalt": "readplane", "svg.fonttype": "none", "font.size": 8})
    phases = Phases(*result["phases"])
    figure, places = plt.subplots(3, 1, figsize=(11, 9), layout="constrained", sharex=True, height_ratios=(3, 3, 2))
    for place, (loop, measured) in zip(places, result["loops"].items(), strict=False):
        for name, target in measured["targets"].items():
            seconds, p50, slowest, bad = zip(*target["curve"], strict=True)
            colour, label = COLOURS[name], NAMES[name]
            place.plot(seconds, [value * 1e3 for value in slowest], color=colour, label=f"{label}, the slowest")
            place.plot(seconds, [value * 1e3 for value in p50], color=colour, ls=":", label=f"{label}, median")
            failed = [
                (second, value * 1e3) for second, value, number in zip(seconds, slowest, bad, strict=True) if number
            ]
            if failed:
                place.plot(*zip(*failed, strict=True), "x", color=colour, label=f"{label}, some failed")
        place.set_yscale("log")
        place.set_ylim(1, 20_000)
        place.set_title(f"{loop} loop: time of a read in ms, from when it was due, per second", loc="left")
        place.legend(loc="upper right", frameon=False)
    age = places[-1]
    for loop, style in zip(result["loops"], ("-", ":"), strict=True):
        age.plot(*zip(*result["loops"][loop]["ages"], strict=True), ls=style, color=COLOURS[OURS], label=f"{loop} loop")
    start = phases.up_at + result["bound"]
    age.plot([start, phases.seconds], [result["bound"]] * 2, color="black", lw=1, label="poll interval + timeout")
    age.set_title("age of the data in the read model's responses in s, the oldest per second", loc="left")
    age.set_xlabel("seconds")
    age.legend(loc="upper right", frameon=False)
    age.set_ylim(0, 1.4 * (phases.down + result["bound"]))
    marks = [("1 % stall for 1-3 s", "#f3e3b3", phases.calm, phases.down_at)]
    marks += [("down: connections refused", "#efc4b4", phases.down_at, phases.hangs_at)]
    marks += [("down: connections hang", "#e3a08a", phases.hangs_at, phases.up_at)]
    for place in places:
        place.spines[["top", "right"]].set_visible(False)
        place.margins(x=0)
        for _, colour, start, end in marks:
            place.axvspan(start, end, color=colour, alpha=0.5, lw=0, zorder=0)
    for text, _, start, _ in marks:
        places[0].text(start, 1.0, f" {text}", transform=places[0].get_xaxis_transform(), va="top")
    write_svg(figure, file)


def write_svg(figure: Any, file: Path) -> None:
    """Write a matplotlib figure to an SVG file. Leave out the date, because it would change the file with each run."""
    figure.savefig(file, metadata={"Date": None}, facecolor="white")
    file.write_text("\n".join(line.rstrip() for line in file.read_text().splitlines()) + "\n")
