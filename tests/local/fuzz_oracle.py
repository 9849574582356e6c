"""The oracle of the fuzz tests: it decides from docs/openapi.yaml whether the response to a request is right."""

import copy
import dataclasses
import http.client
import json
import os
import re
import shlex
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
import requests
import schemathesis

from tests.local.support import Local
from tests.local.test_openapi import SPEC, documented, kind_of

SEED = int(os.environ.get("READPLANE_FUZZ_SEED", "4711"))
FACTOR = float(os.environ.get("READPLANE_FUZZ_FACTOR", "1"))

COLLECTIONS = ("countries", "notices", "profiles")
"""The collections that the fuzz tests call: a public one, an authenticated one and an owner collection.

The collection `tariffs` is left out, because its throttle would refuse many of the requests.
"""

KNOWN_ID = "fuzz"
"""The id of an item that exists in each fuzzed collection."""
BODIES: dict[str, dict[str, Any]] = {
    "countries": {"alpha_2": "FR", "alpha_3": "FRA", "name": "France", "numeric": "250"},
    "notices": {"title": "Closed", "priority": 3, "until": "2026-01-31", "hours": 1.25},
    "profiles": {"display_name": "Eve", "language": "en-GB", "preferences": {"theme": ["dark", None, 1.10]}},
}
HEALTH = "GET /health"
LIST = "GET /items/*"
CREATE = "POST /items/*"
READ = "GET /items/*/{item_id}"
REPLACE = "PUT /items/*/{item_id}"
DELETE = "DELETE /items/*/{item_id}"
CHANGE = "GET /items/*/{item_id}/changes/{change_id}"
DOCUMENT = "GET /documents/*/{item_id}"

SUCCESSES = {
    HEALTH: {200},
    LIST: {200},
    CREATE: {202},
    READ: {200, 304, 404, 409},
    REPLACE: {202},
    DELETE: {202},
    CHANGE: {200, 404},
    DOCUMENT: {200, 304, 404},
}
"""The statuses with which the API may respond to a valid request, by the kind of the request's operation.

The kind is the operation's method and path, with ``*`` in place of the collection.
"""

Operation = schemathesis.APIOperation[Any, Any, Any, Any]
Case = schemathesis.Case[Any]
MAX_BODY = 256 * 1024
ITEM_ID = re.compile(SPEC["components"]["parameters"]["ItemId"]["schema"]["pattern"].replace("$", r"\Z"))
METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
"""The methods that API Gateway has."""

QUERY_PARAMETERS: dict[str, set[str]] = {
    LIST: {"limit", "cursor", "next"},
    READ: {"min_version"},
    CREATE: {"min_version"},
    REPLACE: {"min_version"},
    DELETE: {"min_version"},
    CHANGE: set(),
}
"""The query parameters of each kind of operation. All other parameters are refused. The kinds that aren't listed here
ignore all query parameters."""

RELATIONAL_PARAMETERS = {"filter", "sort", "q"}
"""The query parameters that only the lists of relational collections have."""

REFUSED_HEADERS = {
    **dict.fromkeys(("If-Match", "If-None-Match", "If-Unmodified-Since"), 501),
    **dict.fromkeys(("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"), 501),
    "Content-Range": 400,
    "Content-Encoding": 415,
}
"""The headers with which no write is carried out, and the status of the refusal."""

VERSION = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
"""A regular expression for a version: a UUIDv7 in lower case."""
PROBLEM = jsonschema_rs.Draft202012Validator(
    {**SPEC["components"]["schemas"]["Problem"], "additionalProperties": False, "components": SPEC["components"]}
)
INTERNALS = re.compile(
    rb"Traceback|File \"|Exception|[a-z]Error\b|errorMessage|errorType|stackTrace|boto|arn:aws|jsonschema|"
    rb"site-packages|/var/task|lambda_src|readplane/|\.py\b"
)


@dataclasses.dataclass(frozen=True)
class Call:
    """An HTTP request, exactly as it is sent. ``target`` is the path below /v1 with the query."""

    method: str
    target: str
    headers: tuple[tuple[str, bytes], ...] = ()
    body: bytes | None = None

    def header(self, name: str) -> str | None:
        """Return the value of the last header with this name; ``None`` if the request has no such header."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return values[-1].decode("latin-1").strip(" \t") if values else None

    def curl(self, base: str) -> str:
        """Return a curl command that sends this request again, so that a developer can repeat a failure.

        :param base: the API's URL up to /v1.
        """
        parts = ["curl", "--path-as-is", "-g", "-i", "-X", self.method, base + self.target]
        for name, value in self.headers:
            parts += ["-H", f"{name}: {value.decode('latin-1')}"]
        if self.body is not None:
            text = self.body.decode("latin-1")
            parts += ["--data-binary", text if len(text) < 2000 else text[:2000] + f"… ({len(text)} bytes)"]
        return " ".join(map(shlex.quote, parts))


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What docs/openapi.yaml says about a request.

    operation: the method and path of the request's operation; ``None`` if no operation has this method and path.
    refusals: the statuses with which the API may refuse the request; empty if the API must serve the request.
    certain: false if the document leaves open whether the API serves or refuses the request.
    """

    operation: str | None
    refusals: frozenset[int] = frozenset()
    certain: bool = True


class Service:
    """A client of the deployed API. It sends requests and checks each response against docs/openapi.yaml."""

    def __init__(self, stack: Local) -> None:
        self.base = f"{stack.outputs.api_url}/v1"
        parts = urllib.parse.urlsplit(self.base)
        self._prefix = parts.path
        self._connection = http.client.HTTPConnection(parts.netloc, timeout=30)
        self._token = f"Bearer {stack.eve.access_token}".encode()
        self.schemas = _deployed_schemas(stack)
        self._validators = {
            name: jsonschema_rs.Draft7Validator(schema, validate_formats=True) for name, schema in self.schemas.items()
        }
        self.document = _fuzzed_document()
        self.schema = schemathesis.openapi.from_dict(self.document)
        self.schema.config.update(base_url=self.base)

    def operations(self, kind: str) -> list[Operation]:
        """Return the operations of this kind: one for each fuzzed collection that has it."""
        return [
            self.schema[path][method]
            for path, item in self.document["paths"].items()
            for method in item
            if kind_of(f"{method.upper()} {path}") == kind
        ]

    def call_of(self, case: Case) -> Call:
        """Return the HTTP request that Schemathesis would send for one of its generated test cases."""
        prepared = requests.Request(**_request(case.as_transport_kwargs(base_url=self.base))).prepare()
        body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
        headers = tuple((name, _bytes(value)) for name, value in prepared.headers.items() if name != "Content-Length")
        assert prepared.method and (body is None or isinstance(body, bytes))
        return Call(prepared.method, prepared.path_url.removeprefix(self._prefix), headers, body)

    def check(self, call: Call) -> int:
        """Send a request and check its response against docs/openapi.yaml; return the response's status.

        If the request has no Authorization header, add the token of a user in the group of editors.
        """
        verdict = self.judge(call)
        status, headers, content = self._send(call)
        wrong = list(self._wrong(call, verdict, status, headers, content))
        assert not wrong, "\n".join(
            [
                *wrong,
                f"{status} {dict(headers)} {content[:1000]!r}",
                f"judged: {verdict}",
                call.curl(self.base) + " -H 'Authorization: Bearer …'",
                f"rerun: READPLANE_FUZZ_SEED={SEED} READPLANE_FUZZ_FACTOR={FACTOR:g} pytest tests/local/test_fuzz.py",
            ]
        )
        return status

    def _send(self, call: Call) -> tuple[int, Mapping[str, str], bytes]:
        self._connection.putrequest(
            call.method,
            self._prefix + call.target,
            skip_accept_encoding=True,
            skip_host=call.header("Host") is not None,
        )
        if call.header("Authorization") is None:
            self._connection.putheader("Authorization", self._token)
        for name, value in call.headers:
            self._connection.putheader(name, value)
        if call.body is not None:
            self._connection.putheader("Content-Length", str(len(call.body)))
        self._connection.endheaders(call.body)
        response = self._connection.getresponse()
        content = response.read()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, content

    def _wrong(
        self, call: Call, verdict: Verdict, status: int, headers: Mapping[str, str], content: bytes
    ) -> Iterator[str]:
        if status >= 500 and status not in verdict.refusals:
            yield "the status is a 5xx"
        operation = self._documented(verdict.operation)
        # Allow 200 and 204 for a CORS preflight, because docs/openapi.yaml doesn't document preflights. The API must
        # refuse any other request without a documented operation.
        successes = SUCCESSES[kind_of(verdict.operation)] if verdict.operation else {200, 204}
        if verdict.refusals and status not in verdict.refusals and (verdict.certain or status not in successes):
            yield f"the request must be refused with one of {sorted(verdict.refusals)}"
        if not verdict.refusals and status not in successes:
            yield f"the request is allowed and must be served with one of {sorted(successes)}"
        if operation and str(status) not in operation["responses"]:
            yield f"{verdict.operation} doesn't document the status"
        if status == 405 and "allow" not in headers:
            yield "Allow is missing"
        if call.method == "HEAD" and content:
            yield "the response to a HEAD request has a body"
        if status >= 400:
            # Don't search x-amzn-errortype for internals, because API Gateway itself adds this header.
            ours = {name: value for name, value in headers.items() if name != "x-amzn-errortype"}
            if leak := INTERNALS.search(content + repr(sorted(ours.items())).encode()):
                yield f"the response shows internals: {leak.group()!r}"
            yield from _wrong_problem(call.method, status, headers, content)
        elif operation and verdict.operation and call.method != "HEAD":
            yield from self._wrong_success(verdict.operation, status, headers, content)

    def _wrong_success(self, operation: str, status: int, headers: Mapping[str, str], content: bytes) -> Iterator[str]:
        method, path = operation.split(" ", 1)
        request = requests.Request(method, self.base).prepare()
        listed = {name: [value] for name, value in headers.items()}
        try:
            self.schema[path][method].validate_response(
                schemathesis.Response(status, listed, content, request, 0, True)
            )
        except BaseExceptionGroup as failures:
            yield f"the response isn't as documented: {failures.exceptions}"

    def _documented(self, operation: str | None) -> dict[str, Any] | None:
        if operation is None:
            return None
        method, path = operation.split(" ", 1)
        documented: dict[str, Any] = self.document["paths"][path][method.lower()]
        return documented

    # --- The methods below decide which response is right. They rely on docs/openapi.yaml, not on the product's code.

    def judge(self, call: Call) -> Verdict:
        """Return what docs/openapi.yaml says about a request."""
        path, _, query = call.target.partition("?")
        if call.method == "OPTIONS":
            return Verdict(None)  # every path answers preflights
        # A path answers HEAD where it answers GET.
        route, parameters = self._route("GET" if call.method == "HEAD" else call.method, path)
        if route is None:
            return self._without_operation(call, path)
        collection = route.split("/")[2] if "/" in route.partition(" /")[2] else ""
        kind = kind_of(route)
        is_open = not documented()[route]["security"]
        if call.header("Authorization") is not None and not is_open:
            return Verdict(route, frozenset({401}))
        faults: list[Fault] = []
        if "item_id" in parameters:
            faults.append(None if ITEM_ID.match(parameters["item_id"]) else 400)
        if "change_id" in parameters:
            faults.append(None if re.fullmatch(VERSION, parameters["change_id"]) else 400)
        if kind in QUERY_PARAMETERS:
            faults += _query_faults(query, kind, route)
        if kind in (CREATE, REPLACE, DELETE):
            faults += _refused_headers(call)
        if kind == CREATE and (key := call.header("Idempotency-Key")) is not None:
            faults.append(None if re.fullmatch(r"[ -~]{1,255}", key) else 400)
            faults.append(400 if "min_version" in dict(_pairs(query)) else "used")
        if kind in (CREATE, REPLACE):
            faults += self._body_faults(call, collection)
        if kind == HEALTH and call.header("Content-Type") is not None:
            faults.append(
                _content_type_fault(call) and "unsure"
            )  # docs/openapi.yaml doesn't say whether the API refuses or ignores a wrong content type of a GET
        statuses = frozenset(fault for fault in faults if isinstance(fault, int))
        if statuses:
            return Verdict(route, statuses)
        possible = {400, 413, 415} if "unsure" in faults else set()
        if "used" in faults:
            possible.add(422)
        return Verdict(route, frozenset(possible), certain=not possible)

    def _without_operation(self, call: Call, path: str) -> Verdict:
        """Return the verdict about a request whose path is unknown, or doesn't have the request's method."""
        if not any(self._route(method, path)[0] for method in METHODS):
            return Verdict(None, frozenset({404}))
        # API Gateway answers each path's other methods, but none that it doesn't have itself. It refuses a body of an
        # unusual type before that.
        statuses = {405} if call.method in METHODS else {404, 405}
        return Verdict(None, frozenset(statuses | ({415} if call.header("Content-Type") is not None else set())))

    def _route(self, method: str, path: str) -> tuple[str | None, dict[str, str]]:
        # Split the path as the emulator does: it merges repeated slashes. It doesn't decode the path, but the functions
        # decode each path parameter once.
        sent = [part for part in path.split("/") if part]
        for template, operations in self.document["paths"].items():
            names = template.strip("/").split("/")
            if method.lower() in operations and len(names) == len(sent):
                pairs = list(zip(names, sent, strict=True))
                if all(name == part or name.startswith("{") for name, part in pairs):
                    decoded = {name[1:-1]: urllib.parse.unquote(part) for name, part in pairs if name.startswith("{")}
                    return f"{method} {template}", decoded
        return None, {}

    def _body_faults(self, call: Call, collection: str) -> "list[Fault]":
        body = call.body or b""
        # API Gateway replaces each byte that isn't UTF-8 with the three bytes of U+FFFD.
        size = len(body.decode(errors="replace").encode())
        return [
            _content_type_fault(call),
            413 if size > MAX_BODY else None,
            _json_fault(body, self._validators[collection]),
        ]


Fault = int | str | None
"""What is wrong with one part of a request, such as a header or the body.

It is the status with which the API must refuse the request because of this part, or ``None`` if the part is valid. It
is "unsure" if docs/openapi.yaml leaves open whether the part is valid. It is "used" if the part is an Idempotency-Key,
because the API refuses a key that another request has used with another body.
"""


def _content_type_fault(call: Call) -> Fault:
    content_type = (call.header("Content-Type") or "").partition(";")[0].strip(" \t").lower()
    return None if content_type == "application/json" else 415


def _pairs(query: str) -> list[tuple[str, str]]:
    return urllib.parse.parse_qsl(query, keep_blank_values=True)


def _query_faults(query: str, kind: str, route: str) -> list[Fault]:
    pairs = _pairs(query)
    relational = RELATIONAL_PARAMETERS & _documented_parameters(route)
    names = QUERY_PARAMETERS[kind] | relational
    faults: list[Fault] = [400 for name, _ in pairs if name not in names]
    # docs/query.md says which filters, sorts and searches are right, and the unit tests of `query` check them.
    faults += ["unsure" for name, _ in pairs if name in relational]
    for name in QUERY_PARAMETERS[kind]:
        values = [value for key, value in pairs if key == name]
        if len(values) > 1:
            faults.append("unsure")  # API Gateway decides how it handles repeated values
        elif values and name == "min_version":
            faults.append(_min_version_fault(values[0], kind))
        elif "" in values:
            faults.append("unsure")  # API Gateway decides how it handles empty values
        elif values and name == "limit":
            text = values[0]
            right = re.fullmatch("0*[0-9]+", text) and 1 <= int(text) <= 200
            faults.append(("unsure" if text.startswith("0") else None) if right else 400)
        elif values:
            faults.append(400)  # no random cursor is valid, and the fuzz tests don't use the API's own cursors
    return faults


def _documented_parameters(route: str) -> set[str]:
    """Return the names of the parameters of an operation."""
    parameters = documented()[route].get("parameters", [])
    components = SPEC["components"]["parameters"]
    return {
        components[entry["$ref"].rpartition("/")[2]]["name"] if "$ref" in entry else entry["name"]
        for entry in parameters
    }


def _min_version_fault(text: str, kind: str) -> Fault:
    versions = [part.strip(" \t") for part in text.split(",")]
    if len(versions) > 20 or not all(re.fullmatch(VERSION, part) for part in versions):
        return 400
    ahead = max(int(part[:8] + part[9:13], 16) for part in versions) - time.time() * 1000
    if abs(ahead - 5_000) < 2_000:
        return "unsure"
    if ahead > 5_000:
        return 400
    # A read refuses an old version that the item doesn't have, because it can't be a version of this item.
    return "unsure" if kind == READ and ahead < -10 * 60_000 else None


def _refused_headers(call: Call) -> list[Fault]:
    faults: list[Fault] = []
    for name, status in REFUSED_HEADERS.items():
        value = call.header(name)
        if value is None:
            continue
        plain = name == "Content-Encoding" and value.strip().lower() in ("", "identity")
        faults.append(None if plain else status)
    return faults


def _json_fault(body: bytes, validator: jsonschema_rs.Draft7Validator) -> Fault:
    has_duplicates = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal has_duplicates
        unique = dict(pairs)
        has_duplicates = has_duplicates or len(unique) != len(pairs)
        return unique

    def constant(name: str) -> None:
        raise ValueError(name)

    if max(body.count(b"{") + body.count(b"["), 0) > 95:
        depth = _depth(body)
        if depth > 103:
            return 400
        if depth > 97:
            return "unsure"  # a unit test checks the exact limit of the depth, so allow a refusal near it
    try:
        text = body.decode(errors="replace")  # replace invalid UTF-8 as API Gateway does before it calls the function
        value = json.loads(text, object_pairs_hook=members, parse_constant=constant)
    except RecursionError:
        return 400
    except json.JSONDecodeError:
        return 400
    except ValueError as error:
        return "unsure" if "digits" in str(error) else 400
    if has_duplicates or not isinstance(value, dict):
        return 400
    if re.search(r"[\d.]{16}|[eE][+-]?0*[1-9]\d{2}", text) or re.search(r"\\[uU][dD][89a-fA-F]", text):
        # Two kinds of values are beyond this oracle: numbers that no double can hold exactly, because its validator
        # uses doubles, and lone surrogates, because JSON Schema doesn't define whether they are valid.
        return "unsure"
    return None if validator.is_valid(value) and "\ufffd" not in text else 400


def _depth(body: bytes) -> int:
    depth = deepest = 0
    for mark in re.findall(rb'"(?:[^"\\]|\\.)*"|[{}\[\]]', body, re.DOTALL):
        depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(mark, 0)
        deepest = max(deepest, depth)
    return deepest


def _wrong_problem(method: str, status: int, headers: Mapping[str, str], content: bytes) -> Iterator[str]:
    if headers.get("content-type") != "application/problem+json":
        yield "the content type of an error isn't application/problem+json"
        return
    if method == "HEAD":
        return
    try:
        document = json.loads(content)
    except ValueError:
        yield "the problem document isn't JSON"
        return
    if not PROBLEM.is_valid(document) or document["status"] != status:
        yield "the problem document isn't as documented"
    if status in (429, 503) and not headers.get("retry-after", "").isdigit():
        yield "Retry-After is missing"
    if status == 401 and "www-authenticate" not in headers:
        yield "WWW-Authenticate is missing"


def _deployed_schemas(stack: Local) -> dict[str, Any]:
    """Return the deployed JSON Schema of each fuzzed collection's items, by collection."""
    s3 = stack.root().client("s3")
    response = s3.get_object(Bucket=stack.outputs.write_log_bucket, Key="config/schemas.json")
    schemas: dict[str, Any] = json.loads(response["Body"].read())
    return {name: schemas[name] for name in COLLECTIONS}


def _fuzzed_document() -> dict[str, Any]:
    """Return a copy of docs/openapi.yaml that has only the paths that the fuzz tests call."""
    document = copy.deepcopy(SPEC)
    # Remove the security schemes, so that Schemathesis generates no credentials. Wrong tokens are tested by the tests
    # with random headers in test_fuzz.py.
    del document["components"]["securitySchemes"], document["servers"]
    document["paths"] = {
        path: item
        for path, item in document["paths"].items()
        if path == "/health" or (path.split("/")[1] in ("items", "documents") and path.split("/")[2] in COLLECTIONS)
    }
    for item in document["paths"].values():
        for operation in item.values():
            del operation["security"]
    parameters = document["components"]["parameters"]
    parameters["IdempotencyKey"]["schema"]["pattern"] = "^[!-~]([ -~]*[!-~])?$"
    # Let the versions have times in the past. docs/openapi.yaml says in prose that a time may not be in the future.
    past = VERSION.replace("[0-9a-f]{8}", "01[0-8][0-9a-f]{5}", 1)
    parameters["MinVersion"]["schema"]["items"] = {"type": "string", "pattern": f"^{past}$"}
    return document


def _request(arguments: dict[str, Any]) -> dict[str, Any]:
    names = ("method", "url", "headers", "files", "data", "params", "auth", "cookies", "json")
    return {name: value for name, value in arguments.items() if name in names}


def _bytes(value: str | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()
