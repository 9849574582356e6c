"""The operators' command line: sources, checkpoints, quarantined changes and dead letters.

Exit codes: 0 for success, 1 if the command fails or what it started fails, 2 for a wrong command line.
"""

from __future__ import annotations

from pathlib import Path

import click

from ops.cli.checkpoint import checkpoint
from ops.cli.dead_letters import dead_letters
from ops.cli.quarantine import quarantine
from ops.cli.sources import sources
from ops.cli.target import Chosen


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--stack", "local", metavar="NAME", help="A local run, such as `demo`.")
@click.option(
    "--outputs",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The output of `terraform output -json`, if the state isn't at hand.",
)
@click.pass_context
def main(context: click.Context, local: str | None, file: Path | None) -> None:
    """Operate a Readplane stack. The default is the stack of the state in terraform/.

    AWS credentials and Region come from where boto3 looks for them. Every command that changes something has --dry-run.
    """
    context.obj = Chosen(local, file)


for command in (sources, checkpoint, quarantine, dead_letters):
    main.add_command(command)
