"""A discrete-event simulation of queues: events in the order of their time, and stations with servers."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from itertools import count

Action = Callable[[], None]


class Simulation:
    """A clock and the events that are still to come.

    The same seed gives the same run: events with the same time happen in the order in which they were scheduled.
    """

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.random = random.Random(seed)
        self._events: list[tuple[float, int, Action]] = []
        self._numbers = count()

    def after(self, seconds: float, action: Action) -> None:
        """Schedule an event."""
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), action))

    def run(self, seconds: float) -> None:
        """Let the events of so many seconds happen."""
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, action = heapq.heappop(self._events)
            action()
        self.now = end

    def arrivals(self, rate: float, seconds: float) -> int:
        """Return how many arrivals of a Poisson process come in a time."""
        mean = rate * seconds
        if mean > 50:  # the normal distribution is close enough
            return max(0, round(self.random.gauss(mean, math.sqrt(mean))))
        # Knuth's method: multiply random numbers until the product is below e^-mean.
        number, product, threshold = 0, self.random.random(), math.exp(-mean)
        while product > threshold:
            number += 1
            product *= self.random.random()
        return number


Work = Callable[[Action], None]
"""A job of a station. It gets the action to call when it is done, and has its server until then."""


class Station:
    """Servers with one queue in front of them, first come, first served."""

    def __init__(self, servers: int) -> None:
        self._free = servers
        self._queue: deque[Work] = deque()

    @property
    def waiting(self) -> int:
        """How many jobs wait for a server."""
        return len(self._queue)

    def add(self, job: Work) -> None:
        """Add a job."""
        if self._free:
            self._free -= 1
            job(self._end)
        else:
            self._queue.append(job)

    def _end(self) -> None:
        if self._queue:
            self._queue.popleft()(self._end)
        else:
            self._free += 1


class Meter:
    """A limit of units a second. Whoever uses units waits until the limit has admitted them."""

    def __init__(self, simulation: Simulation, units_per_second: float) -> None:
        self._simulation = simulation
        self._rate = units_per_second
        self._free_at = 0.0

    def use(self, units: float) -> float:
        """Take units, and return for how many seconds their user waits for them."""
        self._free_at = max(self._free_at, self._simulation.now) + units / self._rate
        return self._free_at - self._simulation.now


class Starts:
    """How many executions of a function Lambda may start.

    Lambda starts up to 1,000 at once, and regains 100 such starts a second. It never saves more than 1,000.
    https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html
    """

    MOST = 1000
    PER_SECOND = 100

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._left = float(self.MOST)
        self._at = 0.0

    def take(self, wanted: int) -> int:
        """Return how many of the wanted executions Lambda starts now."""
        now = self._simulation.now
        self._left = min(self.MOST, self._left + (now - self._at) * self.PER_SECOND)
        self._at = now
        started = min(wanted, math.floor(self._left))
        self._left -= started
        return started


class Executions:
    """The executions of a function that is called synchronously: a call that finds no free one is refused.

    :param most: the most executions at once.
    :param seconds: for how long a call takes one.
    :param starts: how fast Lambda starts them; ``None``: all run already.
    """

    def __init__(self, simulation: Simulation, most: int, seconds: float, starts: Starts | None = None) -> None:
        self._simulation = simulation
        self._most = most
        self._seconds = seconds
        self._starts = starts
        self._running = 0 if starts else most
        self._busy = 0
        self.accepted = 0
        self.refused = 0

    def call(self, calls: int) -> int:
        """Let calls arrive at once. Return how many of them are refused."""
        if self._starts:
            self._running += self._starts.take(max(0, min(self._most, self._busy + calls) - self._running))
        accepted = min(calls, self._running - self._busy)
        self._busy += accepted
        self.accepted += accepted
        self.refused += calls - accepted
        if accepted:
            self._simulation.after(self._seconds, lambda: self._end(accepted))
        return calls - accepted

    def _end(self, calls: int) -> None:
        self._busy -= calls
