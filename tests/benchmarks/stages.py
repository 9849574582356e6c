"""Where a cold start of ours spends its CPU: the same work as in a sample, taken apart. Run as a script, like a sample.

What is imported first pays for what it shares with the next, so each line is what it adds to those above it.
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
STORES = {"Amazon's roots": "amazon", "botocore's bundle": "botocore", "the system's": "system"}


def main() -> None:
    with open(sys.argv[1], "rb") as file:  # noqa: PTH123 (pathlib would be an import)
        spec = marshal.load(file)
    sys.path[:] = spec["path"] + [entry for entry in sys.path[1:] if not entry.endswith("site-packages")]
    # Importing a handler makes its function where this is set; here the two are told apart.
    del os.environ["AWS_LAMBDA_FUNCTION_NAME"]
    took: dict[str, float] = {}
    last = time.process_time()

    def done(step: str) -> None:
        nonlocal last
        now = time.process_time()
        took[step] = took.get(step, 0) + now - last
        last = time.process_time()

    for step, names in STEPS.items():
        for name in names.split():
            __import__(name)
        done(step)
    if spec["module"].endswith("write"):
        __import__("fastjsonschema")
        done("fastjsonschema")
    module = __import__(spec["module"], fromlist=["handler"])
    __import__("readplane.aws.slim.client")
    done("our own modules")
    module.function()
    done("init: settings, clients; in `write` the schemas from S3, compiled")
    os.environ["_X_AMZN_TRACE_ID"] = "Root=1-67a1b2c3-000000000000000000000001;Parent=53995c3f42cd8ad8;Sampled=1"
    for step in ("first request, with its handshake", "second request"):
        module.handler(marshal.loads(spec["events"][0]), None)
        done(step)
    import json

    os.write(int(sys.argv[2]), json.dumps([{"steps": took, "stores": _stores(spec["botocore"])}]).encode())


def _stores(botocore: str) -> dict[str, float]:
    import ssl

    from readplane.aws.slim.roots import PEM

    took = {}
    for name, store in STORES.items():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        start = time.process_time()
        if store == "amazon":
            context.load_verify_locations(cadata=PEM)
        elif store == "botocore":
            context.load_verify_locations(botocore)
        else:
            context.load_default_certs()
        took[name] = time.process_time() - start
    return took


main()
