"""A traffic profile: what a stack serves and stores in a month."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ops.console import CommandError

from .traffic import Sizes

EXAMPLE_FILE = Path(__file__).with_name("example.toml")

READS = (
    "edge_public",
    "edge_private",
    "edge_miss",
    "edge_private_miss",
    "s3_direct",
    "stage_cache",
    "document",
    "item",
    "cached_item",
    "list",
    "database_list",
)
"""The paths of reads, as a profile names them."""

LARGEST = 1e15
"""The largest number of a profile. A larger one is a slip, and its costs would lose their cents."""

ITEM_KB = 400.0
"""The largest item of DynamoDB in KB."""

FIELDS: Mapping[str, Mapping[str, float | None]] = {
    "reads": dict.fromkeys(READS, 0.0),
    "writes": {"clients": 0.0, "back_office": 0.0},
    "items": {"stored": 0.0, "kb": 1.0, "in_list": 50.0, "cached": 0.0},
    "stack": {"regions": None, "collections": 1.0, "active_users": 0.0},
}
"""Section -> name -> the number that holds if a profile leaves it out."""


class Profile(NamedTuple):
    """A month of traffic.

    reads: requests by their paths, as :data:`READS` names them
    clients, back_office: changes by clients, and changes that `poll` finds at back offices
    stored, cached: items in the stack, and items in the item cache
    sizes: how big items and lists are
    regions: 1 or 2; None if the profile doesn't say
    collections: collections that clients write to
    active_users: users who sign in during the month
    """

    reads: Mapping[str, float]
    clients: float = 0
    back_office: float = 0
    stored: float = 0
    cached: float = 0
    sizes: Sizes = Sizes()
    regions: int | None = None
    collections: float = 1
    active_users: float = 0

    @property
    def writes(self) -> float:
        """The changes of the month."""
        return self.clients + self.back_office


def read_profile(path: Path) -> Profile:
    """Return the profile of a TOML or JSON file.

    :raises CommandError: if the file is neither, or names something unknown, or a number is out of range
    """
    kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
    try:
        text = path.read_text()
        values = json.loads(text) if kind == "JSON" else tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"Can't read {path}: {type(error).__name__}.") from error
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise CommandError(f"{path} isn't {kind}: {error}. `readplane cost --example` prints a profile.") from error
    except (ValueError, RecursionError) as error:
        raise CommandError(
            f"{path} has too long a number, or too many nested brackets. `readplane cost --example` prints a profile."
        ) from error
    return profile_of(values)


def profile_of(values: Any) -> Profile:
    """Return the profile of parsed TOML or JSON.

    :raises CommandError: if it names something unknown, or a number is out of range
    """
    if not isinstance(values, dict):
        raise CommandError("A profile is a table of sections. `readplane cost --example` prints one.")
    _refuse_unknown("section", values, FIELDS)
    numbers: dict[str, dict[str, Any]] = {}
    for section, defaults in FIELDS.items():
        entries = values.get(section, {})
        if not isinstance(entries, dict):
            raise CommandError(f"{section} must be a section with names and numbers.")
        _refuse_unknown(f"name in [{section}]", entries, defaults)
        numbers[section] = dict(defaults) | {name: _number(f"{section}.{name}", entries[name]) for name in entries}
    items, stack = numbers["items"], numbers["stack"]
    if not 0 < items["kb"] <= ITEM_KB:
        raise CommandError(f"items.kb must be above 0 and at most {ITEM_KB:g}, which is DynamoDB's limit.")
    if not 1 <= items["in_list"] <= 200:
        raise CommandError("items.in_list must be from 1 to 200.")
    if stack["regions"] not in (None, 1, 2):
        raise CommandError("stack.regions must be 1 or 2.")
    return Profile(
        reads=numbers["reads"],
        clients=numbers["writes"]["clients"],
        back_office=numbers["writes"]["back_office"],
        stored=items["stored"],
        cached=items["cached"],
        sizes=Sizes(items["kb"], items["in_list"]),
        regions=stack["regions"] and int(stack["regions"]),
        collections=stack["collections"],
        active_users=stack["active_users"],
    )


def _refuse_unknown(kind: str, names: Mapping[str, Any], allowed: Mapping[str, Any]) -> None:
    unknown = sorted(names.keys() - allowed.keys())
    if unknown:
        raise CommandError(f"Unknown {kind}: {', '.join(unknown)}. There are: {', '.join(allowed)}.")


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CommandError(f"{name} must be a number.")
    if not 0 <= value <= LARGEST:
        raise CommandError(f"{name} must be from 0 to {LARGEST:.0e}.")
    return float(value)
