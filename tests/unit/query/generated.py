"""Generated items, filters, sorts and searches, and an oracle that says which items a list has, and in which order.

The oracle knows nothing of Readplane's parsers and of SQL: each value is generated together with its meaning.
"""

import functools
import itertools
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

Value = Decimal | str | bool | datetime


class Typed(NamedTuple):
    """A JSON text, and the value that it has for its field; ``None`` if it has none."""

    json: str
    value: Value | None


def _numbers(*texts: str) -> list[Typed]:
    return [Typed(text, Decimal(text)) for text in texts]


_NONE = [Typed(text, None) for text in ("null", "[]", "{}", '[{"a":1}]')]
_NINE = datetime(2026, 11, 28, 9, tzinfo=UTC)
_COLOURS = (
    "",
    "a",
    "B",
    "b",
    "blue",
    "red",
    "Red",
    "ä",
    "z",
    "a,b",
    "a:b",
    "%",
    "_",
    "'",
    " ",
    "€",
    "\ue000",
    "😀",
    "x" * 1_024,
)

POOLS: dict[str, list[Typed]] = {
    "price": [
        *_numbers(
            "0", "-0", "0.0", "1", "1.0", "1.00", "1e0", "10", "1E+1", "-5.5", "9.99", "100", "0.1", "0.10", "1e-20"
        ),
        *_numbers(
            "123456789012345678901234567890.1", "123456789012345678901234567890.2", "-1e300", "1e1000", "2", "2", "3"
        ),
        *(Typed(text, None) for text in ('"10"', "true", '"x"')),
        *_NONE,
    ],
    "colour": [
        *(Typed(f'"{colour}"', colour) for colour in _COLOURS),
        Typed('"\\\\"', "\\"),
        Typed('"\\u00e4"', "ä"),
        *(
            Typed(text, None)
            for text in ("1", "false", '"a\\u0000b"', '"\\ud800"', f'"{"x" * 1_025}"', f'"{"€" * 342}"')
        ),
        *_NONE,
    ],
    "active": [
        Typed("true", True),
        Typed("false", False),
        Typed('"true"', None),
        Typed("1", None),
        Typed("0", None),
        *_NONE,
    ],
    "made": [
        Typed('"2026-11-28T09:00:00Z"', _NINE),
        Typed('"2026-11-28T10:00:00+01:00"', _NINE),
        Typed('"2026-11-28T09:00:00.000001Z"', _NINE.replace(microsecond=1)),
        Typed('"2026-11-28T08:59:59.999999Z"', datetime(2026, 11, 28, 8, 59, 59, 999_999, tzinfo=UTC)),
        Typed('"1969-07-20T20:17:40Z"', datetime(1969, 7, 20, 20, 17, 40, tzinfo=UTC)),
        Typed('"9999-12-31T23:59:59Z"', datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        *(
            Typed(text, None)
            for text in ('"2026-11-28"', '"tomorrow"', '"2026-13-28T09:00:00Z"', '"infinity"', "1795000000")
        ),
        *_NONE,
    ],
}

WORDS = ("blue", "red", "fast", "old", "big")


class Item(NamedTuple):
    """A generated item.

    :param values: the value of each field that the item has.
    :param words: the words of its name, in order.
    """

    item_id: str
    json: str
    values: dict[str, Value]
    words: tuple[str, ...]


def make_item(random: Random, item_id: str) -> Item:
    """Return a random item. It has each field with a probability of 80 %."""
    typed = {name: random.choice(pool) for name, pool in POOLS.items() if random.random() < 0.8}
    words = tuple(random.choices(WORDS, k=random.randint(0, 4)))
    members = [f'"{name}":{choice.json}' for name, choice in typed.items()]
    members.append(f'"name":"{" ".join(word.title() for word in words)}"')
    values = {name: choice.value for name, choice in typed.items() if choice.value is not None}
    return Item(item_id, f"{{{','.join(members)}}}", values, words)


_MEETS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda value, other: bool(value == other),
    "ne": lambda value, other: bool(value != other),
    "lt": lambda value, other: bool(value < other),
    "le": lambda value, other: bool(value <= other),
    "gt": lambda value, other: bool(value > other),
    "ge": lambda value, other: bool(value >= other),
}


Search = tuple[str, Callable[[tuple[str, ...]], bool]]
"""A search text, and whether it matches an item's words."""


class Listing(NamedTuple):
    """A generated list.

    :param conditions: field, operator and value of each condition.
    """

    conditions: list[tuple[str, str, Typed]]
    sort: str | None
    descending: bool
    search: Search | None

    def query(self) -> dict[str, str]:
        """Return the query parameters that describe this list."""
        query = {}
        if self.conditions:
            query["filter"] = ",".join(f"{name}:{operator}:{_text(typed)}" for name, operator, typed in self.conditions)
        if self.sort:
            query["sort"] = f"-{self.sort}" if self.descending else self.sort
        if self.search:
            query["q"] = self.search[0]
        return query

    def expected(self, items: Iterable[Item]) -> list[str]:
        """Return the ids of the items that the list has, in order. Without ``sort`` the order means nothing."""
        found = [item for item in items if self._has(item)]
        if self.sort is None:
            return sorted(item.item_id for item in found)
        with_value = [(item.values[self.sort], item.item_id) for item in found if self.sort in item.values]
        without_value = [item.item_id for item in found if self.sort not in item.values]
        in_order: list[tuple[Any, str]] = sorted(with_value, reverse=self.descending)
        return [item_id for _, item_id in in_order] + sorted(without_value, reverse=self.descending)

    def _has(self, item: Item) -> bool:
        meets = all(
            name in item.values and _MEETS[operator](item.values[name], typed.value)
            for name, operator, typed in self.conditions
        )
        return meets and (self.search is None or self.search[1](item.words))


def _text(typed: Typed) -> str:
    """Return a value as ``filter`` has it."""
    if isinstance(typed.value, str):
        return typed.value.replace("\\", "\\\\").replace(",", "\\,")
    return typed.json.strip('"')


def make_listing(random: Random) -> Listing:
    """Return a random list that is filtered, sorted or searched."""
    while True:
        conditions = [_condition(random) for _ in range(random.choice((0, 0, 1, 1, 2, 3)))]
        sort = random.choice([None, *POOLS])
        search = _search(random) if random.random() < 0.3 else None
        if conditions or sort or search:
            return Listing(conditions, sort, bool(sort) and random.random() < 0.5, search)


def _condition(random: Random) -> tuple[str, str, Typed]:
    name = random.choice(list(POOLS))
    operators = ["eq", "ne"] if name == "active" else list(_MEETS)
    return name, random.choice(operators), random.choice([typed for typed in POOLS[name] if typed.value is not None])


def _search(random: Random) -> Search:
    first, second = random.choice(WORDS), random.choice(WORDS)
    searches: list[Search] = [
        (first.upper(), lambda words: first in words),
        (f"{first} {second}", lambda words: first in words and second in words),
        (f"{first} or {second}", lambda words: first in words or second in words),
        (f"{first} -{second}", lambda words: first in words and second not in words),
        (f'"{first} {second}"', functools.partial(_has_phrase, first, second)),
        (f"{first} nothing", lambda words: False),
    ]
    return random.choice(searches)


def _has_phrase(first: str, second: str, words: tuple[str, ...]) -> bool:
    return (first, second) in itertools.pairwise(words)
