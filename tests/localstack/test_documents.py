"""Tests of documents on LocalStack: API Gateway serves them from S3, and no request reaches any other S3 object."""

import http.client
from collections.abc import Iterator
from typing import Any

import pytest

from ops.local import stack as local_stack
from readplane.aws.boto import BotoClient
from readplane.stores.documents import S3Documents
from tests.localstack.conftest import REGION, Applied, Response, host_of

VERSION = "01981234-5678-7abc-8def-0123456789ab"
# The tests must notice if the API parses a document and encodes it again. That would change this text's spacing, digits
# or escaped characters.
TEXT = (
    '{"id":"apple",  "data":{"z":1.10,"a":12345678901234567890, "name":"Äpfel \\u00e4 ✓ 🍏", "e":1E+2, "html":"<&>"}}\n'
)
SECRET = "this must not come out"

DECOYS = [
    "apple",
    "secret",
    "config/secret",
    "public/secret",
    "public/apple",
    "public/documents/secret",
    "public/documents/products/",
    "public/documents/products/a/b",
    "public/documents/products/../secret",
    "public/documents/products/%2e%2e/secret",
    "public/documents/products/..%2Fsecret",
    "public/documents/products/..%2fsecret",
    "public/documents/products/a%2Fb",
    "public/documents/products/%252F",
    "public/documents/products/a b",
    "public/documents/products/a+b",
    "public/documents/products/äpfel",
    "public/documents/products/.",
    "public/documents/products/..",
    "public/documents/products/.hidden",
    "public/documents/products/~",
    "public/documents/products/_x",
    f"public/documents/products/{'x' * 257}",
    "public/documents/other/secret",
    "authenticated/documents/staff/secret",
    "owner/documents/profiles/secret",
    "owner/documents/profiles//secret",
    "owner/documents/profiles/bob/secret",
]

HOSTILE = [
    "..%2Fsecret",
    "..%2fsecret",
    "%2E%2E%2Fsecret",
    "%2e%2e",
    "..",
    ".",
    "...",
    "%2e",
    "a%2Fb",
    "a%2fb",
    "%2F",
    "%2Fsecret",
    "%2Fpublic%2Fsecret",
    "..%2F..%2F..%2Fauthenticated%2Fdocuments%2Fstaff%2Fsecret",
    "..%2F..%2F..%2Fowner%2Fdocuments%2Fprofiles%2Fbob%2Fsecret",
    "..%2F..%2F..%2F..%2Fsecret",
    "%252F",
    "..%252Fsecret",
    "%252e%252e%252fsecret",
    "%25252Fsecret",
    "%2",
    "%",
    "%zz",
    "%00",
    "apple%00",
    "apple%00.json",
    "apple.json%00",
    "apple%0a",
    "apple%0d%0aX-Evil:%20yes",
    "apple%20",
    "%20apple",
    "a%20b",
    "a+b",
    "a%2Bb",
    "..%5Csecret",
    "..\\secret",
    "%5C..%5Csecret",
    "%C0%AE%C0%AE%C0%AFsecret",
    "%E3%80%82%E3%80%82",
    "%EF%BC%8E%EF%BC%8E%EF%BC%8Fsecret",
    "%C3%A4pfel",
    "apple%3FversionId=null",
    "apple%3Facl",
    "apple%23",
    "%7Bitem_id%7D",
    "%7Bsub%7D",
    "$context.extendedRequestId",
    "$%7Bvalue%7D",
    "'%22$item_id",
    "%23set($item_id='secret')",
    ".hidden",
    "_x",
    "~",
    "x" * 257,
    "x" * 2000,
    "..;",
    "apple,secret",
    "*",
    "apple*",
]


@pytest.fixture(scope="module")
def documents(applied: Applied) -> Iterator[S3Documents]:
    """Fill the bucket with documents and with decoys.

    The product's own store writes the documents. The decoys are objects that no request may reach.
    """
    # Use an IP address as the host, because AWS clients then put the bucket's name into the path and not into the host.
    endpoint = applied.endpoint.replace("//localhost:", "//127.0.0.1:")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ({"AWS_DEFAULT_REGION": REGION} | local_stack.environment(endpoint)).items():
            patch.setenv(name, value)
        store = S3Documents(BotoClient("s3"), applied.bucket)
        store.put_document("public/documents/products/apple", TEXT, VERSION, "max-age=60")
        store.put_document(f"public/documents/products/{'y' * 256}", TEXT, VERSION, "max-age=60")
        store.put_document("public/documents/products/A-1._~z", TEXT, VERSION, "max-age=60")
        store.put_document("authenticated/documents/staff/anna", TEXT, VERSION, "private, no-cache")
        store.put_document("owner/documents/profiles/bob/settings", SECRET, VERSION, "private, no-cache")
        for key in DECOYS:
            applied.s3.put_object(Bucket=applied.bucket, Key=key, Body=SECRET.encode(), ContentType="application/json")
        yield store


def call(
    applied: Applied,
    path: str,
    headers: dict[str, str] | None = None,
    method: str = "GET",
    body: bytes | None = None,
) -> Response:
    """Send a request without changing its path; return the response.

    `requests` would resolve the segments ``.`` and ``..`` of the path.
    """
    connection = http.client.HTTPConnection(*host_of(applied.endpoint), timeout=30)
    try:
        connection.request(method, applied.path + path, body=body, headers=headers or {})
        response = connection.getresponse()
        return Response(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def stored(applied: Applied, key: str) -> dict[str, Any]:
    head: dict[str, Any] = applied.s3.head_object(Bucket=applied.bucket, Key=key)
    return head


def test_the_document_of_a_source_has_a_fixed_path(applied: Applied) -> None:
    assert call(applied, "/documents/sources/shop").status == 404
    applied.s3.put_object(Bucket=applied.bucket, Key="public/documents/sources/shop", Body=TEXT.encode())

    response = call(applied, "/documents/sources/shop")

    assert (response.status, response.body) == (200, TEXT.encode())
    again = call(applied, "/documents/sources/shop", {"If-None-Match": response.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


def test_a_document_is_served_byte_for_byte(applied: Applied, documents: S3Documents) -> None:
    response = call(applied, "/documents/products/apple")

    assert response.status == 200
    assert response.body == TEXT.encode()


def test_a_document_has_the_headers_that_s3_stores(applied: Applied, documents: S3Documents) -> None:
    response = call(applied, "/documents/products/apple")

    head = stored(applied, "public/documents/products/apple")
    assert response.headers["content-type"] == "application/json"
    assert response.headers["etag"] == head["ETag"]
    assert response.headers["readplane-version"] == VERSION
    assert response.headers["cache-control"] == "max-age=60"
    assert "last-modified" in response.headers
    assert response.headers["access-control-allow-origin"] == "https://app.example.com"


def test_a_route_serves_the_documents_of_its_own_visibility_only(applied: Applied, documents: S3Documents) -> None:
    response = call(applied, "/documents/staff/anna")

    assert (response.status, response.body) == (200, TEXT.encode())
    assert response.headers["cache-control"] == "private, no-cache"
    assert call(applied, "/documents/staff/apple").status == 404
    assert call(applied, "/documents/products/anna").status == 404


@pytest.mark.parametrize("item_id", ["y" * 256, "A-1._~z", "A-1._%7Ez", "A%2D1.%5F~z"])
def test_every_valid_item_id_is_served(applied: Applied, documents: S3Documents, item_id: str) -> None:
    assert call(applied, f"/documents/products/{item_id}").body == TEXT.encode()


@pytest.mark.parametrize("item_id", ["%61pple", "ap%70le", "%61%70%70%6C%65", "%61%70%70%6c%65"])
def test_every_spelling_of_an_item_id_names_the_same_document(
    applied: Applied, documents: S3Documents, item_id: str
) -> None:
    assert call(applied, f"/documents/products/{item_id}").body == TEXT.encode()


@pytest.mark.parametrize("item_id", ["%2561pple", "A-1._%257Ez", "%252561pple"])
def test_an_item_id_is_decoded_only_once(applied: Applied, documents: S3Documents, item_id: str) -> None:
    response = call(applied, f"/documents/products/{item_id}")

    assert (response.status, response.problem()["title"]) == (404, "Not Found")


def test_head_is_answered_like_get_without_the_body(applied: Applied, documents: S3Documents) -> None:
    for path, status in (("/documents/products/apple", 200), ("/documents/products/absent", 404)):
        get, head = call(applied, path), call(applied, path, method="HEAD")

        assert (get.status, head.status, head.body) == (status, status, b"")
        for name in ("content-type", "etag", "readplane-version", "cache-control"):
            assert head.headers.get(name) == get.headers.get(name), name


def test_a_document_that_needs_a_token_varies_by_it(applied: Applied, documents: S3Documents) -> None:
    assert call(applied, "/documents/profiles/absent").headers["vary"] == "Authorization"
    assert "vary" not in call(applied, "/documents/products/apple").headers


def test_an_unchanged_document_is_a_304(applied: Applied, documents: S3Documents) -> None:
    etag = call(applied, "/documents/products/apple").headers["etag"]

    response = call(applied, "/documents/products/apple", {"If-None-Match": etag})

    assert (response.status, response.body) == (304, b"")
    # On AWS, S3 sends the ETag in a 304 too. LocalStack 4.14.0 sends a 304 without an ETag. So accept a missing ETag,
    # but no other ETag.
    assert response.headers.get("etag", etag) == etag


def test_a_changed_document_is_a_200_again(applied: Applied, documents: S3Documents) -> None:
    documents.put_document("public/documents/products/pear", '{"n":1}', VERSION, "max-age=60")
    etag = call(applied, "/documents/products/pear").headers["etag"]
    documents.put_document("public/documents/products/pear", '{"n":2}', VERSION, "max-age=60")

    response = call(applied, "/documents/products/pear", {"If-None-Match": etag})

    assert (response.status, response.body) == (200, b'{"n":2}')
    assert response.headers["etag"] != etag


def test_a_removed_document_is_a_404(applied: Applied, documents: S3Documents) -> None:
    documents.put_document("public/documents/products/plum", "{}", VERSION, "max-age=60")
    documents.remove_document("public/documents/products/plum")

    assert call(applied, "/documents/products/plum").status == 404


def test_a_missing_document_is_a_404_problem(applied: Applied, documents: S3Documents) -> None:
    response = call(applied, "/documents/products/absent")

    assert response.status == 404
    assert response.problem()["title"] == "Not Found"
    assert b"NoSuchKey" not in response.body
    assert b"public/products" not in response.body
    assert "readplane-version" not in response.headers
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("item_id", HOSTILE)
@pytest.mark.parametrize("collection", ["products", "staff"])
def test_a_hostile_item_id_reaches_no_object(
    applied: Applied, documents: S3Documents, collection: str, item_id: str
) -> None:
    response = call(applied, f"/documents/{collection}/{item_id}")

    assert SECRET.encode() not in response.body
    assert response.body != TEXT.encode()
    assert response.status in (400, 404), response
    assert "x-evil" not in response.headers


@pytest.mark.parametrize("name", ["apple", "anna", "secret", "settings", "bob%2Fsettings", "..%2Fbob%2Fsettings"])
def test_an_owner_route_without_a_caller_reaches_no_object(applied: Applied, documents: S3Documents, name: str) -> None:
    # Accept both 401 and 404. LocalStack 4.14.0 passes a request without a caller on to the S3 integration, which
    # responds 404. A later release responds 401.
    response = call(applied, f"/documents/profiles/{name}")

    assert response.status in (401, 404)
    response.problem()
    assert SECRET.encode() not in response.body


@pytest.mark.parametrize(
    "query",
    [
        "item_id=secret",
        "sub=bob",
        "versionId=null",
        "acl",
        "response-content-type=text/html",
        "uploads",
        "list-type=2&prefix=owner/",
        "X-Amz-Signature=1",
    ],
)
def test_a_query_changes_nothing(applied: Applied, documents: S3Documents, query: str) -> None:
    response = call(applied, f"/documents/products/apple?{query}")

    assert (response.status, response.body) == (200, TEXT.encode())
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("item_id", "secret"),
        ("Range", "bytes=0-3"),
        ("x-amz-copy-source", "/secret.json"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
        ("Accept", "application/xml"),
        ("Accept", "image/png"),
        ("Accept-Encoding", "gzip"),
        ("Content-Type", "application/json"),
    ],
)
def test_a_request_header_changes_nothing(applied: Applied, documents: S3Documents, name: str, value: str) -> None:
    response = call(applied, "/documents/products/apple", {name: value})

    assert (response.status, response.body) == (200, TEXT.encode())


@pytest.mark.parametrize("item_id", ["apple", "absent", "..%2Fsecret", "a%2Fb"])
@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data", "x"]
)
def test_a_content_type_cannot_bypass_the_template(
    applied: Applied, documents: S3Documents, item_id: str, content_type: str
) -> None:
    response = call(applied, f"/documents/products/{item_id}", {"Content-Type": content_type})

    # Don't check the body, because LocalStack 4.14.0 leaves out the body of API Gateway's own responses. The tests in
    # tests/local check that it is a problem document.
    assert response.status == 415
    assert TEXT.encode() not in response.body


@pytest.mark.parametrize("body", [b'{"item_id":"secret"}', b"not json"])
def test_the_body_of_a_get_changes_nothing(applied: Applied, documents: S3Documents, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}

    assert call(applied, "/documents/products/apple", headers, body=body).body == TEXT.encode()
    assert call(applied, "/documents/products/absent", headers, body=body).status == 404


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_documents_are_read_only(applied: Applied, documents: S3Documents, method: str) -> None:
    response = call(applied, "/documents/products/apple", method=method, body=b"{}")

    assert response.status == 405
    assert call(applied, "/documents/products/apple").body == TEXT.encode()


def test_the_hostile_ids_would_reach_a_decoy_through_a_leak(applied: Applied, documents: S3Documents) -> None:
    # The tests with hostile ids prove something only if the bucket holds objects that the ids could reach. Suppose that
    # API Gateway put such an id, decoded or not, into an S3 key. For some ids, check that this key has a decoy.
    keys = {
        entry["Key"]
        for page in applied.s3.get_paginator("list_objects_v2").paginate(Bucket=applied.bucket)
        for entry in page.get("Contents", [])
    }
    for item_id, key in {
        "a%2Fb": "public/documents/products/a/b",
        "..%2Fsecret": "public/documents/products/../secret",
        "..%252Fsecret": "public/documents/products/..%2Fsecret",
        "_x": "public/documents/products/_x",
        "x" * 257: f"public/documents/products/{'x' * 257}",
    }.items():
        assert item_id in HOSTILE
        assert key in keys
        assert SECRET.encode() == applied.s3.get_object(Bucket=applied.bucket, Key=key)["Body"].read()
