"""What came out of the outage and of catching up: goals, tables, and the chart."""

from pathlib import Path
from typing import Any

from tests.benchmarks.arithmetic import Goal
from tests.benchmarks.markdown import table
from tests.benchmarks.poll.phases import Phases
from tests.benchmarks.subjects import OURS, PROXY

PICTURE = "![How long a read takes, and how old what it tells is, second by second](outage.svg)"
MIB = 1024 * 1024
NAMES = {OURS: "read model", PROXY: "proxy"}
COLOURS = {OURS: "#1f6f5c", PROXY: "#b4532a"}

Result = dict[str, Any]


def goals(result: Result) -> list[Goal]:
    """What must be reached, as far as it was measured."""
    found: list[Goal] = []
    if "outage" in result:
        outage = result["outage"]
        for loop, told in outage["loops"].items():
            down = {name: target["good_while_down"] * 100 for name, target in told["targets"].items()}
            # A quick run, as on a shared machine, can't judge what its own clients' lateness hides; a full one must.
            if not (told.get("hidden") and result["made"]["quick"]):
                found.append(Goal(f"outage, {loop} loop, p99.9 of a read against the proxy's", told["ratio"], 0.01))
            found += [
                Goal(f"outage, {loop} loop, good answers while it is down, %", down[OURS], 99.9, True),
                Goal(f"outage, {loop} loop, the proxy's good answers while it is down, %", down[PROXY], 0),
                Goal(f"outage, {loop} loop, calls of the back office per read", told["calls_per_read"], 0.01),
                Goal(f"outage, {loop} loop, age of data after the recovery, s", told["age_after"], outage["bound"]),
            ]
    if "catch_up" in result:
        caught = result["catch_up"]
        memory = max(point["memory"] for point in caught["points"]) / MIB
        found += [
            Goal("catch-up, exponent of the time of poll", caught["exponents"]["poll"], 1.1),
            Goal("catch-up, exponent of the time of apply", caught["exponents"]["apply"], 1.1),
            Goal("catch-up, memory of the last step against the one before", caught["memory_ratio"], 1.1),
            Goal("catch-up, greatest memory of poll in MB", memory, 128),
            Goal(
                "catch-up, invocations that the last step was resumed over",
                caught["points"][-1]["invocations"],
                4,
                True,
            ),
        ]
    return found


def outage(told: Result) -> str:
    """The outage's tables, as Markdown."""
    return "\n\n".join(_loop(loop, found, told) for loop, found in told["loops"].items())


def _loop(loop: str, told: Result, outage: Result) -> str:
    head = [f"{loop} loop: ms", "requests", "p50", "p99", "p99.9", "slowest", "good answers"]
    body = []
    for name, target in told["targets"].items():
        for phase, found in {"all": target["all"], **target["phases"]}.items():
            times = [f"{found[percent] * 1e3:,.1f}" for percent in ("p50", "p99", "p99.9", "p100")]
            good = f"{found['good'] * 100:.2f} %"
            body.append([f"{NAMES[name]}, {phase}", f"{found['requests']:,}", *times, good])
    reads = told["targets"][OURS]["requests"]
    late = max(target["late"] for target in told["targets"].values()) * 1e3
    return (
        f"{table(head, body)}\n\n"
        f"For {reads:,} reads `poll` called the back office {told['calls']} times. The data was fresh again "
        f"{told['fresh_again']:.1f} s after the recovery, and from {outage['bound']:g} s on never older than "
        f"{told['age_after']:.1f} s. The clients themselves sent 99.9 % of their requests within {late:.1f} ms of "
        "when they were due."
    )


def catch_up(told: Result) -> str:
    """The table of catching up, as Markdown."""
    head = ["catch-up: changes", "poll s", "changes/s", "CPU s", "peak MB", "invocations", "apply s", "changes/s"]
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
        for point in told["points"]
    ]
    powers = told["exponents"]
    return (
        f"{table(head, body)}\n\nThe time of `poll` grows with changes to the power of {powers['poll']:.2f}, that of "
        f"`apply` to the power of {powers['apply']:.2f}."
    )


def chart(told: Result, file: Path) -> None:
    """Draw both latencies and the age of the data over time; the same result gives the same file."""
    import matplotlib as mpl  # a second to import, and only wanted here

    mpl.use("svg")
    from matplotlib import pyplot

    mpl.rcParams.update({"svg.hashsalt": "readplane", "svg.fonttype": "none", "font.size": 8})
    phases = Phases(*told["phases"])
    figure, places = pyplot.subplots(3, 1, figsize=(11, 9), layout="constrained", sharex=True, height_ratios=(3, 3, 2))
    for place, (loop, found) in zip(places, told["loops"].items(), strict=False):
        for name, target in found["targets"].items():
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
        place.set_title(f"{loop} loop: ms from when a request was due, by the second", loc="left")
        place.legend(loc="upper right", frameon=False)
    age = places[-1]
    for loop, style in zip(told["loops"], ("-", ":"), strict=True):
        age.plot(*zip(*told["loops"][loop]["ages"], strict=True), ls=style, color=COLOURS[OURS], label=f"{loop} loop")
    start = phases.up_at + told["bound"]
    age.plot([start, phases.seconds], [told["bound"]] * 2, color="black", lw=1, label="poll interval + time-out")
    age.set_title("age of what the read model answers: s, the oldest by the second", loc="left")
    age.set_xlabel("seconds")
    age.legend(loc="upper right", frameon=False)
    age.set_ylim(0, 1.4 * (phases.down + told["bound"]))
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
    """Write a figure without its date, and without the white space that the backend leaves at the ends of lines."""
    figure.savefig(file, metadata={"Date": None}, facecolor="white")
    file.write_text("\n".join(line.rstrip() for line in file.read_text().splitlines()) + "\n")
