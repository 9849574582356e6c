"""The benchmark of the RESP client: the CPU time of one GET, beside redis-py's, with and without TLS.

The server of the benchmark answers each GET with the same value. It isn't a real Valkey behind a TLS front, because the
front takes several times as long to answer, and the benchmark would measure how the machine wakes a client up.

The server is a fork of this process. On a machine with few cores, client and server take turns on a core. A server with
the same code at the same addresses disturbs the client's caches least, and a server on another machine doesn't at all.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import redis

from readplane.stores.resp import RespClient
from tests.benchmarks.arithmetic import Goal, interleaved, spread
from tests.benchmarks.checks import DifferenceError
from tests.benchmarks.instant_server import HOST, agreement, instant_server
from tests.benchmarks.markdown import table
from tests.benchmarks.measure import Extent, progress

OURS, REDIS_PY = "readplane", "redis_py"
LABELS = {OURS: "Readplane's RESP client", REDIS_PY: "redis-py"}
SPEED = 3
"""The goal: how many times faster than redis-py the client is."""

KEY, VALUE = "g1/item/products/p-1", b"x" * 1_024
_VALUE = b"$%d\r\n%b\r\n" % (len(VALUE), VALUE)

Result = dict[str, Any]


def measure(folder: Path, extent: Extent) -> Result:
    """Measure the CPU seconds of a GET by each client, with and without TLS.

    :param folder: the folder with the server's TLS files, from ``write_certificate``.
    :raises DifferenceError: if a client doesn't get the value.
    """
    result: Result = {}
    for name, files in (("plain", None), ("tls", folder)):
        progress(f"cache client, {name}: {extent.warm_rounds} rounds of {extent.warm_requests} GETs")
        with instant_server(files, _answer) as port, _clients(port, folder, tls=files is not None) as clients:
            for client, get in clients.items():
                if get() != VALUE:
                    raise DifferenceError(f"{LABELS[client]} gets another value.")
            samples = interleaved(list(clients), extent.warm_rounds, partial(_seconds_per_get, clients, extent))
        result[name] = {client: {"cpu": spread(own)._asdict()} for client, own in samples.items()}
    return result


def _seconds_per_get(clients: dict[str, Callable[[], Any]], extent: Extent, name: str) -> float:
    get = clients[name]
    for _ in range(20):
        get()
    start = time.process_time()
    for _ in range(extent.warm_requests):
        get()
    return (time.process_time() - start) / extent.warm_requests


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
