"""Tests that the slim client and the boto3 client raise the same errors for interrupted streams and failed calls."""

import socket

import pytest

from readplane.aws.client import make_client
from readplane.aws.faults import UnansweredError
from tests.unit.aws.slim.server import Received, Server, raw_response

pytestmark = pytest.mark.usefixtures("aws", "either_client")


def test_an_unknown_kind_of_client_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READPLANE_CLIENT", "fat")
    with pytest.raises(ValueError, match="READPLANE_CLIENT must be one of slim, boto3"):
        make_client("dynamodb")


def test_a_stream_that_breaks_off_is_a_network_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server([raw_response(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", close=True)])
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    for size in (-1, 9):
        body = make_client("s3").call("GetObject", Bucket="bucket", Key="k")["Body"]
        with pytest.raises(UnansweredError) as unanswered:
            while body.read(size):
                pass
        assert unanswered.value.sent
        body.close()
    server.stop()


def test_a_call_counts_as_sent_even_if_its_last_attempt_could_not_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop_server(connection: socket.socket, request: Received) -> bool:
        server.stop()
        return False

    server = Server([stop_server])
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    with pytest.raises(UnansweredError, match="EndpointConnectionError") as unanswered:
        make_client("dynamodb", attempts=2).call("GetItem", TableName="t", Key={"pk": {"S": "k"}})
    assert unanswered.value.sent
