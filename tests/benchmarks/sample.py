"""The script of a measured process: it loads one Lambda handler and serves events with it, as Lambda's runtime does.

The script measures which modules the handler imports and how long the imports take. So before the measurement starts,
the script imports only modules that every Python interpreter has already loaded. Any other import would make the
handler's imports look cheaper. For this reason the script reads its specification with `marshal`, which is built in,
and uses no argument parser.
"""

import marshal
import os
import sys
import time

TYPE_CHECKING = False  # mypy takes it as True. The script doesn't import it from `typing`, which would take time.
if TYPE_CHECKING:
    from typing import Any


class Context:
    """A fake of Lambda's context object, with the members that the measured handlers read."""

    function_name = "demo"
    function_version = "1"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:demo"
    aws_request_id = "0d1e2f30-4152-6374-8596-a7b8c9d0e1f2"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


def begin_trace(number: int) -> None:
    """Set the X-Ray trace header of the next invocation, as Lambda does before each invocation but not during init."""
    root = f"1-67a1b2c3-{number:024x}"
    os.environ["_X_AMZN_TRACE_ID"] = f"Root={root};Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:a87bd80c:0"


def peak_memory() -> int:
    """Return the peak memory of this process in bytes."""
    # On Linux, read VmHWM, because ru_maxrss would include the peak memory of the parent process. macOS has no VmHWM.
    try:
        with open("/proc/self/status") as status:  # noqa: PTH123 (importing pathlib would distort the measurement)
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def load(spec: "dict[str, Any]") -> "Any":
    """Import the module that the specification names; return the handler in this module."""
    module = __import__(spec["module"], fromlist=["handler"])
    return module.handler


def cold(spec: "dict[str, Any]", event: bytes) -> "dict[str, Any]":
    """Measure one cold start: load the handler and serve one event.

    :param event: the event, in the format of `marshal`.
    :returns: the wall and CPU seconds, the peak memory in bytes, the imported modules, and the response.
    """
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
    """Measure blocks of warm requests, until standard input ends. Each input line is the number of requests in a block.

    :param event: the event of every request, in the format of `marshal`.
    :param out: the file descriptor to which the CPU seconds of each block of requests are written, one line per block.
    """
    handler, context, number = load(spec), Context(), 0
    for line in sys.stdin:
        start = time.process_time()
        for _ in range(int(line)):
            number += 1
            begin_trace(number)
            handler(marshal.loads(event), context)
        os.write(out, f"{time.process_time() - start}\n".encode())


def main() -> None:
    """Make the measurements that a specification describes, and write the results.

    The first command-line argument is the path of the specification. The second argument is the file descriptor to
    which the results are written.
    """
    out = int(sys.argv[2])
    with open(sys.argv[1], "rb") as file:  # noqa: PTH123
        spec = marshal.load(file)
    # Remove the interpreter's own site-packages from the path, because a function on Lambda doesn't have them.
    sys.path[:] = spec["path"] + [entry for entry in sys.path[1:] if not entry.endswith("site-packages")]
    if spec["mode"] == "warm":
        warm(spec, spec["events"][0], out)
        return
    samples = [cold(spec, spec["events"][0])]
    if spec["mode"] == "responses":  # serve the other events too, without measuring them
        handler = load(spec)
        for number, event in enumerate(spec["events"][1:], 2):
            begin_trace(number)
            samples.append({"response": handler(marshal.loads(event), Context())})
    import json

    os.write(out, json.dumps(samples).encode())


if __name__ == "__main__":
    main()
