"""The Lambda entry point of every function. It makes the function once in each sandbox and passes events to it."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from .telemetry import Telemetry

Event = Mapping[str, Any]
"""The event that Lambda passes to a function: a parsed JSON object. The trigger, such as API Gateway, defines its
fields."""

Function = Callable[[Event, Any], dict[str, Any]]
"""A function that serves one event. It takes the event and Lambda's context object, and returns the response."""

CHECK: Event = {"check": True}
"""The event that checks a function. Terraform sends it to each new version before the version goes live, and a schedule
sends it to the live version once a day.

Only a principal that may invoke the function can send it. API Gateway, SQS, Kinesis and DynamoDB build their events
themselves, and no event of theirs is this one."""

_PASSING = frozenset({"AccessDenied", "AccessDeniedException", "NoSuchKey", "NoSuchVersion"})
"""AWS's error codes that a new stack may get for some seconds. A call is denied until all of AWS has the policy of the
function's role. An object of a bucket that has just become versioned may be missing at first."""

_INIT_SECONDS = 5.0
_SNAPSHOT_SECONDS = 60.0
"""How long init retries after one of these errors, without and with SnapStart. Lambda allows init 10 seconds, or at
least 130 seconds if it takes a SnapStart snapshot afterwards."""

_MAX_PAUSE_SECONDS = 4.0


class Entrypoint:
    """A Lambda handler. Each function has one, the variable ``handler`` in its file ``handler.py``. Lambda calls it."""

    def __init__(self, make: Callable[[], Function], check: Callable[[], list[str]] = list) -> None:
        """Make the function at once if this runs in Lambda. Elsewhere, make the function when the first event comes.

        In Lambda this makes the function during init, so that it is ready before the first request. Lambda runs init at
        full CPU, and SnapStart saves the result of init in its snapshot.

        An error doesn't stop init. Otherwise SnapStart would give up the whole version, and Terraform could neither say
        why nor repair it. Instead, each event makes the function again until that succeeds.

        :param make: reads the function's settings, makes its AWS clients and returns the function.
        :param check: returns the problems with the function's settings that making the function doesn't find, one
            sentence each. Only the event :data:`CHECK` calls it.
        """
        self._make = make
        self._check = check
        self._function: Function | None = None
        if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
            is_snapshot = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"
            try:
                self._start_patiently(_SNAPSHOT_SECONDS if is_snapshot else _INIT_SECONDS)
            except Exception as error:  # noqa: BLE001 (the next event makes the function again, or raises the error)
                Telemetry(os.environ["AWS_LAMBDA_FUNCTION_NAME"], "").failure(
                    "init_failed", "The function could not start. The next event starts it again.", error
                )

    def start(self) -> Function:
        """Make the function from the settings in the environment. Each call makes a new function.

        :raises SettingsError: if a setting is missing or wrong.
        """
        self._function = self._make()
        return self._function

    def __call__(self, event: Event, context: Any) -> dict[str, Any]:
        """Pass one event to the function and return its response. Lambda calls this method.

        The response to :data:`CHECK` is ``{"problems": […]}``: every problem with the settings, one sentence each.
        """
        if event == CHECK:
            if self._function is None:
                self._start_patiently(context.get_remaining_time_in_millis() / 2000)
            return {"problems": self._check()}
        return (self._function or self.start())(event, context)

    def _start_patiently(self, seconds: float) -> None:
        """Make the function. Retry after an error that may pass, for at most so many seconds."""
        deadline, pause = time.monotonic() + seconds, 0.25
        while True:
            try:
                self.start()
                return
            except Exception as error:
                if getattr(error, "code", None) not in _PASSING or time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, _MAX_PAUSE_SECONDS)
