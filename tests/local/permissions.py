"""Helpers that list the IAM permissions of the stack's roles, and that remove some permissions during a test."""

import copy
import json
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from tests.local.support import Local

BOTH = (False, True)
"""Both Regions. False stands for the primary Region, and True for the replica Region."""


def actions(stack: Local, *, replica: bool = False) -> dict[tuple[str, str, str], tuple[str, str]]:
    """Return every permission of the stack's roles in one Region, with the IAM policy that grants it.

    :returns: each key is a permission: the role's name without its prefix, and without the random end that a function
        of the edge has in its name; the statement's Sid; and the action. Each value is the role's full name and the
        policy's name.
    """
    iam = stack.root().client("iam")
    prefix = f"{stack.outputs.name}-{stack.outputs.replica_region if replica else stack.outputs.region}-"
    places: dict[tuple[str, str, str], tuple[str, str]] = {}
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        if name.startswith(prefix):
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
                document: Any = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
                for statement in document["Statement"]:
                    for action in _as_list(statement["Action"]):
                        role_name = re.sub("-[0-9a-f]{8}$", "", name.removeprefix(prefix))
                        places[role_name, statement["Sid"], action] = (name, policy)
    return places


@contextmanager
def without(
    stack: Local, role: str, sid: str, removed: Collection[str], *, replicas: Collection[bool] = BOTH
) -> Iterator[None]:
    """Remove some actions from one IAM statement of a role until the ``with`` block ends.

    :param role: the role's name without its prefix.
    :param sid: the statement's Sid.
    :param removed: the actions to remove.
    :param replicas: the Regions in which to remove them. False stands for the primary Region, True for the replica.
    """
    iam = stack.root().client("iam")
    originals: list[tuple[str, str, Any]] = []
    for replica in replicas:
        (place,) = {
            place
            for (a_role, a_sid, action), place in actions(stack, replica=replica).items()
            if (a_role, a_sid) == (role, sid) and action in removed
        }
        originals.append((*place, iam.get_role_policy(RoleName=place[0], PolicyName=place[1])["PolicyDocument"]))
    try:
        for name, policy, document in originals:
            reduced = _without_actions(document, sid, removed)
            if reduced["Statement"]:
                iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(reduced))
            else:  # IAM takes no policy without statements
                iam.delete_role_policy(RoleName=name, PolicyName=policy)
        yield
    finally:
        for name, policy, document in originals:
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))


def _without_actions(document: Any, sid: str, removed: Collection[str]) -> Any:
    reduced = copy.deepcopy(document)
    for statement in reduced["Statement"]:
        if statement["Sid"] == sid:
            statement["Action"] = [action for action in _as_list(statement["Action"]) if action not in removed]
    reduced["Statement"] = [statement for statement in reduced["Statement"] if statement["Action"]]
    assert reduced != document
    return reduced


def _as_list(actions: str | list[str]) -> list[str]:
    return [actions] if isinstance(actions, str) else actions
