"""The documents: one S3 object with the JSON of each item. API Gateway and CloudFront serve them without a function."""

from typing import Protocol

from ..aws.client import Client
from ..aws.faults import RefusedError

VERSION_METADATA = "readplane-version"
"""The name of the S3 user metadata that holds a document's version. S3 sends it as the header
``x-amz-meta-readplane-version``, and API Gateway returns it to the client as ``Readplane-Version``."""

_NOT_MODIFIED = (("ETag", "ETag"), ("Cache-Control", "CacheControl"))
"""The headers of a 304. Each row holds a header's name, and the name of the error's member that holds its value."""


class Document:
    """A document that was read from S3.

    This class isn't a NamedTuple, because defining a NamedTuple adds 0.1 ms to every cold start.

    :ivar body: the JSON text, or ``None`` if S3 responded 304 because the caller already has it.
    :ivar headers: the HTTP headers to return to the client.
    """

    __slots__ = ("body", "headers")

    def __init__(self, body: bytes | None, headers: dict[str, str]) -> None:
        self.body = body
        self.headers = headers


class Documents(Protocol):
    """A store of the documents that clients read."""

    def put_document(self, key: str, text: str, version: str, cache_control: str) -> None:
        """Publish a document's JSON text, which replaces the older text of the document."""

    def remove_document(self, key: str) -> None:
        """Remove a document. If the document doesn't exist, this does nothing."""

    def get_document(self, key: str, if_none_match: str | None) -> Document | None:
        """Read a document, or return ``None`` if it doesn't exist.

        :param if_none_match: the ETag of the caller's copy. If the document still has this ETag, the result has no
            body.
        """


class S3Documents:
    """:class:`Documents` in an S3 bucket."""

    def __init__(self, client: Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put_document(self, key: str, text: str, version: str, cache_control: str) -> None:
        """Publish a document's JSON text. The version and ``Cache-Control`` become metadata of the S3 object."""
        self._client.call(
            "PutObject",
            Bucket=self._bucket,
            Key=key,
            Body=text.encode(),
            ContentType="application/json",
            CacheControl=cache_control,
            Metadata={VERSION_METADATA: version},
        )

    def remove_document(self, key: str) -> None:
        """Remove a document. S3 reports success even if the document doesn't exist."""
        self._client.call("DeleteObject", Bucket=self._bucket, Key=key)

    def get_document(self, key: str, if_none_match: str | None) -> Document | None:
        """Read a document, or return ``None`` if it doesn't exist.

        S3 reports a missing key as ``AccessDenied``, because the function's role lacks the permission
        ``s3:ListBucket``.
        """
        # Ignore an If-None-Match value that contains characters other than printable ASCII, and read the document
        # without a condition. Such a value can't be sent or signed as a header, and it can't be the ETag of a document.
        condition = {"IfNoneMatch": if_none_match} if if_none_match and _is_printable_ascii(if_none_match) else {}
        try:
            response = self._client.call("GetObject", Bucket=self._bucket, Key=key, **condition)
        except RefusedError as error:
            if error.status == 304:
                # Return the ETag that S3 sends with a 304, not the one of the request. If-None-Match may be a list or
                # `*`, and RFC 9110 (15.4.5) requires the ETag of the document itself.
                members = error.members
                return Document(None, {name: members[member] for name, member in _NOT_MODIFIED if member in members})
            # S3 responds AccessDenied for a missing key, because the role lacks s3:ListBucket. Don't compare the status
            # 403, because S3 also responds 403 to a wrong signature, time or access key.
            if error.status == 404 or error.code == "AccessDenied":
                return None
            raise
        headers = {
            "Content-Type": response["ContentType"],
            "ETag": response["ETag"],
            "Cache-Control": response.get("CacheControl", "no-cache"),
            "Readplane-Version": response["Metadata"].get(VERSION_METADATA, ""),
        }
        return Document(response["Body"].read(), headers)


def _is_printable_ascii(text: str) -> bool:
    return text.isascii() and text.isprintable()
