"""Reads the body of a back office's response, decompresses it up to a size limit, and checks that it is complete."""

import zlib
from typing import Any

import requests

from ..errors import BackOfficeError

_PIECE_BYTES = 64 * 1024
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS
_MARKUP_TYPES = ("text/html", "application/xhtml+xml")


def read_body(response: requests.Response, max_bytes: int) -> bytes:
    """Read and decompress the body of a response with status 200.

    :param max_bytes: the largest body that is accepted, in bytes, after decompression.
    :raises BackOfficeError: of kind ``not_data`` if the body is a web page or has an encoding other than GZIP, of kind
        ``too_large`` if the body is larger than ``max_bytes``, or of kind ``broken`` if the end of the body is missing.
    """
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type in _MARKUP_TYPES:
        raise BackOfficeError("not_data", f"the status is 200, but the body is a web page ({media_type})", status=200)
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise BackOfficeError("not_data", "the response has an encoding that the request didn't allow", status=200)
    # Don't let urllib3 decompress the body, for two reasons. A few compressed bytes may expand to gigabytes, so each
    # step needs a limit. And some versions of urllib3 don't report that the end of a compressed body is missing.
    gunzip = Gunzip(max_bytes) if "gzip" in encoding else None
    body = bytearray()
    received = 0
    for piece in response.raw.stream(_PIECE_BYTES, decode_content=False):
        received += len(piece)
        body += gunzip.unpack(piece) if gunzip else piece
        if len(body) > max_bytes:
            raise BackOfficeError("too_large", f"the response is larger than {max_bytes} bytes", status=200)
    # Compare the length of the body with Content-Length, because the Lambda runtime may contain urllib3 1.26, which
    # doesn't report a body that is too short. urllib3 2 raises an error for such a body.
    length = response.headers.get("Content-Length", "")
    if (length.isdecimal() and int(length) != received) or (gunzip and not gunzip.whole):
        raise BackOfficeError("broken", "the response is cut off", status=200, retryable=True)
    return bytes(body)


class Gunzip:
    """Decompresses GZIP data up to a size limit.

    The data may consist of several GZIP members, one after another (RFC 1952, section 2.2).

    :param max_bytes: the largest size after decompression, in bytes.
    """

    def __init__(self, max_bytes: int) -> None:
        self._bytes_left = max_bytes
        self._member: Any = zlib.decompressobj(_GZIP_WINDOW_BITS)
        self._inside_member = False

    @property
    def whole(self) -> bool:
        """Whether the input so far is complete, because it ends at the end of a GZIP member."""
        return not self._inside_member

    def unpack(self, piece: bytes) -> bytes:
        """Decompress the next piece of the input.

        If the output of all pieces would exceed ``max_bytes``, the output is cut one byte after this limit. The extra
        byte tells the caller that the body is too large.
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
