"""Reads a response's body, unpacks it within a size limit, and checks that nothing of it is missing."""

import zlib
from typing import Any

import requests

from ..errors import BackOfficeError

_PIECE_BYTES = 64 * 1024
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS
_MARKUP_TYPES = ("text/html", "application/xhtml+xml")


def read_body(response: requests.Response, max_bytes: int) -> bytes:
    """Read and unpack the body of a response with status 200.

    :param max_bytes: the largest body that is accepted, in bytes, after unpacking.
    :raises BackOfficeError: of kind ``not_data`` for a web page or for an encoding other than GZIP, of kind
        ``too_large`` for a body beyond ``max_bytes``, or of kind ``broken`` if a part of the body is missing.
    """
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type in _MARKUP_TYPES:
        raise BackOfficeError("not_data", f"the status is 200, but the body is a web page ({media_type})", status=200)
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise BackOfficeError("not_data", "the response has an encoding that the request didn't allow", status=200)
    # Don't let urllib3 unpack the body, for two reasons. A few packed bytes may unpack to gigabytes, so each step needs
    # a limit. And some versions of urllib3 don't report that the end of a packed body is missing.
    gunzip = Gunzip(max_bytes) if "gzip" in encoding else None
    body = bytearray()
    received = 0
    for piece in response.raw.stream(_PIECE_BYTES, decode_content=False):
        received += len(piece)
        body += gunzip.unpack(piece) if gunzip else piece
        if len(body) > max_bytes:
            raise BackOfficeError("too_large", f"the response is larger than {max_bytes} bytes", status=200)
    # urllib3 2 raises an error if the body is shorter than its Content-Length, and urllib3 1.26 doesn't. Which version
    # is installed depends on the Lambda runtime.
    length = response.headers.get("Content-Length", "")
    if (length.isdecimal() and int(length) != received) or (gunzip and not gunzip.whole):
        raise BackOfficeError("broken", "the response is cut off", status=200, retryable=True)
    return bytes(body)


class Gunzip:
    """Unpacks GZIP data up to a size limit. The data may have several members (RFC 1952, section 2.2).

    :param max_bytes: the largest unpacked size, in bytes.
    """

    def __init__(self, max_bytes: int) -> None:
        self._bytes_left = max_bytes
        self._member: Any = zlib.decompressobj(_GZIP_WINDOW_BITS)
        self._inside_member = False

    @property
    def whole(self) -> bool:
        """Whether the input so far ends with a complete member."""
        return not self._inside_member

    def unpack(self, piece: bytes) -> bytes:
        """Unpack the next piece of the input.

        If the output would exceed ``max_bytes``, it is cut one byte after the limit. From this byte, the caller sees
        that the body is too large.
        """
        unpacked = bytearray()
        while piece and self._bytes_left >= 0:
            self._inside_member = True
            part = self._member.decompress(piece, self._bytes_left + 1)
            self._bytes_left -= len(part)
            unpacked += part
            piece = self._member.unconsumed_tail
            if self._member.eof:
                piece = self._member.unused_data
                self._member = zlib.decompressobj(_GZIP_WINDOW_BITS)
                self._inside_member = False
        return bytes(unpacked)
