"""The quarantine of malformed rows of the items table: it keeps each row whole, as an S3 object."""

import hashlib
import json
from typing import Protocol

from ..aws.client import Client
from ..stores.rows import BadRowError
from ..stores.table import TableRecord

REASON = "malformed_row"
"""The reason of every quarantined row. It is part of the S3 object's key."""


class RowQuarantine(Protocol):
    """Keeps the malformed rows that `publish` can't publish."""

    def put_row(self, row: TableRecord, error: BadRowError) -> None:
        """Keep a whole row, together with what is malformed in it.

        :param row: the row, in the JSON in which Lambda passes it on: binary values are in base64.
        """


class S3RowQuarantine:
    """A :class:`RowQuarantine` that keeps each row as an object in the S3 bucket of the write log."""

    def __init__(self, client: Client, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def put_row(self, row: TableRecord, error: BadRowError) -> None:
        """Write the row to an S3 object of its own.

        The object's key contains the row's hash. So if the same row is quarantined again, no second object is made.
        """
        digest = hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:32]
        entry = {"reason": REASON, "detail": error.detail, "origin": f"items/{error.key}", "row": row}
        self._client.call(
            "PutObject",
            Bucket=self._bucket,
            Key=f"{self._prefix}{REASON}/{digest}.json",
            Body=json.dumps(entry).encode(),
            ContentType="application/json",
        )
