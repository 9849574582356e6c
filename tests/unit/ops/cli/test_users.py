"""Test the commands `user add` and `user remove` with the user pool of moto."""

import json
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ops.cli.target import Target
from ops.console import CommandError
from tests.fakes.moto_aws import Aws
from tests.unit.ops.cli.support import OUTPUTS, Run, objects

NAME = "clerk@example.com"


def error(code: str, operation: str) -> ClientError:
    """Return an error of Cognito, whose text quotes the user as Cognito's own texts may."""
    return ClientError({"Error": {"Code": code, "Message": NAME}}, operation)


class Cognito:
    """A stand-in for a user pool, with the operations of boto3's client. Like Cognito, it takes e-mail addresses only.

    failing: an operation -> the code of the error that it raises
    """

    def __init__(self) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.in_groups: dict[str, set[str]] = {}
        self.signed_out: list[str] = []
        self.failing: dict[str, str] = {}
        self.takes_any_name = False

    def user(self) -> dict[str, Any] | None:
        return self.users.get(NAME)

    def groups(self) -> set[str]:
        return self.in_groups[NAME]

    def _begin(self, operation: str, name: str) -> None:
        if operation in self.failing:
            raise error(self.failing[operation], operation)
        if name not in self.users and operation != "AdminCreateUser":
            raise error("UserNotFoundException", operation)

    def admin_get_user(self, *, UserPoolId: str, Username: str) -> dict[str, Any]:  # noqa: N803
        assert UserPoolId == "pool"
        self._begin("AdminGetUser", Username)
        return {"Username": "sub", **self.users[Username]}

    def get_paginator(self, operation: str) -> Any:
        def paginate(*, UserPoolId: str, Username: str | None = None) -> list[dict[str, Any]]:  # noqa: N803
            if operation == "list_groups":  # in two pages
                return [{"Groups": [{"GroupName": "editors"}]}, {"Groups": [{"GroupName": "readers"}]}]
            assert operation == "admin_list_groups_for_user" and Username is not None
            self._begin("AdminListGroupsForUser", Username)
            return [{"Groups": [{"GroupName": group}]} for group in sorted(self.in_groups[Username])]

        return SimpleNamespace(paginate=paginate)

    def admin_create_user(self, *, Username: str, **fields: Any) -> None:  # noqa: N803
        self._begin("AdminCreateUser", Username)
        assert fields.pop("UserPoolId") == "pool" and fields.pop("DesiredDeliveryMediums") == ["EMAIL"]
        if "@" not in Username and not self.takes_any_name:
            raise error("InvalidParameterException", "AdminCreateUser")
        if fields.get("MessageAction") == "RESEND":
            assert Username in self.users
            if self.users[Username]["UserStatus"] != "FORCE_CHANGE_PASSWORD":
                raise error("UnsupportedUserStateException", "AdminCreateUser")
            self.users[Username]["invitations"] += 1
            return
        if Username in self.users:
            raise error("UsernameExistsException", "AdminCreateUser")
        self.users[Username] = {"Enabled": True, "UserStatus": "FORCE_CHANGE_PASSWORD", "invitations": 1, **fields}
        self.in_groups[Username] = set()

    def admin_enable_user(self, *, UserPoolId: str, Username: str) -> None:  # noqa: N803
        self._begin("AdminEnableUser", Username)
        self.users[Username]["Enabled"] = True

    def admin_disable_user(self, *, UserPoolId: str, Username: str) -> None:  # noqa: N803
        self._begin("AdminDisableUser", Username)
        self.users[Username]["Enabled"] = False

    def admin_user_global_sign_out(self, *, UserPoolId: str, Username: str) -> None:  # noqa: N803
        self._begin("AdminUserGlobalSignOut", Username)
        assert not self.users[Username]["Enabled"], "otherwise the user could sign in between the two calls"
        self.signed_out.append(Username)

    def admin_add_user_to_group(self, *, UserPoolId: str, Username: str, GroupName: str) -> None:  # noqa: N803
        self._begin("AdminAddUserToGroup", Username)
        if GroupName in self.failing:
            raise error(self.failing[GroupName], "AdminAddUserToGroup")
        self.in_groups[Username].add(GroupName)

    def admin_remove_user_from_group(self, *, UserPoolId: str, Username: str, GroupName: str) -> None:  # noqa: N803
        self._begin("AdminRemoveUserFromGroup", Username)
        self.in_groups[Username].remove(GroupName)


@pytest.fixture
def cognito(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Cognito:
    pool = Cognito()
    usual = Target.client

    def client(target: Target, service: str, region: str | None = None) -> Any:
        return pool if service == "cognito-idp" else usual(target, service, region)

    monkeypatch.setattr(Target, "client", client)
    monkeypatch.setitem(OUTPUTS, "user_pool_id", "pool")
    return pool


def audits() -> list[dict[str, Any]]:
    make: Any = boto3.client
    bodies = [make("s3").get_object(Bucket="log", Key=key)["Body"].read() for key in objects("config/audit/")]
    return [json.loads(body) for body in bodies]


def test_a_user_is_invited_shut_out_and_let_in_again(cognito: Cognito, run: Run) -> None:
    dry = run("user", "add", NAME, "--group", "editors")
    assert dry.exit_code == 0 and "Would invite the user." in dry.output and "put the user into editors" in dry.output
    assert cognito.user() is None and not audits(), "nothing changes without --yes"

    added = run("user", "add", NAME, "--group", "editors", "--yes")
    assert added.exit_code == 0, added.output
    user = cognito.user()
    assert user is not None and user["Enabled"] and user["UserStatus"] == "FORCE_CHANGE_PASSWORD"
    assert {"Name": "email_verified", "Value": "true"} in user["UserAttributes"] and user["invitations"] == 1
    assert cognito.groups() == {"editors"}
    assert "Nothing to do" in run("user", "add", NAME, "--group", "editors", "--yes").output
    assert run("user", "add", NAME, "--resend", "--yes").exit_code == 0 and user["invitations"] == 2

    dry = run("user", "remove", NAME)
    assert "Would disable the user, and sign out." in dry.output and "stays in editors" in dry.output
    user = cognito.user()
    assert user is not None and user["Enabled"]
    assert run("user", "remove", NAME, "--yes").exit_code == 0
    user = cognito.user()
    assert user is not None and not user["Enabled"] and cognito.groups() == {"editors"}
    assert cognito.signed_out == [NAME]
    assert run("user", "remove", NAME, "--leave-groups", "--yes").exit_code == 0, "a second time is harmless"
    assert cognito.groups() == set()

    dry = run("user", "add", NAME, "--group", "readers")
    assert "let the user sign in again (groups until now: none)" in dry.output
    result = run("user", "add", NAME, "--group", "readers", "--json", "--yes")
    assert json.loads(result.stdout)["counts"] == {"users_enabled": 1, "groups_joined": 1}
    user = cognito.user()
    assert user is not None and user["Enabled"] and cognito.groups() == {"readers"}


def test_every_run_leaves_an_audit_object_without_the_users_name(cognito: Cognito, run: Run) -> None:
    run("user", "add", NAME, "--group", "editors", "--yes")
    run("user", "remove", NAME, "--yes")
    entries = audits()
    assert [(entry["command"], entry["outcome"]) for entry in entries] == [
        ("user add", "done"),
        ("user remove", "done"),
    ]
    assert all(entry["operator"].startswith("arn:") for entry in entries)
    assert NAME not in json.dumps(entries) and all(NAME not in key for key in objects("config/"))


def test_a_run_that_failed_halfway_goes_on(cognito: Cognito, run: Run) -> None:
    cognito.failing = {"readers": "TooManyRequestsException"}
    words = ("user", "add", NAME, "--group", "editors", "--group", "readers", "--yes")
    result = run(*words)
    assert isinstance(result.exception, CommandError) and NAME not in str(result.exception)
    assert "Repeat the command." in str(result.exception) and audits()[-1]["outcome"] == "failed"
    cognito.failing = {}
    assert run(*words).exit_code == 0 and cognito.groups() == {"editors", "readers"}
    user = cognito.user()
    assert user is not None and user["invitations"] == 1
    cognito.failing = {"AdminUserGlobalSignOut": "TooManyRequestsException"}
    assert run("user", "remove", NAME, "--yes").exit_code == 1 and not cognito.signed_out
    cognito.failing = {}
    assert run("user", "remove", NAME, "--yes").exit_code == 0 and cognito.signed_out == [NAME]


def test_bad_input_is_one_sentence(cognito: Cognito, run: Run) -> None:
    for words, text in (
        (("add", NAME, "--group", "editor"), "There is no group editor. The groups are: editors, readers."),
        (("remove", NAME, "--yes"), "There is no such user"),
    ):
        result = run("user", *words)
        assert isinstance(result.exception, CommandError) and text in str(result.exception)
    for name in ("two words", "@example.com", "a@b", "a@b@example.com", " "):
        assert run("user", "add", name).exit_code == 2
    assert cognito.user() is None

    for code, operation, text in (
        (
            "AccessDeniedException",
            "AdminGetUser",
            "AWS refused AdminGetUser: AccessDeniedException. Does this operator",
        ),
        ("CodeDeliveryFailureException", "AdminCreateUser", "couldn't send the invitation"),
        ("LimitExceededException", "AdminCreateUser", "at most 50 e-mails a day"),
    ):
        cognito.failing = {operation: code}
        result = run("user", "add", NAME, "--yes")
        assert isinstance(result.exception, CommandError) and text in str(result.exception)
        assert NAME not in str(result.exception) and cognito.user() is None


def test_only_an_unused_invitation_is_sent_again(cognito: Cognito, run: Run) -> None:
    run("user", "add", NAME, "--yes")
    cognito.users[NAME]["UserStatus"] = "CONFIRMED"
    result = run("user", "add", NAME, "--resend", "--yes")
    assert isinstance(result.exception, CommandError) and "signed in already" in str(result.exception)


def test_a_name_that_is_no_address_is_for_a_pool_of_your_own(cognito: Cognito, run: Run) -> None:
    result = run("user", "add", "clerk", "--yes")
    assert isinstance(result.exception, CommandError) and "doesn't take this name" in str(result.exception)
    cognito.takes_any_name = True
    assert run("user", "add", "clerk", "--yes").exit_code == 0
    assert "UserAttributes" not in cognito.users["clerk"]
