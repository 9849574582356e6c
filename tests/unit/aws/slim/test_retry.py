"""Tests of retries: which errors the slim client retries, how long it backs off, and how it corrects a wrong clock."""

import json
import socket
import time
from calendar import timegm
from email.utils import formatdate
from typing import Any

import pytest
from botocore.retries import standard

from readplane.aws.faults import RefusedError
from readplane.aws.slim import client as slim_client
from readplane.aws.slim import retry
from readplane.aws.slim.retry import BACKOFF_SECONDS, THROTTLED_BACKOFF_SECONDS
from tests.unit.aws.slim.server import Received, Step, error_response, response
from tests.unit.aws.slim.support import GET, OK, StartServer, dynamodb


@pytest.mark.parametrize(
    ("step", "max_seconds"),
    [
        (response(b"", 500), BACKOFF_SECONDS),
        (error_response("InternalServerError", 500), BACKOFF_SECONDS),
        (response(b"<html>", 502), BACKOFF_SECONDS),
        (error_response("ServiceUnavailableException", 503), BACKOFF_SECONDS),
        (response(b"", 504), BACKOFF_SECONDS),
        (error_response("ReplicatedWriteConflictException"), BACKOFF_SECONDS),
        (error_response("ThrottlingException"), THROTTLED_BACKOFF_SECONDS),
        (error_response("ProvisionedThroughputExceededException"), THROTTLED_BACKOFF_SECONDS),
        (response(b"", 429), THROTTLED_BACKOFF_SECONDS),
    ],
)
def test_throttling_and_transient_errors_are_retried_after_a_backoff(
    serve: StartServer, backoffs: list[float], step: Step, max_seconds: float
) -> None:
    server = serve(step, OK)
    assert "Item" in dynamodb().call("GetItem", **GET)
    assert backoffs == [max_seconds]
    assert server.connections == 1

    server = serve(step)
    with pytest.raises(RefusedError):
        dynamodb().call("GetItem", **GET)
    assert len(server.requests) == 3
    assert backoffs[1:] == [max_seconds, 2 * max_seconds]

    server = serve(step)
    with pytest.raises(RefusedError):
        dynamodb(attempts=1).call("GetItem", **GET)
    assert len(server.requests) == 1


def test_throttling_and_transient_codes_are_botocores() -> None:
    throttled: Any = standard.ThrottledRetryableChecker
    transient: Any = standard.TransientRetryableChecker
    assert set(throttled._THROTTLED_ERROR_CODES) == retry._THROTTLING_CODES
    # Add a code that botocore's list of transient codes lacks, because botocore takes it from DynamoDB's service model.
    codes = {*transient._TRANSIENT_ERROR_CODES, "ReplicatedWriteConflictException"}
    assert codes - retry._THROTTLING_CODES == retry._TRANSIENT_CODES
    assert set(transient._TRANSIENT_STATUS_CODES) == retry._TRANSIENT_STATUSES


def test_the_backoff_doubles_up_to_five_seconds(serve: StartServer, backoffs: list[float]) -> None:
    serve(error_response("ThrottlingException"))
    with pytest.raises(RefusedError):
        dynamodb(attempts=9).call("GetItem", **GET)
    assert backoffs == [0.25, 0.5, 1, 2, 4, 5, 5, 5]


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("ahead", [-3600, 3600])
@pytest.mark.parametrize("code", ["RequestTimeTooSkewed", "InvalidSignatureException", "SignatureDoesNotMatch"])
def test_a_wrong_clock_is_corrected_for_this_call_and_the_next(
    serve: StartServer, code: str, ahead: int, attempts: int
) -> None:
    aws_time = time.time() + ahead
    server = serve(response(json.dumps({"__type": code}).encode(), 403, Date=formatdate(aws_time, usegmt=True)), OK)
    assert "Item" in dynamodb(attempts=attempts).call("GetItem", **GET)
    assert "Item" in dynamodb(attempts=attempts).call("GetItem", **GET)

    times = [time.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ") for request in server.requests]
    offsets = [round((timegm(at) - aws_time) / 60) for at in times]
    assert offsets == [-ahead / 60, 0, 0]


def test_the_attempt_that_shows_a_wrong_clock_does_not_count(serve: StartServer) -> None:
    skewed = response(b'{"__type": "RequestExpired"}', 400, Date=formatdate(time.time() + 3600, usegmt=True))
    server = serve(response(b"", 500), skewed, OK)
    assert "Item" in dynamodb(attempts=2).call("GetItem", **GET)
    assert len(server.requests) == 3


def test_a_call_is_retried_if_another_thread_corrected_the_clock_meanwhile(
    serve: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws_date = formatdate(time.time() + 3600, usegmt=True)

    def respond_after_correction(connection: socket.socket, request: Received) -> bool:
        monkeypatch.setattr(slim_client.clock_skew, "seconds", 3600.0)
        return response(b'{"__type": "RequestTimeTooSkewed"}', 403, Date=aws_date)(connection, request)

    serve(respond_after_correction, OK)
    assert "Item" in dynamodb().call("GetItem", **GET)


@pytest.mark.parametrize("date", [{}, {"Date": "yesterday"}, {"Date": formatdate(usegmt=True)}])
def test_a_bad_signature_with_a_correct_clock_is_not_retried(serve: StartServer, date: dict[str, Any]) -> None:
    server = serve(response(b'{"__type": "InvalidSignatureException"}', 403, **date))
    with pytest.raises(RefusedError, match="InvalidSignatureException"):
        dynamodb().call("GetItem", **GET)
    assert len(server.requests) == 1


def test_the_clock_is_corrected_only_once_per_call(serve: StartServer) -> None:
    steps = [
        response(b'{"__type": "RequestExpired"}', 400, Date=formatdate(time.time() + 3600 * hours, usegmt=True))
        for hours in (1, 2, 3)
    ]
    server = serve(*steps)
    with pytest.raises(RefusedError, match="RequestExpired"):
        dynamodb().call("GetItem", **GET)
    assert len(server.requests) == 2
