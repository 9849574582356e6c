"""Test the command `deploy`: what it shifts, how it rolls back, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from click.testing import CliRunner, Result

from ops.cli.deployments import RegionalDeployments, chosen, deploy, stop
from ops.cli.main import main
from ops.cli.target import Target
from ops.console import CommandError
from ops.jobs import JobStoppedError, JobTakenError
from tests.fakes.code_deploy import CodeDeploy
from tests.fakes.moto_aws import REGION, Aws
from tests.unit.ops.cli.support import OUTPUTS, objects

REPLICA = "eu-west-1"
NAMES = ("apply", "read", "write")
ALIAS = "released-1"


def region_output(*names: str) -> dict[str, Any]:
    """Return the part of the output `deployments` about one Region."""
    return {
        "application": "shop",
        "functions": {
            name: {"name": f"shop-{name}", "group": name, "alias": ALIAS, "alarms": alarms(name)} for name in names
        },
    }


def alarms(name: str) -> list[str]:
    """Return the alarms that roll back a deployment of a function."""
    return [f"shop-{name}-errors", "shop-api-errors"]


DEPLOYMENTS = {REGION: region_output(*NAMES), REPLICA: region_output("read", "write")}


class Clouds:
    """Two Regions, whose time passes when a command waits."""

    def __init__(self) -> None:
        self.regions = {REGION: CodeDeploy(), REPLICA: CodeDeploy()}
        for region, cloud in self.regions.items():
            for name in DEPLOYMENTS[region]["functions"]:
                cloud.add(f"shop-{name}", name, ALIAS, 3, 4, *alarms(name))
        self.cloud = self.regions[REGION]
        self.said: list[str] = []
        self.target = Target(OUTPUTS | {"deployments": DEPLOYMENTS})
        self.waits_left = 10**6

    def client(self, service: str, region: str | None = None) -> Any:
        """Return a client as :meth:`Target.client` does."""
        if service == "lambda":
            return SimpleNamespace(get_alias=self.regions[region or REGION].get_alias)
        if service in ("codedeploy", "cloudwatch"):
            return self.regions[region or REGION]
        make: Any = boto3.client
        return make(service, region_name=region or REGION)

    def invoker(self, region: str) -> Any:
        """Return a client as :meth:`Target.invoker` does."""
        return SimpleNamespace(invoke=self.regions[region].invoke)

    def confirm(self) -> None:
        """Say that nobody has taken the job over."""

    def wait(self, seconds: float) -> None:
        """Let time pass in both Regions. Raise KeyboardInterrupt when `waits_left` is used up."""
        if self.waits_left == 0:
            raise KeyboardInterrupt
        self.waits_left -= 1
        for cloud in self.regions.values():
            cloud.advance(seconds)

    def deployments(self, *names: str) -> RegionalDeployments:
        """Return the deployments of functions of the primary Region: of all, if none is named."""
        return RegionalDeployments(self.target, REGION, names or NAMES)

    def versions(self, region: str = REGION) -> dict[str, str]:
        """Return the version that each function's clients get. The test fails if some get another one."""
        found = {}
        for (function, alias), entry in self.regions[region].aliases.items():
            if alias == ALIAS:
                assert entry.weights == {}
                found[function.removeprefix("shop-")] = entry.version
        return found

    def run(self) -> list[str]:
        """Deploy in the primary Region, and return the names of what was behind."""
        return [function.name for function in deploy(self.deployments(), self.wait, self.said.append, self.confirm)]


@pytest.fixture
def clouds(monkeypatch: pytest.MonkeyPatch) -> Clouds:
    clouds = Clouds()
    monkeypatch.setattr(Target, "client", lambda _self, service, region=None: clouds.client(service, region))
    monkeypatch.setattr(Target, "invoker", lambda _self, region: clouds.invoker(region))
    return clouds


@pytest.fixture
def run(clouds: Clouds, aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Return a function that runs a command line on a stack whose deployments are a stand-in."""
    make: Any = boto3.client
    make("s3").create_bucket(Bucket="log", CreateBucketConfiguration={"LocationConstraint": REGION})
    monkeypatch.setattr("ops.jobs.Job.wait", lambda _self, seconds: clouds.wait(seconds))
    file = tmp_path / "outputs.json"

    def command(*words: str, outputs: dict[str, Any] | None = None) -> Result:
        values = OUTPUTS | {"deployments": DEPLOYMENTS} | (outputs or {})
        file.write_text(json.dumps({name: {"value": value} for name, value in values.items()}))
        return CliRunner().invoke(main, ["--outputs", str(file), "deploy", *words])

    return command


# --- The logic


def test_every_function_that_is_behind_gets_its_newest_version(clouds: Clouds) -> None:
    clouds.cloud.aliases["shop-read", ALIAS].version = "4"
    assert clouds.run() == ["apply", "write"]
    assert clouds.versions() == {"apply": "4", "read": "4", "write": "4"}
    assert [each.group for each in clouds.cloud.deployments] == ["apply", "write"]
    assert f"{REGION}: write: from version 3 to 4" in clouds.said and f"{REGION}: write: Succeeded" in clouds.said


@pytest.mark.parametrize(
    ("backwards", "order"), [(False, ["apply", "read", "write"]), (True, ["read", "write", "apply"])]
)
def test_whoever_reads_something_new_comes_first(clouds: Clouds, *, backwards: bool, order: list[str]) -> None:
    """`apply` shifts before `write`, whose changes it reads. Functions of the same stage shift together."""
    deploy(clouds.deployments(), clouds.wait, clouds.said.append, clouds.confirm, backwards=backwards)
    assert [each.group for each in clouds.cloud.deployments] == order
    started = {each.group: each.started for each in clouds.cloud.deployments}
    assert started["read"] == started["write"] and abs(started["apply"] - started["read"]) >= 600


def test_poll_gets_all_calls_at_once_whatever_its_alarm_says(clouds: Clouds) -> None:
    """The old version fails for a new source, so that its alarm is on until the new version is there."""
    clouds.cloud.add("shop-poll", "poll", ALIAS, 3, 4, "shop-poll-errors")
    clouds.cloud.on.add("shop-poll-errors")
    target = Target(OUTPUTS | {"deployments": {REGION: region_output("poll")}})
    deploy(RegionalDeployments(target, REGION, ["poll"]), clouds.wait, clouds.said.append, clouds.confirm)
    assert clouds.versions()["poll"] == "4" and clouds.cloud.now <= 30


def test_an_alarm_that_begins_between_two_stages_stops_the_second(clouds: Clouds) -> None:
    def say(text: str) -> None:
        if text.endswith("apply: Succeeded"):
            clouds.cloud.on.add("shop-api-errors")

    with pytest.raises(CommandError, match=r"shop-api-errors is on"):
        deploy(clouds.deployments(), clouds.wait, say, clouds.confirm)
    assert clouds.versions() == {"apply": "4", "read": "3", "write": "3"}


def test_nothing_is_deployed_if_nothing_is_behind(clouds: Clouds) -> None:
    clouds.run()
    before = len(clouds.cloud.deployments)
    assert clouds.run() == [] and len(clouds.cloud.deployments) == before


def test_a_version_that_has_not_passed_its_check_is_not_deployed(clouds: Clouds) -> None:
    """Terraform doesn't move `live` to such a version, and only `live` is deployed."""
    clouds.cloud.aliases["shop-write", "live"].version = "3"
    assert clouds.run() == ["apply", "read"]
    assert clouds.versions()["write"] == "3"


def test_every_new_version_passes_its_check_before_the_first_one_shifts(clouds: Clouds) -> None:
    clouds.cloud.aliases["shop-read", ALIAS].version = "4"
    checked: list[tuple[str, str]] = []

    def say(_text: str) -> None:
        checked[:] = checked or clouds.cloud.checked

    deploy(clouds.deployments(), clouds.wait, say, clouds.confirm)
    assert checked == clouds.cloud.checked == [("shop-apply", "4"), ("shop-write", "4")]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("SnapStartNotReadyException", "Lambda is making its snapshot"),
        ("ResourceNotReadyException", "Lambda is connecting it to its VPC"),
        ("ResourceConflictException", "Lambda is preparing it"),
        ("TooManyRequestsException", "all executions that the function may have are in use"),
    ],
)
def test_a_version_that_lambda_took_out_of_service_is_awaited(clouds: Clouds, code: str, reason: str) -> None:
    """Lambda begins to bring it back with the first call, which it refuses."""
    clouds.cloud.unready["shop-write", "4"] = (code, 240.0)
    assert clouds.run() == ["apply", "read", "write"]
    assert clouds.said[0] == f"{REGION}: waiting for write (4): {reason}"
    assert clouds.versions()["write"] == "4" and clouds.cloud.deployments[0].started >= 240


def test_a_version_that_does_not_come_back_starts_nothing(clouds: Clouds) -> None:
    clouds.cloud.unready["shop-write", "4"] = ("SnapStartNotReadyException", 10**6)
    with pytest.raises(CommandError) as error:
        clouds.run()
    assert str(error.value) == (
        f"{REGION}: some versions aren't ready after 15 minutes, so nothing was started. write (4): Lambda is making "
        "its snapshot. Run this command again. If that doesn't help, raise republish and apply."
    )
    assert clouds.cloud.deployments == [] and 900 <= clouds.cloud.now <= 920


def test_a_version_whose_check_fails_now_starts_nothing(clouds: Clouds) -> None:
    """It passed when Terraform published it. Since then, somebody may have deleted what it reads at init."""
    clouds.cloud.problems["shop-write", "4"] = ["The schemas are gone."]
    with pytest.raises(CommandError, match=r"version 4 of write fails its check, .* The schemas are gone\. Correct"):
        clouds.run()
    assert clouds.cloud.deployments == [] and clouds.cloud.now == 0


def test_throttled_functions_do_not_hold_up_an_urgent_remedy(clouds: Clouds) -> None:
    clouds.cloud.unready["shop-write", "4"] = ("TooManyRequestsException", 10**6)
    deploy(clouds.deployments(), clouds.wait, clouds.said.append, clouds.confirm, at_once=True)
    assert clouds.versions() == {"apply": "4", "read": "4", "write": "4"} and clouds.cloud.now <= 60


def test_a_bad_version_is_rolled_back_with_all_others(clouds: Clouds) -> None:
    clouds.cloud.bad.add(("shop-write", "4"))
    with pytest.raises(CommandError) as error:
        clouds.run()
    assert str(error.value) == (
        f"{REGION}: the deployment of write was rolled back, because an alarm fired. On now: shop-write-errors. "
        "Clients get the old version of: read (3), write (3). They get the newest version of: apply (4)."
    )
    assert f"{REGION}: read: rolled back, because the deployment of write failed" in clouds.said
    assert clouds.versions() == {"apply": "4", "read": "3", "write": "3"}
    # A tenth of the calls, until the alarm fires and the roll-back is done.
    assert 0 < clouds.cloud.bad_share_seconds <= 0.1 * (180 + 30)


def test_a_bad_version_is_refused_again_as_long_as_the_alarm_is_on(clouds: Clouds) -> None:
    clouds.cloud.bad.add(("shop-write", "4"))
    with pytest.raises(CommandError):
        clouds.run()
    before = len(clouds.cloud.deployments)
    with pytest.raises(CommandError, match=r"shop-write-errors is on, so CodeDeploy would roll back at once"):
        clouds.run()
    assert len(clouds.cloud.deployments) == before


def test_an_urgent_remedy_goes_out_although_an_alarm_is_on(clouds: Clouds) -> None:
    clouds.cloud.on.add("shop-api-errors")
    with pytest.raises(CommandError, match="use --at-once"):
        clouds.run()
    deploy(clouds.deployments(), clouds.wait, clouds.said.append, clouds.confirm, at_once=True)
    assert clouds.versions() == {"apply": "4", "read": "4", "write": "4"}
    assert clouds.cloud.now <= 60


def test_an_alarm_of_another_function_stops_nothing(clouds: Clouds) -> None:
    clouds.cloud.on.add("shop-apply-errors")
    deploy(clouds.deployments("read", "write"), clouds.wait, clouds.said.append, clouds.confirm)
    assert clouds.versions() == {"apply": "3", "read": "4", "write": "4"}


@pytest.mark.parametrize("waits", [0, 1, 10, 30, 60, 61, 62, 90, 119])
def test_a_run_that_ends_early_can_be_run_again(clouds: Clouds, waits: int) -> None:
    """The deployments go on by themselves, and the next run starts none of them twice."""
    clouds.waits_left = waits
    with pytest.raises(KeyboardInterrupt):
        clouds.run()
    clouds.waits_left = 10**6
    clouds.run()
    assert clouds.versions() == {"apply": "4", "read": "4", "write": "4"}
    assert len(clouds.cloud.deployments) == 3


@pytest.mark.parametrize("waits", range(60, 86, 3))
def test_a_bad_version_never_stays_after_a_run_that_ended_early(clouds: Clouds, waits: int) -> None:
    clouds.cloud.bad.add(("shop-read", "4"))
    clouds.waits_left = waits
    with pytest.raises((KeyboardInterrupt, CommandError)):
        clouds.run()
    clouds.waits_left = 10**6
    with pytest.raises(CommandError, match=r"rolled back|would roll back"):
        clouds.run()
    assert clouds.versions() == {"apply": "4", "read": "3", "write": "3"}


def test_a_running_roll_back_is_waited_for_and_reported(clouds: Clouds) -> None:
    client = clouds.cloud
    started = [clouds.deployments().start(function, at_once=False) for function in clouds.deployments("read").read()]
    client.advance(5)
    client.stop_deployment(deploymentId=started[0], autoRollbackEnabled=True)
    client.advance(1)
    with pytest.raises(CommandError, match="of read was rolled back, because an earlier deployment failed"):
        deploy(clouds.deployments("read"), clouds.wait, clouds.said.append, clouds.confirm)
    assert clouds.versions()["read"] == "3"


def test_a_refused_start_stops_what_was_started(clouds: Clouds) -> None:
    clouds.cloud.refused["CreateDeployment write"] = "AccessDeniedException"
    with pytest.raises(ClientError):
        clouds.run()
    clouds.cloud.advance(60)
    assert [each.group for each in clouds.cloud.deployments if each.creator == "user"] == ["apply", "read"]
    assert clouds.versions() == {"apply": "4", "read": "3", "write": "3"}


def test_a_version_that_is_published_meanwhile_is_named(clouds: Clouds) -> None:
    def wait(seconds: float) -> None:
        clouds.wait(seconds)
        if any(each.group == "read" for each in clouds.cloud.deployments):
            clouds.cloud.aliases["shop-read", "live"].version = "5"

    with pytest.raises(CommandError, match=r"Terraform has published newer versions meanwhile, of: read\."):
        deploy(clouds.deployments(), wait, clouds.said.append, clouds.confirm)
    assert clouds.versions()["read"] == "4"
    assert clouds.run() == ["read"] and clouds.versions()["read"] == "5"


def test_weights_without_a_deployment_are_refused_before_anything_starts(clouds: Clouds) -> None:
    clouds.cloud.aliases["shop-write", ALIAS].weights = {"4": 0.5}
    with pytest.raises(CommandError, match="released-1 of shop-write sends calls to two versions"):
        clouds.run()
    assert clouds.cloud.deployments == []


def test_a_missing_alias_is_named(clouds: Clouds) -> None:
    del clouds.cloud.aliases["shop-write", ALIAS]
    with pytest.raises(CommandError, match=r"shop-write in .* has no alias released-1. Run terraform apply"):
        clouds.run()


def test_stop_rolls_back_what_is_running(clouds: Clouds) -> None:
    clouds.waits_left = 5
    with pytest.raises(KeyboardInterrupt):
        clouds.run()
    clouds.waits_left = 10**6
    assert stop(clouds.deployments(), clouds.wait, clouds.said.append) == (["apply"], None)
    assert clouds.versions() == {"apply": "3", "read": "3", "write": "3"}
    assert stop(clouds.deployments(), clouds.wait, clouds.said.append) == ([], None)


def begin(clouds: Clouds, *names: str) -> dict[str, str]:
    """Start deployments at the same time, and return the id of each function's deployment."""
    deployments = clouds.deployments(*names)
    started = {function.name: deployments.start(function, at_once=False) for function in deployments.read()}
    clouds.cloud.advance(60)
    return started


def roll_backs(clouds: Clouds) -> dict[str, str]:
    """Return how the roll-back of each group has ended."""
    return {each.group: each.status for each in clouds.cloud.deployments if each.creator == "codeDeployRollback"}


def test_stop_never_stops_a_roll_back(clouds: Clouds) -> None:
    """An alarm has rolled `write` back, and the operator wants the old versions of the other function too."""
    started = begin(clouds, "read", "write")
    clouds.cloud.stop_deployment(deploymentId=started["write"], autoRollbackEnabled=True)
    clouds.cloud.advance(5)
    assert stop(clouds.deployments("read", "write"), clouds.wait, clouds.said.append) == (["read"], None)
    assert clouds.said == [f"{REGION}: read: stopped", f"{REGION}: write: a roll-back is running, or it has ended"]
    assert clouds.versions() == {"apply": "3", "read": "3", "write": "3"}
    assert roll_backs(clouds) == {"read": "Succeeded", "write": "Succeeded"}


def test_a_second_run_never_stops_a_roll_back(clouds: Clouds) -> None:
    """The roll-backs of a run that was killed end one after another. The first one that ends counts as a failure."""
    started = begin(clouds, "read", "write")
    for name in started:
        clouds.cloud.stop_deployment(deploymentId=started[name], autoRollbackEnabled=True)
        clouds.cloud.advance(11)
    with pytest.raises(CommandError, match="of read was rolled back, because an earlier deployment failed"):
        deploy(clouds.deployments("read", "write"), clouds.wait, clouds.said.append, clouds.confirm)
    assert clouds.versions() == {"apply": "3", "read": "3", "write": "3"}
    assert roll_backs(clouds) == {"read": "Succeeded", "write": "Succeeded"}


def test_a_stop_whose_roll_back_takes_too_long_is_an_error(clouds: Clouds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fakes.code_deploy.ROLLBACK_SECONDS", 10**6)
    begin(clouds, "write")
    stopped, problem = stop(clouds.deployments(), clouds.wait, clouds.said.append)
    assert stopped == ["write"] and "CodeDeploy hasn't finished yet with: write." in str(problem)


@pytest.mark.parametrize("name", ["read", "write"])
def test_a_deployment_whose_response_was_lost_is_watched(clouds: Clouds, name: str) -> None:
    """boto3 repeats the request, and CodeDeploy refuses it because of the first one."""
    clouds.cloud.lose_response(name, repeats=True)
    assert clouds.run() == ["apply", "read", "write"]
    assert clouds.versions() == {"apply": "4", "read": "4", "write": "4"}
    assert [each.group for each in clouds.cloud.deployments] == ["apply", "read", "write"]


@pytest.mark.parametrize("name", ["read", "write"])
def test_a_deployment_without_any_response_is_stopped_with_its_stage(clouds: Clouds, name: str) -> None:
    clouds.cloud.lose_response(name, repeats=False)
    with pytest.raises(EndpointConnectionError):
        clouds.run()
    clouds.cloud.advance(1000)
    assert clouds.versions() == {"apply": "4", "read": "3", "write": "3"}


def test_a_full_account_starts_nothing(clouds: Clouds) -> None:
    clouds.cloud.refused["CreateDeployment apply"] = "DeploymentLimitExceededException"
    with pytest.raises(ClientError, match="DeploymentLimitExceededException"):
        clouds.run()
    assert clouds.cloud.deployments == []


def test_the_reason_is_said_before_anything_else_can_fail(clouds: Clouds) -> None:
    clouds.cloud.bad.add(("shop-write", "4"))

    def say(text: str) -> None:
        clouds.said.append(text)
        if "rolled back" in text:
            clouds.cloud.refused["GetAlias"] = "TooManyRequestsException"

    with pytest.raises(ClientError):
        deploy(clouds.deployments(), clouds.wait, say, clouds.confirm)
    assert f"{REGION}: write: rolled back, because an alarm fired" in clouds.said


def test_nothing_starts_once_the_job_is_taken_over(clouds: Clouds) -> None:
    def confirm() -> None:
        if clouds.versions()["apply"] == "4":
            raise JobTakenError("Another operator.")

    with pytest.raises(JobTakenError):
        deploy(clouds.deployments(), clouds.wait, clouds.said.append, confirm)
    assert [each.group for each in clouds.cloud.deployments] == ["apply"]


# --- The command line


def test_without_yes_it_only_shows_the_versions(run: Callable[..., Result], clouds: Clouds) -> None:
    clouds.cloud.aliases["shop-read", ALIAS].weights = {"4": 0.1}
    result = run()
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.output.splitlines()]
    assert [REGION, "apply", "3", "4", "behind"] in rows
    assert [REGION, "read", "3", "(10%", "another)", "4", "stuck"] in rows
    assert "4 of 5 are behind. Deploy them with --yes." in result.output
    assert all(cloud.deployments == [] for cloud in clouds.regions.values()) and objects("config/") == []


def test_the_versions_as_json(run: Callable[..., Result]) -> None:
    result = run("--json", "--function", "write", "--region", REPLICA)
    (function,) = json.loads(result.stdout)["functions"]
    expected = {"region": REPLICA, "name": "write", "released": "3", "live": "4", "state": "behind"}
    assert function == expected | {"share": 0, "deployment": None}


def test_it_deploys_in_one_region_after_the_other(run: Callable[..., Result], clouds: Clouds) -> None:
    result = run("--yes")
    assert result.exit_code == 0, result.output
    assert clouds.versions() == {"apply": "4", "read": "4", "write": "4"}
    assert clouds.versions(REPLICA) == {"read": "4", "write": "4"}
    first_there = min(each.started for each in clouds.regions[REPLICA].deployments)
    assert first_there >= max(each.started for each in clouds.cloud.deployments) + 600
    # Two stages of ten minutes in the one Region and one in the other.
    assert 1800 <= clouds.cloud.now <= 1900
    assert "deployed 5" in result.stdout and len(objects("config/audit/")) == 1


def test_a_roll_back_is_an_error_and_the_other_region_stays(run: Callable[..., Result], clouds: Clouds) -> None:
    clouds.cloud.bad.add(("shop-write", "4"))
    result = run("--yes")
    assert result.exit_code == 1
    assert "was rolled back, because an alarm fired" in str(result.exception)
    assert clouds.versions(REPLICA) == {"read": "3", "write": "3"} and clouds.regions[REPLICA].deployments == []
    (audit,) = objects("config/audit/")
    make: Any = boto3.client
    entry = json.loads(make("s3").get_object(Bucket="log", Key=audit)["Body"].read())
    assert entry["outcome"] == "failed" and entry["command"] == "deploy"


def audits() -> list[dict[str, Any]]:
    """Return the audit objects, the oldest first."""
    make: Any = boto3.client
    return [json.loads(make("s3").get_object(Bucket="log", Key=key)["Body"].read()) for key in objects("config/audit/")]


def test_the_audit_object_has_the_options(run: Callable[..., Result]) -> None:
    assert run("--yes", "--at-once", "--function", "read", "--region", REGION).exit_code == 0
    assert run("--yes", "--stop", "--take-over").exit_code == 0
    first, second = audits()
    none: dict[str, Any] = {
        "region": None,
        "functions": [],
        "at_once": False,
        "backwards": False,
        "stop": False,
        "take_over": False,
    }
    assert first["arguments"] == none | {"region": REGION, "functions": ["read"], "at_once": True}
    assert second["arguments"] == none | {"stop": True, "take_over": True}
    assert len(objects("config/jobs/")) == 1, "the lock is the same for all options"


def test_a_stop_between_two_stages_lets_nothing_more_start(
    run: Callable[..., Result], clouds: Clouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first process learns of the take-over right before it starts the next stage, not some seconds later."""
    stops: list[Result] = []
    describe = clouds.cloud.describe_alarms

    def describe_alarms(**parameters: Any) -> dict[str, Any]:
        if not stops and clouds.versions()["apply"] == "4":
            stops.append(run("--yes", "--stop", "--take-over"))
        return describe(**parameters)

    monkeypatch.setattr(clouds.cloud, "describe_alarms", describe_alarms)
    first = run("--yes")
    assert stops[0].exit_code == 0 and "stopped 0" in stops[0].stdout
    assert isinstance(first.exception, JobTakenError)
    clouds.cloud.advance(1000)
    assert clouds.versions() == {"apply": "4", "read": "3", "write": "3"}


def test_a_stop_goes_on_in_the_next_region_if_the_first_takes_too_long(
    run: Callable[..., Result], clouds: Clouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    for region in (REGION, REPLICA):
        deployments = RegionalDeployments(clouds.target, region, ["write"])
        for function in deployments.read():
            deployments.start(function, at_once=False)
    clouds.wait(60)
    monkeypatch.setattr("tests.fakes.code_deploy.ROLLBACK_SECONDS", 10**6)
    result = run("--yes", "--stop")
    assert result.exit_code == 1
    assert str(result.exception).count("CodeDeploy hasn't finished yet with: write.") == 2
    for cloud in clouds.regions.values():
        assert [each.creator for each in cloud.deployments] == ["user", "codeDeployRollback"]
    (audit,) = audits()
    assert (audit["outcome"], audit["counts"]) == ("failed", {"stopped": 2})


def test_two_operators_do_not_deploy_at_once(
    run: Callable[..., Result], clouds: Clouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is the same for every choice of functions and Regions."""
    results: list[Result] = []

    def wait(_job: object, seconds: float) -> None:
        clouds.wait(seconds)
        if not results:
            results.append(run("--yes", "--function", "read", "--region", REGION))

    monkeypatch.setattr("ops.jobs.Job.wait", wait)
    assert run("--yes").exit_code == 0
    assert results[0].exit_code == 1 and "runs this job since" in str(results[0].exception)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--region", "us-east-1"], "This stack has no deployments in us-east-1. It has some in: "),
        (["--function", "wriet"], "There is no function wriet. Deployed are: apply, read, write."),
        (["--function", "apply", "--region", REPLICA], f"apply doesn't exist in {REPLICA}."),
    ],
)
def test_unknown_names_are_refused(run: Callable[..., Result], clouds: Clouds, words: list[str], text: str) -> None:
    result = run("--yes", *words)
    assert result.exit_code == 1 and text in str(result.exception)
    assert clouds.cloud.deployments == []


def test_a_stack_without_canary_is_told_how_to_get_one(run: Callable[..., Result]) -> None:
    result = run("--yes", outputs={"deployments": {}})
    assert result.exit_code == 1 and "set deploy.canary (docs/upgrading.md)" in str(result.exception)


def test_at_once_and_stop_exclude_each_other(run: Callable[..., Result]) -> None:
    assert run("--yes", "--at-once", "--stop").exit_code == 2


@pytest.mark.parametrize(("operation", "words"), [("GetAlias", ()), ("Invoke", ("--yes",))])
def test_a_missing_right_is_one_sentence(
    run: Callable[..., Result], clouds: Clouds, operation: str, words: tuple[str, ...]
) -> None:
    clouds.cloud.refused[operation] = "AccessDeniedException"
    result = run(*words)
    assert result.exit_code == 1
    assert str(result.exception).startswith(f"AWS refused {operation}: AccessDeniedException.")
    assert clouds.cloud.deployments == []


def test_an_interrupted_command_says_that_the_deployments_go_on(
    run: Callable[..., Result], clouds: Clouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(_job: object, _seconds: float) -> None:
        raise JobStoppedError("Stopped.")

    monkeypatch.setattr("ops.jobs.Job.wait", wait)
    result = run("--yes")
    assert result.exit_code == 1
    assert f"What CodeDeploy has begun in {REGION} goes on. Run the same command again" in str(result.exception)


def test_no_choice_is_every_function(clouds: Clouds) -> None:
    assert chosen(clouds.target, None, ()) == {REGION: list(NAMES), REPLICA: ["read", "write"]}
