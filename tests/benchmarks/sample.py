"""One sample: a fresh interpreter that is started, loads one handler and serves it events, as Lambda's runtime does.

Run as a script. Until the clock starts it may use only what an interpreter holds anyway, or it would
pay for imports that are the handler's to pay: hence `marshal`, which is built in, and no argument parser.
"""

import marshal
import os
import sys
import time

TYPE_CHECKING = False  # mypy takes the name for true; `typing` itself would be such an import
if TYPE_CHECKING:
    from typing import Any


class Context:
    """Lambda's context object, as far as anybody looks at it."""

    function_name = "demo"
    function_version = "1"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:demo"
    aws_request_id = "0d1e2f30-4152-6374-8596-a7b8c9d0e1f2"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


def begin_trace(number: int) -> None:
    # Lambda sets it for each invocation, and not yet during init.
    root = f"1-67a1b2c3-{number:024x}"
    os.environ["_X_AMZN_TRACE_ID"] = f"Root={root};Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:a87bd80c:0"


def peak_memory() -> int:
    # Not ru_maxrss where it can be helped: a child takes that over from the process that it was forked from.
    try:
        with open("/proc/self/status") as status:  # noqa: PTH123 (pathlib would be an import)
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def load(spec: "dict[str, Any]") -> "Any":
    module = __import__(spec["module"], fromlist=["handler"])
    return module.handler


def cold(spec: "dict[str, Any]", event: bytes) -> "dict[str, Any]":
    bare = set(sys.modules)
    wall, cpu = time.perf_counter(), time.process_time()
    handler = load(spec)
    init = {"init_cpu": time.process_time() - cpu, "init_wall": time.perf_counter() - wall}
    begin_trace(1)
    answer = handler(marshal.loads(event), Context())
    took = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, **init}
    names = sorted(set(sys.modules) - bare)
    return {**took, "memory": peak_memory(), "modules": len(names), "names": names, "answer": answer}


def warm(spec: "dict[str, Any]", event: bytes, out: int) -> None:
    """Serve as many requests as each line of standard input says; tell the CPU seconds that they took."""
    handler, context, number = load(spec), Context(), 0
    for line in sys.stdin:
        start = time.process_time()
        for _ in range(int(line)):
            number += 1
            begin_trace(number)
            handler(marshal.loads(event), context)
        os.write(out, f"{time.process_time() - start}\n".encode())


def main() -> None:
    out = int(sys.argv[2])
    with open(sys.argv[1], "rb") as file:  # noqa: PTH123
        spec = marshal.load(file)
    # The interpreter's own site-packages are no part of a function.
    sys.path[:] = spec["path"] + [entry for entry in sys.path[1:] if not entry.endswith("site-packages")]
    if spec["mode"] == "warm":
        warm(spec, spec["events"][0], out)
        return
    # Several events only where answers are compared, not measured.
    found = [cold(spec, spec["events"][0])]
    if spec["mode"] == "answers":
        handler = load(spec)
        for number, event in enumerate(spec["events"][1:], 2):
            begin_trace(number)
            found.append({"answer": handler(marshal.loads(event), Context())})
    import json

    os.write(out, json.dumps(found).encode())


if __name__ == "__main__":
    main()
