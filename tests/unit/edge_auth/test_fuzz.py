"""Compare the verifier with PyJWT, an independent one, on 2,000 altered tokens. A difference is a failure."""

import base64
import json
import random
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from readplane.edge_auth.keys import parse_key_set
from readplane.edge_auth.token import MAX_TOKEN_BYTES, Pool, TokenError, verify_token
from tests.fakes.token_attacks import CLIENT_ID, ISSUER, MISSING, SCOPE, Forge, encode
from tests.unit.edge_auth.support import NOW

SEEDS = 2_000
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
ODD = "=+/. \n%\u0661"


def ours(token: str, forge: Forge) -> bool:
    keys = parse_key_set(forge.key_set())
    try:
        verify_token(token, {ISSUER: Pool({CLIENT_ID}, keys.get)}, {SCOPE}, NOW)
    except TokenError:
        return False
    return True


def theirs(token: str, keys: dict[str, RSAPublicKey]) -> bool:
    """Return PyJWT's verdict, with the rules of an access token and with RFC 7515's only form of base64url.

    PyJWT takes a signature with foreign characters, padding and unused bits, and times of other types or before 1970.
    """
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        claims = jwt.decode(
            token,
            keys.get(str(kid), next(iter(keys.values()))),
            algorithms=["RS256"],
            issuer=ISSUER,
            leeway=5,
            options={"require": ["exp"], "verify_aud": False, "verify_sub": False, "verify_jti": False},
        )
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
        return False
    parts = token.split(".")
    canonical = all(encode(base64.urlsafe_b64decode(part + "==")) == part for part in parts)
    times = [claims[name] for name in ("exp", "iat", "nbf") if name in claims]
    typed = all(type(time) is int and time >= 0 for time in times)
    accepted: bool = (
        canonical
        and typed
        and kid in keys
        and len(token) <= MAX_TOKEN_BYTES
        and claims.get("token_use") == "access"
        and claims.get("client_id") == CLIENT_ID
        and SCOPE in str(claims.get("scope", "")).split(" ")
    )
    return accepted


def altered(forge: Forge, seed: int) -> str:
    """Return a token: signed anew with other claims or headers, or altered after it was signed."""
    generator = random.Random(seed)
    if seed % 2:
        return _signed_anew(forge, generator)
    token = forge.valid
    for _ in range(generator.choice((1, 1, 1, 2, 5))):
        place = generator.randrange(len(token))
        replaced = generator.choice((ALPHABET, ALPHABET, ALPHABET, ODD))
        character = generator.choice(replaced)
        match generator.randrange(6):
            case 0:
                token = token[:place] + token[place + 1 :]
            case 1:
                token = token[:place] + character + token[place:]
            case 2:
                token = token[:place] + token[place + generator.randrange(1, 20) :]
            case 3:
                token = generator.choice((token + character, character + token, token + "==", token[:-1] + character))
            case _:
                token = token[:place] + character + token[place + 1 :]
    return token


VALUES: tuple[Any, ...] = (MISSING, None, True, False, 0, 1, -1, 1.5, "", "x", [], ["x"], {}, {"x": 1}, "1795000100")


def _signed_anew(forge: Forge, generator: random.Random) -> str:
    header: dict[str, Any] = {}
    claims: dict[str, Any] = {}
    for _ in range(generator.choice((0, 1, 1, 2))):
        name = generator.choice(("exp", "iat", "nbf", "iss", "client_id", "token_use", "scope", "auth_time", "sub"))
        if name in ("exp", "iat", "nbf") and generator.random() < 0.8:
            claims[name] = NOW + generator.choice((-9_999, -6, -5, -4, -1, 0, 1, 4, 5, 6, 9_999))
        elif name == "scope" and generator.random() < 0.7:
            claims[name] = generator.choice((SCOPE, f"openid {SCOPE}", f"{SCOPE}x", f"x{SCOPE}", f"{SCOPE} a"))
        elif name == "iss" and generator.random() < 0.7:
            claims[name] = generator.choice((ISSUER, f"{ISSUER}/", ISSUER.upper(), ISSUER[:-1]))
        else:
            claims[name] = generator.choice(VALUES)
    if "sub" in claims and claims["sub"] is not MISSING and not isinstance(claims["sub"], str):
        del claims["sub"]  # the path's rules judge the sub, not the token's
    if generator.random() < 0.3:
        kids = (forge.kid, forge.id_kid, "unknown", MISSING)
        header = generator.choice(
            tuple({"kid": kid} for kid in kids) + tuple({"alg": alg} for alg in ("RS384", "none", "HS256", "RS256"))
        )
    return forge.token(header, **claims)


def test_two_thousand_altered_tokens_have_the_same_verdict_as_with_pyjwt(forge: Forge, monkeypatch: Any) -> None:
    class Now(jwt.api_jwt.datetime):  # type: ignore[misc,name-defined]
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls.fromtimestamp(NOW, tz)

    monkeypatch.setattr(jwt.api_jwt, "datetime", Now)
    keys = {forge.kid: forge.key.public_key(), forge.id_kid: forge.id_key.public_key()}
    accepted = 0
    for seed in range(SEEDS):
        token = altered(forge, seed)
        verdict = ours(token, forge)
        assert verdict == theirs(token, keys), (seed, token)
        accepted += verdict
    assert SEEDS * 0.1 < accepted < SEEDS * 0.9, f"the comparison needs both verdicts, and {accepted} were accepted"


def test_the_comparison_notices_a_verifier_that_skips_a_rule(forge: Forge) -> None:
    """Each of these tokens breaks one rule, and PyJWT with the rules above refuses it."""
    keys = {forge.kid: forge.key.public_key()}
    tokens = [forge.token(exp=1), forge.token(iss="x"), forge.token(scope="x"), forge.valid + "==", "a.b.c"]
    assert not any(theirs(token, keys) for token in tokens)
    assert json.loads(base64.urlsafe_b64decode(forge.parts[0] + "=="))["alg"] == "RS256"
