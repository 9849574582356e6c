"""One function in a process of its own: behind HTTP, or invoked by each line of JSON on standard input.

The function's own path comes before the interpreter's. Behind HTTP every connection has a thread, however many there
are, as Lambda has a sandbox for every request: none waits for another's.
"""

import json
import os
import sys
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from tests.benchmarks.poll.back_office import allow_many_connections
from tests.benchmarks.sample import Context, peak_memory

TRACE = "Root=1-67a1b2c3-000000000000000000000001;Parent=53995c3f42cd8ad8;Sampled=1"


class Limited(Context):
    """Lambda's context object of an invocation that may take so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """How long it may still take."""
        return max(0, int((self._until - time.monotonic()) * 1000))


def front_end(handler: Any, event: Mapping[str, Any]) -> type[BaseHTTPRequestHandler]:
    """What serves a connection: the paths of items as events like the one given, the answers as they are."""

    class FrontEnd(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            """Have the function answer."""
            item_id = self.path.rpartition("/")[2]
            headers = dict(self.headers.items())
            asked = {**event, "path": self.path, "pathParameters": {"item_id": item_id}, "headers": headers}
            answer = handler(asked, Limited(29))
            body = answer["body"].encode()
            self.send_response(answer["statusCode"])
            for name, value in answer["headers"].items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    return FrontEnd


class Server(ThreadingHTTPServer):
    """One that takes what comes."""

    request_queue_size = 4096
    daemon_threads = True


def main() -> None:
    """Told are the module, its path, and an event for HTTP."""
    spec = json.loads(sys.argv[1])
    allow_many_connections()
    sys.path[:0] = spec["path"]
    # What the function prints goes nowhere; standard output is for those who run it.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.environ["_X_AMZN_TRACE_ID"] = TRACE
    handler = __import__(spec["module"], fromlist=["handler"]).handler
    told: dict[str, Any] = {}
    if event := spec.get("event"):
        server = Server(("127.0.0.1", 0), front_end(handler, event))
        told["port"] = server.server_address[1]
        Thread(target=server.serve_forever, daemon=True).start()
    while True:
        print(json.dumps({**told, "memory": peak_memory(), "cpu_total": time.process_time()}), file=out, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        asked = json.loads(line)
        told = invoke(handler, asked) if asked["do"] == "invoke" else {}


def invoke(handler: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    """One invocation: the answer, and the seconds it took."""
    if "file" in asked:
        with open(asked["file"]) as file:  # noqa: PTH123
            event = json.load(file)
    else:
        event = asked["event"]
    wall, cpu = time.perf_counter(), time.process_time()
    answer = handler(event, Limited(asked["seconds"]))
    return {"answer": answer, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


if __name__ == "__main__":
    main()
