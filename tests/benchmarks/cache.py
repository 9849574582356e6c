"""The benchmark of the item cache: a cached read over TLS, its cold start, and the client alone, beside redis-py."""

import sysconfig
from pathlib import Path
from typing import Any

from ops.local.tls_front import CertifiedFront
from ops.local.valkey import Valkey, start_valkey
from tests.benchmarks import load
from tests.benchmarks.arithmetic import Goal, interleaved, spread
from tests.benchmarks.checks import COMPARED_HEADERS, DifferenceError
from tests.benchmarks.instant_server import HOST, agreement, instant_server
from tests.benchmarks.markdown import table
from tests.benchmarks.measure import Extent, progress
from tests.benchmarks.processes import FakeProcess, Runner
from tests.benchmarks.subjects import CLIENT, FLOOR, LABELS, OURS, Subject, changed_settings

HIT, MISS, REDIS_PY, OVER_REDIS_PY = "readplane_cache", "readplane_cache_miss", "redis_py", "over_redis_py"
FUNCTION = "read"
CPU_US, COLD_MS, MODULES = 120, 3, 3
"""The goals: the CPU time of a cached read, and how much the cache adds to a cold start."""

ROUNDS = 31
"""The minimum number of rounds, in a quick run too. The goals judge differences of a few per cent, and each round takes
only a fraction of a second."""

LABELS_OF_CACHE = {
    FLOOR: LABELS[FLOOR],
    OURS: "Readplane, from DynamoDB",
    HIT: "Readplane, from the cache",
    MISS: "Readplane, from DynamoDB, then into the cache",
    OVER_REDIS_PY: "Readplane's handler, cache-aside with redis-py",
    REDIS_PY: "small handler, cache-aside with redis-py",
}

Result = dict[str, Any]


def measure(fake: FakeProcess, runner: Runner, folder: Path, subjects: dict[str, Subject], extent: Extent) -> Result:
    """Measure a cached read with Readplane, with redis-py, and with Readplane's handler over redis-py.

    Cold starts, the check of the responses and the number of commands use a real Valkey behind a TLS front. The warm
    reads use a server that answers at once. Valkey behind the front takes several times as long, so the readers would
    sleep meanwhile, and the benchmark would measure how the machine wakes them up.

    :raises DifferenceError: if a cached response differs from the one without a cache.
    """
    fake.do("reset")
    extent = extent._replace(cold_rounds=max(extent.cold_rounds, ROUNDS), warm_rounds=max(extent.warm_rounds, ROUNDS))
    event = load.get()
    valkey = start_valkey(folder / "valkey")
    try:
        front = CertifiedFront(folder / "front", valkey.port)
        try:
            behind_front = _subjects(folder, subjects, front.host, front.port, front.ca)
            _check(runner, behind_front, event)
            cold = _cold(runner, behind_front, valkey, event, extent)
            commands = _count_commands(runner, behind_front[HIT], valkey, event, extent.warm_requests)
        finally:
            front.stop()
    finally:
        valkey.stop()
    with instant_server(folder, _Values().answer) as port:
        warm = _warm(runner, _subjects(folder, subjects, HOST, port, folder / "ca.pem"), event, extent)
    return {"cold": cold, "warm": warm, "commands_per_read": commands}


def _cold(
    runner: Runner, subjects: dict[str, Subject], valkey: Valkey, event: dict[str, Any], extent: Extent
) -> Result:
    progress(f"cache: {extent.cold_rounds} rounds of cold starts")
    samples: dict[str, list[dict[str, Any]]] = {OURS: [], MISS: [], HIT: []}

    def start(name: str) -> float:
        if name == MISS:
            valkey.client().flushdb()
        sample = runner.sample(subjects[name], FUNCTION, event)
        samples[name].append(sample)
        return float(sample["cpu"])

    interleaved(list(samples), extent.cold_rounds, start)
    return {
        name: {kind: spread(sample[kind] for sample in own)._asdict() for kind in ("cpu", "modules")}
        | {"least_cpu": min(float(sample["cpu"]) for sample in own)}
        for name, own in samples.items()
    }


def _count_commands(runner: Runner, subject: Subject, valkey: Valkey, event: dict[str, Any], requests: int) -> float:
    """Return how many commands a cached read sends."""
    server = runner.server(subject, FUNCTION, event)
    try:
        server.serve(20)
        before = _commands(valkey)
        server.serve(requests)
        return (_commands(valkey) - before) / requests
    finally:
        server.close()


def _warm(runner: Runner, subjects: dict[str, Subject], event: dict[str, Any], extent: Extent) -> Result:
    progress(f"cache: {extent.warm_rounds} rounds of {extent.warm_requests} cached reads")
    names = (FLOOR, OURS, HIT, OVER_REDIS_PY, REDIS_PY)
    servers = {name: runner.server(subjects[name], FUNCTION, event) for name in names}
    try:
        for server in servers.values():
            server.serve(extent.warm_requests)
        samples = interleaved(names, extent.warm_rounds, lambda name: servers[name].serve(extent.warm_requests))
    finally:
        for server in servers.values():
            server.close()
    return {name: {"cpu": spread(own)._asdict()} for name, own in samples.items()}


class _Values:
    """What a cache answers that stores and returns values at once."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}

    def answer(self, commands: bytes) -> bytes:
        """Return the answer to a command of a reader, or to what redis-py sends before."""
        words = commands.split(b"\r\n")[2::2]  # of the first command; JSON has no line break
        name = words[0].upper()
        if name == b"GET":
            value = self._values.get(words[1])
            return b"$-1\r\n" if value is None else b"$%d\r\n%b\r\n" % (len(value), value)
        if name == b"EVALSHA":
            self._values[words[3]] = words[4]
            return b"$-1\r\n"
        if name == b"SET":  # a lease, or redis-py's SET
            self._values[words[1]] = words[2]
        return agreement(commands)


def _commands(valkey: Valkey) -> int:
    """Return how many commands of readers the cache has served."""
    statistics = valkey.client().info("commandstats")
    names = ("get", "set", "eval", "evalsha")
    return sum(statistics.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in names)


def _subjects(folder: Path, subjects: dict[str, Subject], host: str, port: int, ca: Path) -> dict[str, Subject]:
    """Return the measured implementations. All of them use the server at this address and trust its authority."""
    ours = subjects[OURS]
    cache = {
        "engine": "valkey",
        "host": host,
        "port": port,
        "tls": True,
        "user": None,
        "iam_name": None,
        "serverless": False,
        "generation": 1,
        "collections": ["products"],
        # Longer than the benchmark, so that every read but the first is a hit.
        "fresh_seconds": 3600,
    }
    bundle = folder / f"ca-cache-{port}.pem"
    bundle.write_text(f"{Path(ours.env['AWS_CA_BUNDLE']).read_text()}\n{ca.read_text()}")
    env = ours.env | {"READPLANE_SETTINGS": changed_settings(ours, cache=cache), "AWS_CA_BUNDLE": str(bundle)}
    server = {"CACHE_HOST": host, "CACHE_PORT": str(port), "CACHE_CA": str(ca)}
    site = sysconfig.get_path("purelib")
    theirs = (str(folder / "references"), site)
    rows = [
        subjects[FLOOR],
        ours,
        ours._replace(name=HIT, env=env),
        ours._replace(name=MISS, env=env),
        Subject(REDIS_PY, f"references.{{}}_{REDIS_PY}", theirs, subjects[CLIENT].env | server),
        Subject(OVER_REDIS_PY, f"references.{{}}_{OVER_REDIS_PY}", (*ours.path, *theirs), ours.env | server),
    ]
    return {subject.name: subject for subject in rows}


def _check(runner: Runner, subjects: dict[str, Subject], event: dict[str, Any]) -> None:
    """Check that every implementation responds alike, from DynamoDB and from the cache."""
    expected = None
    for name, subject in subjects.items():
        if name == FLOOR:
            continue
        for response in runner.responses(subject, FUNCTION, [event, event]):
            headers = {header.lower(): value for header, value in response["headers"].items()}
            got = response["statusCode"], response["body"], {header: headers.get(header) for header in COMPARED_HEADERS}
            expected = expected or got
            if got != expected:
                raise DifferenceError(f"{name}, cached read:\n  {got}\n  ours without a cache: {expected}")


def goals(result: Result) -> list[Goal]:
    """Return the goals of this part.

    :param result: the results of the part.
    """
    cpu = {name: row["cpu"]["median"] for name, row in result["warm"].items()}
    # Judge differences by the lower quartiles, and the small ones of cold starts by the least values. Other work of the
    # machine only ever adds time, and a small difference of two medians would be lost in it.
    low = {name: row["cpu"]["low"] for name, row in result["warm"].items()}
    # The handlers alone: without the event's copy, which the measuring process makes for each request.
    ours, theirs = low[HIT] - low[FLOOR], low[OVER_REDIS_PY] - low[FLOOR]
    cold = {name: row["least_cpu"] for name, row in result["cold"].items()}
    modules = {name: row["modules"]["median"] for name, row in result["cold"].items()}
    return [
        Goal("cached read, CPU µs over TLS", cpu[HIT] * 1e6, CPU_US),
        Goal("cached read, commands", result["commands_per_read"], 1),
        Goal("cached read, CPU compared with the read from DynamoDB", cpu[HIT] / cpu[OURS], 0.5),
        Goal("cached read, speed compared with the same handler over redis-py", theirs / ours, 2, True),
        Goal(
            "cold read with the cache, CPU ms above the one without, if it misses",
            (cold[MISS] - cold[OURS]) * 1e3,
            COLD_MS,
        ),
        Goal(
            "cold read with the cache, CPU ms above the one without, if it hits",
            (cold[HIT] - cold[OURS]) * 1e3,
            COLD_MS,
        ),
        Goal("cold read with the cache, modules above the one without", modules[MISS] - modules[OURS], MODULES),
    ]


def tables(result: Result) -> str:
    """Return the Markdown tables of this part."""
    head = ["cached read over TLS", "CPU µs", "quartiles", "Readplane is"]
    ours = result["warm"][HIT]["cpu"]["median"]
    body = []
    for name, row in result["warm"].items():
        cpu = row["cpu"]
        body.append(
            [
                LABELS_OF_CACHE[name],
                f"{cpu['median'] * 1e6:.0f}",
                f"{cpu['low'] * 1e6:.0f}-{cpu['high'] * 1e6:.0f}",
                "" if name in (FLOOR, HIT) else f"{ours / cpu['median']:.2f} x",
            ]
        )
    cold = [
        [LABELS_OF_CACHE[name], f"{row['cpu']['median'] * 1e3:.1f}", f"{row['modules']['median']:.0f}"]
        for name, row in result["cold"].items()
    ]
    return f"{table(head, body)}\n\n{table(['cold start of `read`', 'CPU ms', 'modules'], cold)}"
