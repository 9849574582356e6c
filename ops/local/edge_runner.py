"""Run the handler of one edge function for one event after another. edge_functions.py starts this program.

The program is the only thing that the function's interpreter sees besides the standard library and the function's own
zip. It reads one JSON object per line from the standard input, and writes one per line to the standard output.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
import uuid


class Context:
    """The context object that Lambda passes to a handler."""

    def __init__(self, seconds: float) -> None:
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.invoked_function_arn = os.environ["READPLANE_EDGE_ARN"]
        self.aws_request_id = str(uuid.uuid4())
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return how many milliseconds the function has left."""
        return max(0, int((self._end - time.monotonic()) * 1000))


def main() -> None:
    """Import the handler, say so, and answer events until the standard input ends."""
    folder, handler, seconds = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # so that what the function prints goes to its log, and not between the answers
    sys.path.insert(0, folder)
    module, _, name = handler.replace("/", ".").rpartition(".")
    function = getattr(importlib.import_module(module), name)
    print(json.dumps({"ready": True}), file=answers)
    for line in sys.stdin:
        try:
            answer = {"result": function(json.loads(line), Context(float(seconds)))}
            text = json.dumps(answer)
        except Exception as error:  # noqa: BLE001 - Lambda reports whatever a handler raises
            traceback.print_exc()
            text = json.dumps({"error": f"{type(error).__name__}: {error}"})
        print(text, file=answers)


if __name__ == "__main__":
    main()
