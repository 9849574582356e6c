"""Test the verifier of tokens with the vectors of Wycheproof. Every vector has a result that the verifier must give."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from readplane.edge_auth.keys import KeySetError, parse_key_set
from readplane.edge_auth.token import RsaKey, TokenError, is_signed, make_key, parse_jws
from tests.fakes.token_attacks import encode

FOLDER = Path(__file__).parent / "wycheproof"
OURS = "RS256"

Vector = tuple[dict[str, Any], dict[str, Any]]
"""A vector, and the group that it belongs to."""


def vectors(name: str) -> list[Vector]:
    document = json.loads((FOLDER / f"{name}.json").read_text())
    found = [(vector, group) for group in document["testGroups"] for vector in group["tests"]]
    assert len(found) == document["numberOfTests"]
    return found


def accepts(token: str, key_set: dict[str, Any]) -> bool:
    """Return whether a token is signed with a key of a key set, as `verify_token` decides it."""
    try:
        jws = parse_jws(token)
        key = parse_key_set(json.dumps(key_set).encode()).get(jws.kid)
    except (TokenError, KeySetError):
        return False
    return key is not None and is_signed(key, jws.message, jws.signature)


def test_every_pkcs1_vector_has_its_result() -> None:
    results: Counter[tuple[str, bool]] = Counter()
    for vector, group in vectors("rsa_signature_2048_sha256_test"):
        public = group["publicKey"]
        modulus, exponent = (int(public[name], 16) for name in ("modulus", "publicExponent"))
        key = RsaKey(modulus, exponent)
        accepted = is_signed(key, bytes.fromhex(vector["msg"]), bytes.fromhex(vector["sig"]))
        # The only "acceptable" vector lacks the NULL of the algorithm. RFC 8017 lets a verifier refuse it.
        assert accepted == (vector["result"] == "valid"), vector
        results[vector["result"], accepted] += 1
    assert results == {("valid", True): 9, ("invalid", False): 249, ("acceptable", False): 1}


def test_every_jws_vector_of_our_algorithm_has_its_result_and_every_other_one_is_refused() -> None:
    """No vector is left out. Those of other algorithms are invalid here, whatever Wycheproof says.

    The keys of two groups don't state their use. A key set's key must, so the test adds it: test_keys.py has the rule.
    """
    results: Counter[tuple[str, str, bool]] = Counter()
    for vector, group in vectors("json_web_signature_test"):
        key = group.get("public") or group["private"]
        ours = key["alg"] == OURS if "alg" in key else False
        stated = key if "use" in key or not ours else key | {"use": "sig"}
        token = vector["jws"] if isinstance(vector["jws"], str) else json.dumps(vector["jws"])
        accepted = accepts(token, {"keys": [stated | {"kid": key.get("kid", "none")}]})
        assert accepted == (ours and vector["result"] == "valid"), (vector, group["comment"])
        results["ours" if ours else "another algorithm", vector["result"], accepted] += 1
    assert results["ours", "valid", True] == 8
    assert sum(results.values()) == 401
    refused = {name: number for name, number in results.items() if name[0] != "ours"}
    assert all(not accepted for _, _, accepted in refused) and refused["another algorithm", "valid", False] == 38


@pytest.mark.parametrize("name", ["json_web_key_test"])
def test_every_key_set_vector_has_its_result(name: str) -> None:
    accepted = set()
    for vector, group in vectors(name):
        if accepts(vector["jws"], group.get("public") or group["private"]):
            accepted.add(vector["tcId"])
            assert vector["result"] == "valid", vector
    # The other four valid vectors are signed with HMAC, which a public key set can't have.
    assert accepted == {5}
    others = [(v, g) for v, g in vectors(name) if v["result"] == "valid" and v["tcId"] != 5]
    assert all(key["kty"] == "oct" for _, group in others for key in group["private"]["keys"]) and len(others) == 4


def test_the_keys_of_the_pkcs1_vectors_are_fit_for_use() -> None:
    """Otherwise the vectors would test a verifier that no key reaches."""
    for _, group in vectors("rsa_signature_2048_sha256_test"):
        public = group["publicKey"]
        n, e = (int(public[name], 16) for name in ("modulus", "publicExponent"))
        texts = (encode(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (n, e))
        assert make_key(*texts) == RsaKey(n, e)
