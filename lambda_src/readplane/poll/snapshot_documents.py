"""The documents that `poll` writes in one Region: snapshots of back offices, and the freshness of sources."""

from typing import NamedTuple, Protocol

from ..aws.faults import RefusedError
from ..stores.documents import VERSION_METADATA, S3Documents

_CONDITION_FAILED = frozenset({404, 409, 412})
"""The statuses of S3 for a conditional PUT that loses: the object is gone, is being written, or has changed."""


class StoredDocument(NamedTuple):
    """The document that is stored under a key.

    :param version: its version.
    :param etag: S3's ETag of it.
    """

    version: str
    etag: str


class SnapshotDocuments(Protocol):
    """One Region's documents."""

    def get_stored_document(self, key: str) -> StoredDocument | None:
        """Return version and ETag of the document under a key; ``None`` if there is none."""

    def replace_document(
        self, key: str, body: bytes, version: str, cache_control: str, stored: StoredDocument | None
    ) -> bool:
        """Write a document if ``stored`` is still what is stored under the key, and return whether it was.

        :param stored: what :meth:`get_stored_document` returned.
        """

    def put_document(self, key: str, text: str, version: str, cache_control: str) -> None:
        """Write a document, whatever is stored under the key."""


class S3SnapshotDocuments(S3Documents):
    """:class:`SnapshotDocuments` in an S3 bucket in the client's Region."""

    def get_stored_document(self, key: str) -> StoredDocument | None:
        """Return version and ETag of the document under a key; ``None`` if there is none.

        A 403 counts as a missing document too. Without ``s3:ListBucket`` that is what S3 returns for a missing key, and
        the response to a HEAD has no body that could say more. If the 403 means something else,
        :meth:`replace_document` fails.
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
        """Write a document under the condition that its ETag is still the stored one."""
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
