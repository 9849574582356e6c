"""Example settings of sources. Tests use copies of them, often with some settings changed."""

import copy
from collections.abc import Mapping
from typing import Any

from tests.fakes.source_settings import add_defaults

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:back-office-AbCdEf"


FUNCTION = "readplane.poll.source.functions.columns:ColumnsAndRows"


CHANGES: dict[str, Any] = {
    "name": "articles",
    "mode": "changes",
    "collection": "articles",
    "url": "https://office.example/articles.json?changed_since={cursor}",
    "headers": {"X-Tenant": "7"},
    "secret": {"arn": ARN, "header": "Authorization", "format": "Bearer {secret}", "field": "token"},
    "records": "rows",
    "id": "no",
    "version": {"expression": "changed", "format": "rfc3339"},
    "deleted": "removed == `1`",
    "owner": None,
    "translation": "{name: name}",
    "function": None,
    "cursor": {"initial": "2020-01-01T00:00:00Z"},
    "paging": {"style": "link", "next": "next_url", "parameter": None, "size": None},
    "lag_seconds": 30,
    "timeout_seconds": 5,
    "attempts": 2,
    "max_pages": 10,
    "max_seconds": 20,
    "requests_per_second": 2.5,
    "max_bytes": 2048,
    "breaker": {"failures": 2, "cooldown_seconds": 10},
    "sweep": {"schedule": "rate(1 day)", "url": "https://office.example/all.json", "max_deletes_percent": 5},
    "staleness_budget": 300,
    "document": "current",
    "schedule": "rate(1 minute)",
}


MINIMAL = add_defaults(
    {
        "name": "articles",
        "mode": "changes",
        "collection": "articles",
        "url": "http://office.example/articles.json",
        "records": "rows",
        "id": "no",
        "translation": "@",
        "staleness_budget": 300,
    }
)


SNAPSHOT = add_defaults(
    {
        "name": "rates",
        "mode": "snapshot",
        "collection": "rates",
        "url": "http://office.example/rates.json",
        "staleness_budget": 300,
    }
)


BY_FUNCTION = {name: value for name, value in MINIMAL.items() if name not in ("records", "id", "translation")} | {
    "function": FUNCTION
}


def changed(base: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    """Return a copy of ``base`` with some settings replaced, as Terraform writes it.

    The keyword ``paging__style`` replaces the setting ``style`` in ``paging``.
    """
    raw: dict[str, Any] = copy.deepcopy(dict(base))
    for path, value in settings.items():
        *outer, name = path.split("__")
        part = raw
        for step in outer:
            part[step] = part.get(step) or {}
            part = part[step]
        part[name] = value
    return add_defaults(raw)
