"""The statistics of the benchmarks: medians and quartiles, percentiles, growth exponents, goals, and sampling order."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """The statistics of one measurement: the median, the lower and upper quartile, and the number of samples."""

    median: float
    low: float
    high: float
    samples: int


class Goal(NamedTuple):
    """A measured value and its limit.

    name: what was measured.
    value: the measured value.
    limit: the greatest allowed value; if ``at_least`` is True, the smallest allowed value.
    at_least: whether ``limit`` is a lower limit.
    """

    name: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the value meets the goal. A value that equals the limit meets it."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        return f"{self.name}: {self.value:.3g} (goal {sign} {self.limit:.3g}) {'met' if self.met else 'NOT MET'}"


def spread(samples: Iterable[float]) -> Spread:
    """Return the median and the quartiles of the samples, and how many samples there are.

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

    The percentile is the smallest sample ``s`` for which at least ``percent`` % of all samples are ``s`` or less. For
    example, the 99.9th percentile of 1,000 different samples is the second greatest sample.

    :raises ValueError: if there are no samples.
    """
    values = sorted(samples)
    if not values:
        raise ValueError("no samples")
    # Round before ceil(): in floating point, 99.9 * 1,000 / 100 is a little more than 999.
    return values[max(1, math.ceil(round(percent * len(values) / 100, 6))) - 1]


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """Return the growth exponent ``k`` of the curve ``y = c * x**k`` that fits the points best.

    The fit is a linear regression of ``log(y)`` on ``log(x)``. If ``y`` grows linearly with ``x``, ``k`` is 1.

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
    """Measure several subjects in turns, each of them once a round; return the samples of each subject, by name.

    If the machine becomes slower during the rounds, this affects all subjects equally.

    :param names: the names of the subjects.
    :param rounds: the number of rounds, which is also the number of samples of each subject.
    :param measure: the function that measures the subject with the given name and returns the sample.
    """
    samples: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        # Reverse the order in every other round, so that no subject always runs right after the same other subject.
        for name in names if turn % 2 == 0 else reversed(names):
            samples[name].append(measure(name))
    return samples
