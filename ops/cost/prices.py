"""AWS's list prices, from prices.json."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from ops.console import ROOT, CommandError

FILE = Path(__file__).with_name("prices.json")

NODES = "elasticache_"
"""How the name of the price of an ElastiCache node begins. The node's type follows."""

NODE_TYPE = re.compile(r"(cache|dax)\.[a-z0-9-]+\.[a-z0-9]+")
"""The type of a node of ElastiCache or DAX."""

HOURS = 730
"""The hours of a month, as AWS's price calculator counts them."""

OLDEST_MONTHS = 12
"""After this many months, somebody must compare every price and limit with AWS's pages and set the date."""


class Price(NamedTuple):
    """A list price.

    usd: dollars for `per` units
    unit: what is counted, with the free tier if there is one
    source: the page of AWS that names the price
    tiers: pairs of units and dollars. Units beyond that many a month cost so much for `per` units.
    free: units of each month that are free for every account without a time limit; they belong to the first tier
    """

    usd: float
    per: int
    unit: str
    source: str
    tiers: tuple[tuple[float, float], ...] = ()
    free: float = 0

    def monthly(self, units: float, *, free_tier: bool = False) -> float:
        """Return what the units of a month cost in dollars, each at the price of its tier.

        :param free_tier: leave out the units that are free in each month
        """
        return self._tiered(units) - (self._tiered(min(units, self.free)) if free_tier else 0)

    def _tiered(self, units: float) -> float:
        steps = [(0.0, self.usd), *self.tiers, (float("inf"), 0.0)]
        return sum(max(min(units, end) - start, 0) * usd for (start, usd), (end, _) in pairwise(steps)) / self.per


class FlatRate(NamedTuple):
    """A flat-rate plan of CloudFront for one distribution.

    usd: dollars a month
    requests: the requests of a month that the plan is for
    gb: the GB of a month that the plan is for
    source: the page of AWS that names the plan
    """

    usd: float
    requests: float
    gb: float
    source: str

    def covers(self, requests: float, gb: float) -> bool:
        """Return whether the plan is for so many requests and GB a month."""
        return requests <= self.requests and gb <= self.gb


class PriceList(NamedTuple):
    """The prices of one Region at one date.

    date: the month of the prices, such as 2026-11
    flat_rates: CloudFront's flat-rate plans by their names, the cheapest first
    """

    region: str
    currency: str
    date: str
    prices: Mapping[str, Price]
    flat_rates: Mapping[str, FlatRate]

    def cost(self, quantities: Mapping[str, float]) -> float:
        """Return what quantities cost in dollars, by the names of their prices, at the price of the first units.

        :raises CommandError: if a price is missing
        """
        self.require(quantities)
        return sum(amount * self.prices[name].usd / self.prices[name].per for name, amount in quantities.items())

    def monthly(self, quantities: Mapping[str, float], *, free_tier: bool = False) -> dict[str, float]:
        """Return what the quantities of a month cost in dollars, with volume discounts, by the names of their prices.

        :param free_tier: leave out the units that are free in each month
        :raises CommandError: if a price is missing
        """
        self.require(quantities)
        return {name: self.prices[name].monthly(units, free_tier=free_tier) for name, units in quantities.items()}

    def require(self, names: Iterable[str]) -> None:
        """Check that there are prices with these names.

        :raises CommandError: if one is missing; the message names all that are
        """
        missing = sorted({name for name in names if name not in self.prices})
        if missing:
            options = " ".join(f"--price {name.removeprefix(NODES).removesuffix('_hour')}=…" for name in missing)
            raise CommandError(
                f"{FILE.name} lacks the price of {', '.join(missing)}. Say what one costs in dollars an hour: {options}"
            )

    def with_prices(self, texts: Iterable[str]) -> PriceList:
        """Return the list with other prices, or with prices of further types of nodes.

        Another price has the volume discounts of the list, in proportion.

        :param texts: each as `NAME=DOLLARS`. NAME is the type of a node, such as cache.r6g.large, for an hour, or the
            name of a price of prices.json, for its unit.
        :raises CommandError: if a text has another form, or there is no price with this name
        """
        prices = dict(self.prices)
        for text in texts:
            name, _, dollars = text.partition("=")
            if not re.fullmatch(r"\d{1,9}(\.\d+)?", dollars, re.ASCII):
                raise CommandError(f"--price {text}: write a name, = and dollars, such as cache.r6g.large=0.1648.")
            usd = float(dollars)
            if NODE_TYPE.fullmatch(name):
                name = f"{NODES if name.startswith('cache.') else ''}{name}_hour"
                prices[name] = Price(usd, 1, "hours of a node", "--price")
            elif name in prices:
                listed = self.prices.get(name, prices[name])
                tiers = tuple((above, discounted * usd / listed.usd) for above, discounted in listed.tiers)
                prices[name] = listed._replace(usd=usd, tiers=tiers, source="--price")
            else:
                raise CommandError(
                    f"--price {text}: {name} is neither the type of a node, such as cache.r6g.large or dax.r5.large, "
                    f"nor the name of a price in {FILE.relative_to(ROOT)}."
                )
        return self._replace(prices=prices)

    def months_old(self, today: dt.date) -> int:
        """Return how many months have begun since the month of the prices."""
        return months_since(self.date, today)


def months_since(date: str, today: dt.date) -> int:
    """Return how many months have begun since a month, such as 2026-11."""
    year, month = map(int, date.split("-"))
    return (today.year - year) * 12 + today.month - month


@cache
def price_list() -> PriceList:
    """Return the prices of prices.json."""
    values = json.loads(FILE.read_text())
    prices = {
        name: Price(**{**price, "tiers": tuple(tuple(tier) for tier in price.get("tiers", ()))})
        for name, price in values["prices"].items()
    }
    flat_rates = {name: FlatRate(**plan) for name, plan in values["flat_rates"].items()}
    return PriceList(values["region"], values["currency"], values["date"], prices, flat_rates)
