"""What `poll` puts beside the documents: a back office's snapshot, and how fresh each source is."""

from typing import NamedTuple, Protocol

from ..aws.faults import RefusedError
from ..stores.documents import VERSION_METADATA, S3Documents

_TAKEN = frozenset({404, 409, 412})
"""How S3 refuses a conditional put: the object is gone, is being written, or is another by now."""


class StoredDocument(NamedTuple):
    """The document that is there: its version, and S3's own name for what it holds."""

    version: str
    etag: str


class SnapshotDocuments(Protocol):
    """One Region's documents."""

    def held(self, key: str) -> StoredDocument | None:
        """What stands under a key; ``None`` for nothing."""

    def replace(self, key: str, body: bytes, version: str, cache_control: str, held: StoredDocument | None) -> bool:
        """Put a document, if what stands there is still ``held``; say whether it was."""

    def put(self, key: str, text: str, version: str, cache_control: str) -> None:
        """Put a document, whatever stands there."""


class S3SnapshotDocuments(S3Documents):
    """:class:`SnapshotDocuments` in an S3 bucket, which the client's Region holds."""

    def held(self, key: str) -> StoredDocument | None:
        """See :class:`SnapshotDocuments`.

        Without ``s3:ListBucket`` S3 says 403 to a missing key, and a HEAD has no body that could tell more: that means
        missing. Where it doesn't, :meth:`replace` finds the document, or is denied.
        """
        try:
            answer = self._client.call("HeadObject", Bucket=self._bucket, Key=key)
        except RefusedError as refusal:
            if refusal.status in (403, 404):
                return None
            raise
        return StoredDocument(answer["Metadata"].get(VERSION_METADATA, ""), answer["ETag"])

    def replace(self, key: str, body: bytes, version: str, cache_control: str, held: StoredDocument | None) -> bool:
        """See :class:`SnapshotDocuments`."""
        try:
            self._client.call(
                "PutObject",
                Bucket=self._bucket,
                Key=key,
                Body=body,
                ContentType="application/json",
                CacheControl=cache_control,
                Metadata={VERSION_METADATA: version},
                **({"IfMatch": held.etag} if held else {"IfNoneMatch": "*"}),
            )
        except RefusedError as refusal:
            if refusal.status in _TAKEN:
                return False
            raise
        return True
