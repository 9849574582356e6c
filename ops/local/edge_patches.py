"""Put the stand-in for CloudFront (edge.py) into MiniStack's process. emulator_patches.py applies these patches.

MiniStack stores distributions, but serves them without a cache, without Lambda@Edge functions, and without origin
groups. With these patches, the stand-in serves every request for a distribution. It fetches from the origins with
MiniStack's own function, so origin access control and the bucket policies count as before.

The emulator also listens on a second port, at which one distribution answers as if by its own name over HTTPS. The
path CONTROL of the first port sets that distribution, the faults and the clock (edge_control.py).
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import functools
import html
import json
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import boto3
import hypercorn.config
from ministack.core import lambda_runtime
from ministack.core.concurrency import run_reentrant
from ministack.services import cloudfront

from ops.local.edge import Edge
from ops.local.edge_clock import ShiftedClock
from ops.local.edge_control import CONTROL
from ops.local.edge_deployed import Function, function_arns, read_distribution, read_function
from ops.local.edge_faults import FaultyOrigins, OriginFault
from ops.local.edge_functions import EdgeFunctions
from ops.local.edge_messages import (
    OriginConnectionError,
    OriginTimeoutError,
    Request,
    Response,
    headers_of,
)
from ops.local.edge_refusals import refusals

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]

API = "/2020-05-31/"
"""The path with which every call of CloudFront's API begins."""

_DISTRIBUTION_NAME = re.compile(r"([a-z0-9]+)\.cloudfront\.(?:net|localhost)(?::[0-9]+)?")
_CREATES = re.compile(rf"{API}distribution/?")
_UPDATES = re.compile(rf"{API}distribution/([A-Z0-9]+)/config")


def listen(port: int) -> None:
    """Let the emulator listen on this port as well. `EdgeApplication` serves what arrives there."""
    bind = hypercorn.config.Config.bind

    def bind_both(config: hypercorn.config.Config, addresses: list[str]) -> None:
        bind.fset(config, [*addresses, f"127.0.0.1:{port}"])  # type: ignore[attr-defined]

    hypercorn.config.Config.bind = property(bind.fget, bind_both)  # type: ignore[assignment, attr-defined]


class EdgeApplication:
    """An ASGI application that serves distributions, and passes everything else on to MiniStack."""

    def __init__(self, inner: Application, endpoint: str, port: int | None) -> None:
        """Serve no distribution yet.

        :param inner: MiniStack's application
        :param endpoint: the emulator's own URL
        :param port: the second port; None if there is none
        """
        self._inner, self._endpoint, self._port = inner, endpoint, port
        self._clock = ShiftedClock()
        self._faults: list[OriginFault] = []
        self._edges: dict[str, tuple[Edge, FaultyOrigins]] = {}
        self._outdated: set[str] = set()
        self._chosen: str | None = None
        self._lock = asyncio.Lock()
        self._functions: EdgeFunctions | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        at_edge = self._port is not None and (scope.get("server") or ("", 0))[1] == self._port
        distribution = self._distribution(scope, at_edge)
        if distribution is not None:
            await _respond(send, await self._serve(distribution, scope, await _body(receive), at_edge))
        elif at_edge:
            page = b"No distribution is chosen for this port. `python -m ops.local.up` chooses the stack's.\n"
            await _respond(send, Response(503, {"content-type": ["text/plain"]}, page))
        elif scope["path"] == CONTROL:
            await _respond(send, await self._control(scope["method"], await _body(receive)))
        elif scope["method"] != "GET" and scope["path"].startswith(API):
            await self._change(scope, receive, send)
        else:
            await self._inner(scope, receive, send)

    def _distribution(self, scope: dict[str, Any], at_edge: bool) -> dict[str, Any] | None:
        if at_edge:
            return cloudfront._distributions.get(self._chosen) if self._chosen else None
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").lower()
        match = _DISTRIBUTION_NAME.fullmatch(host)
        found: dict[str, Any] | None = cloudfront.find_distribution_for_label(match[1]) if match else None
        return found

    @functools.cache  # noqa: B019 - the process has one application
    def _client(self, service: str) -> Any:
        make: Any = boto3.client
        return make(service, region_name="us-east-1", endpoint_url=self._endpoint)

    # Viewers' requests

    async def _serve(self, record: dict[str, Any], scope: dict[str, Any], body: bytes, at_edge: bool) -> Response:
        headers = headers_of((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        https = at_edge or headers.pop("x-forwarded-proto", ["http"])[-1] == "https"
        if at_edge:
            headers["host"] = [record["DomainName"]]
        query = scope["query_string"].decode("latin-1")
        target = scope["raw_path"].decode("latin-1") + ("?" + query if query else "")
        client = (scope.get("client") or ("127.0.0.1",))[0]
        request = Request(scope["method"], target, headers, body, https, client)
        edge = await self._edge(record["Id"])
        response: Response = await run_reentrant(edge.handle, request)
        return response

    async def _edge(self, name: str) -> Edge:
        """Return the stand-in for a distribution, with the configuration that is deployed now."""
        async with self._lock:
            if name not in self._edges or name in self._outdated:
                self._outdated.discard(name)
                distribution, policies = await run_reentrant(read_distribution, self._client("cloudfront"), name)
                if name in self._edges:
                    self._edges[name][0].deploy(distribution, policies)
                else:
                    origins = FaultyOrigins(_Fetcher(asyncio.get_running_loop(), name), self._clock)
                    origins.faults = self._faults
                    edge = Edge(distribution, policies, origins, self._edge_functions(), self._clock)
                    self._edges[name] = (edge, origins)
            return self._edges[name][0]

    def _edge_functions(self) -> EdgeFunctions:
        if self._functions is None:
            environment = {"AWS_ENDPOINT_URL": self._endpoint}
            client = self._client("lambda")
            self._functions = EdgeFunctions(client, environment, lambda_runtime.execution_credentials)
        return self._functions

    # CloudFront's API

    async def _change(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Let MiniStack carry out a change. Refuse a new or updated distribution that AWS would refuse."""
        updated = _UPDATES.fullmatch(scope["path"])
        if not (updated and scope["method"] == "PUT") and not (
            _CREATES.fullmatch(scope["path"]) and scope["method"] == "POST"
        ):
            await self._inner(scope, receive, send)
            self._outdated |= set(self._edges)  # a policy may have changed
            return
        before = copy.deepcopy(dict(cloudfront._distributions.items()))
        messages: list[dict[str, Any]] = []

        async def collect(message: dict[str, Any]) -> None:
            messages.append(message)

        await self._inner(scope, receive, collect)
        if messages[0]["status"] < 300:
            changed = {updated[1]} if updated else set(cloudfront._distributions.keys()) - set(before)
            self._outdated |= changed
            for name in changed:
                if problems := await run_reentrant(self._problems, name):
                    if name in before:
                        cloudfront._distributions[name] = before[name]
                    else:
                        del cloudfront._distributions[name]
                    await _respond(send, _refusal(problems))
                    return
        for message in messages:
            await send(message)

    def _problems(self, name: str) -> list[str]:
        config = self._client("cloudfront").get_distribution_config(Id=name)["DistributionConfig"]
        found: dict[str, Function | None] = {}
        for arn in function_arns(config):
            if ":us-east-1:" in arn:
                found[arn] = read_function(self._client("lambda"), self._client("iam"), arn)
        return refusals(config, found.get)

    # The control path

    async def _control(self, method: str, body: bytes) -> Response:
        """Show the stand-in's state, after changing what the body of a PUT names."""
        try:
            if method == "PUT":
                await self._set(json.loads(body))
            status, state = 200, self._state()
        except (ValueError, TypeError, KeyError) as error:
            status, state = 400, {"error": str(error)}
        return Response(status, {"content-type": ["application/json"]}, json.dumps(state).encode())

    async def _set(self, changes: dict[str, Any]) -> None:
        if unknown := set(changes) - {"distribution", "faults", "clock_offset", "clear", "restart_functions"}:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        if "faults" in changes:
            self._faults = [OriginFault(**fault) for fault in changes["faults"]]
            for _, origins in self._edges.values():
                origins.faults = self._faults
        if "distribution" in changes:
            self._chosen = changes["distribution"]
        if "clock_offset" in changes:
            self._clock.offset = float(changes["clock_offset"])
        if changes.get("clear"):
            for edge, _ in self._edges.values():
                edge.clear()
        if changes.get("restart_functions") and self._functions:
            await run_reentrant(self._functions.stop)

    def _state(self) -> dict[str, Any]:
        return {
            "url": f"http://localhost:{self._port}" if self._port else None,
            "distribution": self._chosen,
            "faults": [dataclasses.asdict(fault) for fault in self._faults],
            "clock_offset": self._clock.offset,
            "results": {name: dict(edge.results) for name, (edge, _) in self._edges.items()},
            "fetches": {name: dict(edge.fetches) for name, (edge, _) in self._edges.items()},
        }


class _Fetcher:
    """Fetches from the origins of one distribution with MiniStack's own function, which checks bucket policies."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop, self._name = loop, name

    def __call__(self, origin: Mapping[str, Any], request: Request) -> Response:
        record = cloudfront._distributions[self._name]
        described = cloudfront.parse_distribution_dataplane_config(record)["origins"][origin["Id"]]
        if described["s3_bucket"] and request.method not in ("GET", "HEAD"):
            # MiniStack answers every method as GET. S3 refuses a preflight of a bucket without CORS rules, and every
            # other method that the bucket policy doesn't allow. Readplane's buckets have neither.
            return Response(403, {"content-type": ["application/xml"]}, b"<Error><Code>AccessDenied</Code></Error>")
        headers = {name: ", ".join(values) for name, values in request.headers.items()}
        forwarded_for = headers.pop("x-forwarded-for", "")
        call = cloudfront._fetch_from_origin(
            described, request.method, request.path, request.query, headers, request.body, request.https,
            request.client_ip, forwarded_for, record["ARN"],
        )  # fmt: skip
        try:
            status, _, received, body = asyncio.run_coroutine_threadsafe(call, self._loop).result()
        except cloudfront.OriginTimeout as error:
            raise OriginTimeoutError(str(error)) from error
        except cloudfront.OriginUnreachable as error:
            raise OriginConnectionError(str(error)) from error
        headers_of_origin = cloudfront._strip_hop_by_hop_response_headers(received)
        pairs = [(name, value) for name, values in headers_of_origin.items() for value in _listed(values)]
        return Response(status, headers_of(pairs), body)


def _listed(values: Any) -> list[str]:
    return [str(value) for value in (values if isinstance(values, list) else [values])]


def _refusal(problems: list[str]) -> Response:
    text = html.escape(" ".join(problems))
    body = (
        '<?xml version="1.0"?><ErrorResponse xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><Error>'
        f"<Type>Sender</Type><Code>InvalidArgument</Code><Message>{text}</Message></Error></ErrorResponse>"
    )
    return Response(400, {"content-type": ["text/xml"]}, body.encode())


async def _body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False) and message["type"] == "http.request"
    return body


async def _respond(send: Any, response: Response) -> None:
    headers = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, values in response.headers.items()
        for value in values
        if name != "transfer-encoding"
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def apply(application: Application) -> Application:
    """Return MiniStack's application with the stand-in in front of it.

    The environment variable READPLANE_EDGE_PORT names the second port, and GATEWAY_PORT the first.
    """
    port = int(os.environ.get("READPLANE_EDGE_PORT", "0")) or None
    if port:
        listen(port)
    return EdgeApplication(application, f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}", port)
