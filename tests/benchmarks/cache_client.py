"""The benchmark of the RESP client: the CPU time of one GET, beside redis-py's, with and without TLS.

The server of the benchmark answers each GET with the same value. It isn't a real Valkey behind a TLS front, because the
front takes several times as long to answer, and the benchmark would measure how the machine wakes a client up.

The server is a fork of this process and takes turns with the client on one core. A server with the same code at the
same addresses disturbs the client's caches least, and a server on another machine doesn't at all.

``python -m tests.benchmarks.cache_client FOLDER ROUNDS REQUESTS`` prints the samples of one process as JSON.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import redis

from readplane.stores.resp import RespClient
from tests.benchmarks.arithmetic import Goal, interleaved, spread
from tests.benchmarks.checks import DifferenceError
from tests.benchmarks.instant_server import HOST, agreement, instant_server
from tests.benchmarks.markdown import table
from tests.benchmarks.measure import Extent, progress
from tests.benchmarks.processes import CommandProcess

OURS, REDIS_PY = "readplane", "redis_py"
LABELS = {OURS: "Readplane's RESP client", REDIS_PY: "redis-py"}
SPEED = 3
"""The goal: how many times faster than redis-py the client is."""

PROCESSES = 9
"""How many processes to measure in. The places of code and data in memory change the result of a process by 3 %."""

KEY, VALUE = "g1/item/products/p-1", b"x" * 1_024
_VALUE = b"$%d\r\n%b\r\n" % (len(VALUE), VALUE)

Result = dict[str, Any]


def measure(folder: Path, extent: Extent) -> Result:
    """Measure the CPU seconds of a GET by each client, with and without TLS, in several fresh processes.

    :param folder: the folder with the server's TLS files, from ``write_certificate``.
    :raises SampleError: if a process fails.
    """
    progress(f"cache client: {PROCESSES} times {extent.warm_rounds} rounds of {extent.warm_requests} GETs")
    parts = []
    for _ in range(PROCESSES):
        with CommandProcess(__name__, str(folder), str(extent.warm_rounds), str(extent.warm_requests)) as process:
            parts.append(process.ready)
    return {
        name: {client: {"cpu": spread(chain(*(part[name][client] for part in parts)))._asdict()} for client in LABELS}
        for name in parts[0]
    }


def samples(folder: Path, rounds: int, requests: int) -> dict[str, Mapping[str, list[float]]]:
    """Measure the CPU seconds of a GET in this process: for each transport and client, a mean for each round.

    :raises DifferenceError: if a client doesn't get the value.
    """
    result = {}
    for name, files in (("plain", None), ("tls", folder)):
        with instant_server(files, _answer) as port, _clients(port, folder, tls=files is not None) as clients:
            for client, get in clients.items():
                if get() != VALUE:
                    raise DifferenceError(f"{LABELS[client]} gets another value.")
            result[name] = interleaved(list(clients), rounds, partial(_seconds_per_get, clients, requests))
    return result


def _seconds_per_get(clients: dict[str, Callable[[], Any]], requests: int, name: str) -> float:
    get = clients[name]
    for _ in range(20):
        get()
    start = time.process_time()
    for _ in range(requests):
        get()
    return (time.process_time() - start) / requests


@contextmanager
def _clients(port: int, folder: Path, *, tls: bool) -> Iterator[dict[str, Callable[[], Any]]]:
    """Make both clients. Return the functions that get the value."""
    pem = (folder / "ca.pem").read_text() if tls else None
    ours = RespClient(HOST, port, tls=tls, ca_pem=pem, connect_seconds=1, call_seconds=1)
    theirs = redis.Redis(HOST, port, ssl=tls, ssl_ca_certs=str(folder / "ca.pem"), socket_timeout=1, protocol=2)
    yield {OURS: partial(ours.get, KEY), REDIS_PY: partial(theirs.get, KEY)}
    ours.close()
    theirs.close()


def _answer(commands: bytes) -> bytes:
    return _VALUE if b"GET\r\n" in commands else agreement(commands)


def goals(result: Result) -> list[Goal]:
    """Return the goals of this part.

    :param result: the results of the part.
    """
    return [
        Goal(
            f"GET of the cache client{', TLS' if name == 'tls' else ''}, speed compared with redis-py",
            rows[REDIS_PY]["cpu"]["median"] / rows[OURS]["cpu"]["median"],
            SPEED,
            at_least=True,
        )
        for name, rows in result.items()
    ]


def tables(result: Result) -> str:
    """Return the Markdown table of this part."""
    head = ["GET of 1 KB, CPU µs", *(f"{column}{name}" for name in ("plain", "TLS") for column in ("", "quartiles, "))]
    body = []
    for client in (OURS, REDIS_PY):
        cells = [LABELS[client]]
        for rows in result.values():
            cpu = rows[client]["cpu"]
            cells += [f"{cpu['median'] * 1e6:.1f}", f"{cpu['low'] * 1e6:.1f}-{cpu['high'] * 1e6:.1f}"]
        body.append(cells)
    return table(head, body)


if __name__ == "__main__":
    print(json.dumps(samples(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))), flush=True)
