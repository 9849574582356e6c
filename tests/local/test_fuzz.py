"""Fuzz tests of the running API.

Schemathesis generates some of the requests from docs/openapi.yaml. The other requests have random targets, headers or
bodies. The API must serve each request that docs/openapi.yaml and the collections' JSON Schemas allow, and refuse each
other request. No response may be a 5xx, show an exception, or be undocumented.

Every run sends the same requests. READPLANE_FUZZ_SEED=<number> chooses other requests. READPLANE_FUZZ_FACTOR=<number>
multiplies the number of requests.
"""

import dataclasses
import json
import string
import time
import urllib.parse
from collections.abc import Callable, Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from readplane.model.version import stamp
from tests.local.fuzz_oracle import (
    BODIES,
    COLLECTIONS,
    CREATE,
    FACTOR,
    HEALTH,
    KNOWN_ID,
    MAX_BODY,
    REFUSED_HEADERS,
    SEED,
    SUCCESSES,
    Call,
    Service,
)
from tests.local.support import Local, eventually


@pytest.fixture(scope="module")
def service(stack: Local) -> Iterator[Service]:
    """Connect to the API, and write one item into each collection that the tests fuzz."""
    connected = Service(stack)
    for name, body in BODIES.items():
        headers = (("Content-Type", b"application/json"),)
        assert connected.check(Call("PUT", f"/items/{name}/{KNOWN_ID}", headers, json.dumps(body).encode())) == 202
        eventually(lambda: connected.check(Call("GET", f"/documents/{name}/{KNOWN_ID}")) == 200)
    yield connected
    # Wait until the stack has published the writes of the fuzz tests. Otherwise the next test would have to wait,
    # because the stack handles earlier writes first. To know when all writes of the fuzz tests are published, make one
    # last write and wait for its document.
    last = stack.api(stack.eve)("PUT", f"/items/countries/{KNOWN_ID}", BODIES["countries"]).json()["change_id"]

    def published() -> bool:
        response = stack.api()("GET", f"/documents/countries/{KNOWN_ID}")
        return bool(response.headers.get("Readplane-Version", "") >= last)

    eventually(published, within=180)


def fuzz(strategy: st.SearchStrategy[Call], examples: int, probe: Callable[[Call], int]) -> set[int]:
    """Draw random requests and send each of them; return the statuses of the responses.

    :param strategy: the Hypothesis strategy that draws a request. The same SEED draws the same requests.
    :param examples: how many requests to draw if FACTOR is 1.
    :param probe: a function that sends a request, checks the response and returns the response's status.
    """
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


# --- Requests that Schemathesis generates from docs/openapi.yaml.

MODES = list(schemathesis.GenerationMode)


@pytest.mark.parametrize("kind", SUCCESSES)
def test_requests_at_the_limits_of_the_document(service: Service, kind: str) -> None:
    """Vary each parameter of an operation and each part of its request body.

    Send a value at each limit that docs/openapi.yaml sets, a value just beyond it, no value, and a value of a wrong
    type.
    """
    # Test only the collection `notices`, because its JSON Schema has the most rules.
    (operation,) = [each for each in service.operations(kind) if each.path.split("/")[2:3] in ([], ["notices"])]
    config = service.schema.config.generation
    cases = service.schema.iter_coverage_cases(operation, generation_modes=MODES, generation_config=config)
    calls = [service.call_of(case) for case in cases]
    if kind == CREATE:
        # A POST takes either Idempotency-Key or min_version, which OpenAPI can't express. Each of the cases has both.
        calls += [dataclasses.replace(call, target=call.target.partition("?")[0]) for call in calls]
    statuses = {service.check(call) for call in calls}
    assert len(statuses) > 1


@pytest.mark.parametrize("kind", SUCCESSES)
@pytest.mark.parametrize("mode", MODES)
def test_requests_generated_from_the_document(service: Service, mode: schemathesis.GenerationMode, kind: str) -> None:
    """Send random requests that docs/openapi.yaml allows, and others that violate it in one place or more."""
    if mode.is_negative and kind == HEALTH:
        return  # no request for /health can be invalid, because the operation has no parameters
    operations = service.operations(kind)
    strategies = [[operation.as_strategy(generation_mode=mode) for operation in operations]]
    if mode.is_positive and kind.startswith("GET ") and "{item_id}" in kind:
        existing = {"item_id": KNOWN_ID}  # also read an existing item, because no item has a randomly generated id
        strategies += [[operation.as_strategy(path_parameters=existing) for operation in operations]]
    statuses: set[int] = set()
    for each in strategies:
        statuses |= fuzz(st.one_of(each).map(service.call_of), 15, service.check)
    assert min(statuses) < 300 if mode.is_positive else max(statuses) >= 400, statuses


# --- Requests with random targets, headers and bodies.
#
# No test sends invalid HTTP, such as a header with a line break or a target with a space. The HTTP servers of API
# Gateway and of the emulator refuse invalid HTTP, so it would never reach the product.

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
    st.just(KNOWN_ID),
    st.sampled_from(HOSTILE),
    st.text(VISIBLE.replace("/", "").replace("?", "").replace("#", ""), min_size=1, max_size=12),
    st.binary(min_size=1, max_size=6).map(urllib.parse.quote_from_bytes),
)
VERSIONS = st.builds(
    lambda ahead, noise: stamp(time.time_ns() // 1_000_000 + ahead, noise),
    st.sampled_from([-(10**10), -1000, 0, 2_000, 10_000, 10**12]),
    st.binary(min_size=10, max_size=10),
)


NAMED_VERSIONS = st.builds(
    lambda separator, versions: f"?min_version={urllib.parse.quote(separator.join(versions), safe=',')}",
    st.sampled_from([",", ", ", " ", ";"]),
    st.lists(VERSIONS, max_size=22),
)


@st.composite
def mutated(draw: st.DrawFn, text: bytes) -> bytes:
    """Draw a copy of ``text`` with up to three random edits. Each edit replaces, removes, doubles or inserts bytes."""
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
            st.tuples(st.sampled_from(["limit", "cursor", "next", "min_version", "x"]), PIECES).map(
                lambda pair: f"?{pair[0]}={pair[1]}"
            ),
            NAMED_VERSIONS,
            st.integers(-5, 300).map("?limit={}".format),
        )
    )
    methods = ["GET", "GET", "GET", "GET", "DELETE", "PUT", "POST", "PATCH", "HEAD", "HEAD", "OPTIONS", "TRACE"]
    method = draw(st.sampled_from(methods))
    return Call(method, path + query)


def test_random_request_targets(service: Service) -> None:
    statuses = fuzz(targets(), 200, service.check)
    assert {200, 204, 400, 404, 405} <= statuses


FIELD = st.one_of(
    st.binary(max_size=30).map(lambda raw: bytes(byte for byte in raw if byte >= 0x20 and byte != 0x7F).strip()),
    st.text(VISIBLE, max_size=30).map(str.encode),
    st.sampled_from(
        [b"x" * 300, b"*", b'"', b'W/"', b"null", b"0", b"-1", b"\xff", b"a, b", b"application/json;", b"*/*"]
    ),
)
NAMES = ["If-None-Match", "If-None-Match", "Idempotency-Key", "Idempotency-Key", "Content-Type", "Authorization"]
NAMES += ["Accept", "Accept-Encoding", "Range", "Origin", "X-Amzn-Trace-Id", "X-Forwarded-For", "Cookie", "Forwarded"]
NAMES += [*REFUSED_HEADERS, "Readplane-Min-Version", "Prefer"]


@st.composite
def with_headers(draw: st.DrawFn) -> Call:
    name = draw(st.sampled_from(sorted(COLLECTIONS)))
    method, target = draw(
        st.sampled_from(
            [
                ("GET", f"/items/{name}/{KNOWN_ID}"),
                ("GET", f"/documents/{name}/{KNOWN_ID}"),
                ("GET", f"/items/{name}?limit=1"),
                ("PUT", f"/items/{name}/{KNOWN_ID}"),
                ("POST", f"/items/{name}"),
                ("DELETE", f"/items/{name}/none"),
            ]
        )
    )
    headers: dict[str, bytes] = {"Content-Type": b"application/json"} if method in ("PUT", "POST") else {}
    for header in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True)):
        headers[header] = draw(FIELD)
    if "?" not in target and "documents" not in target and draw(st.booleans()):
        target += draw(NAMED_VERSIONS)
    body = json.dumps(BODIES[name]).encode() if method in ("PUT", "POST") else None
    return Call(method, target, tuple(headers.items()), body)


def test_random_header_values(service: Service) -> None:
    statuses = fuzz(with_headers(), 200, service.check)
    assert {200, 202, 400, 401, 501} <= statuses


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
    method, target = draw(st.sampled_from([("PUT", f"/items/{name}/{KNOWN_ID}"), ("POST", f"/items/{name}")]))
    kind = draw(
        st.sampled_from([b"application/json"] * 6 + [b"Application/JSON ; charset=x", b"text/json", b"", b"*/*"])
    )
    return Call(method, target, (("Content-Type", kind),), body)


def test_hostile_and_random_bodies(service: Service) -> None:
    for text in TEXTS:
        service.check(Call("PUT", f"/items/notices/{KNOWN_ID}", (("Content-Type", b"application/json"),), text))
    statuses = fuzz(with_bodies(), 200, service.check)
    assert {202, 400, 415} <= statuses


def test_a_date_with_digits_outside_ascii_is_refused(service: Service) -> None:
    body = '{"title": "x", "until": "\u0662\u0660\u0662\u0666-01-01"}'.encode()
    service.check(Call("PUT", f"/items/notices/{KNOWN_ID}", (("Content-Type", b"application/json"),), body))


def test_a_non_breaking_space_does_not_separate_versions(service: Service) -> None:
    separated = "%C2%A0" + stamp(time.time_ns() // 1_000_000, bytes(10))
    service.check(Call("GET", f"/items/notices/{KNOWN_ID}?min_version={separated}"))
