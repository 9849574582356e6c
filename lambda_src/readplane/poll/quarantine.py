"""The quarantine as `poll` uses it: records that can't be translated, kept whole until they can."""

import hashlib
import json
from typing import Any, NamedTuple, Protocol

from ..aws.client import Client
from ..aws.faults import RefusedError
from .source.translate import UntranslatableRecord


class QuarantineEntry(NamedTuple):
    """A record in quarantine: its source, its JSON text, and when it was last read (Unix ms)."""

    source: str
    record: str
    at_ms: int


class Quarantine(Protocol):
    """Keeps what can't be translated."""

    def put(self, source: str, record: UntranslatableRecord, at_ms: int) -> None:
        """Keep a record with the reason; the same one is kept once."""

    def get(self, key: str) -> QuarantineEntry | None:
        """Read an entry; ``None`` where there is none that `poll` made."""

    def remove(self, key: str) -> None:
        """Remove an entry."""


class S3Quarantine:
    """:class:`Quarantine` in the write-log bucket, where `apply` keeps its own entries too."""

    def __init__(self, client: Client, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def put(self, source: str, record: UntranslatableRecord, at_ms: int) -> None:
        """See :class:`Quarantine`."""
        raw = record.raw_text
        digest = hashlib.sha256(f"{source}\n{raw}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
        entry = {
            "reason": record.reason,
            "detail": record.detail,
            "origin": f"source/{source}",
            "source": source,
            "at_ms": at_ms,
            "record": raw,
        }
        self._client.call(
            "PutObject",
            Bucket=self._bucket,
            Key=f"{self._prefix}{record.reason}/{digest}.json",
            Body=json.dumps(entry).encode(),
            ContentType="application/json",
        )

    def get(self, key: str) -> QuarantineEntry | None:
        """See :class:`Quarantine`."""
        if not key.startswith(self._prefix):
            return None
        try:
            answer = self._client.call("GetObject", Bucket=self._bucket, Key=key)
        except RefusedError as refusal:
            if refusal.status == 404 or refusal.code == "AccessDenied":  # without s3:ListBucket, a missing key
                return None
            raise
        return _kept(answer["Body"].read())

    def remove(self, key: str) -> None:
        """See :class:`Quarantine`."""
        self._client.call("DeleteObject", Bucket=self._bucket, Key=key)


def _kept(content: bytes) -> QuarantineEntry | None:
    try:
        entry: Any = json.loads(content)
        kept = QuarantineEntry(entry["source"], entry["record"], entry["at_ms"])
    except (ValueError, KeyError, TypeError):
        return None
    return kept if isinstance(kept.source, str) and isinstance(kept.record, str) and type(kept.at_ms) is int else None
