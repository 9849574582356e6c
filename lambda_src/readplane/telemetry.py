"""Structured logs, business metrics and traces.

One JSON line per event on standard output. A line that carries metrics is in CloudWatch's embedded metric format, so
that logs and metrics are one write and no call is made on the request's path. No field ever holds a token, a body or
the text of an exception: exceptions are told by kind and place.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Mapping
from typing import Any, Literal

NAMESPACE = "Readplane"

Level = Literal["INFO", "WARN", "ERROR"]


def start_tracing() -> None:
    """Send X-Ray subsegments for every AWS call, where Lambda runs an X-Ray daemon to send them to."""
    if "AWS_XRAY_DAEMON_ADDRESS" in os.environ:
        from aws_xray_sdk.core import patch  # costly, and only Lambda has the daemon

        patch(("botocore",))


class Telemetry:
    """Writes one function's events; ``stack`` is the dimension that every metric has."""

    def __init__(self, function: str, stack: str) -> None:
        self._function = function
        self._stack = stack

    def event(
        self,
        message: str,
        *,
        level: Level = "INFO",
        metrics: Mapping[str, float] | None = None,
        collection: str | None = None,
        timestamp_ms: int | None = None,
        **fields: object,
    ) -> None:
        """Write one event.

        :param metrics: counts, by stack, and by collection too where one is named.
        :param timestamp_ms: when the metrics count, if that isn't now (CloudWatch takes up to 14 days back).
        :param fields: ids and numbers of the event, for one ``request_id`` and ``change_id``.
        """
        line: dict[str, object] = {"level": level, "message": message, "function": self._function, **fields}
        if collection is not None:
            line["Collection"] = collection
        if metrics:
            dimensions = [["Stack"]] if collection is None else [["Stack"], ["Stack", "Collection"]]
            units = [{"Name": name, "Unit": "Count"} for name in metrics]
            line |= {"Stack": self._stack, **metrics}
            line["_aws"] = {
                "Timestamp": timestamp_ms or int(time.time() * 1000),
                "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": units}],
            }
        sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")

    def failure(self, message: str, error: BaseException, **fields: str) -> None:
        """Write an error with its kind and place, chain included, but never its text."""
        kinds, place = [], []
        cause: BaseException | None = error
        while cause is not None:
            kinds.append(type(cause).__name__)
            frames = traceback.extract_tb(cause.__traceback__)
            place += [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
            cause = cause.__cause__
        code = getattr(error, "response", {}).get("Error", {}).get("Code")
        told: dict[str, Any] = {**fields, "error": kinds, "code": code, "place": place}
        self.event(message, level="ERROR", **told)
