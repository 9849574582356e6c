"""The running API, fuzzed: by its OpenAPI document (schemathesis), and by targets, headers and bodies made of bytes.

The document and the collections' own JSON Schemas judge every request: what they forbid is refused, what they allow is
served; no answer is a 5xx, tells of an exception, or is undocumented. The same requests are sent every time;
READPLANE_FUZZ_SEED=<number> sends others, READPLANE_FUZZ_FACTOR=<number> so many times as many.
"""

import copy
import dataclasses
import http.client
import json
import os
import re
import shlex
import string
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jsonschema_rs
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from readplane.model.version import stamp
from tests.local.support import Local, eventually
from tests.local.test_openapi import METHODS, SPEC

SEED = int(os.environ.get("READPLANE_FUZZ_SEED", "4711"))
FACTOR = float(os.environ.get("READPLANE_FUZZ_FACTOR", "1"))

COLLECTIONS = {"countries": "public", "notices": "authenticated", "profiles": "owner"}  # tariffs are throttled too low
KEPT = "fuzz"  # an item that every collection has
BODIES: dict[str, dict[str, Any]] = {
    "countries": {"alpha_2": "FR", "alpha_3": "FRA", "name": "France", "numeric": "250"},
    "notices": {"title": "Closed", "priority": 3, "until": "2026-01-31", "hours": 1.25},
    "profiles": {"display_name": "Eve", "language": "en-GB", "preferences": {"theme": ["dark", None, 1.10]}},
}
SERVED = {
    "health": {200},
    "listItems": {200},
    "createItem": {202},
    "getItem": {200, 304, 404, 409},
    "putItem": {202},
    "deleteItem": {202},
    "getChangeStatus": {200, 404},
    "getDocument": {200, 304, 404},
}
Operation = schemathesis.APIOperation[Any, Any, Any, Any]
Case = schemathesis.Case[Any]
MAX_BODY = 256 * 1024
ITEM_ID = re.compile(SPEC["components"]["parameters"]["ItemId"]["schema"]["pattern"].replace("$", r"\Z"))
VERSION = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"  # a UUIDv7 in lower case
PROBLEM = jsonschema_rs.Draft7Validator(
    {**SPEC["components"]["schemas"]["Problem"], "additionalProperties": False, "components": SPEC["components"]}
)
LEAKS = re.compile(
    rb"Traceback|File \"|Exception|[a-z]Error\b|errorMessage|errorType|stackTrace|boto|arn:aws|fastjsonschema|"
    rb"site-packages|/var/task|lambda_src|readplane/|\.py\b"
)


@dataclasses.dataclass(frozen=True)
class Call:
    """A request as it goes over the wire; the target is below /v1."""

    method: str
    target: str
    headers: tuple[tuple[str, bytes], ...] = ()
    body: bytes | None = None

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return found[-1].decode("latin-1").strip(" \t") if found else None

    def curl(self, base: str) -> str:
        parts = ["curl", "--path-as-is", "-g", "-i", "-X", self.method, base + self.target]
        for name, value in self.headers:
            parts += ["-H", f"{name}: {value.decode('latin-1')}"]
        if self.body is not None:
            shown = self.body.decode("latin-1")
            parts += ["--data-binary", shown if len(shown) < 2000 else shown[:2000] + f"… ({len(shown)} bytes)"]
        return " ".join(map(shlex.quote, parts))


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the document says of a request: its operation, and the statuses that refuse it; none: it is to be served.

    ``certain`` is false where the document leaves it open whether to serve or to refuse.
    """

    operation: str | None
    refusals: frozenset[int] = frozenset()
    certain: bool = True


class Service:
    """The deployed API beside its document: sends calls, and judges the answers."""

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
        self.document = _expanded(self.schemas)
        self.schema = schemathesis.openapi.from_dict(self.document)
        self.schema.config.update(base_url=self.base)

    def operations(self, operation_id: str) -> list[Operation]:
        """The operation, once for every collection that has it."""
        return [
            self.schema[path][method]
            for path, item in self.document["paths"].items()
            for method in METHODS
            if item.get(method, {}).get("operationId") == operation_id
        ]

    def call_of(self, case: Case) -> Call:
        """What schemathesis would send for its case."""
        prepared = requests.Request(**_request(case.as_transport_kwargs(base_url=self.base))).prepare()
        body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
        headers = tuple((name, _bytes(value)) for name, value in prepared.headers.items() if name != "Content-Length")
        assert prepared.method and (body is None or isinstance(body, bytes))
        return Call(prepared.method, prepared.path_url.removeprefix(self._prefix), headers, body)

    def check(self, call: Call) -> int:
        """Send a call as the editor, unless it brings its own Authorization; fail for an answer that it mustn't get."""
        verdict = self.judge(call)
        status, headers, content = self._send(call)
        wrong = list(self._wrong(call, verdict, status, headers, content))
        assert not wrong, "\n".join(
            [
                *wrong,
                f"{status} {dict(headers)} {content[:1000]!r}",
                f"judged: {verdict}",
                call.curl(self.base) + " -H 'Authorization: Bearer …'",
                f"again: READPLANE_FUZZ_SEED={SEED} READPLANE_FUZZ_FACTOR={FACTOR:g} pytest tests/local/test_fuzz.py",
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
        answer = self._connection.getresponse()
        content = answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def _wrong(
        self, call: Call, verdict: Verdict, status: int, headers: Mapping[str, str], content: bytes
    ) -> Iterator[str]:
        if status >= 500:
            yield "a 5xx"
        operation = self._documented(verdict.operation)
        served = SERVED.get(operation["operationId"], set()) if operation else {200, 204}  # a preflight
        if verdict.refusals and status not in verdict.refusals and (verdict.certain or status not in served):
            yield f"not refused with any of {sorted(verdict.refusals)}"
        if not verdict.refusals and status not in served:
            yield f"allowed, but not answered by any of {sorted(served)}"
        if operation and str(status) not in operation["responses"]:
            yield f"a status that {verdict.operation} doesn't document"
        if status >= 400:
            told = {name: value for name, value in headers.items() if name != "x-amzn-errortype"}  # API Gateway's own
            if leak := LEAKS.search(content + repr(sorted(told.items())).encode()):
                yield f"tells of its inside: {leak.group()!r}"
            yield from _wrong_problem(call.method, status, headers, content)
        elif operation and verdict.operation:
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
            yield f"not as documented: {failures.exceptions}"

    def _documented(self, operation: str | None) -> dict[str, Any] | None:
        if operation is None:
            return None
        method, path = operation.split(" ", 1)
        found: dict[str, Any] = self.document["paths"][path][method.lower()]
        return found

    # --- The oracle: the document's words, read anew and not with the product's code.

    def judge(self, call: Call) -> Verdict:
        """What the document says of a call."""
        path, _, query = call.target.partition("?")
        route, given_ = self._route(call.method, path)
        if route is None:
            if call.method == "OPTIONS":
                return Verdict(None, frozenset({404}), certain=False)
            return Verdict(None, frozenset({404}))
        collection = route.split("/")[2] if "/" in route.partition(" /")[2] else ""
        operation = self.document["paths"][route.split(" ", 1)[1]][call.method.lower()]["operationId"]
        is_open = operation == "health" or (call.method == "GET" and COLLECTIONS[collection] == "public")
        if call.header("Authorization") is not None and not is_open:
            return Verdict(route, frozenset({401}))
        faults: list[Fault] = []
        if "item_id" in given_:
            faults.append(None if ITEM_ID.match(given_["item_id"]) else 400)
        if "change_id" in given_:
            faults.append(None if re.fullmatch(VERSION, given_["change_id"]) else 400)
        if operation == "listItems":
            faults += _query_faults(query)
        if operation in ("getItem", "createItem", "putItem", "deleteItem"):
            faults.append(_min_version_fault(call.header("Readplane-Min-Version")))
        if operation == "createItem":
            key = call.header("Idempotency-Key")
            faults.append(None if key is None or re.fullmatch(r"[ -~]{1,255}", key) else 400)
        if operation in ("createItem", "putItem"):
            faults += self._body_faults(call, collection)
        if operation == "health" and call.header("Content-Type") is not None:
            faults.append(_kind_fault(call) and "unsure")  # 415, which a GET needn't be
        statuses = frozenset(fault for fault in faults if isinstance(fault, int))
        if statuses:
            return Verdict(route, statuses)
        unsure = "unsure" in faults
        return Verdict(route, frozenset({400, 413, 415}) if unsure else frozenset(), certain=not unsure)

    def _route(self, method: str, path: str) -> tuple[str | None, dict[str, str]]:
        # The emulator takes an encoded slash for a slash, and several for one.
        sent = [urllib.parse.unquote(part) for part in re.split("/|%2[fF]", path) if part]
        for template, operations in self.document["paths"].items():
            wanted = template.strip("/").split("/")
            if method.lower() in operations and len(wanted) == len(sent):
                pairs = list(zip(wanted, sent, strict=True))
                if all(name == part or name.startswith("{") for name, part in pairs):
                    return f"{method} {template}", {name[1:-1]: part for name, part in pairs if name.startswith("{")}
        return None, {}

    def _body_faults(self, call: Call, collection: str) -> "list[Fault]":
        body = call.body or b""
        return [
            _kind_fault(call),
            413 if len(body) > MAX_BODY else None,
            _json_fault(body, self._validators[collection]),
        ]


Fault = int | str | None
"""The status that refuses a part of a request; "unsure" where the document leaves it open."""


def _kind_fault(call: Call) -> Fault:
    kind = (call.header("Content-Type") or "").partition(";")[0].strip(" \t").lower()
    return None if kind == "application/json" else 415


def _query_faults(query: str) -> list[Fault]:
    faults: list[Fault] = []
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    for name in ("limit", "cursor"):
        values = [value for key, value in pairs if key == name]
        if (
            len(values) > 1 or "" in values
        ):  # which one counts, and whether an empty one does, is the gateway's business
            faults.append("unsure")
        elif values and name == "limit":
            text = values[0]
            right = re.fullmatch("0*[0-9]+", text) and 1 <= int(text) <= 200
            faults.append(("unsure" if text.startswith("0") else None) if right else 400)
        elif values:
            faults.append(400)  # only the API makes cursors; test_http walks by them
    return faults


def _min_version_fault(text: str | None) -> Fault:
    named = [part.strip(" \t") for part in (text or "").split(",")]
    named = [part for part in named if part]
    if len(named) > 20 or not all(re.fullmatch(VERSION, part) for part in named):
        return 400
    ahead = max((int(part[:8] + part[9:13], 16) for part in named), default=0) - time.time() * 1000
    return "unsure" if abs(ahead - 300_000) < 5_000 else 400 if ahead > 300_000 else None


def _json_fault(body: bytes, validator: jsonschema_rs.Draft7Validator) -> Fault:
    twice = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        found = dict(pairs)
        twice = twice or len(found) != len(pairs)
        return found

    def constant(name: str) -> None:
        raise ValueError(name)

    if max(body.count(b"{") + body.count(b"["), 0) > 95:
        depth = _depth(body)
        if depth > 103:
            return 400
        if depth > 97:
            return "unsure"  # the exact border is a unit test's
    try:
        text = body.decode(errors="replace")  # as API Gateway does
        value = json.loads(text, object_pairs_hook=members, parse_constant=constant)
    except RecursionError:
        return 400
    except json.JSONDecodeError:
        return 400
    except ValueError as error:
        return "unsure" if "digits" in str(error) else 400
    if twice or not isinstance(value, dict):
        return 400
    if re.search(r"\d{300}|[eE]\+?0*[1-9]\d{2}", text) or re.search(r"\\[uU][dD][89a-fA-F]", text):
        return "unsure"  # numbers beyond a double, half a surrogate pair: JSON, but beyond what schemas are defined for
    return None if validator.is_valid(value) and "\ufffd" not in text else 400


def _depth(body: bytes) -> int:
    depth = deepest = 0
    for mark in re.findall(rb'"(?:[^"\\]|\\.)*"|[{}\[\]]', body, re.DOTALL):
        depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(mark, 0)
        deepest = max(deepest, depth)
    return deepest


def _wrong_problem(method: str, status: int, headers: Mapping[str, str], content: bytes) -> Iterator[str]:
    if headers.get("content-type") != "application/problem+json":
        yield "an error that is no application/problem+json"
        return
    if method == "HEAD":
        return
    try:
        document = json.loads(content)
    except ValueError:
        yield "a problem document that is no JSON"
        return
    if not PROBLEM.is_valid(document) or document["status"] != status:
        yield "a problem document of another shape"
    if status in (429, 503) and not headers.get("retry-after", "").isdigit():
        yield "no Retry-After"
    if status == 401 and "www-authenticate" not in headers:
        yield "no WWW-Authenticate"


def _deployed_schemas(stack: Local) -> dict[str, Any]:
    """The body schemas that `write` was given, by collection."""
    s3 = stack.root().client("s3")
    bucket = stack.outputs.write_log_bucket
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="config/schemas/")["Contents"]
    newest = max(listed, key=lambda entry: entry["LastModified"])["Key"]
    schemas: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=newest)["Body"].read())
    return {name: schemas[name] for name in COLLECTIONS}


def _expanded(schemas: dict[str, Any]) -> dict[str, Any]:
    """The document with every collection's own routes and body schema in the place of {collection}."""
    document = copy.deepcopy(SPEC)
    # How to sign in is not generated: the raw calls below try wrong tokens.
    del document["security"], document["components"]["securitySchemes"], document["servers"]
    for path, item in list(document["paths"].items()):
        for method in METHODS:
            item.get(method, {}).pop("security", None)
        if "{collection}" not in path:
            continue
        del document["paths"][path]
        for name, schema in schemas.items():
            own = copy.deepcopy(item)
            own["parameters"] = [
                entry for entry in own["parameters"] if not entry.get("$ref", "").endswith("/Collection")
            ]
            for parameter in own.get("post", {}).get("parameters", []):
                if parameter.get("name") == "Idempotency-Key":
                    parameter["schema"]["pattern"] = "^[!-~]([ -~]*[!-~])?$"
            for method in METHODS:
                if "requestBody" in own.get(method, {}):
                    plain = {key: value for key, value in schema.items() if key != "$schema"}
                    own[method]["requestBody"] = {"required": True, "content": {"application/json": {"schema": plain}}}
            document["paths"][path.replace("{collection}", name)] = own
    # What the document says in words only.
    components = document["components"]
    components["schemas"]["Version"]["pattern"] = f"^{VERSION}$"
    past = VERSION.replace("[0-9a-f]{8}", "01[0-8][0-9a-f]{5}", 1)
    components["parameters"]["MinVersion"]["schema"]["pattern"] = f"^{past}( ?, ?{past}){{0,19}}$"
    return document


def _request(arguments: dict[str, Any]) -> dict[str, Any]:
    known = ("method", "url", "headers", "files", "data", "params", "auth", "cookies", "json")
    return {name: value for name, value in arguments.items() if name in known}


def _bytes(value: str | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


@pytest.fixture(scope="module")
def service(stack: Local) -> Iterator[Service]:
    """The API beside its document."""
    made = Service(stack)
    for name, body in BODIES.items():
        content = (("Content-Type", b"application/json"),)
        assert made.check(Call("PUT", f"/items/{name}/{KEPT}", content, json.dumps(body).encode())) == 202
        eventually(lambda: made.check(Call("GET", f"/documents/{name}/{KEPT}")) == 200)
    yield made
    # What was accepted here is applied and published first, and the next test's documents wait behind it.
    last = stack.api(stack.eve)("PUT", f"/items/countries/{KEPT}", BODIES["countries"]).json()["change_id"]

    def published() -> bool:
        found = stack.api()("GET", f"/documents/countries/{KEPT}")
        return bool(found.headers.get("Readplane-Version", "") >= last)

    eventually(published, within=180)


def fuzz(strategy: st.SearchStrategy[Call], examples: int, probe: Callable[[Call], int]) -> set[int]:
    """Draw calls and probe each; the same ones for the same seed. Returns the statuses that were seen."""
    statuses: set[int] = set()

    @seed(SEED)
    @settings(
        max_examples=max(1, round(examples * FACTOR)),
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(strategy)
    def run(call: Call) -> None:
        statuses.add(probe(call))

    run()
    return statuses


# --- By the document.

MODES = list(schemathesis.GenerationMode)


@pytest.mark.parametrize("operation_id", SERVED)
def test_the_documents_own_borders(service: Service, operation_id: str) -> None:
    """Every parameter and every part of a body in turn: at its borders, just beyond them, absent, of other types."""
    # Of the collections, notices have the schema with the most rules.
    (operation,) = [each for each in service.operations(operation_id) if each.path.split("/")[2:3] in ([], ["notices"])]
    config = service.schema.config.generation
    cases = service.schema.iter_coverage_cases(operation, generation_modes=MODES, generation_config=config)
    statuses = {service.check(call) for call in map(service.call_of, cases)}
    assert len(statuses) > 1


@pytest.mark.parametrize("operation_id", SERVED)
@pytest.mark.parametrize("mode", MODES)
def test_generated_from_the_document(service: Service, mode: schemathesis.GenerationMode, operation_id: str) -> None:
    """Requests that the document allows, and requests that break it in one place or more."""
    if mode.is_negative and operation_id == "health":
        return  # it takes nothing that could be broken
    operations = service.operations(operation_id)
    strategies = [[operation.as_strategy(generation_mode=mode) for operation in operations]]
    if mode.is_positive and operation_id.startswith("get"):
        kept = {"item_id": KEPT}  # else nothing would be found
        strategies += [[operation.as_strategy(path_parameters=kept) for operation in operations]]
    statuses: set[int] = set()
    for each in strategies:
        statuses |= fuzz(st.one_of(each).map(service.call_of), 15, service.check)
    assert min(statuses) < 300 if mode.is_positive else max(statuses) >= 400, statuses


# --- Byte by byte, where no document leads. What isn't HTTP at all (a line break in a header, a blank in a target) is
# refused by API Gateway's own servers, or the emulator's, and never comes near the product.

VISIBLE = "".join(chr(code) for code in range(0x21, 0x7F))
HOSTILE = [
    "%2F",
    "%2f..%2f",
    "..",
    ".",
    "%2E%2E",
    "%00",
    "a%00",
    "%252F",
    "%5C",
    "%0A",
    "%0d%0aX-A:b",
    "%ff%fe",
    "%C3%A4",
]
HOSTILE += [
    "~",
    "-",
    "a" * 257,
    "%EF%BC%8F",
    "a%20",
    "a+b",
    "a;b",
    "a:b",
    "*",
    "$util",
    "{item_id}",
    "%",
    "%zz",
    "%u002F",
]
IDS = st.text(string.ascii_letters + string.digits + "._~-", min_size=1, max_size=8).map("F{}".format)
PIECES = st.one_of(
    IDS,
    st.just(KEPT),
    st.sampled_from(HOSTILE),
    st.text(VISIBLE.replace("/", "").replace("?", "").replace("#", ""), min_size=1, max_size=12),
    st.binary(min_size=1, max_size=6).map(urllib.parse.quote_from_bytes),
)
VERSIONS = st.builds(
    lambda ahead, noise: stamp(time.time_ns() // 1_000_000 + ahead, noise),
    st.sampled_from([-(10**10), -1000, 0, 200_000, 400_000, 10**12]),
    st.binary(min_size=10, max_size=10),
)


@st.composite
def mutated(draw: st.DrawFn, text: bytes) -> bytes:
    """The text with up to three places overwritten, dropped, doubled or filled with other bytes."""
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        to = min(len(text), at + draw(st.sampled_from([0, 1, 1, 2, 7])))
        part = text[at:to]
        text = text[:at] + draw(st.one_of(st.binary(max_size=3), st.just(b""), st.just(part * 2))) + text[to:]
    return text


@st.composite
def targets(draw: st.DrawFn) -> Call:
    name = draw(st.sampled_from(sorted(COLLECTIONS)))
    shape = draw(
        st.sampled_from(
            [
                "/items/{c}/{a}",
                "/items/{c}/{a}",
                "/documents/{c}/{a}",
                "/documents/{c}/{a}",
                "/items/{c}/{a}/changes/{b}",
                "/items/{c}/{a}/changes/{v}",
                "/items/{c}",
                "/items/{a}/{b}",
                "/{a}/{c}/{b}",
                "/{a}",
                "/items/{c}/{a}/{b}",
            ]
        )
    )
    path = shape.format(c=name, a=draw(PIECES), b=draw(PIECES), v=draw(VERSIONS))
    query = draw(
        st.one_of(
            st.just(""),
            st.text(VISIBLE.replace("#", ""), max_size=12).map("?{}".format),
            st.tuples(st.sampled_from(["limit", "cursor", "x"]), PIECES).map(lambda pair: f"?{pair[0]}={pair[1]}"),
            st.integers(-5, 300).map("?limit={}".format),
        )
    )
    method = draw(st.sampled_from(["GET", "GET", "GET", "GET", "DELETE", "PUT", "POST", "PATCH", "HEAD"]))
    return Call(method, path + query)


def test_request_targets_of_all_kinds(service: Service) -> None:
    statuses = fuzz(targets(), 200, service.check)
    assert {200, 400, 404} <= statuses


FIELD = st.one_of(
    st.binary(max_size=30).map(lambda raw: bytes(byte for byte in raw if byte >= 0x20 and byte != 0x7F).strip()),
    st.text(VISIBLE, max_size=30).map(str.encode),
    st.sampled_from(
        [b"x" * 300, b"*", b'"', b'W/"', b"null", b"0", b"-1", b"\xff", b"a, b", b"application/json;", b"*/*"]
    ),
)
NAMES = ["Readplane-Min-Version", "Readplane-Min-Version", "If-None-Match", "If-None-Match", "Idempotency-Key"]
NAMES += [
    "Content-Type",
    "Authorization",
    "Accept",
    "Accept-Encoding",
    "Range",
    "If-Match",
    "If-Modified-Since",
    "Origin",
]
NAMES += ["X-Amzn-Trace-Id", "X-Forwarded-For", "Content-Encoding", "X-HTTP-Method-Override", "Cookie"]


@st.composite
def with_headers(draw: st.DrawFn) -> Call:
    name = draw(st.sampled_from(sorted(COLLECTIONS)))
    method, target = draw(
        st.sampled_from(
            [
                ("GET", f"/items/{name}/{KEPT}"),
                ("GET", f"/documents/{name}/{KEPT}"),
                ("GET", f"/items/{name}?limit=1"),
                ("PUT", f"/items/{name}/{KEPT}"),
                ("POST", f"/items/{name}"),
                ("DELETE", f"/items/{name}/none"),
            ]
        )
    )
    headers: dict[str, bytes] = {"Content-Type": b"application/json"} if method in ("PUT", "POST") else {}
    for header in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True)):
        value = draw(FIELD)
        if header == "Readplane-Min-Version" and draw(st.booleans()):
            value = draw(st.sampled_from([b",", b", ", b" ", b";"])).join(
                each.encode() for each in draw(st.lists(VERSIONS, max_size=22))
            )
        headers[header] = value
    body = json.dumps(BODIES[name]).encode() if method in ("PUT", "POST") else None
    return Call(method, target, tuple(headers.items()), body)


def test_header_values_of_all_kinds(service: Service) -> None:
    statuses = fuzz(with_headers(), 150, service.check)
    assert {200, 202, 400, 401} <= statuses


TEXTS = [
    b'{"title": "x", "title": "x"}',
    b'{"title": "x", "t\\u0069tle": "y"}',
    b'{"title": "x", "hours": 1e400}',
    b'{"title": "x", "hours": ' + b"9" * 5000 + b"}",
    b'{"title": "x", "hours": 0.1}',
    b'{"title": "x", "hours": NaN}',
    b'{"title": "x", "hours": -Infinity}',
    b'{"title": "x", "hours": 01}',
    b'{"title": "x", "priority": 1.0}',
    b'{"title": "x", "priority": 1.5}',
    b'{"title": "x", "priority": true}',
    b'{"title": "x", "until": "2026-02-29"}',
    b'{"title": "x", "until": "2024-02-29"}',
    b'{"title": "x", "until": "2024-02-29\\n"}',
    b'{"title": "x", "until": "0000-01-01"}',
    b'{"title": "x", "hours": 5e-324}',
    b'{"title": "x", "hours": 1e308}',
    b'{"title": "x", "hours": 123456789012345678901234567890.1}',
    b'{"title": "x", "priority": -0}',
    b'{"title": "x", "other": 1}',
    b'{"title": "x", "__proto__": {}, "constructor": {}}',
    b'{"title": "\\ud800"}',
    b'{"title": "\\ud83d\\ude00\\u0000"}',
    b'{"title": "x"}{"title": "x"}',
    b'{"title": "x",}',
    b"{'title': 'x'}",
    b'{"title": "x"} // x',
    b'\xef\xbb\xbf{"title": "x"}',
    '{"title": "x"}'.encode("utf-16"),
    b'{"title": "\xc3\x28"}',
    b'{"title": "\xed\xa0\x80"}',
    b'{"title": "a\nb"}',
    b'\r\n\t {"title": "x"}\r\n',
    b'\x0c{"title": "x"}',
    b'{"title": ' * 150 + b"1" + b"}" * 150,
    b"[" * 100_000,
    b'{"title":"' + b"x" * MAX_BODY + b'"}',
    b"null",
    b'"{}"',
    b"eyJ0aXRsZSI6ICJ4In0=",
]


@st.composite
def with_bodies(draw: st.DrawFn) -> Call:
    name = draw(st.sampled_from(sorted(COLLECTIONS)))
    body = draw(
        st.one_of(
            mutated(json.dumps(BODIES[name]).encode()),
            mutated(json.dumps(BODIES[name]).encode()),
            st.sampled_from(TEXTS).flatmap(mutated),
            st.binary(max_size=40),
        )
    )
    method, target = draw(st.sampled_from([("PUT", f"/items/{name}/{KEPT}"), ("POST", f"/items/{name}")]))
    kind = draw(
        st.sampled_from([b"application/json"] * 6 + [b"Application/JSON ; charset=x", b"text/json", b"", b"*/*"])
    )
    return Call(method, target, (("Content-Type", kind),), body)


def test_bodies_of_all_kinds(service: Service) -> None:
    for text in TEXTS:
        service.check(Call("PUT", f"/items/notices/{KEPT}", (("Content-Type", b"application/json"),), text))
    statuses = fuzz(with_bodies(), 200, service.check)
    assert {202, 400, 415} <= statuses


def test_a_date_is_of_ascii_digits(service: Service) -> None:
    body = '{"title": "x", "until": "\u0662\u0660\u0662\u0666-01-01"}'.encode()
    service.check(Call("PUT", f"/items/notices/{KEPT}", (("Content-Type", b"application/json"),), body))


def test_versions_are_parted_by_blanks_only(service: Service) -> None:
    named = b"\xa0" + stamp(time.time_ns() // 1_000_000, bytes(10)).encode()
    service.check(Call("GET", f"/items/notices/{KEPT}", (("Readplane-Min-Version", named),)))
