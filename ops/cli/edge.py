"""The commands `edge`: compare a deployed CloudFront distribution with the rules of the stand-in."""

from __future__ import annotations

import json
import os

import click
from botocore.exceptions import ClientError

from ops.cli.edge_probes import Paths, Viewer
from ops.cli.edge_probes import probe as send_probes
from ops.cli.target import Chosen, Target, table
from ops.console import CommandError
from ops.jobs import refusal_of
from ops.local.edge_control import EdgeControl
from ops.local.edge_deployed import read_distribution

WIDTH = 60
"""How many characters of a value the table shows."""

DOCUMENTS = "documents/"
"""What the key of every document has after its visibility."""


@click.group()
def edge() -> None:
    """Look at the stack's CloudFront distribution."""


@edge.command()
@click.option("--url", help="The distribution's base URL. Without it: the output edge_url, or the local run's port.")
@click.option("--public", help="The path of a document that everybody may read. Without it: the first in the bucket.")
@click.option("--private", help="The path of a document that needs a sign-in. Without it: the first in the bucket.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per request, with whole values.")
@click.pass_context
def probe(context: click.Context, url: str | None, public: str | None, private: str | None, as_json: bool) -> None:
    """Send some 35 requests to the distribution, and compare the responses with the stand-in's rules.

    The tests of the edge run against a stand-in for CloudFront, which follows AWS's documentation. Run this command on
    a real distribution to confirm its rules (docs/edge-standin.md). The requests change nothing.

    The exit code is 0 if every response is as the rules say, and 1 if there is a difference.
    """
    chosen: Chosen = context.obj
    target = chosen.target
    identity = target.output("edge_id", "it has no CloudFront distribution. Set the variable edge, and apply.")
    try:
        distribution, policies = read_distribution(target.client("cloudfront", "us-east-1"), identity)
        public = public or _first_document(target, "public")
        private = private or _first_document(target, "authenticated")
    except ClientError as error:
        raise CommandError(
            f"{refusal_of(error)} The command needs cloudfront:GetDistribution, cloudfront:Get*Policy and, "
            "without --public and --private, s3:ListBucket on the documents bucket."
        ) from error
    if public is None:
        raise CommandError("The bucket has no public document. Name one that exists: --public /documents/NAME/ID")
    viewer = Viewer(url or _url(target, identity))
    try:
        outcomes = list(send_probes(viewer, distribution, policies, Paths(public, private)))
    except OSError as error:
        raise CommandError(f"The distribution doesn't respond: {error}") from error
    if as_json:
        for outcome in outcomes:
            click.echo(json.dumps(outcome._asdict() | {"same": outcome.same}))
    else:
        rows: list[tuple[str, ...]] = [
            ("ok" if entry.same else "DIFFERENT", entry.probe, entry.rule, entry.expected[:WIDTH], entry.seen[:WIDTH])
            for entry in outcomes
        ]
        table(rows, "RESULT", "REQUEST", "RULE", "EXPECTED", "SEEN")
        different = sum(not entry.same for entry in outcomes)
        click.echo(f"{len(outcomes)} requests, {different} different. The rules: docs/edge-standin.md")
    context.exit(0 if all(entry.same for entry in outcomes) else 1)


def _first_document(target: Target, visibility: str) -> str | None:
    """Return the path at the edge of the first document with this visibility in the primary Region's bucket."""
    storage = target.client("s3", target.region)
    bucket = target.outputs["documents_bucket"]
    for page in storage.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{visibility}/{DOCUMENTS}"):
        for entry in page.get("Contents", []):
            path: str = entry["Key"].removeprefix(visibility)
            if not path.startswith(f"/{DOCUMENTS}sources/"):
                return path
    return None


def _url(target: Target, identity: str) -> str:
    """Return the distribution's base URL. For a local run, it is the emulator's second port.

    :raises CommandError: if the stack has no distribution
    """
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):
        control = EdgeControl(endpoint)
        control.choose(identity)
        return str(control.state()["url"])
    return str(target.output("edge_url", "it has no CloudFront distribution. Set the variable edge, and apply."))
