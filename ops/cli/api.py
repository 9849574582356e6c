"""The command `api compare`: compare the API that each Region serves with the document that Terraform imported."""

from __future__ import annotations

import itertools
import json
from typing import Any

import click
from botocore.exceptions import ClientError

from ops.cli.api_differences import Difference, differences, route_count
from ops.cli.target import Chosen, table
from ops.console import CommandError
from ops.jobs import refusal_of

STAGE = "v1"
"""The name of the API's stage (terraform/modules/api/stage.tf)."""

WIDTH = 60
"""How many characters of a value the table shows."""


@click.group()
def api() -> None:
    """Look at the API that API Gateway serves."""


@api.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per difference, with whole values.")
@click.pass_context
def compare(context: click.Context, as_json: bool) -> None:
    """Compare the API that each Region serves with the document that Terraform imported into it.

    `terraform plan` doesn't see what somebody changes in the API by hand: a method, an integration, a gateway response,
    the resource policy. This command exports what the stage serves and names every difference. It changes nothing.

    The exit code is 0 if every Region serves what its document says, and 1 if there is a difference.
    """
    chosen: Chosen = context.obj
    target = chosen.target
    reason = "an older version of Readplane created the stack. Apply terraform/ first."
    documents: dict[str, dict[str, str]] = target.output("api_document_uris", reason)
    found = False
    for region, entry in sorted(documents.items()):
        document = _read_document(target.client("s3", region), entry["uri"])
        deployed, note = _read_stage(target.client("apigateway", region), region, entry["id"])
        if note:
            click.echo(note, err=as_json)
        changes = differences(document, deployed)
        found = found or bool(changes)
        _print(region, changes, route_count(document), as_json)
    context.exit(1 if found else 0)


def _read_document(storage: Any, uri: str) -> dict[str, Any]:
    """Read the document that Terraform imported into an API.

    :param storage: a boto3 client for S3
    :param uri: the document's S3 URI, such as s3://bucket/key
    :raises CommandError: if S3 refuses the request
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        document: dict[str, Any] = json.loads(storage.get_object(Bucket=bucket, Key=key)["Body"].read())
    except ClientError as error:
        raise CommandError(
            f"S3 doesn't give {uri}. {refusal_of(error)} "
            "The command needs the permission s3:GetObject on it, and kms:Decrypt for a customer managed key."
        ) from error
    return document


def _read_stage(gateway: Any, region: str, api_id: str) -> tuple[dict[str, Any], str | None]:
    """Export what an API's stage serves.

    :param gateway: a boto3 client for API Gateway
    :returns: the export, and a sentence for the operator if there is a newer deployment than the stage's
    :raises CommandError: if API Gateway refuses a request
    """
    try:
        stage = gateway.get_stage(restApiId=api_id, stageName=STAGE)
        # The value "apigateway" includes all extensions: integrations, authorizers, validators, gateway responses and
        # the resource policy. "integrations" and "authorizers" would each include only their own.
        export = gateway.get_export(
            restApiId=api_id,
            stageName=STAGE,
            exportType="oas30",
            parameters={"extensions": "apigateway"},
            accepts="application/json",
        )
        deployed: dict[str, Any] = json.loads(export["body"].read())
        pages = gateway.get_paginator("get_deployments").paginate(restApiId=api_id)
        deployments = {deployment["id"]: deployment for page in pages for deployment in page["items"]}
    except ClientError as error:
        raise CommandError(
            f"API Gateway in {region} doesn't show the stage {STAGE} of the API {api_id}. {refusal_of(error)} "
            "The command needs the permission apigateway:GET on the API. If the API is gone, apply terraform/."
        ) from error
    newest = max(deployments.values(), key=lambda deployment: deployment["createdDate"])
    served = deployments[stage["deploymentId"]]
    if served["createdDate"] >= newest["createdDate"]:
        return deployed, None
    return deployed, (
        f"The stage of {region} serves the deployment {served['id']} of {served['createdDate']:%Y-%m-%d %H:%M:%S%z}. "
        f"A newer one exists: {newest['id']} of {newest['createdDate']:%Y-%m-%d %H:%M:%S%z}."
    )


def _print(region: str, changes: list[Difference], routes: int, as_json: bool) -> None:
    """Print the differences of one Region."""
    if as_json:
        for change in changes:
            click.echo(json.dumps({"region": region, **change._asdict()}, ensure_ascii=False))
        return
    if not changes:
        click.echo(f"The API of {region} is as the document says: {routes} routes.")
        return
    rows: list[tuple[str, ...]] = [
        (region, change.part, change.field, *shorten(change.document, change.deployed)) for change in changes
    ]
    table(rows, "REGION", "PART", "FIELD", "DOCUMENT", "DEPLOYED")
    places = "1 place" if len(changes) == 1 else f"{len(changes)} places"
    click.echo(f"The API of {region} differs from the document in {places}.")


def shorten(document: object, deployed: object) -> tuple[str, str]:
    """Return both values of a difference as texts for the table.

    If a text is longer than WIDTH, the result leaves out the beginning that both texts share, so that it shows where
    they differ. "…" stands for everything that is left out.
    """
    texts = _text(document), _text(deployed)
    start = 0
    if max(map(len, texts)) > WIDTH:
        # Keep a few of the shared characters, so that the operator recognises the place.
        shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(*texts, strict=False)))
        start = max(0, shared - WIDTH // 4)
    first, second = (_cut(text, start) for text in texts)
    return first, second


def _cut(text: str, start: int) -> str:
    text = f"…{text[start:]}" if start else text
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def _text(value: object) -> str:
    """Return a value as a text in one line."""
    if value is None:
        return "(absent)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text.replace("\r", "\\r").replace("\n", "\\n")
