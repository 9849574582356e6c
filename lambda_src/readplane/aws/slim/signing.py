"""AWS Signature Version 4: how a request proves who sent it. Pure: no clock, no environment.

Checked against AWS's own test vectors and against botocore (tests/unit/test_signing.py).
"""

import hmac
from collections.abc import Iterable, Mapping
from hashlib import sha256

ALGORITHM = "AWS4-HMAC-SHA256"

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ENCODED = [chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in range(256)]


def uri_encode(text: str) -> str:
    """Percent-encode everything but RFC 3986's unreserved characters, as the signature's definition wants it."""
    return "".join(map(_ENCODED.__getitem__, text.encode()))


def uri_encode_path(text: str) -> str:
    """:func:`uri_encode` for a path: slashes stay."""
    return uri_encode(text).replace("%2F", "/")


def canonical_request(
    method: str,
    path: str,
    query: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    payload_sha256: str,
    *,
    encode_path: bool = True,
) -> tuple[str, str]:
    """The text that stands for a request, and the list of the headers that are signed.

    :param path: as it is sent, hence encoded once.
    :param query: names and values, not encoded.
    :param headers: every one is signed; names in lower case, ``host`` and ``x-amz-date`` among them.
    :param payload_sha256: hex digest of the body.
    :param encode_path: encode the path once more, as every service but S3 does.
    """
    names = sorted(headers)
    signed = ";".join(names)
    parts = sorted((uri_encode(name), uri_encode(value)) for name, value in query)
    lines = [
        method,
        uri_encode_path(path) if encode_path else path,
        "&".join(f"{name}={value}" for name, value in parts),
        *(f"{name}:{' '.join(headers[name].split())}" for name in names),
        "",
        signed,
        payload_sha256,
    ]
    return "\n".join(lines), signed


class Signer:
    """Signs for one service in one Region. Threads may share it."""

    def __init__(self, service: str, region: str) -> None:
        """:param service: the name in the credential scope, ``dynamodb``."""
        self._service = service
        self._region = region
        self._encode_path = service != "s3"
        self._key: tuple[str, str, bytes] = ("", "", b"")

    def authorization(
        self,
        method: str,
        path: str,
        query: Iterable[tuple[str, str]],
        headers: Mapping[str, str],
        payload_sha256: str,
        access_key: str,
        secret_key: str,
    ) -> str:
        """The ``Authorization`` header; parameters as for :func:`canonical_request`.

        The time is that of the ``x-amz-date`` header, ``20261231T235959Z``. A session token belongs into the headers.
        """
        request, signed = canonical_request(method, path, query, headers, payload_sha256, encode_path=self._encode_path)
        at = headers["x-amz-date"]
        day = at[:8]
        scope = f"{day}/{self._region}/{self._service}/aws4_request"
        text = f"{ALGORITHM}\n{at}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(self._signing_key(secret_key, day), text.encode(), "sha256").hex()
        return f"{ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={signed}, Signature={signature}"

    def _signing_key(self, secret_key: str, day: str) -> bytes:
        # Good for a whole day; kept as one tuple, so that a thread never sees half of another's.
        known_secret, known_day, key = self._key
        if known_secret != secret_key or known_day != day:
            key = f"AWS4{secret_key}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = (secret_key, day, key)
        return key
