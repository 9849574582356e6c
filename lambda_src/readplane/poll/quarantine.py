"""The quarantine of `poll`: records that can't be translated, kept whole until a redrive."""

import hashlib
import json
from typing import Any, NamedTuple, Protocol

from ..aws.client import Client
from ..aws.faults import RefusedError
from .source.translate import UntranslatableRecord


class QuarantineEntry(NamedTuple):
    """A record in quarantine.

    :param source: the name of the record's source.
    :param record: the record's JSON text.
    :param at_ms: when `poll` last read the record, Unix milliseconds.
    """

    source: str
    record: str
    at_ms: int


class Quarantine(Protocol):
    """A store of records that can't be translated."""

    def put_record(self, source: str, record: UntranslatableRecord, at_ms: int) -> None:
        """Store a record with the reason why it can't be translated. Storing it again replaces its entry."""

    def get_entry(self, key: str) -> QuarantineEntry | None:
        """Return an entry; ``None`` if there is none, or if `poll` didn't write it."""

    def remove_entry(self, key: str) -> None:
        """Remove an entry."""


class S3Quarantine:
    """:class:`Quarantine` in the write log's bucket, under the same key prefix as the entries of `apply`."""

    def __init__(self, client: Client, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def put_record(self, source: str, record: UntranslatableRecord, at_ms: int) -> None:
        """Store the record under a hash of its source and text, so that the same record always has the same key."""
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
        """Return an entry; ``None`` if there is none, or if `poll` didn't write it.

        A key outside the prefix isn't read.
        """
        if not key.startswith(self._prefix):
            return None
        try:
            response = self._client.call("GetObject", Bucket=self._bucket, Key=key)
        except RefusedError as refusal:
            # Without the permission s3:ListBucket, S3 returns AccessDenied for a missing key.
            if refusal.status == 404 or refusal.code == "AccessDenied":
                return None
            raise
        return _parse_entry(response["Body"].read())

    def remove_entry(self, key: str) -> None:
        """Delete the entry's object."""
        self._client.call("DeleteObject", Bucket=self._bucket, Key=key)


def _parse_entry(content: bytes) -> QuarantineEntry | None:
    try:
        members: Any = json.loads(content)
        entry = QuarantineEntry(members["source"], members["record"], members["at_ms"])
    except (ValueError, KeyError, TypeError):
        return None
    has_types = isinstance(entry.source, str) and isinstance(entry.record, str) and type(entry.at_ms) is int
    return entry if has_types else None
