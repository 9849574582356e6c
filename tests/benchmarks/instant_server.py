"""A server for measuring the clients of a cache: it answers at once, in a process of its own.

Client and server run on the same core, where it is possible (Linux). On two cores, the kernel decides from case to case
whether to wake the client up on the server's core or on its own. A wake-up across cores takes the client longer than
the whole call, so it would decide the result.
"""

import multiprocessing
import os
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HOST = "127.0.0.1"

Answer = Callable[[bytes], bytes]
"""Returns the answer to the bytes that a client has sent: a command, or several."""


@contextmanager
def instant_server(files: Path | None, answer: Answer) -> Iterator[int]:
    """Run the server. Return its port. Meanwhile this thread, and each process that it starts, has one core.

    :param files: the folder with the server's certificate and key; ``None`` for no TLS.
    :param answer: runs in the server's process, which is a fork of this one.
    """
    tls = None
    if files:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(files / "certificate.pem", files / "key.pem")
    with socket.create_server((HOST, 0)) as listener, _one_core():
        process = multiprocessing.get_context("fork").Process(target=_accept, args=(listener, tls, answer), daemon=True)
        process.start()
        try:
            yield listener.getsockname()[1]
        finally:
            process.kill()
            process.join()


@contextmanager
def _one_core() -> Iterator[None]:
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def agreement(commands: bytes) -> bytes:
    """Return OK for each command, such as those with which redis-py says who it is."""
    return b"+OK\r\n" * len(re.findall(rb"\*\d+\r\n", commands))


def _accept(listener: socket.socket, tls: ssl.SSLContext | None, answer: Answer) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection, tls, answer), daemon=True).start()


def _serve(connection: socket.socket, tls: ssl.SSLContext | None, answer: Answer) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(OSError):
        if tls:
            connection = tls.wrap_socket(connection, server_side=True)
        while commands := connection.recv(65_536):
            connection.sendall(answer(commands))
