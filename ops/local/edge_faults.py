"""Faults of origins, which tests and the failover drill put between the stand-in for CloudFront and the origins."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ops.local.edge import Fetch
from ops.local.edge_clock import Clock
from ops.local.edge_messages import OriginConnectionError, OriginTimeoutError, Request, Response

KINDS = ("refuse", "unreachable", "hang", "status", "slow")
S3_READ_SECONDS = 30.0
"""How long CloudFront waits for a bucket's response. No setting of Terraform's provider 5.100 changes it."""
# See RequestAndResponseBehaviorS3Origin.html


@dataclasses.dataclass(frozen=True)
class OriginFault:
    """A fault of one origin.

    origin: the origin's id in the distribution; `*` stands for any text, so `*` alone means every origin
    kind: `refuse` the connection at once; be `unreachable`, so that CloudFront's attempt to connect times out; `hang`,
        which is to accept the request and never respond; respond with a `status`; or be `slow` and then respond
    seconds: how slow the origin is (only for `slow`)
    status: the status that the origin responds with (only for `status`)
    """

    origin: str
    kind: Literal["refuse", "unreachable", "hang", "status", "slow"]
    seconds: float = 0.0
    status: int = 503

    def __post_init__(self) -> None:
        """Check the fault's kind, time and status.

        :raises ValueError: for an unknown kind, a negative time, or a status outside 400 to 599
        """
        if self.kind not in KINDS or not self.seconds >= 0 or not 400 <= self.status <= 599:
            raise ValueError(f"{self}: the kind is one of {', '.join(KINDS)}, a time positive, a status 400 to 599.")


class FaultyOrigins:
    """Fetches from origins, with the faults that are set at the time."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        """Begin without faults.

        :param fetch: fetches from the origins that have no fault
        :param clock: the clock that shows how long an origin lets CloudFront wait
        """
        self._fetch, self._clock = fetch, clock
        self.faults: Sequence[OriginFault] = ()

    def __call__(self, origin: Mapping[str, Any], request: Request) -> Response:
        """Return an origin's response to a request.

        :raises OriginError: if the origin's fault prevents a response
        """
        fault = next((entry for entry in self.faults if fnmatch.fnmatchcase(origin["Id"], entry.origin)), None)
        if fault is None:
            return self._fetch(origin, request)
        custom = origin.get("CustomOriginConfig")
        patience = float(custom.get("OriginReadTimeout", 30)) if custom else S3_READ_SECONDS
        if fault.kind == "refuse":
            raise OriginConnectionError(f"{origin['Id']} refuses the connection")
        if fault.kind == "unreachable":
            self._clock.sleep(float(origin.get("ConnectionTimeout", 10)))
            raise OriginConnectionError(f"{origin['Id']} is unreachable")
        if fault.kind == "status":
            return Response(fault.status, {"content-type": ["text/plain"]}, b"fault")
        if fault.kind == "hang" or fault.seconds > patience:
            self._clock.sleep(patience)
            raise OriginTimeoutError(f"{origin['Id']} doesn't respond")
        self._clock.sleep(fault.seconds)
        return self._fetch(origin, request)
