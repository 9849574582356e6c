"""The settings of sources as `poll` reads them: with those that Terraform adds."""

import copy
from collections.abc import Mapping
from typing import Any

DEFAULTS: dict[str, Any] = {
    "headers": {},
    "paging": {},
    "lag_seconds": 60,
    "timeout_seconds": 10,
    "attempts": 3,
    "max_pages": 100,
    "max_seconds": 45,
    "max_bytes": 8 * 1024 * 1024,
    "breaker": {},
    "document": "current",
}
"""The settings that Terraform adds to a source if its operator leaves them out.

tests/unit/ops/cli/test_sources.py compares them with what Terraform really writes.
"""
PART_DEFAULTS: dict[str, dict[str, Any]] = {
    "paging": {"style": "none", "first": 1},
    "secret": {"format": "{secret}"},
    "breaker": {"failures": 5, "cooldown_seconds": 30},
    "sweep": {"max_deletes_percent": 10},
}
"""The settings that Terraform adds to a part of a source."""


def add_defaults(declared: Mapping[str, Any]) -> dict[str, Any]:
    """Return a source's settings as `poll` reads them: with every default that Terraform adds.

    :param declared: the settings that an operator declares in Terraform, and the source's name.
    """
    settings = {**DEFAULTS, "schedule": "rate(1 minute)", **declared}
    for name, part_defaults in PART_DEFAULTS.items():
        if isinstance(part := settings.get(name), dict):
            settings[name] = {**part_defaults, **part}
    return copy.deepcopy(settings)
