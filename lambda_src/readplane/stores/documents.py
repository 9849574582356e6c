"""The documents: one S3 object per item, served without a function."""

from typing import NamedTuple, Protocol

from ..aws.client import Client
from ..aws.faults import RefusedError

VERSION_METADATA = "readplane-version"
"""The object's user metadata (``x-amz-meta-…``) that API Gateway passes on as ``Readplane-Version``."""


class Document(NamedTuple):
    """A document as S3 gives it; ``body`` is ``None`` when the caller has it already (304)."""

    body: bytes | None
    headers: dict[str, str]


class Documents(Protocol):
    """Where documents are kept."""

    def put(self, key: str, text: str, version: str, cache_control: str) -> None:
        """Publish a document's JSON text."""

    def remove(self, key: str) -> None:
        """Remove a document; one that isn't there is fine."""

    def get(self, key: str, if_none_match: str | None) -> Document | None:
        """Read a document; ``None`` where there is none."""


class S3Documents:
    """:class:`Documents` in an S3 bucket."""

    def __init__(self, client: Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, text: str, version: str, cache_control: str) -> None:
        """See :class:`Documents`."""
        self._client.call(
            "PutObject",
            Bucket=self._bucket,
            Key=key,
            Body=text.encode(),
            ContentType="application/json",
            CacheControl=cache_control,
            Metadata={VERSION_METADATA: version},
        )

    def remove(self, key: str) -> None:
        """See :class:`Documents`."""
        self._client.call("DeleteObject", Bucket=self._bucket, Key=key)

    def get(self, key: str, if_none_match: str | None) -> Document | None:
        """See :class:`Documents`. Without ``s3:ListBucket`` S3 denies access to a missing key: that means missing."""
        # What no ETag can be matches none; and it may be nothing that can be signed, or sent.
        condition = {"IfNoneMatch": if_none_match} if if_none_match and _is_plain(if_none_match) else {}
        try:
            answer = self._client.call("GetObject", Bucket=self._bucket, Key=key, **condition)
        except RefusedError as error:
            if error.status == 304:
                return Document(None, {"ETag": if_none_match or ""})
            # Not any 403: S3 answers that to a wrong signature, time or key, too.
            if error.status == 404 or error.code == "AccessDenied":
                return None
            raise
        headers = {
            "Content-Type": answer["ContentType"],
            "ETag": answer["ETag"],
            "Cache-Control": answer.get("CacheControl", "no-cache"),
            "Readplane-Version": answer["Metadata"].get(VERSION_METADATA, ""),
        }
        return Document(answer["Body"].read(), headers)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()
