"""Helpers for the tests of the RESP client: fronts before a server, clients of them, and a certificate authority."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ops.local.tls_front import TlsFront
from readplane.stores.resp import Answer, RespClient, RespError
from tests.unit.aws.slim.server import authority

HOST = "127.0.0.1"


def ca_pem() -> str:
    """Return the certificate of the authority that signs the fronts' certificates, as PEM text."""
    return Path(authority(HOST).bundle).read_text()


@contextmanager
def front_before(port: int, *, tls: bool) -> Iterator[TlsFront]:
    """Start a front before the server with the given port, and stop it in the end."""
    front = TlsFront(port, authority(HOST).server if tls else None)
    try:
        yield front
    finally:
        front.stop()


def client_of(port: int, *, tls: bool = False, **options: Any) -> RespClient:
    """Return a client of a server or front. It trusts the authority of the fronts."""
    return RespClient(HOST, port, tls=tls, ca_pem=ca_pem() if tls else None, **options)


def code_of(client: RespClient, *words: bytes, seconds: float | None = None) -> str:
    """Make a call that must fail, and return the code of its error."""
    with pytest.raises(RespError) as failed:
        client.call(*words, seconds=seconds)
    assert str(failed.value) == failed.value.code
    return failed.value.code


def outcome(client: RespClient, *words: bytes) -> Answer | str:
    """Return the answer of a call, or the code of its error."""
    try:
        return client.call(*words)
    except RespError as error:
        return error.code


def is_closed(client: RespClient) -> bool:
    """Return whether the client has closed its connection, and will open another."""
    return client._idle_since == 0.0 and client._socket is not None and client._socket.fileno() == -1


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, for at most 20 seconds."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)
