"""The command `flush-cache`: empty the caches that clients meet first, those of API Gateway and of the edge."""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

import click
from botocore.exceptions import BotoCoreError, ClientError

from ops.cli.api import STAGE
from ops.cli.private_stores import region_option, regions
from ops.cli.probes import Clients
from ops.cli.status_probes import EDGE_REGION, resources_of
from ops.cli.target import Chosen, Target
from ops.console import CommandError
from ops.jobs import Job, JobOptions, job_options, open_job, show_plan

EVERYTHING = "/*"

SECONDS = 10.0
"""How long to wait for an answer, so that a lost Region doesn't hold up the others."""


class StageCache(NamedTuple):
    """The API Gateway cache of one Region.

    region: the Region
    api_id: the id of the REST API
    size: the size of the cache cluster in GB, as API Gateway names it
    """

    region: str
    api_id: str
    size: str


@click.command(name="flush-cache")
@region_option
@click.option(
    "--path",
    "paths",
    multiple=True,
    metavar="PATH",
    help="Only this path at the edge, such as /documents/products/p-1. May end in * and be repeated.",
)
@job_options(paced=False)
@click.pass_obj
def flush_cache(chosen: Chosen, region: str | None, paths: tuple[str, ...], options: JobOptions) -> None:
    """Empty the cache of API Gateway in each Region, and invalidate everything at the edge.

    Use this if clients must not get an old response any longer, for example after a mistake in a document. Until then
    each response lives for the cache_ttl of its collection. The next requests go to the documents and functions, so the
    stack is slower and costs more until the caches are full again.

    With --region, only the API of that Region is emptied, and the edge stays as it is. With --path, only that path at
    the edge is invalidated, because API Gateway can only empty a whole cache. CloudFront takes some seconds, up to two
    minutes. Each path counts as an invalidation, of which 1,000 a month are free.

    The item cache is another one: `cache flush`. The copies in the clients themselves stay until they expire.
    """
    target = chosen.target
    _check_paths(target, region, paths)
    clients = Clients(SECONDS)
    stages, unknown = ([], []) if paths else _stage_caches(chosen, region, clients)
    edge_id = None if region else target.outputs.get("edge_id")
    if not stages and not unknown and edge_id is None:
        raise CommandError("There is no cache to empty: neither cache_size nor edge is set.")
    edge_paths = sorted(paths) or [EVERYTHING]
    if not options.yes:
        steps = [
            f"{stage.region}: would empty the cache of {stage.size} GB of the API {stage.api_id}." for stage in stages
        ]
        if edge_id:
            steps.append(f"Would invalidate {', '.join(edge_paths)} in the distribution {edge_id}.")
        show_plan("flush-cache", [*steps, *unknown], options)
        return
    arguments = {"region": region, "paths": edge_paths}
    with open_job(target, "flush-cache", arguments, options) as job:
        failures = [*unknown, *_flush_stages(clients, stages, job)]
        if edge_id:
            failures += _invalidate(clients, edge_id, edge_paths, job)
        if failures:
            raise CommandError("\n".join([*failures, "Repeat the command when that is well again."]))


def _check_paths(target: Target, region: str | None, paths: tuple[str, ...]) -> None:
    """Refuse paths that can't be invalidated.

    :raises CommandError: if the stack has no edge
    """
    if not paths:
        return
    if region is not None:
        raise click.UsageError("Leave out --region or --path: the edge belongs to no Region.")
    if wrong := [path for path in paths if not path.startswith("/") or "*" in path[:-1]]:
        raise click.UsageError(f"Begin each path with a slash, and write * at the end only: {wrong[0]}")
    target.output("edge_id", "it has no CloudFront distribution. Set the variable edge, and apply.")


def _stage_caches(chosen: Chosen, region: str | None, clients: Clients) -> tuple[list[StageCache], list[str]]:
    """Return the caches of the stack's APIs, and a sentence for each Region that doesn't say whether it has any."""
    target = chosen.target
    names = [stack.region for stack in regions(chosen, region)]
    found, unknown = [], []
    for resources in resources_of(target):
        api_id = (resources.outputs.get("api") or {}).get("id")
        if resources.region not in names or api_id is None:
            continue
        gateway = clients("apigateway", resources.region)
        try:
            stage = gateway.get_stage(restApiId=api_id, stageName=STAGE)
        except (ClientError, BotoCoreError) as error:
            unknown.append(f"{resources.region}: API Gateway doesn't show the stage ({_reason(error)}).")
            continue
        if stage.get("cacheClusterEnabled"):
            found.append(StageCache(resources.region, api_id, str(stage.get("cacheClusterSize", "?"))))
    return found, unknown


def _flush_stages(clients: Clients, stages: list[StageCache], job: Job) -> list[str]:
    """Empty the cache of each API. Return a sentence for each that failed."""
    failures = []
    for stage in stages:
        try:
            clients("apigateway", stage.region).flush_stage_cache(restApiId=stage.api_id, stageName=STAGE)
        except (ClientError, BotoCoreError) as error:
            failures.append(f"{stage.region}: the cache of the API isn't empty ({_reason(error)}).")
            continue
        job.advance(None, api_caches=1)
        job.say(f"{stage.region}: the cache of the API is empty.")
    return failures


def _invalidate(clients: Clients, edge_id: str, paths: list[str], job: Job) -> list[str]:
    """Invalidate paths at the edge. Return a sentence if that failed."""
    batch = {
        "Paths": {"Quantity": len(paths), "Items": paths},
        # A new one for each run. CloudFront answers a repeated reference with the earlier invalidation, and carries out
        # nothing. The job's own id stays the same after a failed run, although documents may have changed since.
        "CallerReference": uuid.uuid4().hex,
    }
    cloudfront = clients("cloudfront", EDGE_REGION)
    try:
        response = cloudfront.create_invalidation(DistributionId=edge_id, InvalidationBatch=batch)
    except (ClientError, BotoCoreError) as error:
        return [f"The edge isn't invalidated ({_reason(error)})."]
    job.advance(None, invalidated_paths=len(paths))
    job.say(f"CloudFront carries out the invalidation {response['Invalidation']['Id']}.")
    return []


def _reason(error: Any) -> str:
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
