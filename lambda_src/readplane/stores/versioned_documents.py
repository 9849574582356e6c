"""Documents that are compared with the stored ones before they are written, so that no older one replaces a newer one.

`poll` writes snapshots this way, because several runs of it may overlap. `publish` writes all documents this way while
there are two items tables, because it then hears of each change from two streams, which don't wait for each other.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from ..aws.faults import RefusedError, UnansweredError
from .documents import VERSION_METADATA, S3Documents

_CONDITION_FAILED = frozenset({404, 409, 412})
"""The HTTP statuses that S3 returns if the condition of a PUT or a DELETE fails.

404: the object has been deleted. 409: another request is writing the object. 412: the object has changed.
"""

_MAX_TRIES = 5
"""How often a document is compared and written. A try fails only if another writer changes the document in between."""


class StoredDocument(NamedTuple):
    """The version and the ETag of a document that is stored in S3.

    :param version: the document's version; an empty text if it has none.
    :param etag: the ETag of the document's S3 object.
    """

    version: str
    etag: str


class S3VersionedDocuments(S3Documents):
    """The documents of one Region in an S3 bucket. The bucket is in the Region of the AWS client.

    :cvar MISSING: the HTTP statuses of a HEAD that count as a missing document. S3 responds 404 only to a role that has
        the permission ``s3:ListBucket``. To any other role it responds 403, as it does if access is denied.
    """

    MISSING = frozenset({404})

    def get_stored_document(self, key: str) -> StoredDocument | None:
        """Return the version and ETag of the document under a key; ``None`` if there is none."""
        try:
            response = self._client.call("HeadObject", Bucket=self._bucket, Key=key)
        except RefusedError as refusal:
            if refusal.status in self.MISSING:
                return None
            raise
        return StoredDocument(response["Metadata"].get(VERSION_METADATA, ""), response["ETag"])

    def replace_document(
        self, key: str, body: bytes, version: str, cache_control: str, stored: StoredDocument | None
    ) -> bool:
        """Write a document if the stored document hasn't changed since it was read. Return whether it was written.

        :param stored: what :meth:`get_stored_document` returned for the key.
        """
        return self._call_conditionally(
            "PutObject",
            Bucket=self._bucket,
            Key=key,
            Body=body,
            ContentType="application/json",
            CacheControl=cache_control,
            Metadata={VERSION_METADATA: version},
            **({"IfMatch": stored.etag} if stored else {"IfNoneMatch": "*"}),
        )

    def _call_conditionally(self, operation: str, **parameters: object) -> bool:
        """Call S3, and return whether the call's condition was met."""
        try:
            self._client.call(operation, **parameters)
        except RefusedError as refusal:
            if refusal.status in _CONDITION_FAILED:
                return False
            raise
        return True


class NewerDocuments(Protocol):
    """A store in which no document is ever replaced by an older one, whoever else writes at the same time."""

    def put_newer(
        self,
        key: str,
        text: str,
        version: str,
        cache_control: str,
        *,
        rewrite: bool,
        may_create: Callable[[], bool],
    ) -> None:
        """Publish a document's JSON text, unless the stored document is newer.

        :param rewrite: whether to write the document again if the stored one has the same version.
        :param may_create: returns whether to write a document that isn't stored. It is called only then, because there
            is no version to compare with, and a newer change may have removed the document.
        :raises AwsError: if a call to AWS fails, or if other writers change the document again and again.
        """

    def remove_older(self, key: str, version: str) -> None:
        """Remove the document of an item that was deleted with ``version``, unless the stored document is newer.

        :raises AwsError: if a call to AWS fails, or if other writers change the document again and again.
        """


class S3NewerDocuments(S3VersionedDocuments):
    """:class:`NewerDocuments` in an S3 bucket.

    A stored document without a version counts as older. The role of `publish` has ``s3:ListBucket``, so that a denied
    HEAD is an error. If it counted as a missing document, a removal would be left out for good.
    """

    def put_newer(
        self,
        key: str,
        text: str,
        version: str,
        cache_control: str,
        *,
        rewrite: bool,
        may_create: Callable[[], bool],
    ) -> None:
        """Compare the document with the stored one, and write it if that one hasn't changed in the meantime."""
        for _ in range(_MAX_TRIES):
            stored = self.get_stored_document(key)
            if stored and (stored.version > version or (stored.version == version and not rewrite)):
                return
            if stored is None and not may_create():
                return
            if self.replace_document(key, text.encode(), version, cache_control, stored):
                return
        raise UnansweredError("ContendedDocument", sent=True)

    def remove_older(self, key: str, version: str) -> None:
        """Compare the stored document with the version, and delete it if it hasn't changed in the meantime.

        S3 compares the ETag, because otherwise this could delete a newer document that another invocation has just
        written.
        """
        for _ in range(_MAX_TRIES):
            stored = self.get_stored_document(key)
            if stored is None or stored.version > version:
                return
            if self._call_conditionally("DeleteObject", Bucket=self._bucket, Key=key, IfMatch=stored.etag):
                return
        raise UnansweredError("ContendedDocument", sent=True)
