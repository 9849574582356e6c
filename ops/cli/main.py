"""The operators' command line: sources, collections, stores, quarantined changes, dead letters and the deployed API.

The exit code is 0 for success, 1 if the command or an operation that it started fails, and 2 for a wrong command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ops.audit import audit_changes
from ops.cli.api import api
from ops.cli.cache import cache
from ops.cli.checkpoint import checkpoint
from ops.cli.collections import collections
from ops.cli.compare_regions import compare_regions
from ops.cli.cost import cost
from ops.cli.dead_letters import dead_letters
from ops.cli.deploy import deploy
from ops.cli.doctor import doctor
from ops.cli.drill import drill
from ops.cli.edge import edge
from ops.cli.edge_functions import leftovers, logs
from ops.cli.erase import erase
from ops.cli.flush_cache import flush_cache
from ops.cli.import_ import import_
from ops.cli.quarantine import quarantine
from ops.cli.rebuild import rebuild
from ops.cli.rebuild_items import items
from ops.cli.relational import relational
from ops.cli.replay import replay
from ops.cli.sources import sources
from ops.cli.status import status
from ops.cli.target import Chosen
from ops.cli.try_source import try_source
from ops.cli.users import user
from ops.cli.verify import verify
from ops.jobs import plain_errors


class _Commands(click.Group):
    """A group in which an error of AWS ends a command with one sentence."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command that the command line names."""
        with plain_errors():
            return super().invoke(context)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--stack", "local", metavar="NAME", help="A local run, such as `demo`.")
@click.option(
    "--outputs",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the output of `terraform output -json`, if this machine can't read the state.",
)
@click.pass_context
def main(context: click.Context, local: str | None, file: Path | None) -> None:
    """Operate a Readplane stack. Without an option, it is the stack in the Terraform state of terraform/.

    The commands find AWS credentials as boto3 usually does. Every command that changes something has --dry-run, or
    changes nothing without --yes.
    """
    context.obj = Chosen(local, file)


for command in (
    status,
    doctor,
    sources,
    checkpoint,
    collections,
    cache,
    relational,
    quarantine,
    dead_letters,
    replay,
    rebuild,
    api,
    edge,
    drill,
    compare_regions,
    cost,
    deploy,
    flush_cache,
    import_,
    erase,
    user,
    verify,
):
    main.add_command(command)
sources.add_command(try_source)
rebuild.add_command(items)
for subcommand in (leftovers, logs):
    edge.add_command(subcommand)
audit_changes(main)
