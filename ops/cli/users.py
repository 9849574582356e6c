"""The commands `user`: invite users into the user pool and its groups, and shut users out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import click
from botocore.exceptions import ClientError

from ops.cli.target import Chosen, Target
from ops.console import CommandError
from ops.jobs import Job, JobOptions, job_options, open_job, show_nothing_to_do, show_plan

INVITED = "FORCE_CHANGE_PASSWORD"
"""Cognito's status of a user who hasn't used the password of the invitation yet."""

EXPLAINED = {
    "CodeDeliveryFailureException": "Cognito couldn't send the invitation. Look at sign_in.email and at SES.",
    "LimitExceededException": "Cognito sends at most 50 e-mails a day by itself. Set sign_in.email, or wait a day.",
    "TooManyRequestsException": "Too many requests reach the user pool at once. Repeat the command.",
    "InvalidParameterException": "Cognito doesn't take this name. Give an e-mail address that can get messages.",
    "UnsupportedUserStateException": "This user has signed in already, so there is no invitation to send again.",
}
"""Errors of Cognito -> what to do. Cognito's own texts may quote the user."""


class PoolUser(NamedTuple):
    """A user of the user pool.

    username: Cognito's name of the user
    enabled: whether the user may sign in
    status: Cognito's status of the user
    groups: the groups that the user is in
    """

    username: str
    enabled: bool
    status: str
    groups: frozenset[str]


class Pool:
    """The user pool of a stack."""

    def __init__(self, target: Target) -> None:
        """Look nothing up yet.

        :raises CommandError: if the stack has no user pool
        """
        self._id = target.output("user_pool_id", "an older version of Readplane created the stack. Apply terraform/.")
        self._cognito = target.client("cognito-idp", target.region)

    def find(self, name: str) -> PoolUser | None:
        """Return a user with the groups; None if there is none."""
        try:
            user = self._cognito.admin_get_user(UserPoolId=self._id, Username=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "UserNotFoundException":
                raise
            return None
        pages = self._cognito.get_paginator("admin_list_groups_for_user").paginate(UserPoolId=self._id, Username=name)
        groups = frozenset(group["GroupName"] for page in pages for group in page["Groups"])
        return PoolUser(user["Username"], user["Enabled"], user["UserStatus"], groups)

    def groups(self) -> frozenset[str]:
        """Return the names of all groups."""
        pages = self._cognito.get_paginator("list_groups").paginate(UserPoolId=self._id)
        return frozenset(group["GroupName"] for page in pages for group in page["Groups"])

    def invite(self, name: str, *, again: bool = False) -> None:
        """Create a user, to whom Cognito sends an invitation with a password for the first sign-in."""
        fields: dict[str, Any] = {"MessageAction": "RESEND"} if again else {}
        if "@" in name and not again:
            # Whoever gets the invitation reads the mailbox, so the address needs no other confirmation.
            fields["UserAttributes"] = [{"Name": "email", "Value": name}, {"Name": "email_verified", "Value": "true"}]
        self._cognito.admin_create_user(UserPoolId=self._id, Username=name, DesiredDeliveryMediums=["EMAIL"], **fields)

    def enable(self, name: str) -> None:
        """Let a user sign in again."""
        self._cognito.admin_enable_user(UserPoolId=self._id, Username=name)

    def join(self, name: str, group: str) -> None:
        """Put a user into a group."""
        self._cognito.admin_add_user_to_group(UserPoolId=self._id, Username=name, GroupName=group)

    def leave(self, name: str, group: str) -> None:
        """Take a user out of a group."""
        self._cognito.admin_remove_user_from_group(UserPoolId=self._id, Username=name, GroupName=group)

    def shut_out(self, name: str) -> None:
        """Let a user sign in no more, and revoke the refresh tokens."""
        # First the sign-in, so that nobody gets new tokens between the two calls.
        self._cognito.admin_disable_user(UserPoolId=self._id, Username=name)
        self._cognito.admin_user_global_sign_out(UserPoolId=self._id, Username=name)


@click.group(name="user")
def user() -> None:
    """Invite users into the user pool and its groups, or shut users out."""


@user.command()
@click.argument("name")
@click.option(
    "--group", "groups", multiple=True, metavar="GROUP", help="Put the user into this group. May be repeated."
)
@click.option("--resend", is_flag=True, help="Send the invitation again, if the user hasn't used it yet.")
@job_options(paced=False)
@click.pass_obj
def add(chosen: Chosen, name: str, groups: tuple[str, ...], resend: bool, options: JobOptions) -> None:
    """Invite a user, and put the user into groups.

    NAME is the user's e-mail address. In a pool of your own (variable user_pool) it may be another user name. Cognito
    sends the invitation with a password for the first sign-in, valid for three days; nobody else sees the password.

    If the user exists, only what is missing is done: a user who was removed may sign in again, and joins the groups.
    Groups that aren't named stay as they are. A new group takes effect with the user's next access token.
    """
    target = chosen.target
    with _cognito_errors():
        pool = Pool(target)
        _check_name(name)
        if unknown := sorted(set(groups) - (existing := pool.groups())):
            names = ", ".join(sorted(existing)) or "none"
            raise CommandError(f"There is no group {', '.join(unknown)}. The groups are: {names}.")
        steps = _missing(pool.find(name), groups, resend=resend)
        if not steps:
            show_nothing_to_do("user add", "the user may sign in, and is in these groups", options)
            return
        if not options.yes:
            show_plan("user add", [f"Would {step}." for step in steps], options)
            return
        arguments = {"user": _fingerprint(name), "groups": sorted(groups), "resend": resend}
        with open_job(target, "user add", arguments, options) as job:
            _add(pool, name, groups, job, resend=resend)


@user.command()
@click.argument("name")
@click.option("--leave-groups", is_flag=True, help="Also take the user out of every group.")
@job_options(paced=False)
@click.pass_obj
def remove(chosen: Chosen, name: str, leave_groups: bool, options: JobOptions) -> None:
    """Shut a user out: disable the user, and revoke all refresh tokens.

    Access tokens that the user has work until they expire, 30 minutes after sign-in by default
    (sign_in.access_minutes). The user, the groups and the user's items stay, so that `user add` can let the user in
    again. The command `erase` deletes the items of an owner.

    In a pool of your own (variable user_pool), the user can't sign in to your other applications either.
    """
    target = chosen.target
    with _cognito_errors():
        pool = Pool(target)
        found = pool.find(name)
        if found is None:
            raise CommandError("There is no such user in the user pool. Check the name.")
        leaves = sorted(found.groups) if leave_groups else []
        if not options.yes:
            steps = [f"Would disable the user{'' if found.enabled else ', who is disabled already'}, and sign out."]
            steps += [f"Would take the user out of {group}." for group in leaves]
            if found.groups and not leave_groups:
                steps.append(f"The user stays in {', '.join(sorted(found.groups))}: --leave-groups.")
            show_plan("user remove", steps, options)
            return
        arguments = {"user": _fingerprint(name), "leave_groups": leave_groups}
        with open_job(target, "user remove", arguments, options) as job:
            # All of it again if the user is disabled already: an earlier run may have ended before the sign-out.
            pool.shut_out(name)
            job.advance(None, users_disabled=1)
            for group in leaves:
                pool.leave(name, group)
                job.advance(None, groups_left=1)


def _missing(found: PoolUser | None, groups: tuple[str, ...], *, resend: bool) -> list[str]:
    """Return what `user add` has to do, as sentences after "Would".

    :raises CommandError: if there is no invitation to send again
    """
    if found is None:
        return ["invite the user", *(f"put the user into {group}" for group in sorted(set(groups)))]
    if resend and found.status != INVITED:
        raise CommandError(EXPLAINED["UnsupportedUserStateException"])
    steps = ["send the invitation again"] if resend else []
    if not found.enabled:
        stays = ", ".join(sorted(found.groups)) or "none"
        steps.append(f"let the user sign in again (groups until now: {stays})")
    return steps + [f"put the user into {group}" for group in sorted(set(groups) - found.groups)]


def _add(pool: Pool, name: str, groups: tuple[str, ...], job: Job, *, resend: bool) -> None:
    """Do what is missing. Look again first, because another run may have done a part."""
    found = pool.find(name)
    if found is None:
        pool.invite(name)
        job.advance(None, invitations=1)
    elif resend:
        pool.invite(name, again=True)
        job.advance(None, invitations=1)
    if found is not None and not found.enabled:
        pool.enable(name)
        job.advance(None, users_enabled=1)
    for group in sorted(set(groups) - (found.groups if found else frozenset())):
        pool.join(name, group)
        job.advance(None, groups_joined=1)


def _check_name(name: str) -> None:
    if not name.strip() or name != name.strip() or any(character.isspace() for character in name):
        raise click.UsageError("Give the user's name without spaces.")
    if "@" in name and (name.count("@") != 1 or "." not in name.rpartition("@")[2] or not name.partition("@")[0]):
        raise click.UsageError("This isn't an e-mail address: name@example.com")


def _fingerprint(name: str) -> str:
    """Return what stands for a user in the job's state and in the audit object, which must hold no personal data."""
    return hashlib.sha256(name.lower().encode()).hexdigest()[:32]


@contextmanager
def _cognito_errors() -> Iterator[None]:
    """Turn an error of Cognito into a sentence that quotes no user."""
    try:
        yield
    except ClientError as error:
        explanation = EXPLAINED.get(error.response["Error"]["Code"])
        if explanation is None:
            raise
        raise CommandError(explanation) from error
