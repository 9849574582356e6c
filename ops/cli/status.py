"""The command `status`: one screen about the whole stack."""

from __future__ import annotations

import click

from ops.cli.private_stores import region_option, regions
from ops.cli.probes import Clients, collapse, require_credentials, run_probes, show, timeout_option
from ops.cli.status_probes import edge_probes, regional_probes, resources_of
from ops.cli.target import Chosen

SECONDS = 3.0
"""The default time limit of each probe."""


@click.command()
@region_option
@timeout_option(SECONDS)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_context
def status(context: click.Context, region: str | None, seconds: float, as_json: bool) -> None:
    """Show the state of the stack on one screen. Nothing is changed.

    For each Region: whether the API answers, how old the changes are that wait in Firehose, waiting messages, dead
    letters, quarantine, functions and their event source mappings, which versions clients get (with deploy.canary), how
    far `publish` and `apply-stream` are behind, the items tables, the age of each source, cache and database, the
    alarms that are on, and subscriptions to the alarms that nobody has confirmed. All questions go out at once. A
    Region that doesn't answer is one line.

    The exit code is 0 if everything is ok, and 1 if something is wrong or unknown.

    The command finds the stack in the Terraform state. If the state lies in a lost Region, name a file with a copy of
    the outputs instead: --outputs FILE.
    """
    chosen: Chosen = context.obj
    target = chosen.target
    names = [stack.region for stack in regions(chosen, region)]
    require_credentials()
    clients = Clients(seconds)
    probes = [
        probe
        for resources in resources_of(target)
        if resources.region in names
        for probe in regional_probes(target, resources, clients, seconds)
    ]
    if region is None:
        probes += edge_probes(target, clients, seconds)
    findings = collapse(run_probes(probes, seconds))
    fine = show(findings, as_json=as_json, wrong="docs/runbooks/ has a page about each alarm.")
    context.exit(0 if fine else 1)
