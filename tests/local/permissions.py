"""What the stack's roles may do, and the stack as it would be without a part of that."""

import copy
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from tests.local.support import Local

BOTH = (False, True)
"""The primary Region and the replica."""


def actions(stack: Local, *, replica: bool = False) -> dict[tuple[str, str, str], tuple[str, str]]:
    """(role without its prefix, Sid, action) -> (role, policy) of one Region's roles."""
    iam = stack.root().client("iam")
    prefix = f"{stack.outputs.name}-{stack.outputs.replica_region if replica else stack.outputs.region}-"
    found: dict[tuple[str, str, str], tuple[str, str]] = {}
    for role in iam.list_roles()["Roles"]:
        full = role["RoleName"]
        if full.startswith(prefix):
            for policy in iam.list_role_policies(RoleName=full)["PolicyNames"]:
                document: Any = iam.get_role_policy(RoleName=full, PolicyName=policy)["PolicyDocument"]
                for statement in document["Statement"]:
                    for action in _listed(statement["Action"]):
                        found[full.removeprefix(prefix), statement["Sid"], action] = (full, policy)
    return found


@contextmanager
def without(
    stack: Local, role: str, sid: str, taken: Collection[str], *, replicas: Collection[bool] = BOTH
) -> Iterator[None]:
    """The stack as it would be without some actions of a statement, in these Regions."""
    iam = stack.root().client("iam")
    whole: list[tuple[str, str, Any]] = []
    for replica in replicas:
        (place,) = {
            place
            for (a_role, a_sid, action), place in actions(stack, replica=replica).items()
            if (a_role, a_sid) == (role, sid) and action in taken
        }
        whole.append((*place, iam.get_role_policy(RoleName=place[0], PolicyName=place[1])["PolicyDocument"]))
    try:
        for full, policy, document in whole:
            iam.put_role_policy(
                RoleName=full, PolicyName=policy, PolicyDocument=json.dumps(_less(document, sid, taken))
            )
        yield
    finally:
        for full, policy, document in whole:
            iam.put_role_policy(RoleName=full, PolicyName=policy, PolicyDocument=json.dumps(document))


def _less(document: Any, sid: str, taken: Collection[str]) -> Any:
    less = copy.deepcopy(document)
    for statement in less["Statement"]:
        if statement["Sid"] == sid:
            statement["Action"] = [action for action in _listed(statement["Action"]) if action not in taken]
    less["Statement"] = [statement for statement in less["Statement"] if statement["Action"]]
    assert less != document
    assert less["Statement"], "a policy without statements can't be put"
    return less


def _listed(named: str | list[str]) -> list[str]:
    return [named] if isinstance(named, str) else named
