"""The commands `cache`: show the state of the item cache, compare it with the items, or say how to empty it."""

from __future__ import annotations

import click

from ops.cli.private_stores import region_option, regions, require_store, show_status
from ops.cli.private_stores import verify as verify_store
from ops.cli.target import Chosen


@click.group()
def cache() -> None:
    """Show the state of the item cache in each Region, compare it with the items, or empty it.

    To fill it, use `rebuild cache`.
    """


@cache.command()
@region_option
@click.pass_context
def status(context: click.Context, region: str | None) -> None:
    """Show whether `feed` reaches the cache, and how many messages wait for it.

    The exit code is 1 if `feed` doesn't reach the cache of a Region.
    """
    chosen: Chosen = context.obj
    reached = [show_status(chosen, stack, "cache") for stack in regions(chosen, region)]
    context.exit(0 if all(reached) else 1)


@cache.command()
@region_option
@click.option("--repair", is_flag=True, help="Send the keys of the items that differ to the queue of the cache.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per difference, and nothing else.")
@click.pass_context
def verify(context: click.Context, region: str | None, repair: bool, as_json: bool) -> None:
    """Compare every entry of the cache with its item. This only reads, unless you say --repair.

    An item without an entry is no difference, because entries expire. An entry is older than its item for a second or
    two after each write. A difference is read again before it counts.

    The exit code is 0 if all entries agree with their items, and 1 if there is a difference, even if --repair sends its
    key. Repeat the command when no messages wait.
    """
    context.exit(0 if verify_store(context.obj, region, "cache", repair=repair, as_json=as_json) else 1)


@cache.command()
@region_option
@click.pass_obj
def flush(chosen: Chosen, region: str | None) -> None:
    """Print how to empty the cache. The command itself changes nothing.

    Every entry has the generation of the cache in its key, and `read` and `feed` look for one generation only. So the
    variable cache.generation empties the cache: raise it and apply. It must be the variable, because the next apply
    would take back anything else, and because deleting millions of entries one by one would take longer than they live.
    A cache that other programs share stays untouched.
    """
    for stack in regions(chosen, region):
        settings = require_store(chosen.target, stack, "cache")
        generation = int(settings["generation"])
        seconds = int(settings["fresh_seconds"]) + int(settings["stale_seconds"])
        click.echo(f"{stack.region}: the cache has generation {generation}. Set this, and run `terraform apply`:")
        click.echo(f"  cache = {{ …, generation = {generation + 1} }}")
        click.echo(
            f"Without it, every entry of now is gone in {seconds} s at the latest, unless `feed` writes it again."
        )
