"""AWS's list prices, from prices.json."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
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


class Price(NamedTuple):
    """A list price.

    usd: dollars for `per` units
    unit: what is counted, with the free tier if there is one
    source: the page of AWS that names the price
    """

    usd: float
    per: int
    unit: str
    source: str


class PriceList(NamedTuple):
    """The prices of one Region at one date."""

    region: str
    currency: str
    date: str
    prices: Mapping[str, Price]

    def cost(self, quantities: Mapping[str, float]) -> float:
        """Return what quantities cost in dollars, by the names of their prices.

        :raises CommandError: if a price is missing
        """
        self.require(quantities)
        return sum(amount * self.prices[name].usd / self.prices[name].per for name, amount in quantities.items())

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

        :param texts: each as `NAME=DOLLARS`. NAME is the type of a node, such as cache.r6g.large, for an hour, or the
            name of a price of prices.json, for its unit.
        :raises CommandError: if a text has another form, or there is no price with this name
        """
        prices = dict(self.prices)
        for text in texts:
            name, _, dollars = text.partition("=")
            if not re.fullmatch(r"\d+(\.\d+)?", dollars, re.ASCII):
                raise CommandError(f"--price {text}: write a name, = and dollars, such as cache.r6g.large=0.1648.")
            if NODE_TYPE.fullmatch(name):
                name = f"{NODES if name.startswith('cache.') else ''}{name}_hour"
                prices[name] = Price(float(dollars), 1, "hours of a node", "--price")
            elif name in prices:
                prices[name] = prices[name]._replace(usd=float(dollars), source="--price")
            else:
                raise CommandError(
                    f"--price {text}: {name} is neither the type of a node, such as cache.r6g.large or dax.r5.large, "
                    f"nor the name of a price in {FILE.relative_to(ROOT)}."
                )
        return self._replace(prices=prices)


@cache
def price_list() -> PriceList:
    """Return the prices of prices.json."""
    values = json.loads(FILE.read_text())
    prices = {name: Price(**price) for name, price in values["prices"].items()}
    return PriceList(values["region"], values["currency"], values["date"], prices)
