"""Tests of parsing an API Gateway event into a request, and of checking its parameters."""

import pytest

from readplane.api.problem import ProblemError
from readplane.api.request import Request, request_of
from readplane.model.errors import InvalidError
from readplane.model.version import MAX_AHEAD_MS
from tests.unit.support import NOW_MS, api_event, version_at

ITEM = "/items/products/{item_id}"
VERSIONS = [version_at(NOW_MS, tail) for tail in range(21)]


def read(query: dict[str, str] | None = None, **path: str) -> Request:
    return request_of(api_event("GET", ITEM, path, query=query))


def refused_parameter(caught: pytest.ExceptionInfo[ProblemError]) -> object:
    assert caught.value.status == 400
    return caught.value.members["parameter"]


def test_a_base64_body_is_decoded_or_invalid() -> None:
    put = api_event("PUT", ITEM, {"item_id": "p-1"}) | {"isBase64Encoded": True}
    assert request_of(put | {"body": "eyJuYW1lIjoiw6QifQ=="}).body() == '{"name":"ä"}'.encode()
    for broken in ("***", "eyJuYW1lIjoiw6QifQ", "ä==="):
        with pytest.raises(InvalidError) as caught:
            request_of(put | {"body": broken}).body()
        assert caught.value.pointer == ""


def test_the_request_id_is_the_one_that_a_client_cannot_choose() -> None:
    item = api_event("GET", ITEM, {"item_id": "p-1"})
    item["requestContext"]["requestId"] = "chosen"
    assert request_of(item).request_id == item["requestContext"]["extendedRequestId"] == "EXAMPLEoFiAFYNA="
    del item["requestContext"]["extendedRequestId"]
    assert request_of(item).request_id == "chosen", "better than none, in an event that API Gateway didn't make"
    del item["requestContext"]["requestId"]
    assert request_of(item).request_id == ""


@pytest.mark.parametrize(
    ("encoded", "item_id"),
    [("p-1", "p-1"), ("a~b", "a~b"), ("a%7Eb", "a~b"), ("a%7eb", "a~b"), ("%70%2D%31", "p-1"), ("a%2Eb", "a.b")],
)
def test_an_item_id_is_decoded_as_the_client_encoded_it(encoded: str, item_id: str) -> None:
    assert read(item_id=encoded).item_id() == item_id


@pytest.mark.parametrize(
    "encoded",
    ["a%2Fb", "%2e%2e", "%2E", "a%00", "a%257Eb", "a%25", "a%", "a%7", "a%zz", "a+b", "a%20b", "%C3%A4", "%FF", "a%0A"],
)
def test_an_item_id_is_checked_after_it_is_decoded_once(encoded: str) -> None:
    with pytest.raises(ProblemError) as caught:
        read(item_id=encoded).item_id()
    assert refused_parameter(caught) == "item_id"


def test_a_change_id_is_decoded_once_and_then_checked() -> None:
    (version, *_) = VERSIONS
    assert read(change_id=version).change_id() == read(change_id=version.replace("-", "%2D")).change_id() == version
    for wrong in (version.replace("-", "%252D"), version.upper(), f"{version}%0A", "", "%2F"):
        with pytest.raises(ProblemError) as caught:
            read(change_id=wrong).change_id()
        assert refused_parameter(caught) == "change_id"


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        (VERSIONS[0], VERSIONS[:1]),
        (", ".join(VERSIONS[:20]), VERSIONS[:20]),
        (version_at(0), [version_at(0)]),
        (version_at(NOW_MS + MAX_AHEAD_MS), [version_at(NOW_MS + MAX_AHEAD_MS)]),
    ],
)
def test_min_version_names_one_version_or_several(text: str, versions: list[str]) -> None:
    assert read({"min_version": text}).min_versions(NOW_MS) == versions


def test_a_request_without_min_version_names_no_version() -> None:
    assert read().min_versions(NOW_MS) == []
    header = api_event("GET", ITEM, headers={"min_version": VERSIONS[0], "Readplane-Min-Version": VERSIONS[0]})
    assert request_of(header).min_versions(NOW_MS) == [], "a cache doesn't have this header in its key"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        f"{VERSIONS[0]},",
        "yesterday",
        "\xa0",
        VERSIONS[0].upper(),
        ",".join(VERSIONS),
        version_at(NOW_MS + MAX_AHEAD_MS + 1),
    ],
)
def test_a_min_version_that_cannot_be_honoured_is_refused(text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        read({"min_version": text}).min_versions(NOW_MS)
    assert refused_parameter(caught) == "min_version"


def test_a_version_may_be_five_seconds_ahead_and_no_more() -> None:
    """Check this, because a version from the future locks an item against the writes of all other clients."""
    assert MAX_AHEAD_MS == 5_000
    with pytest.raises(ProblemError, match="more than 5 seconds"):
        read({"min_version": version_at(NOW_MS + 5_001)}).min_versions(NOW_MS)


def test_a_query_parameter_that_the_route_does_not_have_is_refused() -> None:
    read().refuse_unknown_parameters()
    read({"limit": "1", "next": "x"}).refuse_unknown_parameters("limit", "next")
    for query, names in (({"next": "x"}, ()), ({"limit": "1", "Limit": "1"}, ("limit",)), ({"": ""}, ("limit",))):
        with pytest.raises(ProblemError) as caught:
            read(query).refuse_unknown_parameters(*names)
        assert refused_parameter(caught) == list(query)[-1]


def test_a_query_parameter_that_occurs_twice_is_refused() -> None:
    """Check this, because API Gateway passes only the last value, and the first one would be ignored."""
    event = api_event("GET", ITEM, query={"min_version": VERSIONS[1]})
    event["multiValueQueryStringParameters"]["min_version"] = VERSIONS[:2]
    with pytest.raises(ProblemError, match="only once") as caught:
        request_of(event).refuse_unknown_parameters("min_version")
    assert refused_parameter(caught) == "min_version"


@pytest.mark.parametrize("sent", ["if-none-match", "If-None-Match", "IF-NONE-MATCH"])
def test_a_header_is_found_whatever_the_case_of_its_name(sent: str) -> None:
    event = api_event("GET", ITEM, {"item_id": "p-1"}) | {"headers": {"If-None-Matcx": "other", sent: "value"}}
    assert request_of(event).header("if-none-match") == "value"
    assert request_of(event).header("if-match") is None
    assert request_of(event | {"headers": None}).header("if-match") is None
