"""Plans for the tests of ops/cost."""

from __future__ import annotations

from typing import Any


def plan_of(*resources: tuple[str, dict[str, Any]], actions: tuple[str, ...] = ("create",)) -> dict[str, Any]:
    """Return a plan in Terraform's JSON format, of resources with their types and planned values."""
    return {
        "resource_changes": [
            {"mode": "managed", "type": kind, "change": {"actions": list(actions), "after": values}}
            for kind, values in resources
        ]
    }
