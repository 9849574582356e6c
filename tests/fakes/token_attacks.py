"""Attacks with forged, altered and misplaced access tokens, as a table that several test suites share.

A test suite that serves documents makes a :class:`Forge` for its user pool, sends each :class:`Attempt` of
:data:`ATTACKS`, and compares the status. The numbers are those of the list of attacks in the project's issue about the
edge. Attacks on the key set, the clock and the cache aren't in this table, because they need more than one request:
tests/unit/edge_auth/test_attacks.py names them.
"""

import base64
import hashlib
import hmac
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

SUB = "3f1a8a52-4031-70b5-6a1e-0d6f2b1f0c11"
OTHER_SUB = "b0b00000-4031-70b5-6a1e-0d6f2b1f0c22"
ISSUER = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_abcDEF123"
CLIENT_ID = "4h5j6k7l8m9n0p1q2r3s4t5u6v"
SCOPE = "demo/read"
SHARED, OWNER = "/documents/orders/o-1", "/documents/profiles/p-1"

MISSING: Any = object()
"""The value of a claim or header parameter that a token must lack."""

Json = dict[str, Any]
Value = TypeVar("Value")
Result = TypeVar("Result")


def encode(data: bytes) -> str:
    """Return bytes as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def encode_number(number: int) -> str:
    """Return a number as the members ``n`` and ``e`` of a JSON Web Key hold it."""
    return encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def changed(members: Mapping[str, Any], changes: Mapping[str, Any]) -> Json:
    """Return members with changes; a member whose new value is :data:`MISSING` is left out."""
    return {name: value for name, value in {**members, **changes}.items() if value is not MISSING}


class Forge:
    """Makes tokens of a user pool, right and wrong ones.

    :ivar now: the current time in Unix seconds.
    :ivar key: the private key with which the pool signs access tokens.
    :ivar id_key: the private key with which the pool signs ID tokens.
    :ivar foreign_key: a private key that the pool doesn't have.
    """

    kid, id_kid = "access/+=key", "id/+=key"

    def __init__(self, now: int, issuer: str = ISSUER, client_id: str = CLIENT_ID, scope: str = SCOPE) -> None:
        self.now = now
        self.issuer = issuer
        self.client_id = client_id
        self.scope = scope
        self.key, self.id_key, self.foreign_key = (rsa.generate_private_key(65_537, 2_048) for _ in range(3))

    def jwk(self, key: rsa.RSAPrivateKey | None = None, **changes: Any) -> Json:
        """Return the public part of a key, by default of the pool's, as a JSON Web Key."""
        numbers = (key or self.key).public_key().public_numbers()
        members = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid}
        return changed({**members, "n": encode_number(numbers.n), "e": encode_number(numbers.e)}, changes)

    def key_set(self) -> bytes:
        """Return the pool's key set, as Cognito serves it."""
        return json.dumps({"keys": [self.jwk(self.id_key, kid=self.id_kid), self.jwk()]}).encode()

    def claims(self, **changes: Any) -> Json:
        """Return the claims of an access token, as Cognito issues it."""
        claims = {
            "sub": SUB,
            "cognito:groups": ["editors"],
            "iss": self.issuer,
            "version": 2,
            "client_id": self.client_id,
            "origin_jti": "0f1e2d3c-aaaa-bbbb-cccc-0123456789ab",
            "token_use": "access",
            "scope": f"openid {self.scope}",
            "auth_time": self.now - 60,
            "exp": self.now + 1_740,
            "iat": self.now - 60,
            "jti": "5a4b3c2d-aaaa-bbbb-cccc-0123456789ab",
            "username": "alice",
        }
        return changed(claims, changes)

    def token(self, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """Return a token that the pool's key signs, with changed header parameters and claims."""
        own = changed({"kid": self.kid, "alg": "RS256"}, header or {})
        return self.sign(json.dumps(own).encode(), json.dumps(self.claims(**changes)).encode())

    def sign(self, header: bytes, payload: bytes, key: rsa.RSAPrivateKey | None = None) -> str:
        """Return a token with any header and payload, signed with RS256, by default with the pool's key."""
        message = f"{encode(header)}.{encode(payload)}"
        signature = (key or self.key).sign(message.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{message}.{encode(signature)}"

    @cached_property
    def valid(self) -> str:
        """A valid token."""
        return self.token()

    @cached_property
    def parts(self) -> tuple[str, str, str]:
        """The three parts of the valid token."""
        header, payload, signature = self.valid.split(".")
        return header, payload, signature

    @cached_property
    def signature(self) -> bytes:
        """The signature of the valid token."""
        return base64.urlsafe_b64decode(self.parts[2] + "==")

    def with_signature(self, signature: bytes) -> str:
        """Return the valid token with another signature."""
        return ".".join((*self.parts[:2], encode(signature)))

    def hmac_token(self, secret: bytes) -> str:
        """Return a token signed with HS256."""
        message = f"{encode(json.dumps({'alg': 'HS256', 'kid': self.kid}).encode())}.{self.parts[1]}"
        return f"{message}.{encode(hmac.new(secret, message.encode(), hashlib.sha256).digest())}"

    def other_algorithm(self, name: str) -> str:
        """Return a token signed with another algorithm than RS256, with the pool's key where that is possible."""
        message = f"{encode(json.dumps({'alg': name, 'kid': self.kid}).encode())}.{self.parts[1]}"
        if name == "ES256":
            signature = ec.generate_private_key(ec.SECP256R1()).sign(message.encode(), ec.ECDSA(hashes.SHA256()))
        elif name == "PS256":
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            signature = self.key.sign(message.encode(), pss, hashes.SHA256())
        else:
            digest = {"RS384": hashes.SHA384(), "RS512": hashes.SHA512()}[name]
            signature = self.key.sign(message.encode(), padding.PKCS1v15(), digest)
        return f"{message}.{encode(signature)}"

    def public(self, encoding: serialization.Encoding) -> bytes:
        """Return the pool's public key, as PEM or DER."""
        return self.key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)

    def token_with_zero(self) -> tuple[str, bytes]:
        """Return the signed part of a token whose signature begins with a zero byte, and the signature."""
        for number in range(10_000):
            message, _, signature = self.token(jti=f"{number}").rpartition(".")
            data = base64.urlsafe_b64decode(signature + "==")
            if data[0] == 0:
                return message, data
        raise AssertionError("no signature begins with a zero byte")


class Attempt(NamedTuple):
    """One request of an attacker.

    :param headers: the headers, in order. A name may occur twice.
    :param path: the path as the attacker sends it.
    """

    headers: tuple[tuple[str, str], ...] = ()
    path: str = SHARED
    method: str = "GET"
    query: str = ""


class Attack(NamedTuple):
    """An attack, and the status with which the edge must respond.

    :param number: the number of the attack in the list.
    :param name: what the attacker tries.
    :param attempt: makes the request.
    :param status: the status of the response.
    """

    number: int
    name: str
    attempt: Callable[[Forge], Attempt]
    status: int = 401


def bearer(token: str, path: str = SHARED, method: str = "GET") -> Attempt:
    """Return a request that sends a token in the usual way."""
    return Attempt((("Authorization", f"Bearer {token}"),), path, method)


def _with(make: Callable[[Forge, Value], Result], value: Value) -> Callable[[Forge], Result]:
    """Return a function of the forge alone, for a row of a loop."""
    return lambda forge: make(forge, value)


def _sent(*values: str) -> Callable[[Forge], Attempt]:
    return lambda _: Attempt(tuple(("Authorization", value) for value in values))


def _headers(name: str) -> Callable[[Forge], Attempt]:
    return lambda forge: Attempt(((name, forge.valid), (f"{name}-2", f"Bearer {forge.valid}")))


def _claims(**changes: Any) -> Callable[[Forge], Attempt]:
    return lambda forge: bearer(forge.token(**changes))


def _owner_claims(**changes: Any) -> Callable[[Forge], Attempt]:
    return lambda forge: bearer(forge.token(**changes), OWNER)


def _header(**changes: Any) -> Callable[[Forge], Attempt]:
    return lambda forge: bearer(forge.token(changes))


def _payload(text: str | bytes) -> Callable[[Forge], Attempt]:
    data = text if isinstance(text, bytes) else text.encode()
    return lambda forge: bearer(forge.sign(_plain_header(forge), data))


def _inserted(member: str, value: str, *, first: bool = False) -> Callable[[Forge], Attempt]:
    """Return an attack whose payload has one more member, whose name it may have already."""

    def attempt(forge: Forge) -> Attempt:
        claims = json.dumps(forge.claims())
        added = f'"{member}": {value}'
        text = "{" + added + ", " + claims[1:] if first else claims[:-1] + ", " + added + "}"
        return bearer(forge.sign(_plain_header(forge), text.encode()))

    return attempt


def _replaced(member: str, value: str) -> Callable[[Forge], Attempt]:
    """Return an attack whose payload has a claim with any text as its JSON value."""

    def attempt(forge: Forge) -> Attempt:
        text = json.dumps(forge.claims(**{member: "<value>"})).replace('"<value>"', value)
        return bearer(forge.sign(_plain_header(forge), text.encode()))

    return attempt


def _token(make: Callable[[Forge], str]) -> Callable[[Forge], Attempt]:
    return lambda forge: bearer(make(forge))


def _path(path: str) -> Callable[[Forge], Attempt]:
    return lambda forge: bearer(forge.valid, path)


def _plain_header(forge: Forge) -> bytes:
    return json.dumps({"kid": forge.kid, "alg": "RS256"}).encode()


def _raw_header(text: str) -> Callable[[Forge], Attempt]:
    return lambda forge: bearer(
        forge.sign(text.replace("<kid>", forge.kid).encode(), json.dumps(forge.claims()).encode())
    )


def _flipped(part: int) -> Callable[[Forge], Attempt]:
    def attempt(forge: Forge) -> Attempt:
        parts = list(forge.parts)
        data = bytearray(base64.urlsafe_b64decode(parts[part] + "=="))
        data[len(data) // 2] ^= 1
        parts[part] = encode(bytes(data))
        return bearer(".".join(parts))

    return attempt


def _number(make: Callable[[int, int], int]) -> Callable[[Forge], Attempt]:
    """Return an attack whose signature is another number, made of the right one and the modulus."""

    def attempt(forge: Forge) -> Attempt:
        modulus = forge.key.public_key().public_numbers().n
        number = make(int.from_bytes(forge.signature, "big"), modulus)
        return bearer(forge.with_signature(number.to_bytes(max(256, (number.bit_length() + 7) // 8), "big")))

    return attempt


def _short_signature(forge: Forge) -> str:
    message, signature = forge.token_with_zero()
    return f"{message}.{encode(signature[1:])}"


def _own_key(name: str, value: Callable[[Forge], Any]) -> Callable[[Forge], Attempt]:
    """Return an attack whose header brings the key that signed the token, or says where it is."""

    def attempt(forge: Forge) -> Attempt:
        header = {"alg": "RS256", "kid": forge.kid, name: value(forge)}
        return bearer(forge.sign(json.dumps(header).encode(), json.dumps(forge.claims()).encode(), forge.foreign_key))

    return attempt


def _later(forge: Forge, claim: str) -> Attempt:
    changes: Json = {claim: forge.now + 6}
    return bearer(forge.token(None, **changes))


def _nested(forge: Forge, depth: int) -> str:
    header = f'{{"alg":"RS256","kid":"{forge.kid}","x":{"[" * depth}{"]" * depth}}}'
    return forge.sign(header.encode(), json.dumps(forge.claims()).encode(), forge.foreign_key)


def _bomb(forge: Forge) -> str:
    compressor = zlib.compressobj(wbits=-15)
    bomb = compressor.compress(b"0" * 200_000) + compressor.flush()
    header = json.dumps({"alg": "RSA-OAEP", "enc": "A256GCM", "zip": "DEF", "kid": forge.kid}).encode()
    return ".".join(encode(part) for part in (header, bytes(256), bytes(12), bomb, bytes(16)))


def _unused_bits(forge: Forge) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return forge.valid[:-1] + alphabet[alphabet.index(forge.valid[-1]) | 1]


def _with_standard_alphabet(forge: Forge) -> str:
    """Return a valid token whose signature is written with the alphabet of plain base64."""
    for number in range(1_000):
        message, _, signature = forge.token(jti=f"{number}").rpartition(".")
        if set("-_") <= set(signature):
            return f"{message}.{signature.replace('-', '+').replace('_', '/')}"
    raise AssertionError("no signature has both characters")


def _id_token(forge: Forge) -> str:
    claims = forge.claims(token_use="id", client_id=MISSING, scope=MISSING, aud=forge.client_id)
    header = {"kid": forge.id_kid, "alg": "RS256"}
    return forge.sign(json.dumps(header).encode(), json.dumps(claims).encode(), forge.id_key)


def _json_serialisation(forge: Forge) -> str:
    header, payload, signature = forge.parts
    return json.dumps({"protected": header, "payload": payload, "signature": signature}, separators=(",", ":"))


def _edited(forge: Forge, **changes: Any) -> str:
    payload = encode(json.dumps(forge.claims(**changes)).encode())
    return ".".join((forge.parts[0], payload, forge.parts[2]))


def _rows() -> Iterator[Attack]:
    yield from _misplaced()
    yield from _signatures()
    yield from _key_ids()
    yield from _times()
    yield from _encodings()
    yield from _claim_values()
    yield from _paths()


def _misplaced() -> Iterator[Attack]:
    yield Attack(1, "no token", lambda _: Attempt())
    for value in ("", "Bearer", "Bearer ", "Bearer .", "Bearer ..", "Bearer ...", "Bearer null"):
        yield Attack(2, f"the header {value!r}", _sent(value))
    for order in ((True, False), (False, True)):
        yield Attack(
            26,
            f"two headers, {'valid and wrong' if order[0] else 'wrong and valid'}",
            _with(
                lambda forge, order: Attempt(
                    tuple(("Authorization", f"Bearer {forge.valid if valid else 'x.y.z'}") for valid in order)
                ),
                order,
            ),
        )
    yield Attack(26, "the same header twice", lambda f: Attempt((("Authorization", f"Bearer {f.valid}"),) * 2))
    for joint in (", Bearer ", ",", " ", ", "):
        yield Attack(
            27,
            f"two tokens in one header, joined with {joint!r}",
            _with(lambda f, joint: Attempt((("Authorization", f"Bearer {f.valid}{joint}{f.valid}"),)), joint),
        )
    for name in ("X-Authorization", "Proxy-Authorization", "X-Amz-Security-Token", "X-Forwarded-Authorization"):
        yield Attack(28, f"the token in {name}", _headers(name))
    for name in ("Authorization", "access_token", "token"):
        yield Attack(
            28,
            f"the token in the cookie {name}",
            _with(lambda f, name: Attempt((("Cookie", f"{name}={f.valid}"),)), name),
        )
        yield Attack(
            28, f"the token in the query as {name}", _with(lambda f, name: Attempt(query=f"{name}={f.valid}"), name)
        )
    for scheme in ("Basic ", "DPoP ", "Bearer\t", "Bearer  ", " Bearer ", "Bearer:", "Bearer", "JWT ", ""):
        yield Attack(
            29,
            f"the scheme {scheme!r}",
            _with(lambda f, scheme: Attempt((("Authorization", f"{scheme}{f.valid}"),)), scheme),
        )
    yield Attack(58, "HEAD without a token", lambda _: Attempt(method="HEAD"))
    yield Attack(58, "OPTIONS without a token", lambda _: Attempt(method="OPTIONS"), 204)
    for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "get"):
        yield Attack(
            58, f"{method} with a valid token", _with(lambda f, method: bearer(f.valid, method=method), method), 405
        )


def _signatures() -> Iterator[Attack]:
    for name in ("none", "None", "NONE", "nOnE", "", None, ["RS256"], "rs256", MISSING):
        shown = "missing" if name is MISSING else repr(name)
        yield Attack(
            3,
            f"alg {shown}, no signature",
            _token(_with(lambda f, n: f.token({"alg": n}).rpartition(".")[0] + ".", name)),
        )
        yield Attack(3, f"alg {shown}, signed with the pool's key", _header(alg=name))
    yield Attack(4, "the signature cut off", _token(lambda f: ".".join((*f.parts[:2], ""))))
    pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
    yield Attack(5, "HS256 with the public key as PEM", _token(lambda f: f.hmac_token(f.public(pem))))
    yield Attack(
        5,
        "HS256 with the public key as PEM, without its line break",
        _token(lambda f: f.hmac_token(f.public(pem).strip())),
    )
    yield Attack(5, "HS256 with the public key as DER", _token(lambda f: f.hmac_token(f.public(der))))
    yield Attack(
        5,
        "HS256 with the modulus",
        _token(lambda f: f.hmac_token(f.key.public_key().public_numbers().n.to_bytes(256, "big"))),
    )
    yield Attack(6, "HS256 with an empty password", _token(lambda f: f.hmac_token(b"")))
    for name in ("RS384", "RS512", "PS256", "ES256"):
        yield Attack(7, f"{name}", _token(_with(lambda f, n: f.other_algorithm(n), name)))
    for part, shown in enumerate(("header", "payload", "signature")):
        yield Attack(15, f"a bit of the {shown} flipped", _flipped(part))
    yield Attack(16, "another sub under the old signature", _token(lambda f: _edited(f, sub=OTHER_SUB)))
    yield Attack(16, "a later exp under the old signature", _token(lambda f: _edited(f, exp=f.now + 99_999)))
    yield Attack(
        17,
        "the signature of another token",
        _token(lambda f: f.with_signature(base64.urlsafe_b64decode(f.token(jti="x").rpartition(".")[2] + "=="))),
    )
    yield Attack(18, "the signature plus the modulus", _number(lambda s, n: s + n))
    yield Attack(18, "the signature 0", _number(lambda _s, _n: 0))
    yield Attack(18, "the signature 1", _number(lambda _s, _n: 1))
    yield Attack(18, "the signature n - 1", _number(lambda _s, n: n - 1))
    yield Attack(18, "the signature n", _number(lambda _s, n: n))
    yield Attack(18, "the negative signature", _number(lambda s, n: n - s))
    yield Attack(18, "a zero byte before the signature", _token(lambda f: f.with_signature(b"\0" + f.signature)))
    yield Attack(18, "a zero byte behind the signature", _token(lambda f: f.with_signature(f.signature + b"\0")))
    yield Attack(18, "a signature without its leading zero byte", _token(_short_signature))
    yield Attack(
        56, "other groups under the old signature", _token(lambda f: _edited(f, **{"cognito:groups": ["admins"]}))
    )


def _key_ids() -> Iterator[Attack]:
    yield Attack(8, "an embedded jwk", _own_key("jwk", lambda f: f.jwk(f.foreign_key)))
    yield Attack(
        9, "jku with the attacker's key set", _own_key("jku", lambda _: "https://attacker.example.com/jwks.json")
    )
    yield Attack(
        9, "x5u with the attacker's certificate", _own_key("x5u", lambda _: "https://attacker.example.com/x.pem")
    )
    yield Attack(
        10,
        "a self-signed x5c",
        _own_key(
            "x5c",
            lambda f: [
                base64.b64encode(
                    f.foreign_key.public_key().public_bytes(
                        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
                    )
                ).decode()
            ],
        ),
    )
    yield Attack(11, "an unknown kid", _header(kid="unknown"))
    kids: tuple[Any, ...] = (
        "../../dev/null",
        "' OR 1=1--",
        "|id",
        "\0",
        "k" * 5_000,
        7,
        None,
        ["access/+=key"],
        {},
        True,
        "",
    )
    for kid in kids:
        yield Attack(12, f"the kid {str(kid)[:20]!r} as {type(kid).__name__}", _header(kid=kid))
    yield Attack(13, "the kid of the key for ID tokens", lambda f: bearer(f.token({"kid": f.id_kid})))
    yield Attack(14, "no kid", _header(kid=MISSING))
    for name in ("alg", "kid"):
        yield Attack(
            37, f"{name} twice, first a wrong one", _raw_header(f'{{"{name}":"x","kid":"<kid>","alg":"RS256"}}')
        )
        yield Attack(
            37, f"{name} twice, last a wrong one", _raw_header(f'{{"kid":"<kid>","alg":"RS256","{name}":"x"}}')
        )
    for depth in (1_500, 10_000):
        yield Attack(38, f"a header nested {depth} deep", _token(_with(_nested, depth)))
    yield Attack(38, "a header of open brackets", _raw_header("[" * 5_000))
    extensions: tuple[Json, ...] = ({"crit": ["exp"]}, {"crit": []}, {"b64": False})
    for extension in extensions:
        yield Attack(46, f"the header parameter {extension}", _header(**extension))
    yield Attack(46, "crit b64 with b64 false", _header(crit=["b64"], b64=False))
    for typ in ("JWE", "JOSE", "id+jwt", 1, ["JWT"]):
        yield Attack(47, f"typ: {typ}", _header(typ=typ))
    yield Attack(47, "cty: JWT", _header(cty="JWT"))


def _times() -> Iterator[Attack]:
    yield Attack(30, "an expired token", lambda f: bearer(f.token(exp=f.now - 3_600)))
    yield Attack(31, "no exp", _claims(exp=MISSING))
    yield Attack(32, "exp five seconds ago, which is the limit", lambda f: bearer(f.token(exp=f.now - 5)))
    yield Attack(32, "exp 0", _claims(exp=0))
    for name in ("nbf", "iat"):
        yield Attack(33, f"{name} in six seconds", _with(_later, name))
        yield Attack(33, f"{name} as text", _claims(**{name: "1"}))
    for value in (
        "true",
        "null",
        "[]",
        "{}",
        "1e400",
        "-1e400",
        "Infinity",
        "-Infinity",
        "NaN",
        '"9999999999"',
        "9999999999.0",
        "9e9",
    ):
        yield Attack(34 if value == "true" else 35, f"exp: {value}", _replaced("exp", value))
    for digits in (400, 4_200, 5_000):
        yield Attack(35, f"exp of {digits} digits", _replaced("exp", "9" * digits))
    yield Attack(36, "exp twice, first a valid one", _inserted("exp", "1"))
    yield Attack(36, "exp twice, last a valid one", _inserted("exp", "1", first=True))


def _encodings() -> Iterator[Attack]:
    for size in (7_000, 75_000):
        yield Attack(39, f"a valid token with a claim of {size} bytes", _claims(filler="x" * size))
    yield Attack(40, "a compressed JWE", _token(_bomb))
    cuts: dict[str, Callable[[Forge], str]] = {
        "two parts": lambda f: ".".join(f.parts[:2]),
        "four parts": lambda f: f"{f.valid}.{f.parts[2]}",
        "a dot before it": lambda f: f".{f.valid}",
        "a dot behind it": lambda f: f"{f.valid}.",
        "two dots": lambda f: f.valid.replace(".", ".."),
        "no header": lambda f: f".{f.parts[1]}.{f.parts[2]}",
        "no payload": lambda f: f"{f.parts[0]}..{f.parts[2]}",
    }
    for name, make in cuts.items():
        yield Attack(41, name, _token(make))
    yield Attack(42, "JSON serialisation", _token(_json_serialisation))
    yield Attack(
        42, "JSON serialisation in front of the token", _token(lambda f: f"{_json_serialisation(f)}.{f.valid}")
    )
    marks: dict[str, Callable[[Forge], str]] = {
        "padding": lambda f: f"{f.valid}==",
        "padding of the header": lambda f: f.valid.replace(".", "=.", 1),
        "plus and slash": _with_standard_alphabet,
        "a space within": lambda f: f"{f.valid[:-9]} {f.valid[-9:]}",
        "a line break within": lambda f: f"{f.valid[:-9]}\n{f.valid[-9:]}",
        "a line break behind it": lambda f: f"{f.valid}\n",
        "a dollar sign within": lambda f: f"{f.valid[:-9]}${f.valid[-9:]}",
        "an Arabic digit": lambda f: f"{f.valid[:-9]}\u0661{f.valid[-9:]}",
        "a full-width letter": lambda f: f"{f.valid[:-9]}\uff21{f.valid[-9:]}",
        "unused bits set": _unused_bits,
        "a lone character behind it": lambda f: f"{f.valid}AAA",
    }
    for name, make in marks.items():
        yield Attack(43, f"base64 with {name}", _token(make))
    for text in ("[]", '"text"', "null", "1", "", "{", "{}"):
        yield Attack(44, f"the payload {text}", _payload(text))
    yield Attack(
        45,
        "a payload that isn't UTF-8",
        lambda f: _payload(json.dumps(f.claims(username="#")).encode().replace(b"#", b"\xff"))(f),
    )
    yield Attack(45, "a payload in UTF-16", lambda f: _payload(json.dumps(f.claims()).encode("utf-16"))(f))
    yield Attack(45, "a byte order mark", lambda f: _payload(b"\xef\xbb\xbf" + json.dumps(f.claims()).encode())(f))
    yield Attack(45, "a lone surrogate", _replaced("username", '"\\ud800"'))
    yield Attack(45, "a lone surrogate as a name", _inserted("\\uD800", "1"))


def _claim_values() -> Iterator[Attack]:
    yield Attack(48, "an ID token", _token(_id_token))
    for value in (MISSING, ["access"], "ACCESS", "id", "", True, None):
        yield Attack(49, f"token_use {'missing' if value is MISSING else value!r}", _claims(token_use=value))
    yield Attack(50, "another client of the pool", _claims(client_id="another-client"))
    yield Attack(51, "no client_id", _claims(client_id=MISSING))
    yield Attack(51, "client_id as a list", lambda f: bearer(f.token(client_id=[f.client_id])))
    yield Attack(51, "aud in place of client_id", lambda f: bearer(f.token(client_id=MISSING, aud=f.client_id)))
    yield Attack(51, "client_id in upper case", lambda f: bearer(f.token(client_id=f.client_id.upper())))
    yield Attack(
        52,
        "another pool of the Region, with its key",
        lambda f: bearer(
            f.sign(
                json.dumps({"alg": "RS256", "kid": f.kid}).encode(),
                json.dumps(f.claims(iss=f.issuer[:-3] + "999")).encode(),
                f.foreign_key,
            )
        ),
    )
    changes: dict[str, Callable[[str], Any]] = {
        "a slash behind it": lambda i: f"{i}/",
        "upper case": lambda i: i.upper(),
        "http": lambda i: i.replace("https", "http"),
        "a letter behind it": lambda i: f"{i}d",
        "userinfo": lambda i: i.replace("https://", "https://x@"),
        "another host": lambda i: i.replace("https://", "https://attacker.example.com/"),
        "a space before it": lambda i: f" {i}",
        "a list": lambda i: [i],
        "null": lambda _: None,
        "nothing": lambda _: MISSING,
    }
    for name, change in changes.items():
        yield Attack(53, f"iss with {name}", _with(lambda f, c: bearer(f.token(iss=c(f.issuer))), change))
    for scope in (
        "demo/readonly",
        "demo/reader",
        "xdemo/read",
        "other/read",
        "demo/write",
        "",
        "demo/read,openid",
        "DEMO/READ",
        "demo/read\topenid",
    ):
        yield Attack(54, f"the scope {scope!r}", _claims(scope=scope), 403)
    for value in (MISSING, None, ["demo/read"], {"demo/read": True}, True):
        yield Attack(54, f"the scope {'missing' if value is MISSING else value!r}", _claims(scope=value), 403)
    for sub in (MISSING, "../other", "a/b", "%2e%2e", "", "s" * 300, None, [SUB], f"{SUB}\n", "a b", ".", "é"):
        yield Attack(55, f"the sub {'missing' if sub is MISSING else str(sub)[:20]!r}", _owner_claims(sub=sub))


def _paths() -> Iterator[Attack]:
    paths = (
        f"/documents/profiles/{OTHER_SUB}/p-1",
        f"/documents/profiles/{SUB}/p-1",
        "/documents/profiles/../profiles/p-1",
        f"/documents/profiles/../{OTHER_SUB}/p-1",
        f"/documents/profiles/..%2F{OTHER_SUB}%2Fp-1",
        f"/documents/profiles/%2e%2e%2f{OTHER_SUB}%2fp-1",
        f"/documents/profiles/%2E%2E/{OTHER_SUB}",
        f"/documents/profiles/{OTHER_SUB}%2Fp-1",
        f"/documents/profiles/{OTHER_SUB}\\p-1",
        f"/documents/profiles/{OTHER_SUB}%5Cp-1",
        "/documents//profiles/p-1",
        "//documents/profiles/p-1",
        "/documents/profiles//p-1",
        "/documents/profiles/p-1/",
        "/documents/profiles/p-1%00",
        "/documents/profiles/p-1%00.json",
        "/documents/profiles/p-1;x=1",
        "/documents/profiles/p-1%3Fx",
        "/documents/profiles/p-1\n",
        "/documents/profiles/.",
        "/documents/profiles/..",
        "/documents/profiles/",
        "/documents/profiles",
        "/documents/Profiles/p-1",
        "/documents/profiles%2Fp-1",
        "/documents/profile%73/p-1",
        "/documents/orders/../profiles/p-1",
        "/documents/orders/..",
        "/documents/orders/%2e%2e/x",
        "/documents/orders/-x",
        "/documents/orders/" + "x" * 257,
        "/documents/orders/é",
        "/documents/undeclared/x",
        "/documents/products/x",
        "/documents/sources/unknown",
        "/documents/sources/erp/x",
        "/documents/sources",
        "/v1/documents/orders/o-1",
        "documents/orders/o-1",
        "https://example.com/documents/orders/o-1",
        "/",
        "",
        "*",
    )
    for path in paths:
        yield Attack(57, f"the path {path[:60]!r} with a valid token", _path(path), 404)
    for path in (
        "/authenticated/documents/orders/o-1",
        f"/owner/documents/profiles/{OTHER_SUB}/p-1",
        "/public/documents/products/x",
    ):
        yield Attack(
            59,
            f"{path.split('/')[1]}, the prefix in S3, without a token",
            _with(lambda _, path: Attempt(path=path), path),
        )
        yield Attack(59, f"{path.split('/')[1]}, the prefix in S3, with a valid token", _path(path), 404)


ATTACKS = tuple(_rows())
"""Every attack that takes one request. A number has several rows if the attack has variants."""
