"""A program that runs `write` and `read` as Lambda's runtime does.

It imports the handlers at init, and sets the trace header again for each invocation. An invocation is a line of
standard input, ``[function, trace header, event]`` as JSON. Standard output gets ``ready`` after init, and for each
invocation ``answered`` with the response's status.
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
