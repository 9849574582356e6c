"""A process that hosts one function. It invokes the function for each command on standard input, and may serve HTTP.

The function's own folders come first in ``sys.path``. With HTTP, every connection has its own thread, so that no
request waits for another. On Lambda, every request has its own sandbox.
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
    """Lambda's context object for an invocation with a time limit."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds that the invocation may still take."""
        return max(0, int((self._until - time.monotonic()) * 1000))


def front_end(handler: Any, event: Mapping[str, Any]) -> type[BaseHTTPRequestHandler]:
    """Return the class that serves a connection. It turns each GET into an event, and sends the function's response.

    :param handler: the function's handler.
    :param event: the template of the events. Each request gets a copy with its own path, item id and headers.
    """

    class FrontEnd(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            """Send the function's response to a GET of an item."""
            item_id = self.path.rpartition("/")[2]
            headers = dict(self.headers.items())
            request = {**event, "path": self.path, "pathParameters": {"item_id": item_id}, "headers": headers}
            response = handler(request, Limited(29))
            body = response["body"].encode()
            self.send_response(response["statusCode"])
            for name, value in response["headers"].items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Print nothing."""

    return FrontEnd


class Server(ThreadingHTTPServer):
    """An HTTP server that accepts thousands of connections at once."""

    request_queue_size = 4096
    daemon_threads = True


def main() -> None:
    """Host the function that the first argument specifies: its module, its path and, for HTTP, an event."""
    spec = json.loads(sys.argv[1])
    allow_many_connections()
    sys.path[:0] = spec["path"]
    # Discard what the function prints, because standard output is for the replies.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.environ["_X_AMZN_TRACE_ID"] = TRACE
    handler = __import__(spec["module"], fromlist=["handler"]).handler
    reply: dict[str, Any] = {}
    if event := spec.get("event"):
        server = Server(("127.0.0.1", 0), front_end(handler, event))
        reply["port"] = server.server_address[1]
        Thread(target=server.serve_forever, daemon=True).start()
    while True:
        print(json.dumps({**reply, "memory": peak_memory(), "cpu_total": time.process_time()}), file=out, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        command = json.loads(line)
        reply = invoke(handler, command) if command["do"] == "invoke" else {}


def invoke(handler: Any, command: Mapping[str, Any]) -> dict[str, Any]:
    """Invoke the function once; return its response, and the wall and CPU seconds that it took."""
    if "file" in command:
        with open(command["file"]) as file:  # noqa: PTH123
            event = json.load(file)
    else:
        event = command["event"]
    wall, cpu = time.perf_counter(), time.process_time()
    response = handler(event, Limited(command["seconds"]))
    return {"response": response, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


if __name__ == "__main__":
    main()
