"""The operators' command line: what to do with sources, checkpoints, quarantined changes and dead letters.

Exit codes: 0 done; 1 it couldn't be done, or what was asked for failed; 2 the command line itself is wrong.
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
@click.option("--stack", "local", metavar="NAME", help="A local run: `demo`.")
@click.option(
    "--outputs",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What `terraform output -json` printed, where the state isn't at hand.",
)
@click.pass_context
def main(context: click.Context, local: str | None, file: Path | None) -> None:
    """Operate a Readplane stack: the one of terraform/'s state, unless told otherwise.

    AWS credentials and Region are found as boto3 finds them. Every command that changes something has --dry-run.
    """
    context.obj = Chosen(local, file)


for command in (sources, checkpoint, quarantine, dead_letters):
    main.add_command(command)
