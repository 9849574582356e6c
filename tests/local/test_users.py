"""Tests that run the operators' commands `user` and `flush-cache` against the applied stack."""

from typing import Any

from tests.local.support import Local
from tests.local.test_ops import readplane

NAME = "clerk@example.com"


def test_a_user_is_invited_shut_out_and_let_in_again(stack: Local) -> None:
    cognito: Any = stack.root().client("cognito-idp")
    pool = stack.outputs.user_pool_id

    def groups() -> set[str]:
        memberships = cognito.admin_list_groups_for_user(UserPoolId=pool, Username=NAME)["Groups"]
        return {group["GroupName"] for group in memberships}

    def is_enabled() -> bool:
        return bool(cognito.admin_get_user(UserPoolId=pool, Username=NAME)["Enabled"])

    code, output = readplane(stack, "user", "add", NAME, "--group", "nobody")
    assert code == 1 and "There is no group nobody." in output, output
    code, output = readplane(stack, "user", "add", NAME, "--group", "editors")
    assert code == 0 and "Would invite the user." in output, output
    code, output = readplane(stack, "user", "add", NAME, "--group", "editors", "--yes")
    assert code == 0 and is_enabled() and groups() == {"editors"}, output
    code, output = readplane(stack, "user", "remove", NAME, "--leave-groups", "--yes")
    assert code == 0 and not is_enabled() and groups() == set(), output
    code, output = readplane(stack, "user", "add", NAME, "--yes")
    assert code == 0 and is_enabled() and groups() == set(), output
    cognito.admin_delete_user(UserPoolId=pool, Username=NAME)
    code, output = readplane(stack, "user", "remove", NAME, "--yes")
    assert code == 1 and "There is no such user" in output, output


def test_the_edge_is_invalidated(stack: Local) -> None:
    code, output = readplane(stack, "flush-cache")
    assert code == 0 and "Would invalidate /*" in output, output
    code, output = readplane(stack, "flush-cache", "--yes")
    assert code == 0 and "invalidated paths 1" in output, output
