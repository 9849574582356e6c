"""Callers: who asks, as the claims of a Cognito access token say, and what they may write."""

import re
from collections.abc import Collection as Container
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from ..model.collection import Collection, is_owner
from .problem import ProblemError

_BETWEEN_GROUPS = re.compile(r"[\s,\[\]]+")


class Caller(NamedTuple):
    """A signed-in user: the token's subject and the groups it names."""

    sub: str
    groups: frozenset[str]


def caller_from_claims(claims: Mapping[str, object], client_ids: Container[str]) -> Caller:
    """Read the claims that API Gateway's authorizer verified.

    The authorizer checks signature, issuer, expiry and scope, but neither which client the token was made for nor that
    ``sub`` is fit for a key, so both are checked here.

    :raises Problem: 401 for no access token of one of this stack's clients.
    """
    sub = claims.get("sub")
    if claims.get("token_use") != "access" or claims.get("client_id") not in client_ids:
        raise _unauthorized("An access token of one of this API's clients is needed.")
    if not isinstance(sub, str) or not is_owner(sub):
        raise _unauthorized("The access token names no user.")
    return Caller(sub, groups_from_claim(claims.get("cognito:groups")))


def groups_from_claim(claim: object) -> frozenset[str]:
    """The groups of a ``cognito:groups`` claim, which arrives as ``a,b``, ``[a b]`` or a list.

    Group names match ``^[A-Za-z0-9_-]{1,64}$`` (a Terraform validation), so neither separator can be part of one.
    """
    if isinstance(claim, str):
        return frozenset(filter(None, _BETWEEN_GROUPS.split(claim)))
    if isinstance(claim, list):
        return frozenset(name for name in claim if isinstance(name, str))
    return frozenset()


def check_may_write(caller: Caller, collection: Collection) -> None:
    """Owner collections are written by anybody for themselves, all others by members of the collection's groups.

    :raises Problem: 403.
    """
    if not collection.owned and caller.groups.isdisjoint(collection.write_groups):
        raise ProblemError(HTTPStatus.FORBIDDEN, f"Only members of its write groups may write to {collection.name}.")


def _unauthorized(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"})
