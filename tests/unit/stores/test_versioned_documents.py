"""Tests of documents that are compared before they are written, on moto's S3 and against other writers."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from readplane.aws.boto import BotoClient
from readplane.aws.client import Client
from readplane.aws.faults import RefusedError, UnansweredError
from readplane.stores.versioned_documents import S3NewerDocuments
from tests.fakes.moto_aws import Aws
from tests.unit.stores.support import RefusingClient, new_bucket
from tests.unit.support import NOW_MS, version_at

pytestmark = pytest.mark.usefixtures("aws")

KEY = "public/documents/products/p-1"
V1, V2, V3 = (version_at(NOW_MS + tick) for tick in range(3))


@cache
def s3_client() -> BotoClient:
    """Return one client for all tests, because making a client of boto3 is slow."""
    return BotoClient("s3")


class RacingClient:
    """A client of S3. Before it calls an operation of ``others``, another writer does something, once."""

    def __init__(self, **others: Callable[[], object]) -> None:
        self.calls: list[str] = []
        self._client = s3_client()
        self._others = others

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        self.calls.append(operation)
        self._others.pop(operation, lambda: None)()
        return self._client.call(operation, **parameters)


def documents(client: Client | None = None) -> S3NewerDocuments:
    return S3NewerDocuments(client or s3_client(), "bucket")


def put(version: str, text: str = "{}", *, rewrite: bool = True, may_create: bool = True, store: Any = None) -> None:
    (store or documents()).put_newer(KEY, text, version, "no-cache", rewrite=rewrite, may_create=lambda: may_create)


def stored() -> tuple[str, str] | None:
    """Return the version and the text of the stored document."""
    document = documents().get_document(KEY, None)
    if document is None:
        return None
    return document.headers["Readplane-Version"], (document.body or b"").decode()


@pytest.mark.parametrize(
    ("before", "version", "rewrite", "after"),
    [
        (None, V2, True, V2),
        (V1, V2, True, V2),
        (V1, V2, False, V2),
        (V2, V2, True, V2),
        (V2, V2, False, "unchanged"),
        (V3, V2, True, "unchanged"),
        (V3, V2, False, "unchanged"),
    ],
)
def test_a_document_is_written_unless_a_newer_one_is_stored(
    before: str | None, version: str, rewrite: bool, after: str
) -> None:
    new_bucket()
    if before:
        put(before, "before")
    put(version, "after", rewrite=rewrite)
    assert stored() == ((before, "before") if after == "unchanged" else (after, "after"))


@pytest.mark.parametrize(("before", "removed"), [(None, True), (V1, True), (V2, True), (V3, False)])
def test_a_document_is_removed_unless_a_newer_one_is_stored(before: str | None, removed: bool, aws: Aws) -> None:
    new_bucket()
    if before:
        put(before)
    _, calls = aws.during(lambda: documents().remove_older(KEY, V2))
    assert (stored() is None) == removed
    assert [call.split()[0] for call in calls] == (["HEAD", "DELETE"] if before and removed else ["HEAD"])


def test_a_document_without_a_version_counts_as_older() -> None:
    s3 = new_bucket()
    s3.put_object(Bucket="bucket", Key=KEY, Body=b"{}")
    put(V1, "after")
    assert stored() == (V1, "after")
    s3.put_object(Bucket="bucket", Key=KEY, Body=b"{}")
    documents().remove_older(KEY, V1)
    assert stored() is None


def test_a_document_that_is_not_stored_is_created_only_if_the_caller_agrees() -> None:
    new_bucket()
    put(V1, may_create=False)
    assert stored() is None
    put(V1)
    put(V2, may_create=False)
    assert stored() == (V2, "{}"), "the caller isn't asked about a document that is stored"


@pytest.mark.parametrize("before", [None, V1])
@pytest.mark.parametrize(("other", "after"), [(V2, V3), (V3, V3), (version_at(NOW_MS + 9), version_at(NOW_MS + 9))])
def test_another_writer_between_the_two_calls_never_leaves_an_older_document(
    before: str | None, other: str, after: str
) -> None:
    new_bucket()
    if before:
        put(before, "before")
    client = RacingClient(PutObject=lambda: put(other, "other"))
    put(V3, "after", store=documents(client))
    assert stored() == (after, "other" if other > V3 else "after")
    assert client.calls == ["HeadObject", "PutObject", "HeadObject"] + ["PutObject"] * (other <= V3)


def test_a_document_that_another_writer_removes_between_the_two_calls_is_written() -> None:
    new_bucket()
    put(V1)
    put(V3, store=documents(RacingClient(PutObject=lambda: documents().remove_older(KEY, V2))))
    assert stored() == (V3, "{}")


@pytest.mark.parametrize(("other", "after"), [(V2, None), (V3, (V3, "other"))])
def test_a_removal_spares_a_newer_document_that_another_writer_has_just_written(
    other: str, after: tuple[str, str] | None
) -> None:
    new_bucket()
    put(V1, "before")
    documents(RacingClient(DeleteObject=lambda: put(other, "other"))).remove_older(KEY, V2)
    assert stored() == after


def test_a_removal_after_another_removal_does_nothing() -> None:
    s3 = new_bucket()
    put(V1)
    client = RacingClient(DeleteObject=lambda: s3.delete_object(Bucket="bucket", Key=KEY))
    documents(client).remove_older(KEY, V2)
    assert stored() is None and client.calls == ["HeadObject", "DeleteObject", "HeadObject"]


class ContendedClient:
    """A client of S3 whose every conditional call fails, because other writers are always faster."""

    def __init__(self, code: str, status: int) -> None:
        self.calls: list[str] = []
        self._refusal = RefusedError(code, status)

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        self.calls.append(operation)
        if operation == "HeadObject":
            return {"ETag": '"e"', "Metadata": {}}
        assert parameters["IfMatch"] == '"e"'
        raise self._refusal


@pytest.mark.parametrize(("code", "status"), [("PreconditionFailed", 412), ("ConditionalRequestConflict", 409)])
def test_a_document_that_others_change_again_and_again_is_an_error(code: str, status: int) -> None:
    client = ContendedClient(code, status)
    with pytest.raises(UnansweredError, match="ContendedDocument"):
        put(V1, store=documents(client))
    with pytest.raises(UnansweredError, match="ContendedDocument"):
        documents(client).remove_older(KEY, V1)
    assert client.calls == ["HeadObject", "PutObject"] * 5 + ["HeadObject", "DeleteObject"] * 5


@pytest.mark.parametrize(("code", "status"), [("403", 403), ("InternalError", 500)])
def test_a_refused_comparison_is_an_error_and_no_missing_document(code: str, status: int) -> None:
    with pytest.raises(RefusedError):
        put(V1, store=documents(RefusingClient(code, status)))
    with pytest.raises(RefusedError):
        documents(RefusingClient(code, status)).remove_older(KEY, V1)
