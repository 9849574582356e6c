"""The statistics of the benchmarks: spread, percentiles, growth exponent, goals, and the order of the samples."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """The median, the lower and upper quartile, and the number of the samples of one measurement."""

    median: float
    low: float
    high: float
    samples: int


class Goal(NamedTuple):
    """A measured value and the limit that it must stay within.

    name: what was measured.
    value: the measured value.
    limit: the greatest allowed value.
    at_least: True if ``limit`` is the smallest allowed value, not the greatest.
    """

    name: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the value is within the limit. A value equal to the limit is."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        return f"{self.name}: {self.value:.3g} (goal {sign} {self.limit:.3g}) {'met' if self.met else 'NOT MET'}"


def spread(samples: Iterable[float]) -> Spread:
    """Return the median, the quartiles and the number of the samples.

    :raises ValueError: if there are no samples.
    """
    values = sorted(samples)
    if not values:
        raise ValueError("no samples")
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], 1)
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high, len(values))


def percentile(samples: Iterable[float], percent: float) -> float:
    """Return a percentile by the nearest-rank method.

    It is the smallest sample for which at least ``percent`` % of all samples are less than or equal to it. For example,
    the 99.9th percentile of 1,000 samples is the second greatest.

    :raises ValueError: if there are no samples.
    """
    values = sorted(samples)
    if not values:
        raise ValueError("no samples")
    # Round first, because 99.9 * 1,000 / 100 is a little more than 999 in floating point.
    return values[max(1, math.ceil(round(percent * len(values) / 100, 6))) - 1]


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """Return the growth exponent: the ``k`` of ``y = c * x**k``, fitted to logarithms by least squares.

    Linear growth has the exponent 1.

    :param points: at least two pairs ``(x, y)`` with different ``x``. All numbers must be positive.
    :raises ValueError: if a number isn't positive, or if there are fewer than two different ``x``.
    """
    if any(x <= 0 or y <= 0 for x, y in points):
        raise ValueError("logarithms need positive numbers")
    xs = [math.log(x) for x, _ in points]
    ys = [math.log(y) for _, y in points]
    if len(set(xs)) < 2:
        raise ValueError("a slope needs two points")
    return statistics.linear_regression(xs, ys).slope


def interleaved(names: Sequence[str], rounds: int, measure: Callable[[str], float]) -> Mapping[str, list[float]]:
    """Measure every subject once in each round, so that a change of the machine's speed affects all of them alike.

    :param names: the names of the subjects.
    :param measure: measures the subject with the given name and returns the sample.
    :returns: the samples of each subject, by name.
    """
    samples: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        # Every other round runs in reverse order, so that no subject always runs after the same other one.
        for name in names if turn % 2 == 0 else reversed(names):
            samples[name].append(measure(name))
    return samples
