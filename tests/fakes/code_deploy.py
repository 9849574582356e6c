"""A stand-in for AWS CodeDeploy, with the aliases that it moves and the alarms that it watches, on virtual time.

moto's CodeDeploy moves no alias and never ends a deployment. This one does what AWS documents for Lambda functions: a
canary deployment gives the new version a weight, and all calls some minutes later. If an alarm of the group fires, the
deployment stops, and another deployment undoes it.
https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-steps-lambda.html
"""

from __future__ import annotations

import functools
import io
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import botocore.session
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.validate import ParamValidator

ROLLBACK_SECONDS = 30.0
"""How long CodeDeploy needs to begin and to end a roll-back."""

ALARM_SECONDS = 180.0
"""After how many seconds an alarm sees that a version fails."""


@functools.cache
def _model(service: str) -> Any:
    """Return botocore's description of a service."""
    return botocore.session.get_session().get_service_model(service)


def check(service: str, operation: str, parameters: dict[str, Any]) -> None:
    """Check that boto3 takes these parameters of an operation."""
    given = {name: value for name, value in parameters.items() if name != "self" and value is not None}
    _check(service, operation, json.dumps(given))


@functools.cache
def _check(service: str, operation: str, parameters: str) -> None:
    problems = ParamValidator().validate(json.loads(parameters), _model(service).operation_model(operation).input_shape)
    assert not problems.has_errors(), problems.generate_report()


@dataclass
class Alias:
    """An alias of a function: the version that it points to, and the weight of another version."""

    version: str
    weights: dict[str, float] = field(default_factory=dict)


@dataclass
class Deployment:
    """A deployment of CodeDeploy."""

    id: str
    group: str
    function: str
    alias: str
    before: str
    target: str
    started: float
    seconds: float
    watches: bool
    creator: str = "user"
    status: str = "InProgress"
    code: str | None = None


def refusal(code: str, operation: str) -> ClientError:
    """Return an error of AWS."""
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


class CodeDeploy:
    """The aliases, alarms and deployments of one Region. It is the client of `lambda`, `codedeploy` and `cloudwatch`.

    aliases: (function, alias) -> the alias
    bad: the versions that fail, as (function, version)
    alarms: group -> the alarms that its deployments watch
    on: the alarms that are on
    unready: the versions that Lambda refuses to invoke, as (function, version) -> the error code, and until when
    problems: (function, version) -> what its check says
    checked: the versions that have answered their check, as (function, version)
    refused: the operations that AWS refuses -> the error code
    """

    def __init__(self, *, percent: int = 10, minutes: int = 10) -> None:
        self.now = 0.0
        self.aliases: dict[tuple[str, str], Alias] = {}
        self.alarms: dict[str, list[str]] = {}
        self.bad: set[tuple[str, str]] = set()
        self.on: set[str] = set()
        self.unready: dict[tuple[str, str], tuple[str, float]] = {}
        self.problems: dict[tuple[str, str], list[str]] = {}
        self.checked: list[tuple[str, str]] = []
        self.deployments: list[Deployment] = []
        self.refused: dict[str, str] = {}
        self._lost: dict[str, bool] = {}
        self.bad_share_seconds = 0.0
        self._share, self._seconds = percent / 100, minutes * 60.0
        self._ids = itertools.count(1)

    def lose_response(self, group: str, *, repeats: bool) -> None:
        """Lose the response to the next CreateDeployment of a group.

        :param repeats: whether boto3 then repeats the request; otherwise it gives up
        """
        self._lost[group] = repeats

    def add(self, function: str, group: str, alias: str, released: int, live: int, *alarms: str) -> None:
        """Add a function whose clients get the version `released`, and whose newest version is `live`."""
        self.aliases[function, alias] = Alias(str(released))
        self.aliases[function, "live"] = Alias(str(live))
        self.alarms[group] = list(alarms)

    def advance(self, seconds: float) -> None:
        """Let virtual time pass."""
        for _ in range(round(seconds)):
            self.now += 1
            for deployment in [each for each in self.deployments if each.status == "InProgress"]:
                self._move(deployment)

    def get_alias(self, FunctionName: str, Name: str) -> dict[str, Any]:  # noqa: N803 (boto3's names)
        """Do what `lambda` does."""
        check("lambda", "GetAlias", locals())
        self._refuse("GetAlias")
        alias = self.aliases.get((FunctionName, Name))
        if alias is None:
            raise refusal("ResourceNotFoundException", "GetAlias")
        routing = {"RoutingConfig": {"AdditionalVersionWeights": dict(alias.weights)}} if alias.weights else {}
        return {"Name": Name, "FunctionVersion": alias.version, **routing}

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        """Do what `lambda` does with the check of a version."""
        check("lambda", "Invoke", {"FunctionName": FunctionName, "Payload": Payload.decode()})
        assert json.loads(Payload) == {"check": True}
        self._refuse("Invoke")
        function, _, version = FunctionName.partition(":")
        code, until = self.unready.get((function, version), ("", 0.0))
        if self.now < until:
            raise refusal(code, "Invoke")
        if (function, version) not in self.problems:
            self.checked.append((function, version))
        response = {"problems": self.problems.get((function, version), [])}
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(response).encode())}

    def describe_alarms(self, AlarmNames: Sequence[str], StateValue: str) -> dict[str, Any]:  # noqa: N803
        """Do what `cloudwatch` does."""
        check("cloudwatch", "DescribeAlarms", locals())
        assert StateValue == "ALARM"
        return {"MetricAlarms": [{"AlarmName": name} for name in AlarmNames if name in self.on]}

    def create_deployment(
        self,
        *,
        applicationName: str,  # noqa: N803
        deploymentGroupName: str,  # noqa: N803
        description: str,
        revision: dict[str, Any],
        deploymentConfigName: str | None = None,  # noqa: N803
        overrideAlarmConfiguration: dict[str, Any] | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        """Do what `codedeploy` does."""
        check("codedeploy", "CreateDeployment", locals())
        self._refuse(f"CreateDeployment {deploymentGroupName}")
        assert applicationName == "shop" and description and revision["revisionType"] == "AppSpecContent"
        content = json.loads(revision["appSpecContent"]["content"])
        ((_, resource),) = content["Resources"][0].items()
        assert content["version"] == 0.0 and resource["Type"] == "AWS::Lambda::Function"
        fields = resource["Properties"]
        alias = self.aliases[fields["Name"], fields["Alias"]]
        if alias.version != fields["CurrentVersion"] or alias.weights:
            raise refusal("InvalidRevisionException", "CreateDeployment")
        if any(each.status == "InProgress" and each.group == deploymentGroupName for each in self.deployments):
            raise refusal("DeploymentLimitExceededException", "CreateDeployment")
        at_once = deploymentConfigName == "CodeDeployDefault.LambdaAllAtOnce"
        deployment = Deployment(
            id=f"d-{next(self._ids)}",
            group=deploymentGroupName,
            function=fields["Name"],
            alias=fields["Alias"],
            before=fields["CurrentVersion"],
            target=fields["TargetVersion"],
            started=self.now,
            seconds=1.0 if at_once else self._seconds,
            watches=overrideAlarmConfiguration is None or overrideAlarmConfiguration["enabled"],
        )
        self.deployments.append(deployment)
        if deploymentGroupName in self._lost:
            if self._lost.pop(deploymentGroupName):
                raise refusal("DeploymentLimitExceededException", "CreateDeployment")
            raise EndpointConnectionError(endpoint_url="https://codedeploy.test")
        return {"deploymentId": deployment.id}

    def list_deployments(
        self,
        *,
        applicationName: str,  # noqa: N803
        deploymentGroupName: str,  # noqa: N803
        includeOnlyStatuses: list[str],  # noqa: N803
    ) -> dict[str, Any]:
        """Do what `codedeploy` does."""
        check("codedeploy", "ListDeployments", locals())
        assert applicationName == "shop"
        return {
            "deployments": [
                each.id
                for each in self.deployments
                if each.group == deploymentGroupName and each.status in includeOnlyStatuses
            ]
        }

    def batch_get_deployments(self, *, deploymentIds: list[str]) -> dict[str, Any]:  # noqa: N803
        """Do what `codedeploy` does."""
        check("codedeploy", "BatchGetDeployments", locals())
        assert 0 < len(deploymentIds) <= 25
        found = [each for each in self.deployments if each.id in deploymentIds]
        return {
            "deploymentsInfo": [
                {
                    "deploymentId": each.id,
                    "status": each.status,
                    "creator": each.creator,
                    **({"errorInformation": {"code": each.code, "message": "m"}} if each.code else {}),
                }
                for each in found
            ]
        }

    def stop_deployment(self, *, deploymentId: str, autoRollbackEnabled: bool) -> dict[str, Any]:  # noqa: N803
        """Do what `codedeploy` does."""
        check("codedeploy", "StopDeployment", locals())
        assert autoRollbackEnabled
        (deployment,) = (each for each in self.deployments if each.id == deploymentId)
        if deployment.status != "InProgress":
            raise refusal("DeploymentAlreadyCompletedException", "StopDeployment")
        self._end(deployment, "MANUAL_STOP")
        return {"status": "Succeeded"}

    def _refuse(self, operation: str) -> None:
        if operation in self.refused:
            raise refusal(self.refused[operation], operation.split(maxsplit=1)[0])

    def _move(self, deployment: Deployment) -> None:
        alias, age = self.aliases[deployment.function, deployment.alias], self.now - deployment.started
        if deployment.creator == "codeDeployRollback":
            if age >= ROLLBACK_SECONDS:
                alias.version, alias.weights = deployment.target, {}
                deployment.status = "Succeeded"
            return
        fails = (deployment.function, deployment.target) in self.bad
        if fails:
            self.bad_share_seconds += alias.weights.get(deployment.target, 0.0)
        if fails and age >= ALARM_SECONDS:
            self.on.add(self.alarms[deployment.group][0])
        if deployment.watches and self.on & set(self.alarms[deployment.group]):
            self._end(deployment, "ALARM_ACTIVE")
        elif age >= deployment.seconds:
            alias.version, alias.weights = deployment.target, {}
            deployment.status = "Succeeded"
        else:
            alias.weights = {deployment.target: self._share}

    def _end(self, deployment: Deployment, code: str) -> None:
        deployment.status, deployment.code = "Stopped", code
        self.deployments.append(
            Deployment(
                id=f"d-{next(self._ids)}",
                group=deployment.group,
                function=deployment.function,
                alias=deployment.alias,
                before=deployment.target,
                target=deployment.before,
                started=self.now,
                seconds=ROLLBACK_SECONDS,
                watches=False,
                creator="codeDeployRollback",
            )
        )
