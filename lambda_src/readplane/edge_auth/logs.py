"""Writes the log lines of `edge_auth` so that Lambda's filter by log level keeps them."""

import time
from collections.abc import Mapping

from ..telemetry import Telemetry


def log_failure(telemetry: Telemetry, code: str, message: str, error: BaseException, now: float, **fields: str) -> None:
    """Write an error event with a timestamp.

    Lambda@Edge logs to every Region with viewers, so the function's log level is WARN: Lambda then drops its own lines,
    which would cost more than the function. Lambda takes a line without a valid timestamp for INFO and would drop it
    too ("Log-level filtering" in AWS's documentation).

    :param now: the current time in Unix seconds.
    :param fields: further fields of the log line.
    """
    stamped: Mapping[str, str] = {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)), **fields}
    telemetry.failure(code, message, error, **stamped)
