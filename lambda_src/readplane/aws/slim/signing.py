"""AWS Signature Version 4, which computes the ``Authorization`` header that proves who sent a request.

This module reads neither the clock nor the environment, so a signature depends only on the parameters.
tests/unit/aws/slim/test_signing.py compares the signatures with AWS's own test vectors and with botocore's.
"""

import hmac
from collections.abc import Iterable, Mapping
from hashlib import sha256

ALGORITHM = "AWS4-HMAC-SHA256"

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ENCODED = [chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in range(256)]


def uri_encode(text: str) -> str:
    """Percent-encode all characters except RFC 3986's unreserved ones, as Signature Version 4 requires."""
    return "".join(map(_ENCODED.__getitem__, text.encode()))


def uri_encode_path(text: str) -> str:
    """Percent-encode a path like :func:`uri_encode`, but keep its slashes."""
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
    """Return a request's canonical text, which the signature covers, and the names of the signed headers.

    Each of these names is in lower case, and ``;`` separates them.

    :param path: the path as the client sends it, percent-encoded once.
    :param query: the names and values of the query parameters, not encoded.
    :param headers: the headers to sign, by name in lower case. They include ``host`` and ``x-amz-date``.
    :param payload_sha256: the body's SHA-256 in hex.
    :param encode_path: whether to encode the path a second time, as every service but S3 requires.
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
    """Signs requests to one service in one Region. Several threads may share one signer.

    :param service: the service's name in the credential scope, such as ``dynamodb``.
    """

    def __init__(self, service: str, region: str) -> None:
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
        """Return the ``Authorization`` header of a request.

        The first five parameters are those of :func:`canonical_request`. ``headers`` must include ``x-amz-date``, the
        time of the signature, such as ``20261231T235959Z``. If the credentials have a session token, ``headers`` must
        also include this token, as ``x-amz-security-token``.
        """
        request, signed = canonical_request(method, path, query, headers, payload_sha256, encode_path=self._encode_path)
        at = headers["x-amz-date"]
        scope, signature = self.scope(at), self.signature(request, at, secret_key)
        return f"{ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={signed}, Signature={signature}"

    def scope(self, at: str) -> str:
        """Return the credential scope of a signature: its day, Region and service.

        :param at: the time of the signature, such as ``20261231T235959Z``.
        """
        return f"{at[:8]}/{self._region}/{self._service}/aws4_request"

    def signature(self, request: str, at: str, secret_key: str) -> str:
        """Return the signature of a request's canonical text, in hex.

        :param request: the canonical text, from :func:`canonical_request`.
        :param at: the time of the signature, such as ``20261231T235959Z``.
        """
        text = f"{ALGORITHM}\n{at}\n{self.scope(at)}\n{sha256(request.encode()).hexdigest()}"
        return hmac.digest(self._signing_key(secret_key, at[:8]), text.encode(), "sha256").hex()

    def _signing_key(self, secret_key: str, day: str) -> bytes:
        # Cache the signing key, because it is valid for a whole day. One tuple holds the signing key, the secret
        # key and the day, so that another thread never uses the signing key with a different secret key or day.
        cached_secret, cached_day, key = self._key
        if cached_secret != secret_key or cached_day != day:
            key = f"AWS4{secret_key}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = (secret_key, day, key)
        return key
