"""Readers of an HTTP response's body: one class for each way to mark the end of the body (RFC 9112, section 6.3)."""

from typing import Protocol

from ..faults import UnansweredError

MAX_PIECE_BYTES = 65_536
"""The maximum number of bytes to request in one read from a connection."""

_HEX_DIGITS = b"0123456789abcdef"


class ByteStream(Protocol):
    """The methods of a connection that a body reader calls."""

    def reset_deadline(self) -> None:
        """Restart the read timeout, so that the next read has the full time."""

    def read_line(self) -> bytes:
        """Read the next line from the server, and return it without its line break."""

    def read_some(self, limit: int, *, may_end: bool = False) -> bytes:
        """Read from the server, and return at least 1 and at most ``limit`` bytes.

        :param may_end: whether the server may end the body by closing the connection. If ``True``, return no bytes in
            that case. If ``False``, raise an error.
        """

    def release(self) -> None:
        """Return this connection to its pool, so that another request can use it."""

    def close(self) -> None:
        """Close the connection."""


class BodyReader:
    """Reads the body of an HTTP response from a connection, whenever the caller asks for bytes.

    At the end of the body, the reader returns the connection to the pool or closes it. Each subclass detects the end of
    the body in its own way.

    :param reusable: whether the connection may carry another request after this body.
    """

    def __init__(self, stream: ByteStream, *, reusable: bool) -> None:
        self._stream: ByteStream | None = stream  # None after the end of the body
        self._reusable = reusable

    def start(self) -> None:
        """Release the connection at once if the body is empty."""

    def read_rest(self) -> bytes:
        """Read the rest of the body, within the deadline of the response.

        :raises UnansweredError: if the rest doesn't arrive by the deadline.
        """
        return self._read(-1)

    def read(self, size: int = -1) -> bytes:
        """Read ``size`` bytes of the body (fewer only at its end), or the whole rest if ``size`` is negative.

        Each call has the full read timeout, because the caller may do other work between two reads of a stream.

        :raises UnansweredError: if the bytes don't arrive within the read timeout.
        """
        if self._stream:
            self._stream.reset_deadline()
        return self._read(size)

    def close(self) -> None:
        """Close the connection without reading the rest of the body.

        The connection can't be reused, because the unread rest of this body would come before the next response.
        """
        if self._stream:
            self._stream.close()
            self._stream = None

    def _read(self, size: int) -> bytes:
        pieces = []
        try:
            while size and (stream := self._stream):
                piece = self._read_piece(stream, size if 0 < size < MAX_PIECE_BYTES else MAX_PIECE_BYTES)
                if piece:
                    pieces.append(piece)
                if size > 0:
                    size -= len(piece)
        except BaseException:
            self.close()
            raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read_piece(self, stream: ByteStream, limit: int) -> bytes:
        """Return at least 1 and at most ``limit`` bytes of the body, or no bytes at its end.

        A subclass calls :meth:`_finish` as soon as it has reached the end of the body.
        """
        raise NotImplementedError

    def _finish(self, stream: ByteStream) -> None:
        self._stream = None
        if self._reusable:
            stream.release()
        else:
            stream.close()


class EmptyReader(BodyReader):
    """Reads an empty body."""

    def start(self) -> None:
        """Release the connection at once, because there is nothing to read."""
        if self._stream:
            self._finish(self._stream)


class ContentLengthReader(BodyReader):
    """Reads a body whose ``Content-Length`` header states a length of at least one byte."""

    def __init__(self, stream: ByteStream, length: int, *, reusable: bool) -> None:
        super().__init__(stream, reusable=reusable)
        self._remaining = length

    def _read_piece(self, stream: ByteStream, limit: int) -> bytes:
        data = stream.read_some(min(limit, self._remaining))
        self._remaining -= len(data)
        if not self._remaining:
            self._finish(stream)
        return data


class ChunkedReader(BodyReader):
    """Reads a body that the server sends in chunks (``Transfer-Encoding: chunked``).

    A chunk consists of a line with the chunk's length, the chunk's bytes, and a line break. A chunk of length 0 ends
    the body. Trailer headers may follow that chunk.
    """

    _remaining = 0  # the number of unread bytes in the current chunk

    def _read_piece(self, stream: ByteStream, limit: int) -> bytes:
        if not self._remaining:
            self._remaining = _read_chunk_length(stream)
            if not self._remaining:
                while stream.read_line():  # skip a trailer header, because no caller needs it
                    pass
                self._finish(stream)
                return b""
        data = stream.read_some(min(limit, self._remaining))
        self._remaining -= len(data)
        if not self._remaining and stream.read_line():
            raise UnansweredError("BadChunk", sent=True)
        return data


class UntilCloseReader(BodyReader):
    """Reads a body that ends when the server closes the connection."""

    def _read_piece(self, stream: ByteStream, limit: int) -> bytes:
        data = stream.read_some(limit, may_end=True)
        if not data:
            self._finish(stream)
        return data


def make_body_reader(stream: ByteStream, status: int, headers: dict[str, str]) -> BodyReader:
    """Make the reader of an HTTP response's body.

    The first row of this table that matches the response determines the reader:

    ==============================  ==========================
    response                        reader
    ==============================  ==========================
    status 204 or 304               ``EmptyReader``
    ``Transfer-Encoding: chunked``  ``ChunkedReader``
    no ``Content-Length``           ``UntilCloseReader``
    ``Content-Length: 0``           ``EmptyReader``
    ``Content-Length: <number>``    ``ContentLengthReader``
    any other ``Content-Length``    error ``BadContentLength``
    ==============================  ==========================

    For status 204 and 304 the headers don't matter, because such a response has no body. A 304 may still carry the
    headers of the full response.

    :raises UnansweredError: if ``Content-Length`` is not a number.
    """
    reusable = headers.get("connection", "").lower() != "close"
    if status in (204, 304):
        return EmptyReader(stream, reusable=reusable)
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return ChunkedReader(stream, reusable=reusable)
    length = headers.get("content-length")
    if length is None:
        return UntilCloseReader(stream, reusable=False)
    if not length.isdecimal():
        raise UnansweredError("BadContentLength", sent=True)
    if remaining := int(length):
        return ContentLengthReader(stream, remaining, reusable=reusable)
    return EmptyReader(stream, reusable=reusable)


def _read_chunk_length(stream: ByteStream) -> int:
    length = stream.read_line().partition(b";")[0].strip().lower()
    if not length or length.strip(_HEX_DIGITS):
        raise UnansweredError("BadChunk", sent=True)
    return int(length, 16)
