"""Tests of the store of documents in S3, with the slim client and with boto3."""

import hashlib

import pytest

from readplane.aws.boto import BotoClient
from readplane.aws.client import make_client
from readplane.aws.faults import RefusedError
from readplane.stores.documents import S3Documents
from tests.unit.aws.slim.server import Server, raw_response
from tests.unit.stores.support import RefusingClient, new_bucket
from tests.unit.support import NOW_MS, version_at

pytestmark = pytest.mark.usefixtures("aws", "either_client")


def test_a_document_is_published_read_revalidated_and_removed() -> None:
    new_bucket()
    documents = S3Documents(make_client("s3"), "bucket")
    publisher = S3Documents(BotoClient("s3"), "bucket")  # uses boto3, as the function `publish` always does
    version = version_at(NOW_MS)
    assert documents.get_document("public/documents/c/a", None) is None
    publisher.put_document("public/documents/c/a", '{"n":1.10}', version, "public, max-age=60")
    document = documents.get_document("public/documents/c/a", None)
    assert document is not None and document.body == b'{"n":1.10}'
    assert document.headers == {
        "Content-Type": "application/json",
        "ETag": f'"{hashlib.md5(document.body).hexdigest()}"',
        "Cache-Control": "public, max-age=60",
        "Readplane-Version": version,
    }
    unchanged = documents.get_document("public/documents/c/a", document.headers["ETag"])
    assert unchanged is not None and unchanged.body is None
    assert unchanged.headers["ETag"] == document.headers["ETag"]
    publisher.remove_document("public/documents/c/a")
    publisher.remove_document("public/documents/c/a")
    assert documents.get_document("public/documents/c/a", None) is None


@pytest.mark.parametrize("condition", ['"x", "e", "y"', "*", '"e"'])
def test_a_304_has_the_etag_of_the_document_and_not_the_callers_list(
    condition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    not_modified = b'HTTP/1.1 304 Not Modified\r\nETag: "e"\r\nCache-Control: public, max-age=60\r\n\r\n'
    server = Server([raw_response(not_modified)])
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    document = S3Documents(make_client("s3"), "bucket").get_document("k", condition)
    assert document is not None and document.body is None
    assert document.headers == {"ETag": '"e"', "Cache-Control": "public, max-age=60"}
    sent = {name.lower(): value for name, value in server.requests[0].headers.items()}
    assert sent["if-none-match"] == condition
    server.stop()


def test_only_access_denied_counts_as_a_missing_document() -> None:
    with pytest.raises(RefusedError, match="InternalError"):
        S3Documents(RefusingClient("InternalError", 500), "bucket").get_document("k", None)
    for code in ("InvalidAccessKeyId", "RequestTimeTooSkewed", "SignatureDoesNotMatch"):
        with pytest.raises(RefusedError, match=code):
            S3Documents(RefusingClient(code, 403), "bucket").get_document("k", None)
    assert S3Documents(RefusingClient("AccessDenied", 403), "bucket").get_document("k", None) is None


@pytest.mark.parametrize("condition", ['"\u00a0"', '"\ud800"', '"a\tb"', '"a"\r\nx-amz-acl: public-read'])
def test_a_condition_that_cannot_be_an_etag_matches_no_document(condition: str) -> None:
    new_bucket().put_object(Bucket="bucket", Key="k", Body=b"{}")
    document = S3Documents(make_client("s3"), "bucket").get_document("k", condition)
    assert document is not None and document.body == b"{}"
