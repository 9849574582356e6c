"""The documents that `poll` writes in one Region: snapshots of back offices, and the freshness of sources."""

from typing import NamedTuple, Protocol

from ..aws.faults import RefusedError
from ..stores.documents import VERSION_METADATA, S3Documents

_CONDITION_FAILED = frozenset({404, 409, 412})
"""The HTTP statuses that S3 returns if the condition of a PUT fails.

404: the object has been deleted. 409: another request is writing the object. 412: the object has changed.
"""


class StoredDocument(NamedTuple):
    """The version and the ETag of a document that is stored in S3.

    :param version: the document's version.
    :param etag: the ETag of the document's S3 object.
    """

    version: str
    etag: str


class SnapshotDocuments(Protocol):
    """The interface of the store of documents in one Region."""

    def get_stored_document(self, key: str) -> StoredDocument | None:
        """Return the version and ETag of the document under a key; ``None`` if there is none."""

    def replace_document(
        self, key: str, body: bytes, version: str, cache_control: str, stored: StoredDocument | None
    ) -> bool:
        """Write a document if the stored document hasn't changed since it was read. Return whether it was written.

        :param stored: what :meth:`get_stored_document` returned for the key.
        """

    def put_document(self, key: str, text: str, version: str, cache_control: str) -> None:
        """Write a document under a key. It replaces any document that is stored there."""


class S3SnapshotDocuments(S3Documents):
    """The documents of one Region in an S3 bucket. The bucket is in the Region of the AWS client."""

    def get_stored_document(self, key: str) -> StoredDocument | None:
        """Return the version and ETag of the document under a key; ``None`` if there is none.

        The status 403 counts as a missing document too. S3 responds 403 for a missing key, because the role of `poll`
        lacks the permission ``s3:ListBucket``. S3 also responds 403 if access to an existing key is denied, and the
        response to a HEAD request doesn't show which case it is. If access is denied, no harm is done, because the
        later call of :meth:`replace_document` fails.
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
        """Write a document if the stored object still has the same ETag, or if there is still no object."""
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
