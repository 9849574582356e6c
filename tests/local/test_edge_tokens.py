"""Tests that the attacks of tests/fakes/token_attacks.py fail at the applied edge and at the API, reported apart.

The tokens are signed with the keys of the stack's own pool, so only what is wrong with each token can make it fail. The
edge has the document in its cache, where a request that passes by mistake would find it.
"""

import base64
import dataclasses
import socket
import time
import urllib.parse
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import pytest

from tests.fakes.token_attacks import ATTACKS, OTHER_SUB, OWNER, SHARED, SUB, Attack, Attempt, Json
from tests.local import edge_world
from tests.local.edge_world import Caller, Deployed, PoolForge, World
from tests.local.support import Local, eventually

OWN_PAGES = {403, 405, 414, 494}
"""The statuses with which CloudFront itself refuses a request before a function runs, with an HTML page."""

ITEM = "attacked"
SECRETS = {"notices": "secret-of-a-notice", "alice": "secret-of-alice", "bob": "secret-of-bob"}

EMULATOR_ACCEPTS = {
    "3 alg '', signed with the pool's key",
    "3 alg 'NONE', signed with the pool's key",
    "3 alg 'None', signed with the pool's key",
    "3 alg 'nOnE', signed with the pool's key",
    "3 alg 'none', signed with the pool's key",
    "3 alg 'rs256', signed with the pool's key",
    "3 alg None, signed with the pool's key",
    "3 alg ['RS256'], signed with the pool's key",
    "3 alg missing, signed with the pool's key",
    "29 the scheme ''",
    "29 the scheme 'Bearer  '",
    "31 no exp",
    "33 iat as text",
    "33 nbf as text",
    "35 exp of 400 digits",
    "35 exp of 4200 digits",
    '35 exp: "9999999999"',
    "35 exp: 9999999999.0",
    "35 exp: 9e9",
    "36 exp twice, last a valid one",
    "37 alg twice, first a wrong one",
    "37 alg twice, last a wrong one",
    "37 kid twice, first a wrong one",
    "39 a valid token with a claim of 7000 bytes",
    "43 base64 with padding",
    "43 base64 with plus and slash",
    "43 base64 with unused bits set",
    "45 a byte order mark",
    "45 a lone surrogate",
    "45 a lone surrogate as a name",
    "45 a payload in UTF-16",
    "46 crit b64 with b64 false",
    "46 the header parameter {'b64': False}",
    "46 the header parameter {'crit': ['exp']}",
    "46 the header parameter {'crit': []}",
    "47 cty: JWT",
    "47 typ: 1",
    "47 typ: JOSE",
    "47 typ: JWE",
    "47 typ: ['JWT']",
    "47 typ: id+jwt",
    "57 the path '//documents/profiles/p-1' with a valid token",
    "57 the path '/documents//profiles/p-1' with a valid token",
    "57 the path '/documents/profiles//p-1' with a valid token",
    "57 the path '/documents/profiles/p-1/' with a valid token",
}
"""The attacks that the authorizer of the emulator's API Gateway lets pass. They say nothing about AWS.

Each of these tokens has a signature of the pool's own key, so nobody but the pool can make one, or the path opens the
caller's own document. A token whose signature is wrong isn't among them.
"""


class StackForge(PoolForge):
    """Makes the tokens of the attacks for the stack's own pool, and for one of its users."""

    def __init__(self, stack: Local, sub: str) -> None:
        super().__init__(stack)
        self._sub, self._name = sub, stack.outputs.name

    def claims(self, **changes: Any) -> Json:
        return super().claims(**{"sub": self._sub, **changes})

    def token(self, header: Any = None, **changes: Any) -> str:
        if isinstance(changes.get("scope"), str):
            for name in ("demo", "DEMO"):
                own = self._name if name == "demo" else self._name.upper()
                changes["scope"] = changes["scope"].replace(f"{name}/", f"{own}/")
        return super().token(header, **changes)

    @cached_property
    def others(self) -> dict[str, str]:
        """What the attacks' paths name -> what the stack has instead."""
        return {SUB: self._sub, "/orders/": "/notices/", "/products/": "/countries/", "/erp": "/languages"}

    def attempt(self, attack: Attack, item: str, other_sub: str) -> Attempt:
        """Return the request of an attack on an item of the stack, made at this moment."""
        self.now = int(time.time())
        attempt = attack.attempt(self)
        path = attempt.path
        for name, own in {**self.others, OTHER_SUB: other_sub, "o-1": item, "p-1": item}.items():
            path = path.replace(name, own)
        return attempt._replace(path=path)


def is_about_paths(attack: Attack) -> bool:
    """Whether an attack sends a valid token, with a path that must not open anything."""
    return attack.number in (57, 58, 59)


# At the edge


def test_no_attack_opens_a_document_that_is_in_the_cache_of_the_edge(stack: Local, deployed: Deployed) -> None:
    users = edge_world.users_of(PoolForge(stack))
    forge = StackForge(stack, str(users[0].sub))
    world = World(deployed, users)
    shared, owned = (path.replace("orders/o-1", "notices/item-1").replace("p-1", "item-1") for path in (SHARED, OWNER))
    valid = Caller("the user", users[0].sub, (("authorization", f"Bearer {forge.valid}"),))
    assert world.ask(valid, shared).response.status == world.ask(valid, owned).response.status == 200
    wrong = []
    for attack in ATTACKS:
        attempt = forge.attempt(attack, "item-1", str(users[1].sub))
        caller = Caller("the attacker", users[0].sub if is_about_paths(attack) else None, attempt.headers)
        target = attempt.path + (f"?{attempt.query}" if attempt.query else "")
        if target.startswith("/v1/") or target == "/":
            continue  # these paths are the API's and the web client's, and the token is valid
        asked = world.ask(caller, target, attempt.method)
        own_page = b"Generated by cloudfront" in asked.response.body
        expected = OWN_PAGES if own_page else {attack.status if target.startswith("/documents/") else 404}
        if "/profiles/" not in target and attack.number == 59:
            expected = {404}  # the default behaviour has nothing there, with a token and without
        words = edge_world.words_of(asked.response)
        if asked.response.status not in expected or words or asked.faults:
            wrong.append((attack.number, attack.name, target[:80], asked.response.status, asked.faults))
        # The document is still there, and the valid token still opens it.
        assert world.ask(valid, shared).result == "Hit"
    assert wrong == []


def test_only_a_valid_token_opens_a_hit(stack: Local, deployed: Deployed) -> None:
    users = edge_world.users_of(PoolForge(stack))
    forge = StackForge(stack, str(users[0].sub))
    world = World(deployed, users)
    path = "/documents/notices/item-1"
    for _ in range(2):
        assert world.ask(users[0], path).response.status == 200
        expired = Caller("expired", None, (("authorization", f"Bearer {forge.token(exp=forge.now - 60)}"),))
        refused = world.ask(expired, path)
        assert (refused.response.status, refused.result) == (401, "LambdaGeneratedResponse")
        assert refused.response.header("www-authenticate") == (
            'Bearer error="invalid_token", error_description="The access token has expired."'
        )
        assert world.ask(users[1], path).result == "Hit"
    assert world.edge.fetches["documents-authenticated-primary"] == 1


# Over HTTP, at the stand-in in front of the emulator's buckets, and at the API


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a server says to an attack."""

    status: int
    text: str


@pytest.fixture(scope="module")
def documents(stack: Local) -> Iterator[Local]:
    """Publish the documents that the attacks are after."""
    assert stack.api(stack.eve)("PUT", f"/items/notices/{ITEM}", {"title": SECRETS["notices"]}).status_code == 202
    for name, user in (("alice", stack.alice), ("bob", stack.bob)):
        body = {"display_name": SECRETS[name]}
        assert stack.api(user)("PUT", f"/items/profiles/{ITEM}", body).status_code == 202
    for user, path in ((stack.alice, f"/documents/notices/{ITEM}"), (stack.bob, f"/documents/profiles/{ITEM}")):
        reader = stack.api(user)
        eventually(lambda reader=reader, path=path: reader("GET", path).status_code == 200, within=60)  # type: ignore[misc]
    yield stack
    stack.api(stack.eve)("DELETE", f"/items/notices/{ITEM}")
    for user in (stack.alice, stack.bob):
        stack.api(user)("DELETE", f"/items/profiles/{ITEM}")


def send(url: str, attempt: Attempt) -> Answer | None:
    """Send a request exactly as it is. Return ``None`` if HTTP/1.1 has no way to write it.

    Spaces around a header's value don't belong to the value (RFC 9110, 5.5), so such a value can't be sent either. The
    emulator's server turns a method in lower case into upper case before anything sees it.
    """
    address = urllib.parse.urlsplit(url)
    target = address.path + attempt.path + (f"?{attempt.query}" if attempt.query else "")
    lines = [f"{name}: {value}" for name, value in attempt.headers]
    values = [value for _, value in attempt.headers]
    if (
        attempt.method.islower()
        or any(not " " < character < "\x7f" for character in target)
        or any("\n" in value or "\0" in value or value != value.strip(" \t") for value in values)
    ):
        return None
    head = "\r\n".join([f"{attempt.method} {target} HTTP/1.1", f"Host: {address.netloc}", "Connection: close", *lines])
    with socket.create_connection((str(address.hostname), address.port or 80), timeout=30) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n")
        received = b""
        try:
            while block := connection.recv(1 << 16):
                received += block
        except ConnectionResetError:  # the server closes on a request that is too long
            pass
    status = received.split(b" ", 2)[1] if received else b"0"
    return Answer(int(status), received.decode("utf-8", "replace"))


def opens(answer: Answer) -> bool:
    """Whether a server has sent a document, or has said that the caller's copy is current."""
    return answer.status in (200, 206, 304) or any(secret in answer.text for secret in SECRETS.values())


def test_no_attack_over_http_opens_a_document_at_the_edge(documents: Local) -> None:
    url = str(documents.outputs.edge_url)
    forge = StackForge(documents, documents.alice.sub)
    valid = Attempt((("Authorization", f"Bearer {forge.valid}"),), f"/documents/notices/{ITEM}")
    for _ in range(2):
        good = send(url, valid)
        assert good is not None and good.status == 200 and SECRETS["notices"] in good.text
    assert good is not None and "x-cache: Hit" in good.text, "the document is in the cache"
    sent, opened = 0, []
    for attack in ATTACKS:
        attempt = forge.attempt(attack, ITEM, documents.bob.sub)
        answer = send(url, attempt)
        if answer is None or attempt.path == "/" or attempt.path.startswith("/v1/"):
            continue
        sent += 1
        opened += [(attack.number, attack.name, answer.status)] if opens(answer) else []
    print(f"At the edge: {sent - len(opened)} of {sent} attacks refused.")
    assert sent > 200 and opened == []


def test_the_api_refuses_every_attack_that_the_emulator_can_refuse(documents: Local) -> None:
    forge = StackForge(documents, documents.alice.sub)
    url = f"{documents.outputs.api_url}/v1"
    good = send(url, Attempt((("Authorization", f"Bearer {forge.valid}"),), f"/documents/notices/{ITEM}"))
    assert good is not None and good.status == 200 and SECRETS["notices"] in good.text, "the forge's tokens are right"
    opened, sent = {}, 0
    for attack in ATTACKS:
        answer = send(url, forge.attempt(attack, ITEM, documents.bob.sub))
        if answer is None:
            continue
        sent += 1
        assert SECRETS["bob"] not in answer.text, f"{attack.number} {attack.name} opens another owner's document"
        if opens(answer):
            opened[f"{attack.number} {attack.name}"] = answer.status
    print(f"At the API: {sent - len(opened)} of {sent} attacks refused. The emulator accepts: {sorted(opened)}")
    assert sent > 200
    assert set(opened) - EMULATOR_ACCEPTS == set(), "the emulator's authorizer accepts more than it used to"


def test_the_attacks_are_forged_with_the_keys_of_the_pool(stack: Local) -> None:
    forge = StackForge(stack, stack.alice.sub)
    own = base64.urlsafe_b64decode(stack.alice.access_token.split(".")[0] + "==")
    assert forge.kid in own.decode()
