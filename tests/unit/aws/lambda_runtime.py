"""A program that runs the functions `write` and `read` as Lambda's runtime does.

First the program imports both handlers and prints ``ready``. Then it reads invocations from standard input. Each line
is a JSON list of the function's name, the trace header and the event. For each line, the program sets the trace header,
invokes the handler, and prints ``answered`` and the HTTP status of the response.
"""

import importlib
import json
import os
import sys

handlers = {}
for function in ("write", "read"):
    handlers[function] = importlib.import_module(f"readplane.{function}.handler").handler
print("ready", flush=True)
for line in sys.stdin:
    function, header, event = json.loads(line)
    os.environ["_X_AMZN_TRACE_ID"] = header
    print("answered", handlers[function](event, None)["statusCode"], flush=True)
