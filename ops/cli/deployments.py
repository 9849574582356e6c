"""Deployments of new versions of the functions by AWS CodeDeploy.

Every function has two aliases. Terraform points `live` at the newest version that has passed its check. Clients call
the other alias, and CodeDeploy moves it to that version: first for a share of the calls, then for all. If an alarm
fires meanwhile, CodeDeploy moves the alias back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from ops.cli.invoke import LIVE, FunctionError, call
from ops.cli.target import Target
from ops.console import CommandError
from readplane.entrypoint import CHECK

STAGES = (
    ("publish", "feed"),
    ("apply", "apply-stream"),
    ("write", "read", "query", "backend_auth"),
    ("poll",),
)
"""The order of the functions, which follows a change backwards: whoever reads something new gets the new version first.

With the reverse order, the new `write` would accept changes of a new collection, and the old `apply` would put them in
quarantine.
"""

UNSHARED = ("poll",)
"""Functions that get all calls at once. Schedules call `poll` too rarely for a share of the calls to say anything, and
the old version fails for a new source, so its alarm may be on."""

WATCH_SECONDS = 10.0
"""How often the deployments are looked at. AWS counts these requests against the account's rate."""

SETTLE_SECONDS = 300.0
"""How long the roll-backs of ended deployments may take. CodeDeploy begins them itself, some seconds later."""

ACTIVE = ("Created", "Queued", "InProgress", "Baking", "Ready")
"""The states of a deployment that hasn't ended."""

READY_SECONDS = 900.0
"""How long Lambda may take to bring a version back into service. It makes a new snapshot, or connects the version to
its VPC again, which takes minutes.

Lambda takes a version with SnapStart out of service if nobody invokes it for 14 days, and a version in a VPC if it is
idle for long. Then Lambda refuses the first calls.
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-troubleshooting.html
https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
"""

THROTTLED = "TooManyRequestsException"
"""The error code with which Lambda refuses a call because too many are running."""

UNREADY = {
    "SnapStartNotReadyException": "Lambda is making its snapshot",
    "SnapStartRegenerationFailureException": "Lambda failed to make its snapshot",
    "ResourceNotReadyException": "Lambda is connecting it to its VPC",
    "ENINotReadyException": "Lambda is connecting it to its VPC",
    "ResourceConflictException": "Lambda is preparing it",
    "ServiceException": "Lambda itself fails",
    THROTTLED: "all executions that the function may have are in use",
}
"""The error codes of a refused call that is worth repeating -> the reason."""

AT_ONCE = "CodeDeployDefault.LambdaAllAtOnce"
"""AWS's own deployment configuration that sends all calls to the new version at once."""

ROLLBACK = "codeDeployRollback"
"""The creator of a deployment with which CodeDeploy undoes another one. CodeDeploy lists such a roll-back like every
other deployment, and would stop it too. Then the bad version would stay with the clients.
https://docs.aws.amazon.com/codedeploy/latest/userguide/deployments-rollback-and-redeploy.html
https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_DeploymentInfo.html
"""

TOO_MANY = "DeploymentLimitExceededException"
"""The error code with which CodeDeploy refuses a second deployment in a group, and one too many in the account."""

BATCH = 25
"""How many deployments one request of BatchGetDeployments may name."""

REASONS = {
    "ALARM_ACTIVE": "an alarm fired",
    "MANUAL_STOP": "somebody stopped it",
    "TIMEOUT": "it took too long",
    "IAM_ROLE_MISSING": "CodeDeploy's role is missing, so apply Terraform again",
    "IAM_ROLE_PERMISSIONS": "CodeDeploy's role lacks a permission, so apply Terraform again",
}
"""The error codes of CodeDeploy that operators meet -> what happened."""

State = Literal["up to date", "behind", "running", "stuck"]

Say = Callable[[str], None]
"""Says one line to the operator."""

Wait = Callable[[float], None]
"""Waits for some seconds. It raises an error if the command must end."""

Confirm = Callable[[], None]
"""Raises an error if another operator has taken the command's job over."""


class DeployedFunction(NamedTuple):
    """A function in one Region, and the versions that its aliases point to.

    name: the function's name in the stack, such as `write`
    function: its name in AWS
    alias: the alias that clients call
    alarms: the names of the alarms that roll a deployment back
    released: the version that clients get
    live: the newest version that has passed its check
    share: the share of the calls that another version gets, from 0 to 1
    deployment: the id of the deployment that is running; None if none is
    """

    region: str
    application: str
    name: str
    function: str
    group: str
    alias: str
    alarms: tuple[str, ...]
    released: str
    live: str
    share: float
    deployment: str | None

    @property
    def state(self) -> State:
        """Whether clients get the newest version, or how far that is.

        - running: CodeDeploy shifts clients to a version now.
        - stuck: the alias sends a share of the calls to a version, but no deployment is running.
        - behind: clients get an older version than the newest one.
        """
        if self.deployment:
            return "running"
        if self.share:
            return "stuck"
        return "up to date" if self.released == self.live else "behind"

    @property
    def moves(self) -> bool:
        """Whether some clients get another version than the others, or soon will."""
        return self.state in ("running", "stuck")


class DeploymentError(CommandError):
    """A deployment didn't bring its version to the clients."""


def declared(target: Target) -> dict[str, dict[str, Any]]:
    """Return the stack's output `deployments`: the CodeDeploy application and the functions of each Region.

    :raises CommandError: if the stack doesn't deploy by CodeDeploy
    """
    regions: dict[str, dict[str, Any]] = target.output(
        "deployments",
        "clients get new versions with terraform apply. To shift them step by step, set deploy.canary "
        "(docs/upgrading.md).",
    )
    return regions


def chosen(target: Target, region: str | None, functions: Sequence[str]) -> dict[str, list[str]]:
    """Return the functions of each Region that the command line names: all of them, if it names none.

    :raises CommandError: if the stack has no such Region or function
    """
    regions = declared(target)
    if region is not None and region not in regions:
        raise CommandError(f"This stack has no deployments in {region}. It has some in: {', '.join(regions)}.")
    names = sorted({name for entry in regions.values() for name in entry["functions"]})
    unknown = sorted(set(functions) - set(names))
    if unknown:
        raise CommandError(f"There is no function {', '.join(unknown)}. Deployed are: {', '.join(names)}.")
    picked = {
        each: [name for name in sorted(entry["functions"]) if not functions or name in functions]
        for each, entry in regions.items()
        if region in (None, each)
    }
    if not any(picked.values()):
        raise CommandError(f"{', '.join(functions)} doesn't exist in {region}.")
    return picked


class RegionalDeployments:
    """The deployments of one Region."""

    def __init__(self, target: Target, region: str, names: Sequence[str]) -> None:
        """Prepare the deployments of some functions.

        :param names: the functions' names in the stack
        """
        entry = declared(target)[region]
        self.region = region
        self._target = target
        self._application: str = entry["application"]
        self._functions: Mapping[str, Mapping[str, Any]] = {name: entry["functions"][name] for name in names}
        self._lambda = target.client("lambda", region)
        self._codedeploy = target.client("codedeploy", region)
        self._cloudwatch = target.client("cloudwatch", region)

    def read(self) -> list[DeployedFunction]:
        """Return the functions with the versions that their aliases point to now."""
        return [self._read(name, entry) for name, entry in self._functions.items()]

    def alarms_on(self, functions: Sequence[DeployedFunction]) -> list[str]:
        """Return the names of those alarms that are on and would roll back a deployment of one of these functions."""
        names = sorted({alarm for function in functions for alarm in function.alarms})
        found = []
        for first in range(0, len(names), 100):
            response = self._cloudwatch.describe_alarms(AlarmNames=names[first : first + 100], StateValue="ALARM")
            found += [alarm["AlarmName"] for alarm in response["MetricAlarms"]]
        return sorted(found)

    def unready(self, function: DeployedFunction) -> str | None:
        """Invoke a function's newest version with its check. If Lambda refuses the call for now, return the error code.

        :raises DeploymentError: if the version fails, or refuses its settings
        """
        try:
            response = call(self._target, f"{function.function}:{function.live}", dict(CHECK), self.region)
            problems: list[str] = response["problems"]
        except FunctionError as error:
            problems = [str(error)]
        except ClientError as error:
            code: str = error.response["Error"]["Code"]
            if code not in UNREADY:
                raise
            return code
        if problems:
            raise DeploymentError(
                f"{self.region}: version {function.live} of {function.name} fails its check, so nothing was started. "
                f"{' '.join(problems)} Correct this and apply Terraform, or deploy other functions with --function."
            )
        return None

    def start(self, function: DeployedFunction, *, at_once: bool) -> str:
        """Start to shift a function's clients to its newest version. Return the id of the deployment.

        :param at_once: whether all clients get the version at once, whatever the alarms say
        """
        properties = {
            "Name": function.function,
            "Alias": function.alias,
            "CurrentVersion": function.released,
            "TargetVersion": function.live,
        }
        resource = {function.function: {"Type": "AWS::Lambda::Function", "Properties": properties}}
        options: dict[str, Any] = {}
        if at_once:
            options = {"deploymentConfigName": AT_ONCE, "overrideAlarmConfiguration": {"enabled": False, "alarms": []}}
        try:
            response = self._codedeploy.create_deployment(
                applicationName=self._application,
                deploymentGroupName=function.group,
                description=f"readplane deploy: from version {function.released} to {function.live}",
                revision={
                    "revisionType": "AppSpecContent",
                    "appSpecContent": {"content": json.dumps({"version": 0.0, "Resources": [resource]})},
                },
                **options,
            )
        except ClientError as error:
            # If a response is lost, boto3 repeats the request. CodeDeploy refuses that, because the deployment of the
            # first request is running.
            running = self.running(function.group) if error.response["Error"]["Code"] == TOO_MANY else None
            if running is None:
                raise
            return running
        deployment: str = response["deploymentId"]
        return deployment

    def running(self, group: str) -> str | None:
        """Return the id of the deployment that is running in a deployment group. None if none is."""
        return running_deployment(self._codedeploy, self._application, group)

    def stop(self, deployments: Mapping[str, str]) -> list[str]:
        """Stop deployments and roll them back. A deployment that has ended, and a roll-back, stay as they are.

        :param deployments: function -> the id of its deployment
        :return: the functions whose deployment was stopped
        """
        stopped = []
        for function, info in self._information(deployments).items():
            if info.get("creator") == ROLLBACK:
                continue
            try:
                self._codedeploy.stop_deployment(deploymentId=deployments[function], autoRollbackEnabled=True)
                stopped.append(function)
            except ClientError as error:
                if error.response["Error"]["Code"] != "DeploymentAlreadyCompletedException":
                    raise
        return stopped

    def watch(self, deployments: Mapping[str, str], wait: Wait, say: Say) -> dict[str, str]:
        """Wait until deployments have ended. If one fails, stop the others and roll them back.

        :param deployments: function -> the id of its deployment
        :return: function -> why its deployment failed, for those that failed
        """
        running = dict(deployments)
        failed: dict[str, str] = {}
        shown: dict[str, str] = {}
        stopped: list[str] = []  # by this command, after another function's failure
        while running:
            for function, info in self._information(running).items():
                status = info["status"]
                if shown.get(function) != status:
                    shown[function] = status
                    say(f"{self.region}: {function}: {status}")
                if status in ACTIVE:
                    continue
                del running[function]
                reason = _failure(info)
                if not reason:
                    continue
                if function in stopped:
                    reason = f"the deployment of {next(iter(failed))} failed"
                say(f"{self.region}: {function}: rolled back, because {reason}")
                if not failed:
                    stopped = self.stop(running)
                failed[function] = reason
            if running:
                wait(WATCH_SECONDS)
        return failed

    def settle(self, wait: Wait) -> list[DeployedFunction]:
        """Wait until no roll-back is running, and return the functions as they are then."""
        waited = 0.0
        while True:
            functions = self.read()
            if not any(function.moves for function in functions) or waited >= SETTLE_SECONDS:
                return functions
            wait(WATCH_SECONDS)
            waited += WATCH_SECONDS

    def _read(self, name: str, entry: Mapping[str, Any]) -> DeployedFunction:
        released, live = self._alias(entry["name"], entry["alias"]), self._alias(entry["name"], LIVE)
        weights: Mapping[str, float] = (released.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        return DeployedFunction(
            region=self.region,
            application=self._application,
            name=name,
            function=entry["name"],
            group=entry["group"],
            alias=entry["alias"],
            alarms=tuple(entry["alarms"]),
            released=released["FunctionVersion"],
            live=live["FunctionVersion"],
            share=sum(weights.values()),
            deployment=self.running(entry["group"]),
        )

    def _alias(self, function: str, alias: str) -> Mapping[str, Any]:
        try:
            response: Mapping[str, Any] = self._lambda.get_alias(FunctionName=function, Name=alias)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            raise CommandError(
                f"{function} in {self.region} has no alias {alias}. Run terraform apply until it is complete."
            ) from error
        return response

    def _information(self, deployments: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
        """Return what CodeDeploy says of each function's deployment."""
        functions = {deployment: function for function, deployment in deployments.items()}
        ids = list(functions)
        found: dict[str, Mapping[str, Any]] = {}
        for first in range(0, len(ids), BATCH):
            response = self._codedeploy.batch_get_deployments(deploymentIds=ids[first : first + BATCH])
            found |= {functions[info["deploymentId"]]: info for info in response["deploymentsInfo"]}
        return found


def running_deployment(codedeploy: Any, application: str, group: str) -> str | None:
    """Return the id of the deployment that is running in a deployment group. None if none is."""
    listed = codedeploy.list_deployments(
        applicationName=application, deploymentGroupName=group, includeOnlyStatuses=list(ACTIVE)
    )
    return next(iter(listed["deployments"]), None)


def _failure(info: Mapping[str, Any]) -> str | None:
    """Return why a deployment that has ended didn't bring its version to the clients. None if it did."""
    if info.get("creator") == ROLLBACK:
        return "an earlier deployment failed"
    if info["status"] == "Succeeded":
        return None
    code = (info.get("errorInformation") or {}).get("code") or info["status"]
    return REASONS.get(code, f"CodeDeploy says {code}")


def deploy(
    deployments: RegionalDeployments,
    wait: Wait,
    say: Say,
    confirm: Confirm,
    *,
    at_once: bool = False,
    backwards: bool = False,
) -> list[DeployedFunction]:
    """Bring the newest version of every function of a Region to its clients. Return the functions that were behind.

    The stages follow each other (:data:`STAGES`), and the functions of a stage shift at the same time. A deployment
    that is running already is watched like the others. Nothing starts before Lambda can run each new version.

    :param at_once: whether all clients get the new versions at once, whatever the alarms say
    :param backwards: whether the last stage comes first
    :raises DeploymentError: if clients don't get the newest version in the end
    """
    functions = deployments.read()
    stuck = [function for function in functions if function.state == "stuck"]
    if stuck:
        aliases = " and ".join(f"{function.alias} of {function.function}" for function in stuck)
        raise CommandError(
            f"{deployments.region}: {aliases} sends calls to two versions, but no deployment is running. Remove the "
            "weights with `aws lambda update-alias --routing-config AdditionalVersionWeights={}` (docs/upgrading.md)."
        )
    if not at_once:
        _refuse_alarms(deployments, functions)
    _await_ready(deployments, functions, wait, say, at_once=at_once)
    done = []
    for stage in reversed(STAGES) if backwards else STAGES:
        names = [function.name for function in functions if function.name in stage and function.state != "up to date"]
        if names:
            done += _deploy_stage(deployments, names, wait, say, confirm, at_once=at_once)
    _refuse_late(deployments)
    return done


def _deploy_stage(
    deployments: RegionalDeployments, names: Sequence[str], wait: Wait, say: Say, confirm: Confirm, *, at_once: bool
) -> list[DeployedFunction]:
    """Bring the newest version of some functions to their clients, all at the same time. Return the functions."""
    functions = [function for function in deployments.read() if function.name in names]
    behind = [function for function in functions if function.state == "behind"]
    if not at_once:
        _refuse_alarms(deployments, behind)
    started = {function.name: function.deployment for function in functions if function.deployment}
    try:
        for function in behind:
            confirm()  # whoever has taken the job over, perhaps to stop it, looked at what was running then
            say(f"{deployments.region}: {function.name}: from version {function.released} to {function.live}")
            started[function.name] = deployments.start(function, at_once=at_once or function.name in UNSHARED)
    except (ClientError, BotoCoreError):
        # Ask what is running, because the deployment of a request without a response may be running too.
        running = {function.name: deployments.running(function.group) for function in behind}
        deployments.stop({name: deployment for name, deployment in running.items() if deployment})
        raise
    failed = deployments.watch(started, wait, say)
    settled = deployments.settle(wait)
    if failed:
        _report_failures(deployments, failed, settled)
    return [function for function in settled if function.name in names]


def stop(deployments: RegionalDeployments, wait: Wait, say: Say) -> tuple[list[str], str | None]:
    """Stop the running deployments of a Region, roll them back, and wait until that is done.

    A roll-back that is running already goes on.

    :return: the functions whose deployment was stopped, and a sentence if a roll-back takes too long or has left the
        clients with two versions
    """
    running = {function.name: function.deployment for function in deployments.read() if function.deployment}
    if not running:
        return [], None
    stopped = deployments.stop(running)
    for name in running:
        outcome = "stopped" if name in stopped else "a roll-back is running, or it has ended"
        say(f"{deployments.region}: {name}: {outcome}")
    moving = [function.name for function in deployments.settle(wait) if function.name in running and function.moves]
    if not moving:
        return stopped, None
    return stopped, (
        f"{deployments.region}: CodeDeploy hasn't finished yet with: {', '.join(moving)}. In some minutes, look at the "
        "output of `deploy`. If it says `stuck`, remove the weights (docs/upgrading.md)."
    )


def _await_ready(
    deployments: RegionalDeployments,
    functions: Sequence[DeployedFunction],
    wait: Wait,
    say: Say,
    *,
    at_once: bool,
) -> None:
    """Invoke the newest version of each function that is behind, until Lambda takes all these calls.

    A version that is throttled doesn't hold up a remedy that goes out at once.

    :raises DeploymentError: if a version fails, refuses its settings, or isn't ready in time
    """
    waiting = [function for function in functions if function.state == "behind"]
    waited = 0.0
    while True:
        codes = {function: deployments.unready(function) for function in waiting}
        refused = {
            function: UNREADY[code] for function, code in codes.items() if code and not (at_once and code == THROTTLED)
        }
        if not refused:
            return
        reasons = ", ".join(f"{each.name} ({each.live}): {reason}" for each, reason in refused.items())
        if waited >= READY_SECONDS:
            raise DeploymentError(
                f"{deployments.region}: some versions aren't ready after {READY_SECONDS / 60:.0f} minutes, so nothing "
                f"was started. {reasons}. Run this command again. If that doesn't help, raise republish and apply."
            )
        if waited == 0 or len(refused) < len(waiting):
            say(f"{deployments.region}: waiting for {reasons}")
        waiting = list(refused)
        wait(WATCH_SECONDS)
        waited += WATCH_SECONDS


def _refuse_alarms(deployments: RegionalDeployments, functions: Sequence[DeployedFunction]) -> None:
    """Raise an error if an alarm is on that would roll back a function that is behind."""
    watched = [function for function in functions if function.state == "behind" and function.name not in UNSHARED]
    alarms = deployments.alarms_on(watched)
    if alarms:
        raise CommandError(
            f"{deployments.region}: {', '.join(alarms)} is on, so CodeDeploy would roll back at once. Wait until it is "
            "off. If the new version is the remedy, use --at-once."
        )


def _report_failures(
    deployments: RegionalDeployments, failed: Mapping[str, str], functions: Sequence[DeployedFunction]
) -> NoReturn:
    """Raise the error about deployments that failed: why, and which version clients get of each function now."""
    alarms = deployments.alarms_on([function for function in functions if function.name in failed])
    first, reason = next(iter(failed.items()))
    on = f" On now: {', '.join(alarms)}." if alarms else ""
    old = [f"{function.name} ({function.released})" for function in functions if function.state == "behind"]
    new = [f"{function.name} ({function.live})" for function in functions if function.state == "up to date"]
    moving = [function.name for function in functions if function.moves]
    rest = f" CodeDeploy hasn't finished yet with: {', '.join(moving)}. Run this command again." if moving else ""
    raise DeploymentError(
        f"{deployments.region}: the deployment of {first} was rolled back, because {reason}.{on} Clients get the old "
        f"version of: {', '.join(old) or 'none'}. They get the newest version of: {', '.join(new) or 'none'}.{rest}"
    )


def _refuse_late(deployments: RegionalDeployments) -> None:
    """Raise an error if clients of a function don't get its newest version, although no deployment failed."""
    late = [function.name for function in deployments.read() if function.state != "up to date"]
    if late:
        raise DeploymentError(
            f"{deployments.region}: Terraform has published newer versions meanwhile, of: {', '.join(late)}. Run this "
            "command again."
        )
