"""Writes structured logs and business metrics: one line of JSON on standard output for each event.

A line with metrics is in CloudWatch's embedded metric format: CloudWatch reads the metrics from the log. So a metric
costs no call to AWS during a request. No field of a line may hold a token, a request body or the text of an exception.
For an exception, a line holds the class and the stack frames.
"""

import json
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal

NAMESPACE = "Readplane"
"""The CloudWatch namespace of all metrics."""

MAX_CAUSES = 10
"""The maximum number of exceptions that one log line names: an error, its cause, the cause of this cause, and so on."""

Level = Literal["INFO", "WARN", "ERROR"]


class Telemetry:
    """Writes the log events and metrics of one function."""

    def __init__(self, function: str, stack: str) -> None:
        """Set the names of the function and the stack for all events.

        :param function: the function's name, which every log line holds.
        :param stack: the stack's name, which is a dimension of every metric.
        """
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
        """Write one event, with its metrics, as a line of JSON.

        :param code: the kind of event, in snake_case. It never changes, because alarms, runbooks and log queries
            quote it.
        :param message: one sentence that says what happened, and what follows from it.
        :param metrics: counts, by metric name.
        :param seconds: durations in seconds, by metric name.
        :param collection: the collection that the event is about. CloudWatch then adds the event's metrics to those of
            the stack and to those of the collection.
        :param source: the source that the event is about. CloudWatch then adds the event's metrics to those of the
            source only, and not to those of the stack.
        :param timestamp_ms: the time of the metrics in Unix milliseconds; now by default. CloudWatch accepts times up
            to 14 days back.
        :param fields: further fields of the log line, such as ``request_id`` and ``change_id``.
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
        """Write an error event with the classes and stack frames of an exception and its causes, but not their texts.

        :param code: the kind of event, in snake_case, as in :meth:`event`.
        :param message: one sentence that says what failed, and what follows from it.
        :param fields: further fields of the log line.
        """
        classes: list[str] = []
        places: list[str] = []
        cause: BaseException | None = error
        # An exception can be its own cause (`raise error from error`). MAX_CAUSES ends the loop in this case too.
        while cause is not None and len(classes) < MAX_CAUSES:
            classes.append(type(cause).__name__)
            places += _frames(cause.__traceback__)
            cause = cause.__cause__
        details: dict[str, Any] = {
            **fields,
            "error": classes,
            "error_code": getattr(error, "code", None),
            "place": places,
        }
        self.event(code, message, level="ERROR", **details)


def _frames(trace: TracebackType | None) -> list[str]:
    """Return the file, line and function of each stack frame.

    This function doesn't use the module `traceback`, because importing that module takes longer than importing all of
    Readplane's modules.
    """
    frames = []
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return frames
