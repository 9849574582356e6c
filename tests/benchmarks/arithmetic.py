"""The benchmark's arithmetic: spread, ratios, the exponent of growth, and what a goal needs to be met."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """The middle of some samples and how far half of them lie apart."""

    median: float
    low: float
    high: float
    samples: int


class Goal(NamedTuple):
    """One line of what must be reached: ``value`` against ``limit``, which it must not pass."""

    name: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the value is on the right side of the limit (the limit itself is)."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        return f"{self.name}: {self.value:.3g} (goal {sign} {self.limit:.3g}) {'met' if self.met else 'NOT MET'}"


def spread(samples: Iterable[float]) -> Spread:
    """Median and quartiles.

    :raises ValueError: for no samples.
    """
    values = sorted(samples)
    if not values:
        raise ValueError("no samples")
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], 1)
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high, len(values))


def percentile(samples: Iterable[float], percent: float) -> float:
    """The smallest sample that so many percent of them don't pass (nearest rank): 99.9 of 1,000 is the second greatest.

    :raises ValueError: for no samples.
    """
    values = sorted(samples)
    if not values:
        raise ValueError("no samples")
    # Rounded first: 99.9 * 1,000 / 100 is a little more than 999.
    return values[max(1, math.ceil(round(percent * len(values) / 100, 6))) - 1]


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """The ``k`` of the least-squares fit of ``y = c * x**k``, on logarithms: 1 is linear.

    :param points: at least two ``(x, y)`` with different ``x``, all positive.
    :raises ValueError: for anything else.
    """
    if any(x <= 0 or y <= 0 for x, y in points):
        raise ValueError("logarithms need positive numbers")
    xs = [math.log(x) for x, _ in points]
    ys = [math.log(y) for _, y in points]
    if len(set(xs)) < 2:
        raise ValueError("a slope needs two points")
    return statistics.linear_regression(xs, ys).slope


def interleaved(names: Sequence[str], rounds: int, measure: Callable[[str], float]) -> Mapping[str, list[float]]:
    """Measure each once, again and again, so that whatever drifts on the machine drifts for all of them alike."""
    found: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        # Every other round backwards: nobody always comes after the same neighbour.
        for name in names if turn % 2 == 0 else reversed(names):
            found[name].append(measure(name))
    return found
