"""The simulated machine: one virtual clock, one source of random numbers, one heap of events, and one trace.

Nothing here has threads. An invocation of a function is a Python call. Each call that it makes to AWS takes virtual
time, and whatever is due in that time happens first, inside the call: another invocation overtakes this one. So two
invocations interleave, and the same seed always gives the same history.
"""

import heapq
import random
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from hashlib import blake2b
from typing import Any

from readplane.config import DAY_MS
from tests.fakes.sandbox import KilledError

START_MS = 1_795_000_000_000
HORIZON_DAYS = 30
HORIZON_MS = HORIZON_DAYS * DAY_MS
MAX_DEPTH = 10
"""How many invocations can be in the middle of a call at once. Any more events wait until one of them goes on."""

MAX_EVENTS = 20_000
"""More events than any history has. A history that gets here goes on forever, so something retries without end."""


class Invocation:
    """One invocation of a function. ``dies_at`` is the number of the call before or after which its sandbox dies."""

    __slots__ = ("calls", "deadline_ms", "dies_after", "dies_at", "is_dead", "region")

    def __init__(self, region: "Region", deadline_ms: int, dies_at: int, dies_after: bool) -> None:
        self.region = region
        self.deadline_ms = deadline_ms
        self.dies_at = dies_at
        self.dies_after = dies_after
        self.calls = 0
        self.is_dead = False


class Machine:
    """The clock, the events and the random numbers of one history."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now_ms = START_MS
        self.trace: list[str] = []
        self.current: Invocation | None = None
        self.invocations = 0
        self.crashes = 0
        self._heap: list[tuple[int, int, Callable[[], None], Region | None]] = []
        self._number = 0
        self._depth = 0

    # -- events ------------------------------------------------------------------------------------------------------

    def at(self, ms: int, action: Callable[[], None], region: "Region | None" = None) -> None:
        """Let something happen at a time. If it happens in a Region that is lost then, it waits until it is back."""
        self._number += 1
        heapq.heappush(self._heap, (ms, self._number, action, region))

    def after(self, delay_ms: int, action: Callable[[], None], region: "Region | None" = None) -> None:
        """Let something happen in so many milliseconds."""
        self.at(self.now_ms + delay_ms, action, region)

    def run_until(self, ms: int) -> None:
        """Let everything happen that is due until a time, and set the clock to it."""
        heap = self._heap
        while heap and heap[0][0] <= ms:
            due_ms, _, action, region = heapq.heappop(heap)
            self.now_ms = max(self.now_ms, due_ms)
            if region is not None and self.now_ms < region.lost_until_ms:
                self.at(region.lost_until_ms + self.random.randrange(1, 2_000), action, region)
                continue
            assert self._number < MAX_EVENTS, "the history goes on forever: something retries without end"
            action()
        self.now_ms = max(self.now_ms, ms)

    def settle(self) -> None:
        """Let everything happen that is still to come."""
        while self._heap:
            self.run_until(self._heap[0][0])

    def note(self, text: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{self.now_ms - START_MS} {text}")

    def trace_hash(self) -> str:
        """Return a hash of all that happened. Two runs of the same history have the same hash."""
        return blake2b("\n".join(self.trace).encode(), digest_size=16).hexdigest()

    # -- invocations -------------------------------------------------------------------------------------------------

    def invoke(
        self,
        region: "Region",
        name: str,
        timeout_ms: int,
        work: Callable[[Callable[[], int]], Any],
        crashes: float,
        calls: int = 12,
    ) -> Any:
        """Run an invocation. Return its result, or ``None`` if its sandbox died.

        :param work: the function to run. It gets a function that returns the milliseconds that the invocation has left.
        :param crashes: how probable it is that the sandbox dies at one of the first calls.
        :param calls: the number of the first call at which it can't die.
        """
        dies_at = self.random.randrange(1, calls) if crashes and self.random.random() < crashes else 0
        invocation = Invocation(region, self.now_ms + timeout_ms, dies_at, self.random.random() < 0.5)
        outer, self.current = self.current, invocation
        self.invocations += 1
        number = self.invocations
        self.note(f"{region.name} {name} begins {number}")
        try:
            result = work(lambda: invocation.deadline_ms - self.now_ms)
        except KilledError:
            self.crashes += 1
            self.note(f"{region.name} {name} dies {number}")
            return None
        finally:
            self.current = outer
        assert not invocation.is_dead, f"{name} has caught the end of its own sandbox"
        self.note(f"{region.name} {name} ends {number}")
        return result

    def begin_call(self, label: str, latency_ms: int) -> None:
        """Begin a call of the running invocation: let its time pass. The invocation may die before the call."""
        invocation = self.current
        if invocation is None:  # somebody outside of the simulation looks at a store
            return
        if invocation.is_dead:
            raise KilledError
        invocation.calls += 1
        self.trace.append(label)
        if self._depth < MAX_DEPTH:
            self._depth += 1
            try:
                self.run_until(self.now_ms + latency_ms)
            finally:
                self._depth -= 1
        else:
            self.now_ms += latency_ms
        self.current = invocation
        if invocation.calls == invocation.dies_at and not invocation.dies_after:
            self.kill()
        if self.now_ms >= invocation.deadline_ms or self.now_ms < invocation.region.lost_until_ms:
            self.kill()

    def end_call(self) -> None:
        """End a call of the running invocation. The invocation may die after the call, so it never gets the answer."""
        invocation = self.current
        if invocation is not None and invocation.calls == invocation.dies_at and invocation.dies_after:
            self.kill()

    def kill(self) -> None:
        """End the running invocation, as if Lambda ended its sandbox."""
        assert self.current is not None
        self.current.is_dead = True
        raise KilledError

    def pause(self, max_seconds: float) -> None:
        """Wait before a retry, in place of :func:`readplane.aws.faults.back_off`."""
        self.begin_call("pause", int(max_seconds * 1000 * self.random.random()))


class Region:
    """A Region. Its functions' clock is ``skew_ms`` ahead of the true time."""

    def __init__(self, machine: Machine, name: str, skew_ms: int, table_skew_ms: int) -> None:
        self.name = name
        self.skew_ms = skew_ms
        self.table_skew_ms = table_skew_ms
        self.lost_until_ms = 0
        self._machine = machine

    def clock(self) -> int:
        """Return the time by the clock of this Region's functions, in place of :func:`readplane.clock.now_ms`."""
        return self._machine.now_ms + self.skew_ms

    @property
    def is_lost(self) -> bool:
        """Whether nothing happens in this Region now."""
        return self._machine.now_ms < self.lost_until_ms


class InlineExecutor(Executor):
    """Carries out everything at once, in an order that the seed decides, in place of threads."""

    def __init__(self, machine: Machine) -> None:
        self._random = machine.random

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call the function now."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], **_: Any) -> Iterator[Any]:
        """Call the function for each element now, in any order. The results keep the order of the elements."""
        calls = list(zip(*iterables, strict=False))
        order = list(range(len(calls)))
        self._random.shuffle(order)
        futures = {place: self.submit(fn, *calls[place]) for place in order}
        return iter([futures[place].result() for place in range(len(calls))])

    def __exit__(self, *_: object) -> None:
        """Do nothing: nothing is running any more."""
