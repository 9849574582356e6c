"""Tests of appending a line to the write log.

If appending fails, the error must say whether Firehose may have stored the line all the same.
"""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from readplane.aws.client import Client, make_client
from readplane.aws.faults import RefusedError
from readplane.write.log import ATTEMPTS, FirehoseWriteLog, NotAppendedError

pytestmark = pytest.mark.usefixtures("aws", "either_client")


class Failing:
    """An AWS client that raises the same error at each call, and counts the calls."""

    def __init__(self, code: str, status: int) -> None:
        self.error = RefusedError(code, status)
        self.calls = 0

    def call(self, operation: str, /, **parameters: Any) -> Any:
        self.calls += 1
        raise self.error


@pytest.mark.parametrize(
    ("code", "status", "refused", "calls"),
    [
        ("ServiceUnavailableException", 500, False, ATTEMPTS),
        ("ServiceUnavailableException", 503, False, ATTEMPTS),
        ("SlowDown", 503, False, ATTEMPTS),
        ("ThrottlingException", 400, True, ATTEMPTS),
        ("RequestLimitExceeded", 400, True, ATTEMPTS),
        ("ResourceNotFoundException", 400, True, 1),
        ("AccessDeniedException", 400, True, 1),
        ("InternalFailure", 500, False, ATTEMPTS),
    ],
)
def test_an_error_counts_as_refused_only_if_nothing_can_have_been_stored(
    code: str, status: int, refused: bool, calls: int
) -> None:
    failing = Failing(code, status)
    with pytest.raises(NotAppendedError) as caught:
        FirehoseWriteLog(failing, "stream").append(b"line\n")
    assert (caught.value.refused, caught.value.cause, failing.calls) == (refused, code, calls)


def test_a_refusal_after_an_unknown_outcome_stays_unknown() -> None:
    errors = iter(
        [
            Failing("InternalFailure", 500).error,
            Failing("ThrottlingException", 400).error,
            Failing("X", 400).error,
        ]
    )

    class Changing:
        def call(self, operation: str, /, **parameters: Any) -> Any:
            raise next(errors)

    with pytest.raises(NotAppendedError) as caught:
        FirehoseWriteLog(Changing(), "stream").append(b"line\n")
    assert caught.value.refused is False


def test_a_transient_refusal_is_retried() -> None:
    errors = iter([Failing("ServiceUnavailableException", 503).error, None])
    sent: list[bytes] = []

    class Recovering:
        def call(self, operation: str, /, **parameters: Any) -> Any:
            error = next(errors)
            if error:
                raise error
            sent.append(parameters["Record"]["Data"])

    FirehoseWriteLog(Recovering(), "stream").append(b"line\n")
    assert sent == [b"line\n"]


def firehose_at(port: int, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    return make_client("firehose", attempts=1, read_timeout=0.2)


@pytest.fixture
def port() -> Iterator[int]:
    """Yield the port of a server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connections: list[socket.socket] = []
        thread = threading.Thread(target=lambda: accept_all(server, connections), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for connection in connections:
            connection.close()


def accept_all(server: socket.socket, connections: list[socket.socket]) -> None:
    while True:
        try:
            connections.append(server.accept()[0])
        except OSError:
            return


def test_a_timeout_is_unknown_and_a_refused_connection_is_refused(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotAppendedError) as timed_out:
        FirehoseWriteLog(firehose_at(port, monkeypatch), "stream").append(b"line\n")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        closed_port = closed.getsockname()[1]
    with pytest.raises(NotAppendedError) as unconnected:
        FirehoseWriteLog(firehose_at(closed_port, monkeypatch), "stream").append(b"line\n")
    assert timed_out.value.refused is False and unconnected.value.refused is True
