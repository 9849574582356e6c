"""The Lambda entry point of every function. It makes the function once in each sandbox and passes events to it."""

import os
from collections.abc import Callable, Mapping
from typing import Any

Event = Mapping[str, Any]
"""The event that Lambda passes to a function: a parsed JSON object. The trigger, such as API Gateway, defines its
fields."""

Function = Callable[[Event, Any], dict[str, Any]]
"""A function that serves one event. It takes the event and Lambda's context object, and returns the response."""


class Entrypoint:
    """A Lambda handler. Each function has one, the variable ``handler`` in its file ``handler.py``. Lambda calls it."""

    def __init__(self, make: Callable[[], Function]) -> None:
        """Make the function at once if this runs in Lambda. Elsewhere, make the function when the first event comes.

        In Lambda this makes the function during init, so that it is ready before the first request. Lambda runs init at
        full CPU, and SnapStart saves the result of init in its snapshot.

        :param make: reads the function's settings, makes its AWS clients and returns the function.
        """
        self._make = make
        self._function: Function | None = None
        if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
            self.start()

    def start(self) -> Function:
        """Make the function from the settings in the environment. Each call makes a new function.

        :raises SettingsError: if a setting is missing or wrong.
        """
        self._function = self._make()
        return self._function

    def __call__(self, event: Event, context: Any) -> dict[str, Any]:
        """Pass one event to the function and return its response. Lambda calls this method."""
        return (self._function or self.start())(event, context)
