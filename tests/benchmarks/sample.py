"""One sample: a fresh interpreter loads one handler and serves events with it, as Lambda's runtime does.

The benchmarks run this file as a script. Before the clock starts, the script may import only modules that every
interpreter has already loaded. Any other import would make the handler's own imports look cheaper. So the script reads
its specification with `marshal`, which is built in, and has no argument parser.
"""

import marshal
import os
import sys
import time

TYPE_CHECKING = False  # mypy treats this name as true, and importing `typing` would cost time
if TYPE_CHECKING:
    from typing import Any


class Context:
    """The part of Lambda's context object that the subjects read."""

    function_name = "demo"
    function_version = "1"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:demo"
    aws_request_id = "0d1e2f30-4152-6374-8596-a7b8c9d0e1f2"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


def begin_trace(number: int) -> None:
    """Set the trace header of the next invocation. Lambda sets it for each invocation, but not during init."""
    root = f"1-67a1b2c3-{number:024x}"
    os.environ["_X_AMZN_TRACE_ID"] = f"Root={root};Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:a87bd80c:0"


def peak_memory() -> int:
    """Return the peak memory of this process in bytes."""
    # Read VmHWM if there is one. On Linux, ru_maxrss would include the peak of the process that forked this one.
    try:
        with open("/proc/self/status") as status:  # noqa: PTH123 (pathlib would be an import)
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def load(spec: "dict[str, Any]") -> "Any":
    """Import the subject's module; return its handler."""
    module = __import__(spec["module"], fromlist=["handler"])
    return module.handler


def cold(spec: "dict[str, Any]", event: bytes) -> "dict[str, Any]":
    """Load the handler and serve one event; return seconds, bytes, modules and the response."""
    before = set(sys.modules)
    wall, cpu = time.perf_counter(), time.process_time()
    handler = load(spec)
    init = {"init_cpu": time.process_time() - cpu, "init_wall": time.perf_counter() - wall}
    begin_trace(1)
    response = handler(marshal.loads(event), Context())
    seconds = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, **init}
    names = sorted(set(sys.modules) - before)
    return {**seconds, "memory": peak_memory(), "modules": len(names), "names": names, "response": response}


def warm(spec: "dict[str, Any]", event: bytes, out: int) -> None:
    """Read a number from each line of standard input, serve that many requests, and write the CPU seconds they took."""
    handler, context, number = load(spec), Context(), 0
    for line in sys.stdin:
        start = time.process_time()
        for _ in range(int(line)):
            number += 1
            begin_trace(number)
            handler(marshal.loads(event), context)
        os.write(out, f"{time.process_time() - start}\n".encode())


def main() -> None:
    """Take the samples that a specification describes, and write the results.

    The first argument is the file of the specification. The second one is the file descriptor for the results.
    """
    out = int(sys.argv[2])
    with open(sys.argv[1], "rb") as file:  # noqa: PTH123
        spec = marshal.load(file)
    # Remove the interpreter's own site-packages, because a function on Lambda doesn't have them.
    sys.path[:] = spec["path"] + [entry for entry in sys.path[1:] if not entry.endswith("site-packages")]
    if spec["mode"] == "warm":
        warm(spec, spec["events"][0], out)
        return
    samples = [cold(spec, spec["events"][0])]
    if spec["mode"] == "responses":  # this mode only collects responses, so times don't matter
        handler = load(spec)
        for number, event in enumerate(spec["events"][1:], 2):
            begin_trace(number)
            samples.append({"response": handler(marshal.loads(event), Context())})
    import json

    os.write(out, json.dumps(samples).encode())


if __name__ == "__main__":
    main()
