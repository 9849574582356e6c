"""The generations of the items table: which table is live, which one is being made, and which one was live before.

The first table is `<name>-items`, and table n is `<name>-items-<n>`. The live table is read and published. There is at
most one second table: the building one, which `rebuild items fill` fills, or the former one, which stays in step after
a switch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ops.cli.target import Target
from ops.console import CommandError


class Generations(NamedTuple):
    """The numbers of a stack's items tables.

    live: the table that is read and published
    building: the table that is being made; None if there is none
    former: the table that was live before the last switch; None if there is none
    """

    live: int
    building: int | None
    former: int | None

    @property
    def second(self) -> int | None:
        """The building or the former table; None if there is no second table."""
        return self.building if self.former is None else self.former

    def describe(self) -> str:
        """Return the generations as the variable `items` of Terraform names them."""
        return items_setting(self.live, building=self.building, former=self.former)


def items_setting(live: int, *, building: int | None = None, former: int | None = None) -> str:
    """Return the line that an operator writes into the variable file."""
    members = {"live": live, "building": building, "former": former}
    return f"items = {{ {', '.join(f'{name} = {number}' for name, number in members.items() if number is not None)} }}"


def generations(target: Target) -> Generations:
    """Return the generations of the last apply. A stack of an older release has one table."""
    output: dict[str, Any] = target.outputs.get("items_generations") or {"live": 1}
    return Generations(int(output["live"]), output.get("building"), output.get("former"))


def table_name(target: Target, generation: int) -> str:
    """Return the name of the items table of a generation."""
    return name_of_table(target.name, generation)


def name_of_table(stack: str, generation: int) -> str:
    """Return the name of the items table of a generation, by the name of its stack."""
    return f"{stack}-items" if generation == 1 else f"{stack}-items-{generation}"


def second_table(target: Target) -> str | None:
    """Return the name of the building or the former table; None if there is no second table."""
    name: str | None = target.outputs.get("second_items_table")
    return name or None


def items_tables(target: Target) -> list[str]:
    """Return the names of the live table and of the second one, if there is one."""
    second = second_table(target)
    return [target.outputs["items_table"], *([second] if second else [])]


def refuse_second_table(target: Target, command: str) -> None:
    """Refuse a command that would reach only the live table.

    :param command: the command's name, for the error message
    :raises CommandError: if there is a second items table
    """
    if second := second_table(target):
        raise CommandError(
            f"`{command}` doesn't reach {second}, which `rebuild items` uses. End the rebuild first: "
            "`ops/readplane rebuild items end` says how."
        )
