"""The command `cost`: what a month of a stack costs, from a traffic profile and a plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ops.console import CommandError
from ops.cost.chart import chart as draw
from ops.cost.idle import usage_of
from ops.cost.model import assumed_features, check, estimate, features_of
from ops.cost.paths import break_evens
from ops.cost.prices import price_list
from ops.cost.profile import EXAMPLE_FILE, profile_of, read_profile
from ops.cost.report import as_json, report
from ops.cost.stacks import plan_variables

_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--profile", "profile_file", type=_file, help="A traffic profile as TOML or JSON; see --example.")
@click.option("--var-file", "files", multiple=True, type=_file, help="A file with variables. May be repeated.")
@click.option("--plan", "plan_file", type=_file, help="A plan, as `terraform show -json plan.out` prints it.")
@click.option("--free-tier", is_flag=True, help="Leave out what is free each month, in an account with nothing else.")
@click.option(
    "--price",
    "texts",
    multiple=True,
    metavar="NAME=DOLLARS",
    help="The price of an hour of a type of node, such as cache.r6g.large=0.1648, or a price in place of one of "
    "ops/cost/prices.json, such as aurora_acu_hour=0.14 for another Region. May be repeated.",
)
@click.option("--json", "as_machine", is_flag=True, help="One JSON object.")
@click.option("--example", is_flag=True, help="Print a traffic profile, and end.")
@click.option(
    "--chart",
    "chart_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a chart as SVG: what each path costs from 1 to ten billion reads a month.",
)
def cost(
    profile_file: Path | None,
    files: tuple[Path, ...],
    plan_file: Path | None,
    free_tier: bool,
    texts: tuple[str, ...],
    as_machine: bool,
    example: bool,
    chart_file: Path | None,
) -> None:
    """Print what a stack costs in a month. It calls nothing in AWS.

    The traffic comes from --profile, and the stack from --var-file or --plan. --var-file lets Terraform plan the stack
    with a mocked provider, which takes half a minute. Without a stack, only the traffic counts. Without a profile, only
    the idle stack counts.
    """
    if example:
        click.echo(EXAMPLE_FILE.read_text(), nl=False)
        return
    if files and plan_file:
        raise click.UsageError("Give either --var-file or --plan.")
    if not (profile_file or files or plan_file or chart_file):
        raise click.UsageError("Give --profile, --var-file, --plan or --chart. --example prints a profile.")
    prices = price_list().with_prices(texts)
    profile = read_profile(profile_file) if profile_file else profile_of({})
    if plan_file or files:
        plan = _read_plan(plan_file) if plan_file else plan_variables(files)
        usage, features = usage_of(plan), features_of(plan)
        check(profile, features)
    else:
        usage, features = {}, assumed_features(profile)
    result = estimate(profile, features, usage, prices, free_tier=free_tier)
    points = list(break_evens(prices, free_tier=free_tier))
    if chart_file:
        _write(chart_file, draw(prices, free_tier=free_tier))
    if as_machine:
        click.echo(json.dumps(as_json(result, usage, points, prices, free_tier=free_tier)))
        return
    for line in report(result, usage, points, prices, free_tier=free_tier):
        click.echo(line)


def _read_plan(path: Path) -> dict[str, Any]:
    """Return a plan.

    :raises CommandError: if the file isn't JSON; `usage_of` refuses JSON that is no plan
    """
    try:
        plan: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise CommandError(
            f"{path} isn't JSON. Make it with `terraform show -json plan.out > plan.json`: plan.out itself is binary."
        ) from error
    return plan


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise CommandError(f"Can't write {path}: {error.strerror}.") from error
