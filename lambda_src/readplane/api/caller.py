"""Finds out which user a Cognito access token names, and whether this user may write to a collection."""

import re
from collections.abc import Collection as Container
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from ..model.collection import Collection, is_owner
from .problem import ProblemError

_GROUP_SEPARATOR = re.compile(r"[\s,\[\]]+")


class Caller(NamedTuple):
    """The signed-in user who sent a request.

    :param sub: the subject of the access token, which is the user's id and the ``owner`` of the user's items.
    :param groups: the user's Cognito groups, from the access token.
    """

    sub: str
    groups: frozenset[str]


def caller_from_claims(claims: Mapping[str, object], client_ids: Container[str]) -> Caller:
    """Return the user whom the claims of an access token name.

    API Gateway's authorizer has checked the token's signature, issuer, expiry and scope. It doesn't check which client
    the token was issued to, or whether ``sub`` is a valid owner, which becomes part of an item's key. This function
    checks both.

    The status is 403 and not 401, because RFC 9110 requires the header ``WWW-Authenticate`` with a 401, and a function
    can't send this header: API Gateway renames it to ``x-amzn-Remapped-WWW-Authenticate``.

    :param client_ids: the Cognito clients whose access tokens are accepted.
    :raises ProblemError: 403 unless the token is an access token that names a user and one of ``client_ids``.
    """
    sub = claims.get("sub")
    if claims.get("token_use") != "access" or claims.get("client_id") not in client_ids:
        raise ProblemError(HTTPStatus.FORBIDDEN, "An access token of one of this API's clients is needed.")
    if not isinstance(sub, str) or not is_owner(sub):
        raise ProblemError(HTTPStatus.FORBIDDEN, "The access token names no user.")
    return Caller(sub, groups_from_claim(claims.get("cognito:groups")))


def groups_from_claim(claim: object) -> frozenset[str]:
    """Return the groups in the claim ``cognito:groups`` of an access token.

    API Gateway passes two groups as the text ``a,b``, as the text ``[a b]`` or as a list. Terraform only allows group
    names that match ``^[A-Za-z0-9_-]{1,64}$``, so no name contains a comma, a space or a bracket.
    This function can therefore split the text at these characters.
    """
    if isinstance(claim, str):
        return frozenset(filter(None, _GROUP_SEPARATOR.split(claim)))
    if isinstance(claim, list):
        return frozenset(name for name in claim if isinstance(name, str))
    return frozenset()


def check_may_write(caller: Caller, collection: Collection) -> None:
    """Check that a caller may write to a collection.

    Every caller may write to an owner collection, because every caller writes only their own items there. Only members
    of a collection's write groups may write to any other collection.

    :raises ProblemError: 403 if the caller may not write to the collection.
    """
    if not collection.owned and caller.groups.isdisjoint(collection.write_groups):
        raise ProblemError(HTTPStatus.FORBIDDEN, f"Only members of its write groups may write to {collection.name}.")
