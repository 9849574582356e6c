"""AWS's list prices, from prices.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("prices.json")

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
        """Return what quantities cost in dollars, by the names of their prices."""
        return sum(amount * self.prices[name].usd / self.prices[name].per for name, amount in quantities.items())


@cache
def price_list() -> PriceList:
    """Return the prices of prices.json."""
    values = json.loads(FILE.read_text())
    prices = {name: Price(**price) for name, price in values["prices"].items()}
    return PriceList(values["region"], values["currency"], values["date"], prices)
