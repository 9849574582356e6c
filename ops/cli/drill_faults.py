"""What takes the primary Region away in a drill: faults of the stand-in for CloudFront, or Terraform on AWS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from ops.cli.drill_report import Interval, Plan

LOST_HOST = "primary.drill.invalid"
"""The host name that edge.drill gives the primary Region's buckets (terraform/modules/edge/origins.tf)."""

LOOK_SECONDS = 10.0
"""How often the drill on AWS reads the distribution."""

BUCKETS = ("documents-*-primary", "site-primary")
API = "api"
"""The origins of the primary Region (terraform/modules/edge/origins.tf). The API's origin is its API."""


class Fault(NamedTuple):
    """A fault of the primary Region on the emulator.

    plan: the fault's name, and what the drill promises
    about: one line for the user
    origins: the origins that have the fault
    fields: the other fields of an `OriginFault`
    period: seconds after which the fault ends and begins again; None if it stays
    """

    plan: Plan
    about: str
    origins: tuple[str, ...]
    fields: Mapping[str, Any]
    period: float | None = None

    def origin_faults(self) -> list[dict[str, Any]]:
        """Return the faults in the form that `EdgeControl` takes."""
        return [{"origin": origin, **self.fields} for origin in self.origins]


FAULTS = {
    fault.plan.fault: fault
    for fault in (
        Fault(Plan("refuse"), "it refuses every connection", (*BUCKETS, API), {"kind": "refuse"}),
        Fault(Plan("503"), "it answers 503", (*BUCKETS, API), {"kind": "status", "status": 503}),
        Fault(Plan("unreachable"), "no connection is made within 2 s", (*BUCKETS, API), {"kind": "unreachable"}),
        Fault(
            Plan("slow", origins_lost=False),
            "it answers after 1.9 s",
            (*BUCKETS, API),
            {"kind": "slow", "seconds": 1.9},
        ),
        Fault(Plan("hang", promised=False), "it accepts requests and stays silent", (*BUCKETS, API), {"kind": "hang"}),
        Fault(Plan("documents"), "its buckets are away, its API isn't", BUCKETS, {"kind": "refuse"}),
        Fault(Plan("api", origins_lost=False), "its API is away, its buckets aren't", (API,), {"kind": "refuse"}),
        Fault(Plan("flapping"), "it is away every other second", (*BUCKETS, API), {"kind": "refuse"}, period=1.0),
    )
}


class EdgeFaults(Protocol):
    """What `EdgeControl` does for a drill."""

    def faults(self, *faults: dict[str, Any]) -> None:
        """Replace all faults."""

    def clear(self) -> None:
        """Empty the edge's cache."""


class PlannedFault:
    """Gives the primary Region a fault for a part of the drill. It is a `Switch`."""

    def __init__(self, control: EdgeFaults, fault: Fault, seconds: float, now: Callable[[], float]) -> None:
        """Change nothing yet.

        :param seconds: how long the drill takes. The fault lasts from the first fifth to the end of the third.
        :param now: returns the seconds since the drill began
        """
        self._control, self._fault, self._now = control, fault, now
        self._begin, self._end, self._seconds = seconds / 5, seconds * 3 / 5, seconds
        self._over = False
        self.away: list[Interval] = []

    @property
    def over(self) -> bool:
        """Whether the drill's time is over."""
        return self._over

    def look(self, now: float) -> None:
        """Begin or end the fault if it is time."""
        if self._should_be_away(now) != self._is_away:
            if self._is_away:
                self.away[-1] = Interval(self.away[-1].start, self._now())
                self._control.faults()
            else:
                self._control.faults(*self._fault.origin_faults())
                if not self.away:
                    # The worst case: an edge location that has none of the documents.
                    self._control.clear()
                self.away.append(Interval(self._now(), None))
        self._over = now >= self._seconds

    def stop(self) -> None:
        """End the fault, whatever happens."""
        self._control.faults()

    @property
    def _is_away(self) -> bool:
        return bool(self.away) and self.away[-1].end is None

    def _should_be_away(self, now: float) -> bool:
        if not self._begin <= now < self._end:
            return False
        return self._fault.period is None or int((now - self._begin) / self._fault.period) % 2 == 0


class TerraformSwitch:
    """Watches the distribution while the operator switches edge.drill on and off. It is a `Switch`.

    It only reads. The drill is over some time after the primary Region is back, or when the operator needs too long.
    """

    def __init__(
        self,
        read: Callable[[], Mapping[str, Any]],
        say: Callable[[str], None],
        now: Callable[[], float],
        *,
        seconds: float,
        patience: float,
        api_switch: Mapping[str, str] | None = None,
    ) -> None:
        """Tell the operator what to do first, and read nothing yet.

        :param read: returns the distribution as CloudFront's GetDistribution does
        :param say: prints a line for the operator
        :param seconds: how long to measure while the primary Region is away, and again when it is back
        :param patience: how long to wait for the operator and the edge locations each time
        :param api_switch: the shell commands `leave` and `return`, which lead clients away from the primary Region's
            API and back; None if the stack has no failover of the API
        """
        self._read, self._say, self._now = read, say, now
        self._seconds, self._patience = seconds, patience
        self._phase, self._since, self._next = "on", 0.0, 0.0
        self._api_switch = api_switch or {}
        self._reading = threading.Lock()
        self.failure: str | None = None
        self.away: list[Interval] = []
        self.over = False
        self._say(
            'Now set edge = { drill = "primary_unreachable", … }, and run `terraform apply`.' + self._also("leave")
        )

    def _also(self, command: str) -> str:
        """Return what moves the switch of the API, as a further line for the operator."""
        return f"\nAnd for the API: {self._api_switch[command]}" if command in self._api_switch else ""

    def look(self, now: float) -> None:
        """Start reading the distribution's state if it is time. The client doesn't wait for the response."""
        if now < self._next or self.over:
            return
        self._next = now + LOOK_SECONDS
        threading.Thread(target=self.step, daemon=True).start()

    def step(self) -> None:
        """Read the distribution's state, and go on to the next phase if it is reached."""
        if not self._reading.acquire(blocking=False):
            return
        try:
            self._step()
        except Exception as error:  # noqa: BLE001 - the drill ends with a report, whatever AWS answers
            self._end(f"CloudFront's state can't be read: {error}")
        finally:
            self._reading.release()

    def _step(self) -> None:
        before = self._now()
        lost, deployed = switch_state(self._read())
        now = self._now()
        if self._phase in ("on", "off") and now - self._since > self._patience:
            self._end(f"edge.drill wasn't switched {self._phase} within {self._patience:g} s.")
        elif self._phase == "on" and lost and deployed:
            self.away.append(Interval(now, None))
            self._enter("measure", now, f"The primary Region is away. Measuring for {self._seconds:g} s.")
        elif self._phase == "measure" and now - self._since >= self._seconds:
            self._enter("off", now, "Now remove edge.drill, and run `terraform apply`." + self._also("return"))
        elif self._phase == "off" and not lost and deployed:
            self._enter("after", now, f"The primary Region is back. Measuring for {self._seconds:g} s.")
        elif self._phase == "after" and now - self._since >= self._seconds:
            self.over = True
        # From the moment the operator applies, some edge locations reach the primary Region again.
        if self.away and self.away[-1].end is None and not (lost and deployed):
            self.away[-1] = Interval(self.away[-1].start, max(self.away[-1].start, before - LOOK_SECONDS))

    def _enter(self, phase: str, now: float, text: str) -> None:
        self._phase, self._since = phase, now
        self._say(text)

    def _end(self, text: str) -> None:
        self.failure, self.over = text, True


def switch_state(distribution: Mapping[str, Any]) -> tuple[bool, bool]:
    """Return whether edge.drill is on, and whether every edge location has the distribution's last change.

    :param distribution: the distribution as boto3's `get_distribution` returns it
    """
    hosts = [origin["DomainName"] for origin in distribution["DistributionConfig"]["Origins"]["Items"]]
    return LOST_HOST in hosts, distribution["Status"] == "Deployed"


def has_origin_group(distribution: Mapping[str, Any]) -> bool:
    """Return whether another origin can take over for the primary Region's documents."""
    return bool(distribution["DistributionConfig"].get("OriginGroups", {}).get("Quantity"))


class RealClock:
    """The real time. It never goes back."""

    def now(self) -> float:
        """Return seconds since some time in the past."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for this many seconds."""
        time.sleep(seconds)
