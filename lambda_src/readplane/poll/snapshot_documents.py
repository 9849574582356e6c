"""The documents that `poll` writes in one Region: snapshots of back offices, and the freshness of sources."""

from typing import NamedTuple, Protocol

from ..aws.faults import RefusedError
from ..stores.documents import VERSION_METADATA, S3Documents

_CONDITION_FAILED = frozenset({404, 409, 412})
"""The statuses of S3 if the condition of a PUT fails: the object is gone, is being written, or has changed."""


class StoredDocument(NamedTuple):
    """The document that is stored under a key.

    :param version: the document's version.
    :param etag: the ETag that S3 gave to the document.
    """

    version: str
    etag: str


class SnapshotDocuments(Protocol):
    """One Region's documents."""

    def get_stored_document(self, key: str) -> StoredDocument | None:
        """Return the version and ETag of the document under a key; ``None`` if there is none."""

    def replace_document(
        self, key: str, body: bytes, version: str, cache_control: str, stored: StoredDocument | None
    ) -> bool:
        """Write a document, unless the stored one has changed since it was read. Return whether it was written.

        :param stored: the stored document as :meth:`get_stored_document` returned it.
        """

    def put_document(self, key: str, text: str, version: str, cache_control: str) -> None:
        """Write a document, whatever is stored under the key."""


class S3SnapshotDocuments(S3Documents):
    """:class:`SnapshotDocuments` in an S3 bucket in the client's Region."""

    def get_stored_document(self, key: str) -> StoredDocument | None:
        """Return the version and ETag of the document under a key; ``None`` if there is none.

        A 403 counts as a missing document too, because S3 returns it for a missing key if the caller lacks the
        permission ``s3:ListBucket``. The response to a HEAD request has no body that could tell the reason. If access
        is really denied, :meth:`replace_document` fails.
        """
        try:
            response = self._client.call("HeadObject", Bucket=self._bucket, Key=key)
        except RefusedError as refusal:
            if refusal.status in (403, 404):
                return None
            raise
        return StoredDocument(response["Metadata"].get(VERSION_METADATA, ""), response["ETag"])

    def replace_document(
        self, key: str, body: bytes, version: str, cache_control: str, stored: StoredDocument | None
    ) -> bool:
        """Write a document if the object's ETag hasn't changed, or if there is still no object."""
        try:
            self._client.call(
                "PutObject",
                Bucket=self._bucket,
                Key=key,
                Body=body,
                ContentType="application/json",
                CacheControl=cache_control,
                Metadata={VERSION_METADATA: version},
                **({"IfMatch": stored.etag} if stored else {"IfNoneMatch": "*"}),
            )
        except RefusedError as refusal:
            if refusal.status in _CONDITION_FAILED:
                return False
            raise
        return True
