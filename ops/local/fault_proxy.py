"""A proxy in front of the back office that can make it slow, broken or gone: what demo and tests show outages with.

It starts the program that it stands before, and passes requests on as they came, ``Host`` included: the links in the
answers lead through it again. Another port takes orders. Standard library only.
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
    """What becomes of the requests whose target holds ``match``; an empty one is every request."""

    mode: Literal["pass", "delay", "refuse", "answer"] = "pass"
    match: str = ""
    seconds: float = 0.0  # delay: how long before the request is passed on
    status: int = 500  # answer: this, instead of passing it on
    content_type: str = "text/plain"
    body: str = ""

    def __post_init__(self) -> None:
        """Check it.

        :raises ValueError: for a mode that there isn't, or a time that can't pass
        """
        if self.mode not in MODES or not self.seconds >= 0 or not 200 <= self.status <= 599:
            raise ValueError(f"{self}: the mode is one of {', '.join(MODES)}, a time is positive, a status 200 to 599.")


class Port:
    """A TCP port that goes on being bound, and so nobody else's choice, while connections are refused there."""

    def __init__(self, handler: Handler, port: int) -> None:
        self._handler = handler
        self._socket = self._bound(port)
        self._server: asyncio.Server | None = None
        self.number = int(self._socket.getsockname()[1])

    async def open(self) -> None:
        """Take connections; nothing to do if it does already."""
        if self._server is None:
            self._server = await asyncio.start_server(self._handler, sock=self._socket)

    async def refuse(self) -> None:
        """Refuse connections: a socket that is bound and doesn't listen is answered for with a reset."""
        if self._server is not None:
            self._server.close()  # closes the socket as well
            self._server = None
            self._socket = self._bound(self.number)

    @staticmethod
    def _bound(port: int) -> socket.socket:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
        return bound


class Proxy:
    """The proxy: its faults, what it has counted, and its two ports."""

    def __init__(self, upstream: int, port: int = 0, control: int = 0) -> None:
        self._upstream = upstream
        self._faults: list[Fault] = []
        self._requests: Counter[str] = Counter()  # by path, without the query
        self._open: set[asyncio.StreamWriter] = set()
        self.port = Port(self._pass_on, port)
        self.control = Port(self._obey, control)

    async def start(self) -> None:
        """Take requests and orders."""
        await self.port.open()
        await self.control.open()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        # The caller, or the upstream, has gone: what is left is to close.
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            if request := await _read(reader):
                await self._answer(request, writer)
        self._open.discard(writer)
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self._requests[request.target.partition("?")[0]] += 1
        fault = next((fault for fault in self._faults if fault.match in request.target), Fault())
        if fault.mode == "refuse":
            writer.transport.abort()
        elif fault.mode == "answer":
            writer.write(_response(fault.status, fault.content_type, fault.body.encode()))
            await writer.drain()
        else:
            await asyncio.sleep(fault.seconds)
            await self._forward(request, writer)

    async def _forward(self, request: Request, writer: asyncio.StreamWriter) -> None:
        reader, upstream = await asyncio.open_connection(HOST, self._upstream)
        try:
            upstream.write(request.head + request.body)
            await upstream.drain()
            while block := await reader.read(65_536):
                writer.write(block)
                await writer.drain()
        finally:
            upstream.close()

    async def _obey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            if request and request.method == "PUT":
                await self._set([Fault(**fault) for fault in json.loads(request.body)])
            status, told = 200, self._state()
        except (ValueError, TypeError) as error:
            status, told = 400, {"error": str(error)}
        writer.write(_response(status, "application/json", json.dumps(told).encode()))
        await writer.drain()
        writer.close()

    async def _set(self, faults: Sequence[Fault]) -> None:
        self._faults = list(faults)
        if any(fault.mode == "refuse" and not fault.match for fault in faults):
            await self.port.refuse()
            for writer in self._open:
                writer.transport.abort()
        else:
            await self.port.open()

    def _state(self) -> dict[str, Any]:
        return {"faults": [dataclasses.asdict(fault) for fault in self._faults], "requests": dict(self._requests)}


@dataclasses.dataclass(frozen=True)
class Request:
    """A request as it came, but for its ``Connection``: one connection takes one request."""

    method: str
    target: str
    head: bytes
    body: bytes


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None when the caller has nothing to say."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head[:-4].split(b"\r\n")
    method, target, *_ = first.decode("latin-1").split(" ")
    named = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    body = await reader.readexactly(int(named.get(b"content-length", b"0")))
    kept = [line for line in lines if line.partition(b":")[0].strip().lower() not in (b"connection", b"keep-alive")]
    return Request(method, target, b"\r\n".join([first, *kept, b"Connection: close", b"", b""]), body)


def _response(status: int, content_type: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} Told\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode("latin-1") + b"Connection: close\r\n\r\n" + body


async def _serve(command: Sequence[str], upstream: int, port: int, control: int) -> int:
    proxy = Proxy(upstream, port, control)
    await proxy.start()
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
    return await process.wait()


def main(arguments: list[str] | None = None) -> int:
    """Start a program and the proxy before it; ends when the program does, with its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.local.fault_proxy", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--port", type=int, required=True, help="where requests come in")
    parser.add_argument("--control", type=int, required=True, help="where orders come in: GET /, PUT / [faults]")
    parser.add_argument("--upstream", type=int, required=True, help="where the program listens")
    parser.add_argument("command", nargs="+", help="the program, with its arguments")
    options = parser.parse_args(arguments)
    try:
        return asyncio.run(_serve(options.command, options.upstream, options.port, options.control))
    except OSError as error:
        raise CommandError(f"The proxy can't start: {error}") from error


if __name__ == "__main__":
    with failures():
        sys.exit(main())
