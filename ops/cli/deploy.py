"""The command `deploy`: bring new versions of the functions to clients step by step."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from ops.cli import deployments
from ops.cli.deployments import DeployedFunction, DeploymentError, RegionalDeployments
from ops.cli.target import Chosen, Target, table
from ops.jobs import JobOptions, JobStoppedError, open_job


@click.command()
@click.option("--region", help="Only this Region. Otherwise the primary Region, and then the replica Region.")
@click.option("--function", "functions", multiple=True, help="Only this function. May be repeated.")
@click.option("--at-once", is_flag=True, help="Shift all calls at once, whatever the alarms say: for an urgent remedy.")
@click.option(
    "--backwards", is_flag=True, help="In the reverse order of the functions: for a return to an older release."
)
@click.option("--stop", "stopping", is_flag=True, help="Stop the running deployments and roll them back.")
@click.option("--yes", is_flag=True, help="Do it. Without this, only show the versions.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option("--take-over", is_flag=True, help="Go on, although another operator runs this command.")
@click.pass_obj
def deploy(
    choice: Chosen,
    *,
    region: str | None,
    functions: tuple[str, ...],
    at_once: bool,
    backwards: bool,
    stopping: bool,
    yes: bool,
    as_json: bool,
    take_over: bool,
) -> None:
    """Bring new versions of the functions to clients step by step.

    `terraform apply` publishes a new version of each changed function and checks it. With deploy.canary, clients get
    it only by this command. AWS CodeDeploy sends a share of the calls to the new version, and the rest some minutes
    later. If an alarm fires meanwhile, it rolls back, and this command ends with the exit code 1.

    The deployments go on if this command ends. Run it again to watch them.
    """
    if at_once and stopping:
        raise click.UsageError("Use --at-once or --stop, and not both.")
    order = functools.partial(deployments.deploy, at_once=at_once, backwards=backwards)
    target = choice.target
    regions = [
        RegionalDeployments(target, each, names)
        for each, names in deployments.chosen(target, region, functions).items()
        if names
    ]
    if yes:
        options = JobOptions(yes=True, as_json=as_json, take_over=take_over)
        audited = {
            "region": region,
            "functions": list(functions),
            "at_once": at_once,
            "backwards": backwards,
            "stop": stopping,
            "take_over": take_over,
        }
        _change(target, regions, options, audited, None if stopping else order)
        return
    _show([function for each in regions for function in each.read()], as_json=as_json)


def _change(
    target: Target,
    regions: Sequence[RegionalDeployments],
    options: JobOptions,
    audited: Mapping[str, Any],
    order: Callable[..., Any] | None,
) -> None:
    """Deploy in one Region after another, or stop what is running there. All runs on a stack have the same lock.

    :param audited: the options of the command line, for the audit object
    :param order: deploys in one Region; None to stop what is running
    """
    # Each run reads the aliases, so it needs no saved position.
    with open_job(target, "deploy", {}, options._replace(restart=True), audited=audited) as job:
        unsettled = []
        for each in regions:
            try:
                if order is None:
                    stopped, problem = deployments.stop(each, job.wait, job.say)
                    job.advance(None, stopped=len(stopped))
                    unsettled += [problem] if problem else []
                else:
                    job.advance(None, deployed=len(order(each, job.wait, job.say, job.confirm)))
            except JobStoppedError as error:
                raise JobStoppedError(
                    f"Stopped. What CodeDeploy has begun in {each.region} goes on. Run the same command again to watch "
                    "it, or roll it back with --stop."
                ) from error
        if unsettled:
            raise DeploymentError(" ".join(unsettled))


def _show(functions: Sequence[DeployedFunction], *, as_json: bool) -> None:
    """Print the versions of each function."""
    if as_json:
        fields = ("region", "name", "released", "live", "share", "state", "deployment")
        click.echo(json.dumps({"functions": [{name: getattr(each, name) for name in fields} for each in functions]}))
        return
    rows: list[tuple[str, ...]] = [
        (each.region, each.name, _versions(each), each.live, each.state) for each in functions
    ]
    table(rows, "REGION", "FUNCTION", "CLIENTS GET", "NEWEST", "STATE")
    behind = sum(each.state == "behind" for each in functions)
    if behind:
        click.echo(f"\n{behind} of {len(functions)} are behind. Deploy them with --yes.")


def _versions(function: DeployedFunction) -> str:
    """Return the version that clients get, and the share that another one gets."""
    return f"{function.released} ({function.share:.0%} another)" if function.share else function.released
