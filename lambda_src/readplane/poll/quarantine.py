"""The quarantine of `poll`: whole records that can't be translated into changes, stored until a redrive."""

import hashlib
import json
from typing import Any, NamedTuple, Protocol

from ..aws.client import Client
from ..aws.faults import RefusedError
from .source.translate import UntranslatableRecord


class QuarantineEntry(NamedTuple):
    """A quarantined record of a source.

    :param source: the name of the source.
    :param record: the record's JSON text.
    :param at_ms: when `poll` last read the record, Unix milliseconds.
    """

    source: str
    record: str
    at_ms: int


class Quarantine(Protocol):
    """The interface of the store of records that can't be translated into changes."""

    def put_record(self, source: str, record: UntranslatableRecord, at_ms: int) -> None:
        """Store a record, with the reason why it can't be translated. A stored entry of the same record is replaced."""

    def get_entry(self, key: str) -> QuarantineEntry | None:
        """Return the entry under a key; ``None`` if there is no such entry, or if `poll` didn't write it."""

    def remove_entry(self, key: str) -> None:
        """Remove the entry under a key."""


class S3Quarantine:
    """The quarantine of `poll` in the S3 bucket of the write log. The quarantine of `apply` has the same key prefix."""

    def __init__(self, client: Client, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def put_record(self, source: str, record: UntranslatableRecord, at_ms: int) -> None:
        """Store the record under a hash of its source and JSON text, so the same record always has the same key."""
        text = record.raw_text
        digest = hashlib.sha256(f"{source}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
        entry = {
            "reason": record.reason,
            "detail": record.detail,
            "origin": f"source/{source}",
            "source": source,
            "at_ms": at_ms,
            "record": text,
        }
        self._client.call(
            "PutObject",
            Bucket=self._bucket,
            Key=f"{self._prefix}{record.reason}/{digest}.json",
            Body=json.dumps(entry).encode(),
            ContentType="application/json",
        )

    def get_entry(self, key: str) -> QuarantineEntry | None:
        """Return the entry under a key; ``None`` if there is no such entry, or if `poll` didn't write it.

        The result is also ``None`` if the key doesn't start with the quarantine's prefix. In that case S3 isn't called.
        """
        if not key.startswith(self._prefix):
            return None
        try:
            response = self._client.call("GetObject", Bucket=self._bucket, Key=key)
        except RefusedError as refusal:
            # For a missing key S3 responds AccessDenied, because the role of `poll` lacks the permission s3:ListBucket.
            if refusal.status == 404 or refusal.code == "AccessDenied":
                return None
            raise
        return _parse_entry(response["Body"].read())

    def remove_entry(self, key: str) -> None:
        """Delete the S3 object that holds the entry."""
        self._client.call("DeleteObject", Bucket=self._bucket, Key=key)


def _parse_entry(content: bytes) -> QuarantineEntry | None:
    try:
        members: Any = json.loads(content)
        entry = QuarantineEntry(members["source"], members["record"], members["at_ms"])
    except (ValueError, KeyError, TypeError):
        return None
    has_types = isinstance(entry.source, str) and isinstance(entry.record, str) and type(entry.at_ms) is int
    return entry if has_types else None
