"""A program that runs `write` and `read` as Lambda's runtime does.

It imports the handlers at init, and sets a new trace header for each invocation. Each line of standard input is an
invocation: ``[function, trace header, event]`` as JSON. The program prints ``ready`` after init. After each invocation
it prints ``answered`` and the response's status.
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
