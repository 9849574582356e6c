"""The documents that `poll` writes in one Region: snapshots of back offices, and the freshness of sources."""

from typing import Protocol

from ..stores.versioned_documents import S3VersionedDocuments, StoredDocument


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


class S3SnapshotDocuments(S3VersionedDocuments):
    """The documents of one Region in an S3 bucket. The bucket is in the Region of the AWS client.

    The status 403 counts as a missing document too. S3 responds 403 for a missing key, because the role of `poll` lacks
    the permission ``s3:ListBucket``. S3 also responds 403 if access to an existing key is denied, and the response to a
    HEAD request doesn't show which case it is. If access is denied, no harm is done, because the later call of
    :meth:`replace_document` fails.
    """

    MISSING = frozenset({403, 404})
