"""A GET of a URL without a signature, as any client of the API sends it."""

from urllib.parse import urlsplit

from .slim.connection import ConnectionPool

MAX_BODY_BYTES = 8 * 1024 * 1024

USER_AGENT = "readplane-probe"
"""The name of the client. A firewall may refuse requests without a name."""


def get_url(url: str, seconds: float) -> int:
    """Send a GET to a URL, read its response, and return the status code. Each call opens a connection of its own.

    At most ``MAX_BODY_BYTES`` of the body are read.

    :param url: an http or https URL with an ASCII host.
    :param seconds: the maximum time for the response after the connection is open.
    :raises UnansweredError: for every network fault.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    pool = ConnectionPool(
        host, parts.port or (443 if secure else 80), secure=secure, read_timeout=seconds, connections=0
    )
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"User-Agent: {USER_AGENT}",
        "Accept: */*",
        "Connection: close",
    ]
    response = pool.exchange(("\r\n".join(lines) + "\r\n\r\n").encode("ascii"), resend=False)
    try:
        response.body.read(MAX_BODY_BYTES)
    finally:
        response.body.close()
    return response.status
