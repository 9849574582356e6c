"""Check that the settings refuse a fraction wherever AWS takes only whole numbers.

A plan doesn't know that AWS takes no fraction, so the apply would fail halfway, or the provider would round the number.
"""

import copy
import itertools
import json
from pathlib import Path
from typing import Any, NamedTuple

from ops.variables import read_concerns
from tests.unit.planned import Message, errors, terraform_test

FRACTIONS = {
    "backends.throttle.rate",
    "budget.monthly_usd",
    "collections.throttle.rate",
    "open_throttle.rate",
    "relational.aurora.max_acu",
    "relational.aurora.min_acu",
    "sources.breaker.cooldown_seconds",
    "sources.cursor.window_seconds",
    "sources.lag_seconds",
    "sources.max_refused_percent",
    "sources.max_seconds",
    "sources.requests_per_second",
    "sources.sweep.max_deletes_percent",
    "sources.timeout_seconds",
    "throttle.rate",
}
"""The numbers that may be fractions: rates of API Gateway, a sum of money, ACU, and what only `poll` reads."""

BASE: dict[str, Any] = {
    "region": "eu-central-1",
    "cache_size": "0.5",
    "hot_zip": "tests/mocks/hot.txt",
    "functions_zip": "tests/mocks/artefact.txt",
    "layer_zip": "tests/mocks/artefact.txt",
    "poll_layer_zip": "tests/mocks/artefact.txt",
    "edge_auth_zip": "tests/mocks/artefact.txt",
    "database_layer_zip": "tests/mocks/artefact.txt",
    "edge": {},
    "account_concurrency_quota": 10000,
    "log_retention_days": 365,
    "notify": {"emails": ["operations@example.com"]},
    "collections": {
        "products": {
            "read": "public",
            "throttle": {"rate": 1, "burst": 2},
            "relational": {"search": {"fields": ["/name"]}},
        }
    },
    "network": {"primary": {"create": {"cidr": "10.20.0.0/20", "zones": ["eu-central-1a", "eu-central-1b"]}}},
    "relational": {"aurora": {}},
    "sources": {
        "shop": {
            "mode": "changes",
            "collection": "products",
            "schedule": "rate(1 minute)",
            "staleness_budget": 600,
            "url": "https://erp.example.com/api/stock?changed_since={cursor}&until={now}",
            "cursor": {"initial": "2020-01-01T00:00:00Z"},
            "records": "results",
            "id": "number",
            "translation": "{name: title}",
            "version": {"expression": "changed_at", "format": "rfc3339"},
            "paging": {"style": "page", "parameter": "page"},
            "deletes": {
                "url": "https://erp.example.com/api/deleted",
                "records": "results",
                "id": "number",
                "version": {"expression": "deleted_at", "format": "rfc3339"},
                "paging": {"style": "page", "parameter": "page"},
            },
            "sweep": {"schedule": "rate(1 day)", "url": "https://erp.example.com/api/stock"},
        }
    },
    "backends": {
        "crm": {
            "url": "https://crm.example.com",
            "throttle": {"rate": 1, "burst": 2},
            "quota": {"limit": 10},
            "cache": {"ttl": 60, "cache_query_parameters": []},
        }
    },
    "budget": {"monthly_usd": 100},
    "throttle": {"rate": 500, "burst": 1000},
    "open_throttle": {"rate": 100, "burst": 200},
}
"""Settings that obey every rule, with the objects that hold the numbers."""

_SERVER: dict[str, Any] = {"host": "cache.example.com"}
_SERVERS: dict[str, Any] = {"writer": "db.example.com", "reader": "reader.example.com"}

ALTERNATIVES: dict[str, dict[str, Any]] = {
    "cache.external": {"external": {"primary": _SERVER, "replica": _SERVER}},
    "relational.external": {"external": {"primary": _SERVERS, "replica": _SERVERS}},
}
"""The beginning of a number's path -> the value of its variable, where the value in BASE can't hold the number too."""

PRECONDITIONS = {
    "sources.paging.first": "source_rules",
    "sources.paging.size": "source_rules",
    "sources.paging.max_empty_pages": "source_rules",
    "sources.deletes.paging.first": "source_rules",
    "sources.deletes.paging.size": "source_rules",
    "sources.deletes.paging.max_empty_pages": "source_rules",
}
"""The number -> the output that refuses its fraction with a precondition, where no validation of the variable does."""

NUMBERS = {
    "cursor.window_seconds": 86400,
    "paging.first": 1,
    "paging.size": 100,
    "paging.max_empty_pages": 2,
    "requests_per_second": 10,
    "reserved_concurrency": 100,
    "edge_ttl": 60,
    "seconds_until_auto_pause": 600,
    "monitoring_seconds": 60,
    "reader_port": 5432,
    "items.building": 2,
    "items.former": 2,
}
"""The end of a number's path -> a value that obeys the rules, for numbers whose default is none or null."""


CHAINED = (
    *("account_concurrency_quota", "cache", "change_stream", "edge", "firewall", "functions", "relational", "sources"),
    "write_log",
)
"""The variables whose rules read each other. Terraform doesn't check a variable whose rules read a wrong one, so each
of these is wrong alone."""


class Number(NamedTuple):
    """A number in the settings: its variable, its path from there, such as ``quota.limit``, and its default as HCL."""

    variable: str
    path: str
    default: str | None
    in_map: bool

    @property
    def name(self) -> str:
        """The path with the name of the variable."""
        return f"{self.variable}.{self.path}" if self.path else self.variable

    @property
    def refusal(self) -> str:
        """What Terraform must name when it refuses a fraction of this number."""
        return f"output.{PRECONDITIONS[self.name]}" if self.name in PRECONDITIONS else f"var.{self.variable}"

    def add_half(self, settings: dict[str, Any]) -> None:
        """Add half to this number in settings that have the form of :data:`BASE`."""
        for start, alternative in ALTERNATIVES.items():
            if self.name.startswith(start):
                settings[self.variable] = copy.deepcopy(alternative)
        container, steps = settings, [self.variable, *(self.path.split(".") if self.path else [])]
        for step in steps[:-1]:
            container = container.setdefault(step, {})
            if step == self.variable and self.in_map:
                container = next(iter(container.values()))
        without_default = next((value for end, value in NUMBERS.items() if self.name.endswith(end)), None)
        value = container.get(steps[-1], without_default)
        if value is None:
            assert self.default not in (None, "null"), f"{self.name} needs a value in NUMBERS"
            value = float(self.default)
        container[steps[-1]] = value + 0.5


def all_numbers() -> list[Number]:
    numbers = []
    for concern in read_concerns():
        for variable in concern.variables:
            if variable.type == "number":
                numbers.append(Number(variable.name, "", variable.default, False))
            in_map = variable.type.startswith("map")
            numbers += [
                Number(variable.name, attribute.name, attribute.default, in_map)
                for attribute in variable.attributes
                if attribute.type == "number"
            ]
    return numbers


def run_of(numbers: list[Number], *, refused: bool) -> dict[str, Any]:
    """Return a test run in which half is added to each of these numbers, of which each variable has at most one."""
    settings = copy.deepcopy(BASE)
    for number in numbers:
        number.add_half(settings)
    run: dict[str, Any] = {"command": "plan", "module": {"source": "./modules/settings"}, "variables": settings}
    return run | ({"expect_failures": [number.refusal for number in numbers]} if refused else {})


def all_runs() -> dict[str, dict[str, Any]]:
    """Return the test runs by their names. Each number is broken in one run."""
    whole: dict[str, list[Number]] = {}
    for number in all_numbers():
        if number.name not in FRACTIONS:
            whole.setdefault(number.variable, []).append(number)
    assert sum(map(len, whole.values())) > 40
    fractions = [number for number in all_numbers() if number.name in FRACTIONS]
    assert {number.name for number in fractions} == FRACTIONS
    alone = [[number] for variable in CHAINED for number in whole.pop(variable)]
    # Each run breaks one number of each variable, and the next run breaks the next one.
    together = [[number for number in row if number] for row in itertools.zip_longest(*whole.values())]
    runs = {row[0].name.replace(".", "-"): run_of(row, refused=True) for row in [*alone, *together]}
    return runs | {"fractions": run_of(fractions, refused=False)}


def run_tests(folder: Path) -> list[Message]:
    """Run all test runs with Terraform, and return its messages.

    :param folder: an empty folder
    """
    # One file per run, because Terraform skips the other runs of a file after a failure.
    files = [(f"{name}.tftest.json", json.dumps({"run": {name: run}})) for name, run in all_runs().items()]
    messages = terraform_test(folder, files, "modules/settings")
    return [*errors(messages), messages[-1]]


def test_each_number_is_whole_where_aws_takes_only_whole_numbers(tests_of_whole_numbers: list[Message]) -> None:
    *problems, last = tests_of_whole_numbers
    assert not problems, "\n".join(
        f"{problem.get('@testrun')}: {problem['diagnostic']['summary']}: {problem['diagnostic']['detail']}"
        for problem in problems
    )
    assert last["test_summary"]["status"] == "pass"
    assert last["test_summary"]["passed"] == len(all_runs())
