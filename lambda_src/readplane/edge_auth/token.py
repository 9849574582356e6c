"""Verifies Cognito access tokens (RS256) in pure Python. It reads no clock, no environment and no network.

Lambda@Edge allows no layers and 1 MB of code, and each millisecond of its cold start delays a client. So this module
uses `pow` and `hashlib` instead of a JWT library and its C extension.

A token passes only if it is exactly what Cognito issues. Whatever RFC 7515 leaves to the verifier is refused: other
algorithms, extensions, embedded keys, nested tokens, duplicate names, padding and unused bits in base64url.
"""

import json
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from hashlib import sha256
from typing import Any, NamedTuple, NoReturn

MAX_TOKEN_BYTES = 8_192
"""The greatest length of a token. Cognito's tokens have 1-2 KB, and each of a user's groups adds some bytes."""

LEEWAY_SECONDS = 5
"""How far the clock of Cognito and ours may differ."""

MIN_KEY_BITS, MAX_KEY_BITS = 2_048, 4_096
"""The allowed sizes of an RSA key. A greater key would cost more than a millisecond for each token."""

_MAX_EXPONENT = 2**32 - 1
_MAX_SECONDS = 2**53
"""The greatest accepted time of a claim, in Unix seconds. JSON readers agree on integers up to this one (RFC 8259)."""

_TYPES = (None, "jwt", "at+jwt")
_REFUSED_HEADERS = frozenset({"crit", "b64", "cty", "zip", "enc", "jwk", "jku", "x5c", "x5u"})
"""The header parameters that change how a token must be read, or that bring a key. Cognito sends none of them."""

_BASE64URL = re.compile(rb"[A-Za-z0-9_-]*")
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_SURROGATE = re.compile(rb"\\u[dD]")

# The DER encoding of the DigestInfo for SHA-256, without the digest (RFC 8017, 9.2, note 1).
_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


class TokenError(Exception):
    """The access token isn't valid.

    :param detail: one sentence that tells the client why. It holds nothing of the token.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class ScopeError(TokenError):
    """The access token is valid, but has none of the scopes that the request needs."""


class MalformedError(ValueError):
    """A text isn't canonical base64url, or isn't JSON without duplicate names, or isn't a JSON object."""


class RsaKey(NamedTuple):
    """A public RSA key.

    :param modulus: the modulus `n`.
    :param exponent: the public exponent `e`.
    """

    modulus: int
    exponent: int

    @property
    def size(self) -> int:
        """The length of the modulus and of a signature, in bytes."""
        return (self.modulus.bit_length() + 7) // 8


FindKey = Callable[[str], RsaKey | None]
"""A function that returns the pool's key with a given ``kid``, or ``None`` if the pool has no such key."""


class Pool(NamedTuple):
    """A Cognito user pool whose access tokens are accepted.

    :param client_ids: the app clients whose tokens are accepted.
    :param find_key: finds a key of the pool by its ``kid``.
    """

    client_ids: AbstractSet[str]
    find_key: FindKey


def verify_token(token: str, pools: Mapping[str, Pool], scopes: AbstractSet[str], now: float) -> Mapping[str, Any]:
    """Verify an access token. Return its claims.

    The function looks up the key last, because only the lookup can cost a request to Cognito. It doesn't check whether
    Cognito has revoked the token: that would cost a request for each token.

    :param token: the token in compact serialisation, without the scheme ``Bearer``.
    :param pools: the accepted pools, by issuer. The claim ``iss`` must equal a whole issuer.
    :param scopes: the scopes of which the token must have at least one.
    :param now: the current time in Unix seconds.
    :raises TokenError: if the token isn't valid.
    :raises ScopeError: if the token is valid, but has none of ``scopes``.
    """
    jws = parse_jws(token)
    try:
        claims = parse_object(jws.payload)
    except MalformedError as error:
        raise TokenError("The access token is malformed.") from error
    pool = _pool(claims, pools)
    _check_times(claims, now)
    key = pool.find_key(jws.kid)
    if key is None:
        raise TokenError("The access token is signed with an unknown key.")
    if not is_signed(key, jws.message, jws.signature):
        raise TokenError("The signature of the access token is wrong.")
    scope = claims.get("scope")
    # A scope is a whole word: `x/readonly` must not open what `x/read` opens.
    if not isinstance(scope, str) or scopes.isdisjoint(scope.split(" ")):
        raise ScopeError("The access token has none of the scopes that open this document.")
    return claims


class Jws(NamedTuple):
    """The parts of a JSON Web Signature in compact serialisation. Nothing has verified its signature yet.

    :param kid: the id of the key that the header names.
    :param payload: the decoded payload.
    :param message: the bytes that the signature covers.
    :param signature: the decoded signature.
    """

    kid: str
    payload: bytes
    message: bytes
    signature: bytes


def parse_jws(token: str) -> Jws:
    """Split a token into its parts, and check its header.

    :raises TokenError: if the token is malformed, or if its header asks for anything but RS256 with a key of the pool.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenError("The access token is too long.")
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenError("The access token must have three parts.")
    try:
        kid = _key_id(parse_object(decode_base64url(parts[0])))
        payload, signature = decode_base64url(parts[1]), decode_base64url(parts[2])
    except MalformedError as error:
        raise TokenError("The access token is malformed.") from error
    return Jws(kid, payload, f"{parts[0]}.{parts[1]}".encode(), signature)


def _key_id(header: Mapping[str, Any]) -> str:
    """Return the ``kid`` of a token's header.

    :raises TokenError: if the header asks for anything but RS256 with one of the pool's keys.
    """
    if header.get("alg") != "RS256":
        raise TokenError("The access token must be signed with RS256.")
    kind = header.get("typ")
    if (kind.lower() if isinstance(kind, str) else kind) not in _TYPES or not _REFUSED_HEADERS.isdisjoint(header):
        raise TokenError("The header of the access token is none that Cognito sends.")
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise TokenError("The access token doesn't name its key.")
    return kid


def _pool(claims: Mapping[str, Any], pools: Mapping[str, Pool]) -> Pool:
    """Return the pool that issued a token.

    :raises TokenError: if it is no accepted pool, no access token, or no token of an accepted client.
    """
    issuer, client_id = claims.get("iss"), claims.get("client_id")
    pool = pools.get(issuer) if isinstance(issuer, str) else None
    if pool is None:
        raise TokenError("The access token comes from another issuer.")
    if claims.get("token_use") != "access":
        raise TokenError("The token must be an access token.")
    # An access token of Cognito has no `aud`. The claim `client_id` names the client that it was issued to.
    if not isinstance(client_id, str) or client_id not in pool.client_ids:
        raise TokenError("The access token was issued to another client.")
    return pool


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    if "exp" not in claims or _seconds(claims, "exp") + LEEWAY_SECONDS <= now:
        raise TokenError("The access token has expired.")
    if any(name in claims and _seconds(claims, name) - LEEWAY_SECONDS > now for name in ("iat", "nbf")):
        raise TokenError("The access token isn't valid yet.")


def _seconds(claims: Mapping[str, Any], name: str) -> int:
    """Return a time claim. A ``bool`` is an ``int`` in Python, so compare the type itself."""
    value = claims[name]
    if type(value) is not int or not 0 <= value <= _MAX_SECONDS:
        raise TokenError(f"The claim {name} of the access token is no time.")
    return value


def is_signed(key: RsaKey, message: bytes, signature: bytes) -> bool:
    """Return whether an RSASSA-PKCS1-v1_5 signature with SHA-256 is right (RFC 8017, 8.2.2).

    The function builds the only right encoded message and compares it, as the RFC recommends. A parser of the padding
    could be made to accept garbage behind the digest, which forges signatures for small exponents.
    """
    size = key.size
    number = int.from_bytes(signature, "big")
    if len(signature) != size or number >= key.modulus:
        return False
    tail = _DIGEST_INFO + sha256(message).digest()
    padding = b"\xff" * (size - len(tail) - 3)
    return pow(number, key.exponent, key.modulus) == int.from_bytes(b"\0\1" + padding + b"\0" + tail, "big")


def make_key(modulus: str, exponent: str) -> RsaKey | None:
    """Return the RSA key of a JSON Web Key's members ``n`` and ``e``, or ``None`` if nobody should trust such a key.

    :raises MalformedError: if a member isn't canonical base64url.
    """
    n, e = (int.from_bytes(decode_base64url(text), "big") for text in (modulus, exponent))
    if not MIN_KEY_BITS <= n.bit_length() <= MAX_KEY_BITS or not 3 <= e <= _MAX_EXPONENT or e % 2 == 0 or n % 2 == 0:
        return None
    return None if _is_roca(n) else RsaKey(n, e)


_ROCA_PRIMES = (
    *(3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107),
    *(109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167),
)


def _is_roca(modulus: int) -> bool:
    """Return whether a modulus has the mark of the library whose keys can be factored (CVE-2017-15361, ROCA).

    That library makes primes that are powers of 65537 modulo each of the first primes. The modulus of another library
    has this mark with a probability of less than 2**-27.
    """
    return all(modulus % prime in {pow(65_537, k, prime) for k in range(prime)} for prime in _ROCA_PRIMES)


def decode_base64url(text: str) -> bytes:
    """Decode base64url without padding (RFC 7515, appendix C).

    Python's own decoder skips foreign characters and unused bits. Then one token would have many texts.

    :raises MalformedError: if the text isn't the only encoding of its bytes.
    """
    encoded = text.encode("utf-8", "surrogatepass")
    if not _BASE64URL.fullmatch(encoded) or len(encoded) % 4 == 1:
        raise MalformedError("it is not base64url")
    standard = encoded.translate(_TO_STANDARD)
    data = a2b_base64(standard + b"=" * (-len(standard) % 4))
    if b2a_base64(data, newline=False).rstrip(b"=") != standard:
        raise MalformedError("it has unused bits")
    return data


def parse_object(data: bytes) -> dict[str, Any]:
    """Parse a JSON object strictly: UTF-8 without a byte order mark, no duplicate names, no NaN, no lone surrogates.

    :raises MalformedError: if the bytes are anything else.
    """
    try:
        value = _decode(data.decode("utf-8"))
        if _SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:  # the errors of UTF-8 and JSON are ValueErrors
        raise MalformedError("it is not JSON") from error
    if not isinstance(value, dict):
        raise MalformedError("it is not an object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedError("a name occurs twice")
    return members


def _no_constant(_name: str) -> NoReturn:
    raise MalformedError("it holds NaN or Infinity")


_decode = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant).decode
