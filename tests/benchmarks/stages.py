"""The script that measures the CPU time of each step of Readplane's cold start, in a fresh process.

If two steps import the same module, only the first of them takes time for the import. So the time of a step is what the
step adds to all steps before it.
"""

import marshal
import os
import sys
import time

STEPS = {
    "json, with re and enum": "json",
    "ssl, with socket": "ssl",
    "hashlib and hmac": "hmac",
    "http, typing": "typing http",
}
STORES = {"Amazon's roots": "amazon", "botocore's bundle": "botocore", "the system's store": "system"}


def main() -> None:
    """Measure the steps of one cold start; write the CPU seconds of each step.

    The first command-line argument is the path of the specification. The second argument is the file descriptor to
    which the results are written.
    """
    with open(sys.argv[1], "rb") as file:  # noqa: PTH123 (importing pathlib would distort the measurement)
        spec = marshal.load(file)
    sys.path[:] = spec["path"] + [entry for entry in sys.path[1:] if not entry.endswith("site-packages")]
    # While this variable is set, as on Lambda, the import of a handler also runs the handler's init. Remove the
    # variable, so that the script can measure the import and the init as two steps.
    del os.environ["AWS_LAMBDA_FUNCTION_NAME"]
    seconds: dict[str, float] = {}
    last = time.process_time()

    def done(step: str) -> None:
        nonlocal last
        now = time.process_time()
        seconds[step] = seconds.get(step, 0) + now - last
        last = time.process_time()

    for step, names in STEPS.items():
        for name in names.split():
            __import__(name)
        done(step)
    if spec["module"].endswith("write"):
        __import__("jsonschema_rs")
        done("jsonschema-rs")
    module = __import__(spec["module"], fromlist=["handler"])
    __import__("readplane.aws.slim.client")
    done("our own modules")
    module.handler.start()
    done("init: settings and clients; in `write` also the schemas from S3")
    os.environ["_X_AMZN_TRACE_ID"] = "Root=1-67a1b2c3-000000000000000000000001;Parent=53995c3f42cd8ad8;Sampled=1"
    for step in ("first request, with its handshake", "second request"):
        module.handler(marshal.loads(spec["events"][0]), None)
        done(step)
    import json

    os.write(int(sys.argv[2]), json.dumps([{"steps": seconds, "stores": _stores(spec["botocore"])}]).encode())


def _stores(botocore: str) -> dict[str, float]:
    import ssl

    from readplane.aws.slim.roots import PEM

    seconds = {}
    for name, store in STORES.items():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        start = time.process_time()
        if store == "amazon":
            context.load_verify_locations(cadata=PEM)
        elif store == "botocore":
            context.load_verify_locations(botocore)
        else:
            context.load_default_certs()
        seconds[name] = time.process_time() - start
    return seconds


main()
