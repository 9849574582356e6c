"""A proxy in front of the back office. The proxy can make the back office slow, broken or unreachable for clients.

The demo and the tests simulate outages with this proxy. The proxy starts the back office's program and passes requests
on to it. The proxy keeps the `Host` header of each request, so that links in the responses lead to the proxy. On a
second port, the control port, the proxy receives the faults to simulate. This program needs only the standard library.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from ops.console import CommandError, failures

HOST = "127.0.0.1"
MODES = ("pass", "delay", "refuse", "answer")

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclasses.dataclass(frozen=True)
class Fault:
    """A fault that the proxy simulates: what it does with the requests that match.

    mode: `pass` a request on, `delay` it, `refuse` its connection, or `answer` it instead of the back office
    match: the fault applies to requests whose path or query contains this text; an empty text matches every request
    seconds: how long to wait before passing a request on (only for mode `delay`)
    status, content_type, body: the response that the proxy sends (only for mode `answer`)
    """

    mode: Literal["pass", "delay", "refuse", "answer"] = "pass"
    match: str = ""
    seconds: float = 0.0
    status: int = 500
    content_type: str = "text/plain"
    body: str = ""

    def __post_init__(self) -> None:
        """Check the fault's mode, time and status.

        :raises ValueError: for an unknown mode, a negative time, or a status outside 200 to 599
        """
        if self.mode not in MODES or not self.seconds >= 0 or not 200 <= self.status <= 599:
            raise ValueError(f"{self}: the mode is one of {', '.join(MODES)}, a time is positive, a status 200 to 599.")


class Port:
    """A TCP port that stays bound while it refuses connections, so that no other program takes it."""

    def __init__(self, handler: Handler, port: int) -> None:
        self._handler = handler
        self._socket = self._bind(port)
        self._server: asyncio.Server | None = None
        self.number = int(self._socket.getsockname()[1])

    async def open(self) -> None:
        """Begin to accept connections on this port. Do nothing if the port accepts connections already."""
        if self._server is None:
            self._server = await asyncio.start_server(self._handler, sock=self._socket)

    async def refuse(self) -> None:
        """Refuse new connections to this port. The kernel resets them, because no socket listens on the bound port."""
        if self._server is not None:
            self._server.close()  # this also closes the socket, so a new one is bound below
            self._server = None
            self._socket = self._bind(self.number)

    @staticmethod
    def _bind(port: int) -> socket.socket:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
        return bound


@dataclasses.dataclass(frozen=True)
class Request:
    """A client's request, as the proxy passes it on.

    The proxy sets the header `Connection: close`, because each connection carries only one request. It changes nothing
    else.

    method: the HTTP method
    target: the path with the query
    head: the request line and the headers, with the empty line that ends them
    body: the bytes of the body
    """

    method: str
    target: str
    head: bytes
    body: bytes


class Proxy:
    """The proxy: it passes clients' requests on to the back office, counts them, and simulates faults."""

    def __init__(self, program_port: int, port: int = 0, control: int = 0) -> None:
        """Bind the proxy's two ports, but don't accept connections yet.

        :param program_port: the port on which the back office's program listens
        :param port: the port for clients; 0 takes a free one
        :param control: the control port, which receives the faults to simulate; 0 takes a free one
        """
        self._program_port = program_port
        self._faults: list[Fault] = []
        self._requests: Counter[str] = Counter()  # the number of requests by path, without the query
        self._connections: set[asyncio.StreamWriter] = set()
        self.port = Port(self._serve_client, port)
        self.control = Port(self._serve_control, control)

    async def start(self) -> None:
        """Accept connections on the port for clients and on the control port."""
        await self.port.open()
        await self.control.open()

    async def _serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        # Ignore these errors, because they mean that the client or the back office has disconnected. The proxy then
        # only has to close this connection.
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            if request := await _read_request(reader):
                await self._respond(request, writer)
        self._connections.discard(writer)
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    async def _respond(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self._requests[request.target.partition("?")[0]] += 1
        fault = next((fault for fault in self._faults if fault.match in request.target), Fault())
        if fault.mode == "refuse":
            writer.transport.abort()
        elif fault.mode == "answer":
            writer.write(_response(fault.status, fault.content_type, fault.body.encode()))
            await writer.drain()
        else:
            await asyncio.sleep(fault.seconds)
            await self._pass_on(request, writer)

    async def _pass_on(self, request: Request, writer: asyncio.StreamWriter) -> None:
        reader, program = await asyncio.open_connection(HOST, self._program_port)
        try:
            program.write(request.head + request.body)
            await program.drain()
            while block := await reader.read(65_536):
                writer.write(block)
                await writer.drain()
        finally:
            program.close()

    async def _serve_control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read_request(reader)
            if request and request.method == "PUT":
                await self._set_faults([Fault(**fault) for fault in json.loads(request.body)])
            status, content = 200, self._state()
        except (ValueError, TypeError) as error:
            status, content = 400, {"error": str(error)}
        writer.write(_response(status, "application/json", json.dumps(content).encode()))
        await writer.drain()
        writer.close()

    async def _set_faults(self, faults: Sequence[Fault]) -> None:
        self._faults = list(faults)
        if any(fault.mode == "refuse" and not fault.match for fault in faults):
            await self.port.refuse()
            for writer in self._connections:
                writer.transport.abort()
        else:
            await self.port.open()

    def _state(self) -> dict[str, Any]:
        return {"faults": [dataclasses.asdict(fault) for fault in self._faults], "requests": dict(self._requests)}


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    """Read a request from a client's connection. Return None if the client closes the connection before the request."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head[:-4].split(b"\r\n")
    method, target, *_ = first.decode("latin-1").split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    body = await reader.readexactly(int(headers.get(b"content-length", b"0")))
    hop_by_hop = (b"connection", b"keep-alive")
    passed_on = [line for line in lines if line.partition(b":")[0].strip().lower() not in hop_by_hop]
    return Request(method, target, b"\r\n".join([first, *passed_on, b"Connection: close", b"", b""]), body)


def _response(status: int, content_type: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} Fault\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode("latin-1") + b"Connection: close\r\n\r\n" + body


async def _serve(command: Sequence[str], program_port: int, port: int, control: int) -> int:
    proxy = Proxy(program_port, port, control)
    await proxy.start()
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
    return await process.wait()


def main(arguments: list[str] | None = None) -> int:
    """Start the back office's program and the proxy in front of it. When the program ends, return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.local.fault_proxy", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--port", type=int, required=True, help="port for clients")
    parser.add_argument("--control", type=int, required=True, help="port for faults: GET / shows, PUT / sets them")
    parser.add_argument("--program-port", type=int, required=True, help="port that the program listens on")
    parser.add_argument("command", nargs="+", help="the program, with its arguments")
    options = parser.parse_args(arguments)
    try:
        return asyncio.run(_serve(options.command, options.program_port, options.port, options.control))
    except OSError as error:
        raise CommandError(f"The proxy can't start: {error}") from error


if __name__ == "__main__":
    with failures():
        sys.exit(main())
