"""The settings of sources as `poll` reads them: with those that Terraform adds."""

import copy
from collections.abc import Mapping
from typing import Any

DEFAULTS: dict[str, Any] = {
    "headers": {},
    "conditional": True,
    "paging": {},
    "max_refused_percent": 10,
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
_PART_DEFAULTS: dict[str, dict[str, Any]] = {
    "request": {"method": "GET"},
    "paging": {"style": "none"},
    "secret": {"format": "{secret}"},
    "oauth2": {"grant": "client_credentials", "client_authentication": "basic", "parameters": {}},
    "payload": {"format": "json"},
    "breaker": {"failures": 5, "cooldown_seconds": 30},
    "deletes": {"paging": {}},
    "deletes.request": {"method": "GET"},
    "deletes.paging": {"style": "none"},
    "sweep": {"max_deletes_percent": 10},
    "sweep.request": {"method": "GET"},
}
"""The settings that Terraform adds to a part of a source, by the part's path."""


def add_defaults(declared: Mapping[str, Any]) -> dict[str, Any]:
    """Return a source's settings as `poll` reads them: with every default that Terraform adds.

    :param declared: the settings that an operator declares in Terraform, and the source's name.
    """
    return copy.deepcopy(_with_part_defaults({**DEFAULTS, "schedule": "rate(1 minute)", **declared}, ""))


def _with_part_defaults(settings: dict[str, Any], path: str) -> dict[str, Any]:
    parts = {path + name: part for name, part in settings.items() if isinstance(part, dict)}
    return settings | {
        part_path.removeprefix(path): _with_part_defaults(
            {**_PART_DEFAULTS.get(part_path, {}), **part}, f"{part_path}."
        )
        for part_path, part in parts.items()
    }
