"""The write log's objects in S3, and the quarantine that takes what can't be applied."""

import base64
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from typing import IO, Any, Protocol, cast

from ..aws.client import Client
from ..model.change import PoisonError

CHUNK_BYTES = 64 * 1024
"""What is read from S3, and unpacked, at once."""

_GZIP = b"\x1f\x8b"


class LogObjects(Protocol):
    """Reads write-log objects, keeps poison."""

    def lines(self, key: str) -> Iterator[bytes]:
        """The lines of one object, one at a time.

        :raises Poison: ``unparsable`` where the object itself is damaged; what came before it was given.
        """

    def quarantine(self, line: bytes, poison: PoisonError, origin: str) -> None:
        """Keep a line whole, with the reason and the place it came from (``<object key>:<line number>``)."""


class S3LogObjects:
    """:class:`LogObjects` in the write-log bucket."""

    def __init__(self, client: Client, bucket: str, quarantine_prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = quarantine_prefix

    def lines(self, key: str) -> Iterator[bytes]:
        """See :class:`LogObjects`. Plain text is read as well as GZIP, as redriven objects may be either."""
        body = self._client.call("GetObject", Bucket=self._bucket, Key=key)["Body"]
        try:
            start = body.read(2)
            stream = cast(IO[bytes], io.BufferedReader(_Rejoined(start, body), CHUNK_BYTES))
            for line in gzip.GzipFile(fileobj=stream) if start == _GZIP else stream:
                if not line.isspace():
                    yield line
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise PoisonError("unparsable", "the object is not whole GZIP data") from error
        finally:
            body.close()

    def quarantine(self, line: bytes, poison: PoisonError, origin: str) -> None:
        """See :class:`LogObjects`. The key is the line's hash, so a line that comes twice is kept once."""
        text = line.rstrip(b"\r\n")
        try:
            kept = {"line": text.decode()}
        except UnicodeDecodeError:
            kept = {"line_base64": base64.b64encode(text).decode()}
        digest = hashlib.sha256(text or origin.encode()).hexdigest()[:32]
        self._client.call(
            "PutObject",
            Bucket=self._bucket,
            Key=f"{self._prefix}{poison.reason}/{digest}.json",
            Body=json.dumps({"reason": poison.reason, "detail": poison.detail, "origin": origin, **kept}).encode(),
            ContentType="application/json",
        )


class _Rejoined(io.RawIOBase):
    """A stream with the bytes that were taken off its start put back."""

    def __init__(self, start: bytes, rest: Any) -> None:
        self._start = start
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._start or self._rest.read(len(buffer))
        self._start = b""
        buffer[: len(data)] = data
        return len(data)
