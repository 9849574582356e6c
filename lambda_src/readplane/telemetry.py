"""Structured logs and business metrics.

One JSON line per event on standard output. A line that carries metrics is in CloudWatch's embedded metric format, so
that logs and metrics are one write and no call is made on the request's path. No field ever holds a token, a body or
the text of an exception: exceptions are told by kind and place.
"""

import json
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal

NAMESPACE = "Readplane"
MAX_CAUSES = 10
"""Of an error, told of it."""

Level = Literal["INFO", "WARN", "ERROR"]


class Telemetry:
    """Writes one function's events; ``stack`` is the dimension that every metric has."""

    def __init__(self, function: str, stack: str) -> None:
        self._function = function
        self._stack = stack

    def event(
        self,
        code: str,
        message: str,
        *,
        level: Level = "INFO",
        metrics: Mapping[str, float] | None = None,
        seconds: Mapping[str, float] | None = None,
        collection: str | None = None,
        source: str | None = None,
        timestamp_ms: int | None = None,
        **fields: object,
    ) -> None:
        """Write one event.

        :param code: names the kind of event for good; alarms, runbooks and log queries quote it.
        :param message: says in one sentence what happened, and what follows from it.
        :param metrics: counts, by stack, and by collection too where one is named; by source alone where one is.
        :param seconds: metrics of that unit.
        :param timestamp_ms: when the metrics count, if that isn't now (CloudWatch takes up to 14 days back).
        :param fields: ids and numbers of the event, for one ``request_id`` and ``change_id``.
        """
        line: dict[str, object] = {
            "level": level,
            "event": code,
            "message": message,
            "function": self._function,
            **fields,
        }
        if collection is not None:
            line["Collection"] = collection
        if source is not None:
            line["Source"] = source
        if metrics or seconds:
            dimensions = [["Stack"]] if collection is None else [["Stack"], ["Stack", "Collection"]]
            if source is not None:
                dimensions = [["Stack", "Source"]]
            units = [{"Name": name, "Unit": "Count"} for name in metrics or ()]
            units += [{"Name": name, "Unit": "Seconds"} for name in seconds or ()]
            line |= {"Stack": self._stack, **(metrics or {}), **(seconds or {})}
            line["_aws"] = {
                "Timestamp": timestamp_ms or int(time.time() * 1000),
                "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": units}],
            }
        sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")

    def failure(self, code: str, message: str, error: BaseException, **fields: str) -> None:
        """Write an error with its kind and place, chain included, but never its text."""
        kinds: list[str] = []
        place: list[str] = []
        cause: BaseException | None = error
        # An error may be its own cause, by a slip (`raise error from error`): a log line must not go on for ever.
        while cause is not None and len(kinds) < MAX_CAUSES:
            kinds.append(type(cause).__name__)
            place += _frames(cause.__traceback__)
            cause = cause.__cause__
        details: dict[str, Any] = {
            **fields,
            "error": kinds,
            "error_code": getattr(error, "code", None),
            "place": place,
        }
        self.event(code, message, level="ERROR", **details)


def _frames(trace: TracebackType | None) -> list[str]:
    # By hand: importing `traceback`, and what it imports, takes longer than all of ours.
    frames = []
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return frames
