"""A process that hosts one Lambda function in the benchmarks with a back office.

The process invokes the function for each command on standard input. It can also serve HTTP: then it invokes the
function for each request. Every HTTP connection has its own thread, because on Lambda no request waits for another.

The process puts the folders of the function first in ``sys.path``.
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
    """A fake of Lambda's context object for an invocation with a time limit."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return how many milliseconds are left until the time limit of the invocation."""
        return max(0, int((self._until - time.monotonic()) * 1000))


def front_end(handler: Any, event: Mapping[str, Any]) -> type[BaseHTTPRequestHandler]:
    """Return a class of HTTP request handlers that invoke a Lambda function for each GET, as API Gateway does.

    :param handler: the handler of the Lambda function.
    :param event: the template of the events. The event for a request is a copy with the path, the item id and the
        headers of this request.
    """

    class FrontEnd(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            """Invoke the Lambda function for a GET of an item, and send the function's response to the client."""
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
            """Don't print a log line for each HTTP request."""

    return FrontEnd


class Server(ThreadingHTTPServer):
    """An HTTP server to which thousands of clients can connect at once."""

    request_queue_size = 4096
    daemon_threads = True


def main() -> None:
    """Host one function until standard input ends.

    The first command-line argument is a JSON object. It holds the name of the function's ``module``, and the ``path``:
    the folders to put on ``sys.path``. If the process must serve HTTP, it also holds the ``event``: the template of the
    events.
    """
    spec = json.loads(sys.argv[1])
    allow_many_connections()
    sys.path[:0] = spec["path"]
    # Discard what the function prints, because this process writes its replies to standard output.
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
    """Invoke the hosted function once; return its response, and the wall and CPU seconds of the invocation.

    :param command: the time limit in ``seconds``, and either the ``event`` or the path of a ``file`` with the event.
    """
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
