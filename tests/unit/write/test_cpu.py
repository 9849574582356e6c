"""Tests that `write` spends little CPU time on any body of 256 KiB, whatever its schema is.

The reference is a plain body of the same size: an object that holds one list of small records, each with an id, a name
and a price. Its schema is an ordinary one: types, lengths, bounds, required names and no others.
The corpus has each keyword of JSON Schema at least once. Its bodies are built to make the keyword slow: as many values
as possible that all differ, numbers with the same hash, high exponents, long digits, deep nesting.
"""

import functools
import itertools
import json
import multiprocessing
import random
import string
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import Any, NamedTuple

import pytest

from readplane.model.change import MAX_DATA_BYTES
from tests.unit.model.test_formats import VALUES
from tests.unit.support import compile_schemas
from tests.unit.write.support import WriteService, put

MAX_RATIO = 3.0
"""The maximum CPU time for a body of the corpus, in multiples of that for the plain body."""

MAX_RATIO_OF_DECIMALS = 7.0
"""The same for lists of numbers whose schema has decimal bounds. The library compares a number with such a bound in
about a microsecond, and 256 KiB hold 35,000 to 50,000 numbers."""


def words() -> Iterator[str]:
    """Yield different words, the shortest first."""
    for size in itertools.count(1):
        yield from map("".join, itertools.product(string.ascii_letters + string.digits, repeat=size))


def fill(texts: Iterable[str], start: str = '{"a":[', end: str = "]}") -> str:
    """Return a body of 256 KiB at most that holds as many of the texts as possible, separated by commas."""
    parts: list[str] = []
    size = len(start) + len(end)
    for text in texts:
        size += len(text.encode()) + 1
        if size > MAX_DATA_BYTES:
            break
        parts.append(text)
    return start + ",".join(parts) + end


def fill_object(texts: Iterable[str]) -> str:
    return fill((f'"{text}":1' for text in texts), "{", "}")


def long_text(letters: str) -> str:
    return json.dumps({"a": letters * ((MAX_DATA_BYTES - 10) // len(letters))})


def in_list(schema: Any) -> dict[str, Any]:
    return {"properties": {"a": {"type": "array", "items": schema}}}


def in_member(schema: Any) -> dict[str, Any]:
    return {"properties": {"a": schema}}


class Case(NamedTuple):
    """A schema, and a body of 256 KiB that is built to make checking it slow."""

    schema: Any
    body: str


PLAIN = Case(
    in_list(
        {
            "type": "object",
            "required": ["id", "name"],
            "additionalProperties": False,
            "properties": {
                "id": {"type": "integer", "minimum": 0},
                "name": {"type": "string", "minLength": 1, "maxLength": 100},
                "price": {"type": "number", "minimum": 0},
            },
        }
    ),
    fill(f'{{"id":{number},"name":"abc","price":12.5}}' for number in itertools.count()),
)

NUMBERS = itertools.count
TREE = {
    "oneOf": [
        {"properties": {"c": {"items": {"$ref": "#"}}, "op": {"const": "and"}}, "required": ["c", "op"]},
        {"properties": {"c": {"items": {"$ref": "#"}}, "op": {"const": "or"}}, "required": ["c", "op"]},
        {"type": "integer"},
    ]
}
LETTERS = "".join(random.Random(1).choices("ac", k=1000))

CASES: dict[str, Case] = {
    "no rules": Case({}, fill(f'{{"x":{number}}}' for number in NUMBERS())),
    "text": Case(in_member({"type": "string", "minLength": 1, "maxLength": 300_000}), long_text("a")),
    "integers": Case(
        in_list({"type": "integer", "minimum": 0, "maximum": 10**9, "multipleOf": 1}), fill(map(str, NUMBERS()))
    ),
    "integers and decimal bounds": Case(
        in_list({"minimum": 0.5, "exclusiveMaximum": 1e9, "multipleOf": 0.5}), fill(map(str, NUMBERS(1)))
    ),
    "decimals": Case(
        in_list({"minimum": 0.01, "exclusiveMinimum": 0, "maximum": 1e9}), fill(f"{number}.5" for number in NUMBERS())
    ),
    "decimal multiples": Case(in_list({"multipleOf": 0.01}), fill(f"{number}.01" for number in NUMBERS())),
    "decimal integers": Case(in_list({"type": "integer"}), fill(f"{number}.0" for number in NUMBERS())),
    "long integers": Case(
        in_list({"type": "integer", "multipleOf": 0.7, "minimum": 0.1}), fill(itertools.repeat("7" * 4300))
    ),
    "long decimal": Case(in_list({"multipleOf": 0.1, "enum": [0.1]}), fill(["0." + "1" * 262_000])),
    "exponents": Case(
        in_list({"multipleOf": 7, "minimum": 0, "maximum": 1}), fill(f"7e999{number:06}" for number in NUMBERS())
    ),
    "exponents of multiples": Case(in_list({"multipleOf": 7}), fill(f"7e999{number:06}" for number in NUMBERS())),
    "enum of texts": Case(
        in_list({"enum": [f"w{number}" for number in range(5000)]}), fill(f'"w{number % 5000}"' for number in NUMBERS())
    ),
    "enum of numbers": Case(in_list({"enum": list(range(5000))}), fill(str(number % 5000) for number in NUMBERS())),
    "enum of objects": Case(
        in_list({"enum": [{"a": number} for number in range(10)]}),
        fill(f'{{"a":{number % 10}}}' for number in NUMBERS()),
    ),
    "const": Case(in_member({"not": {"const": [{}] * 87_365}}), fill(itertools.repeat("{}"))),
    "unique integers": Case(in_member({"uniqueItems": True}), fill(map(str, NUMBERS()))),
    "unique integers of one hash": Case(
        in_member({"uniqueItems": True}), fill(str(number * (2**61 - 1)) for number in NUMBERS())
    ),
    "unique decimals": Case(in_member({"uniqueItems": True}), fill(f"{number}.5" for number in NUMBERS())),
    "unique exponents": Case(in_member({"uniqueItems": True}), fill(f"7e999{number:06}" for number in NUMBERS())),
    "unique texts": Case(in_member({"uniqueItems": True}), fill(f'"{word}"' for word in words())),
    "unique objects": Case(in_member({"uniqueItems": True}), fill(f'{{"a":{number}}}' for number in NUMBERS())),
    "contains": Case(in_member({"contains": {"const": -1}}), fill(map(str, NUMBERS()))),
    "simple pattern": Case(in_list({"pattern": "^[A-Za-z0-9]+$"}), fill(f'"{word}"' for word in words())),
    "pattern": Case(in_list({"pattern": "^([a-z]|[A-Z0-9])+$"}), fill(f'"{word}"' for word in words())),
    "pattern of nested repeats": Case(in_member({"pattern": "^(a+)+$"}), long_text("aaaaaaaaaaaaaaab")),
    "pattern of many states": Case(in_member({"pattern": "(.*a.{12})b"}), long_text(LETTERS)),
    "patternProperties": Case(
        {"patternProperties": {"^a": {"type": "integer"}, "(x|y)$": {}}, "additionalProperties": {"type": "integer"}},
        fill_object(words()),
    ),
    "additionalProperties": Case({"additionalProperties": {"type": "integer", "minimum": 0}}, fill_object(words())),
    "no additionalProperties": Case({"additionalProperties": False}, fill_object(words())),
    "propertyNames": Case({"propertyNames": {"maxLength": 10, "pattern": "^[A-Za-z0-9]+$"}}, fill_object(words())),
    "objects": Case(
        in_list(
            {
                "type": "object",
                "required": ["x"],
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 2,
                "properties": {"x": {"type": "integer"}, "y": {"type": "string", "maxLength": 9}},
            }
        ),
        fill(f'{{"x":{number},"y":"a"}}' for number in NUMBERS()),
    ),
    "empty objects, many properties": Case(
        in_list({"properties": {f"p{number}": {"type": "null"} for number in range(1000)}}),
        fill(itertools.repeat("{}")),
    ),
    "empty objects, many required": Case(
        in_list({"required": [f"p{number}" for number in range(1000)]}), fill(itertools.repeat("{}"))
    ),
    "empty lists": Case(
        in_list({"type": "array", "items": {"type": "integer"}, "minItems": 0, "maxItems": 3}),
        fill(itertools.repeat("[]")),
    ),
    "pairs": Case(
        in_list({"items": [{"type": "integer"}], "additionalItems": {"type": "integer"}}),
        fill(f"[{number},1]" for number in NUMBERS()),
    ),
    "dependencies": Case(
        in_list({"dependencies": {"a": ["b"], "c": {"required": ["d"]}}}),
        fill(f'{{"a":{number},"b":2}}' for number in NUMBERS()),
    ),
    "anyOf": Case(
        in_list({"anyOf": [{"type": "string"}, {"type": "null"}, {"type": "integer"}]}),
        fill(f'{number},"a"' for number in NUMBERS()),
    ),
    "oneOf": Case(
        in_list({"oneOf": [{"properties": {"k": {"const": kind}}, "required": ["k"]} for kind in "abc"]}),
        fill(f'{{"k":"c","v":{number}}}' for number in NUMBERS()),
    ),
    "allOf": Case(
        in_list({"allOf": [{"type": "integer"}, {"minimum": 0}, {"maximum": 10**9}]}), fill(map(str, NUMBERS()))
    ),
    "if": Case(
        in_list({"if": {"properties": {"t": {"const": 1}}}, "then": {"required": ["v"]}, "else": False}),
        fill(f'{{"t":1,"v":{number}}}' for number in NUMBERS()),
    ),
    "recursive choice": Case(
        in_member(TREE | {"$id": "tree"}),
        '{"a":' + '{"op":"or","c":[' * 49 + ",".join(["1"] * 130_000) + "]}" * 49 + "}",
    ),
    "deep lists": Case({}, fill(itertools.repeat("[" * 98 + "]" * 98))),
    "duplicate names": Case({}, fill(itertools.repeat('{"a":1,"a":1}'))),
    "one duplicate name": Case({}, fill((f'"{word}":[]' for word in itertools.chain(["a"], words())), "{", "}")),
    "too deep": Case({}, '{"a":' + "[" * 130_000 + "]" * 130_000 + "}"),
    "encoded content": Case(
        in_member({"contentEncoding": "base64", "contentMediaType": "application/json"}), long_text("WyJh")
    ),
    "JSON in a text": Case(
        in_member({"contentMediaType": "application/json"}), json.dumps({"a": "[" + "1," * 130_000 + "1]"})
    ),
}

FORMAT_VALUES = {
    "date": "2024-01-{day:02}",
    "date-time": "2024-01-01T00:00:00.{n}Z",
    "duration": "P{n}D",
    "email": "{n}@b.c",
    "hostname": "{n}",
    "idn-email": "{n}@b.c",
    "idn-hostname": "a.{n}",
    "ipv4": "1.1.{byte}.1",
    "ipv6": "::{hex:x}",
    "iri": "a:{n}",
    "iri-reference": "{n}",
    "json-pointer": "/{n}",
    "regex": "({n})",
    "relative-json-pointer": "1/{n}",
    "time": "1:1:1.{n}",
    "uri": "a:{n}",
    "uri-reference": "{n}",
    "uri-template": "{{a{n}}}",
    "uuid": "{n:08}-0000-0000-0000-000000000000",
}


def format_value(template: str, number: int) -> str:
    text = template.format(n=number, day=number % 28 + 1, byte=number % 256, hex=number % 65536)
    return f'"{text}"'


CASES |= {
    f"format {name}": Case(in_list({"format": name}), fill(format_value(template, number) for number in NUMBERS()))
    for name, template in FORMAT_VALUES.items()
}


def broken_at_the_end(case: Case) -> Case:
    """Return a case whose body is the same, but its list ends with values that hardly any schema allows."""
    start = case.body[:-50].rpartition(",")[0]
    return Case(case.schema, f'{start},{{"no":[null,7.25]}},"\\u0000"]}}')


CASES |= {
    f"{name}, broken at the end": broken_at_the_end(case)
    for name, case in CASES.items()
    if case.schema.get("properties", {}).get("a", {}).get("type") == "array" and "}," not in case.body[:2000]
}


def cpu_seconds(case: Case, at_most: float = 0.0) -> float:
    """Return the CPU time that `write` needs for a request: the least of some runs, or the first below ``at_most``."""
    assert len(case.body.encode()) <= MAX_DATA_BYTES
    service = WriteService()
    service.write._validators = compile_schemas({"products": case.schema})
    event = put(case.body)
    times = []
    for _ in range(6):
        start = time.process_time()
        status, *_ = service(event)
        times.append(time.process_time() - start)
        assert status in (202, 400)
        if times[-1] < at_most:
            break
    return min(times)


@functools.cache
def plain_seconds() -> float:
    return cpu_seconds(PLAIN)


def seconds_and_limit(name: str) -> tuple[float, float]:
    """Return the CPU time for a case, and the limit that it must stay below."""
    ratio = MAX_RATIO_OF_DECIMALS if "decimal" in name else MAX_RATIO
    limit = ratio * plain_seconds()
    seconds = cpu_seconds(CASES[name], limit)
    if seconds >= limit:
        # Other programs slow the processor's caches down. So measure both again, one right after the other.
        limit = ratio * cpu_seconds(PLAIN)
        seconds = cpu_seconds(CASES[name], limit)
    return seconds, limit


@pytest.fixture(scope="module")
def small_process() -> Iterator[Executor]:
    """Return a process that has only this module in its memory, as a function has only its own code.

    The memory of a process that has run thousands of tests is in pieces. There, a body with many lists takes half as
    long again, and a plain body hardly longer.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.mark.parametrize("name", CASES)
def test_no_body_takes_three_times_as_long_as_a_plain_one(name: str, small_process: Executor) -> None:
    seconds, limit = small_process.submit(seconds_and_limit, name).result()
    assert seconds < limit


KEYWORDS = (
    "additionalItems additionalProperties allOf anyOf const contains contentEncoding contentMediaType "
    "dependencies enum exclusiveMaximum exclusiveMinimum format if items maxItems maxLength maxProperties "
    "maximum minItems minLength minProperties minimum multipleOf not oneOf pattern patternProperties "
    "properties propertyNames required type uniqueItems"
)


def test_the_corpus_has_every_keyword_and_every_format() -> None:
    schemas = json.dumps([case.schema for case in CASES.values()])
    assert [keyword for keyword in KEYWORDS.split() if f'"{keyword}"' not in schemas] == []
    assert FORMAT_VALUES.keys() >= VALUES.keys()
