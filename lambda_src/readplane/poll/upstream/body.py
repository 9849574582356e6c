"""Reads the body of a response, decompresses it up to a size limit, and checks that it is complete."""

import re
import zlib
from typing import Any

import requests

from ..errors import BackOfficeError

_PIECE_BYTES = 64 * 1024
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"

_HEAD_BYTES = 256
_LEADING_BYTES = b" \t\r\n\f\v\0\xef\xbb\xbf\xff\xfe"
"""The bytes of white space and of byte order marks, in UTF-8 and UTF-16."""

_HTML = re.compile(rb"<(!doctype\s+html|html)[\s>]", re.IGNORECASE)


def read_body(response: requests.Response, max_bytes: int) -> bytes:
    """Read and decompress the body of a response.

    :param max_bytes: the largest body that is accepted, in bytes, after decompression.
    :raises BackOfficeError: of kind ``not_data`` if the body has an encoding other than GZIP, of kind ``too_large`` if
        the body is larger than ``max_bytes``, or of kind ``broken`` if the end of the body is missing.
    """
    status = response.status_code
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise BackOfficeError(
            "not_data",
            "the response has an encoding that the request didn't allow",
            advice="have the back office, or the proxy before it, send GZIP or no encoding",
            status=status,
        )
    # Don't let urllib3 decompress the body, for two reasons. A few compressed bytes may expand to gigabytes, so each
    # step needs a limit. And some versions of urllib3 don't report that the end of a compressed body is missing.
    gunzip = Gunzip(max_bytes) if "gzip" in encoding else None
    body = bytearray()
    received = 0
    for piece in response.raw.stream(_PIECE_BYTES, decode_content=False):
        received += len(piece)
        body += gunzip.unpack(piece) if gunzip else piece
        if len(body) > max_bytes:
            raise BackOfficeError("too_large", f"the response is larger than {max_bytes} bytes", status=status)
    # Compare the length of the body with Content-Length, because the Lambda runtime may contain urllib3 1.26, which
    # doesn't report a body that is too short. urllib3 2 raises an error for such a body.
    length = response.headers.get("Content-Length", "")
    if (length.isdecimal() and int(length) != received) or (gunzip and not gunzip.whole):
        raise BackOfficeError("broken", "the response is cut off", status=status, retryable=True)
    return bytes(body)


def is_web_page(body: bytes, *, xml: bool = False) -> bool:
    """Return whether a body is a web page, such as a login or a maintenance page, and no data.

    :param xml: whether the data is XML, so that a body may begin with ``<``.

    The ``Content-Type`` doesn't decide, because some back offices declare JSON as ``text/html``.
    """
    head = body[:_HEAD_BYTES].lstrip(_LEADING_BYTES)
    return bool(_HTML.match(head)) if xml else head.startswith(b"<")


class Gunzip:
    """Decompresses GZIP data up to a size limit.

    The data may consist of several GZIP members, one after another (RFC 1952, section 2.2). Bytes behind a member that
    don't begin another one are ignored, as ``gzip`` does, because some servers pad a body.

    :param max_bytes: the largest size after decompression, in bytes.
    """

    def __init__(self, max_bytes: int) -> None:
        self._bytes_left = max_bytes
        self._member: Any = zlib.decompressobj(_GZIP_WINDOW_BITS)
        self._inside_member = False
        self._between = b""
        """The bytes since the end of the last member, as long as they may begin another one."""
        self._members = 0
        self._ended = False

    @property
    def whole(self) -> bool:
        """Whether the input so far is complete, because it ends at the end of a GZIP member or behind it."""
        return not self._inside_member

    def unpack(self, piece: bytes) -> bytes:
        """Decompress the next piece of the input.

        If the output of all pieces would exceed ``max_bytes``, the output is cut one byte after this limit. The extra
        byte tells the caller that the body is too large.
        """
        unpacked = bytearray()
        while piece and self._bytes_left >= 0 and not self._ended:
            if self._members and not self._inside_member:
                piece = self._between + piece
                self._between = b""
                if len(piece) < len(_GZIP_MAGIC) and _GZIP_MAGIC.startswith(piece):
                    self._between = piece
                    break
                if not piece.startswith(_GZIP_MAGIC):
                    self._ended = True
                    break
            self._inside_member = True
            part = self._member.decompress(piece, self._bytes_left + 1)
            self._bytes_left -= len(part)
            unpacked += part
            piece = self._member.unconsumed_tail
            if self._member.eof:
                piece = self._member.unused_data
                self._member = zlib.decompressobj(_GZIP_WINDOW_BITS)
                self._members += 1
                self._inside_member = False
        return bytes(unpacked)
