"""The Lambda entry point of every function: it makes the function once per sandbox and passes events to it."""

import os
from collections.abc import Callable, Mapping
from typing import Any

Event = Mapping[str, Any]
"""The JSON that Lambda passes to a function. The trigger defines its shape."""

Function = Callable[[Event, Any], dict[str, Any]]
"""Takes an event and Lambda's context object, and returns the response as JSON."""


class Entrypoint:
    """A Lambda handler. Each handler module has one, named ``handler``."""

    def __init__(self, make: Callable[[], Function]) -> None:
        """Make the function at once in Lambda. Elsewhere the first event makes it.

        Lambda runs init at full CPU, and SnapStart saves the result of init. So the first request finds the function
        ready.

        :param make: reads the function's settings and makes its clients.
        """
        self._make = make
        self._function: Function | None = None
        if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
            self.start()

    def start(self) -> Function:
        """Make the function from its environment. Each call makes a new one.

        :raises SettingsError: if a setting is missing or wrong.
        """
        self._function = self._make()
        return self._function

    def __call__(self, event: Event, context: Any) -> dict[str, Any]:
        """Serve one event. Lambda calls this."""
        return (self._function or self.start())(event, context)
