"""Tests of `read` while its item cache is dead, frozen, full, misconfigured or confused: no request may fail."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ops.local.tls_front import Fault, TlsFront
from ops.local.valkey import Valkey, start_valkey
from readplane.aws.faults import UnansweredError
from readplane.stores import item_cache
from readplane.stores.item_cache import CALL_SECONDS, FAULTS, OPEN_SECONDS
from tests.unit.read.cache_support import CachedService, own_seconds
from tests.unit.support import change

REQUESTS = 400
ORDERS = [change(f"o-{number}", tail=number, collection="orders", data=f'{{"n":{number}}}') for number in range(20)]
SLOW_SECONDS = 0.04
"""A request that takes longer than this is slow. A command that waits for a dead cache takes 50 ms. A request without a
fault takes less than a millisecond on a calm machine."""

RULES = "~g* +get +set +getrange +eval +evalsha +auth"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    server = start_valkey(tmp_path / "valkey", users={"read": f"on >right {RULES}"})
    yield server
    server.thaw()
    server.stop()


def service_of(server: Valkey, password: str = "right") -> CachedService:
    return CachedService(server.port, *ORDERS, user="read", password=lambda: password)


def read_all(service: CachedService, requests: int = REQUESTS) -> list[float]:
    """Send requests, each of which must return its order. Return how long each of them took, in seconds."""
    seconds = []
    for number in range(requests):
        order = ORDERS[number % len(ORDERS)]
        start = own_seconds()
        status, body, _ = service.order(order.item_id)
        seconds.append(own_seconds() - start)
        assert (status, body["id"], body["data"]) == (200, order.item_id, {"n": number % len(ORDERS)})
    return seconds


def judge(seconds: list[float]) -> None:
    """Check how long requests took while the cache was broken."""
    opened = seconds[FAULTS:]
    slow = [each for each in opened if each > SLOW_SECONDS]
    print(f"slowest of {len(seconds)}: {1000 * max(seconds):.1f} ms, slow after the breaker opened: {len(slow)}")
    assert max(seconds) <= 0.1
    assert len(slow) <= 0.02 * len(opened)


def fill_memory(server: Valkey) -> None:
    client = server.client()
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1")


def demote(server: Valkey) -> None:
    server.client().replicaof("127.0.0.1", "1")


@pytest.mark.parametrize("is_warm", [True, False], ids=["warm", "cold"])
@pytest.mark.parametrize(
    "break_cache", [Valkey.kill, Valkey.freeze, fill_memory, demote], ids=["killed", "frozen", "full", "read_only"]
)
def test_a_broken_cache_costs_no_request_more_than_100_ms(server: Valkey, break_cache: Any, is_warm: bool) -> None:
    service = service_of(server)
    if is_warm:
        read_all(service, 10)  # half of the orders, so that later requests hit and miss
    break_cache(server)
    judge(read_all(service))
    assert service.log.metrics["CacheFaults"] >= 1


def test_a_refused_login_costs_no_request_more_than_100_ms(server: Valkey) -> None:
    service = service_of(server, "wrong")
    judge(read_all(service))
    assert service.log.metrics["CacheMisconfigured"] >= 1


def test_a_missing_permission_is_counted(server: Valkey) -> None:
    server.client().acl_setuser("read", commands=["-set"])
    service = service_of(server)
    read_all(service, 5)
    assert service.log.metrics["CacheMisconfigured"] >= 1


def test_a_redirect_is_a_miss_and_counted(server: Valkey) -> None:
    front = TlsFront(server.port, None)
    front.faults = [None, Fault(instead=b"-MOVED 5776 127.0.0.1:7812\r\n")]
    service = CachedService(front.port, *ORDERS, user="read", password=lambda: "right")
    status, _, headers = service.order("o-1")
    assert (status, headers["Cache-Status"]) == (200, "Readplane; fwd=bypass")
    assert service.log.metrics == {"CacheFaults": 1, "CacheMisconfigured": 1}
    front.stop()


def test_the_breaker_opens_after_two_faults_and_closes_when_the_cache_is_back(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = service_of(server)
    read_all(service, 20)
    server.kill()
    service.client.commands.clear()
    statuses = [service.order("o-1")[2]["Cache-Status"] for _ in range(10)]
    assert statuses == ["Readplane; fwd=bypass"] * 10
    assert service.client.commands == ["GET"] * FAULTS
    left = service.cached._breaker.open_until - time.time()
    assert OPEN_SECONDS - 0.5 < left <= 2 * OPEN_SECONDS
    service.cached._breaker.open_until = time.time()
    service.order("o-1")
    assert service.client.commands == ["GET"] * (FAULTS + 1)  # one more fault opens it again
    assert service.cached._breaker.open_until > time.time()
    server.restart()
    service.cached._breaker.open_until = time.time()
    assert service.order("o-1")[2]["Cache-Status"] == "Readplane; fwd=uri-miss; stored"
    assert service.order("o-1")[2]["Cache-Status"].startswith("Readplane; hit")
    assert service.cached._breaker.faults == 0


@pytest.mark.parametrize("seconds", [2 * OPEN_SECONDS, -1], ids=["frozen", "clock_set_back"])
def test_the_breaker_closes_by_the_wall_clock_because_the_monotonic_one_stops_in_a_frozen_sandbox(
    server: Valkey, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    service = service_of(server)
    breaker = service.cached._breaker
    for _ in range(FAULTS):
        breaker.record_fault("ReadTimeoutError")
    assert service.order("o-1")[2]["Cache-Status"] == "Readplane; fwd=bypass"
    breaker.open_until = time.time() + 2 * OPEN_SECONDS
    later = time.time() + seconds
    clock = SimpleNamespace(time=lambda: later, monotonic=lambda: 0.0, sleep=time.sleep)
    monkeypatch.setattr(item_cache, "time", clock)
    assert service.order("o-1")[2]["Cache-Status"] == "Readplane; fwd=uri-miss; stored"


@pytest.mark.parametrize("code", ["NoCredentialsError", "CredentialRetrievalError"])
def test_missing_credentials_for_the_iam_token_are_a_fault_that_somebody_must_repair(server: Valkey, code: str) -> None:
    def password() -> str:
        raise UnansweredError(code, sent=False)

    service = CachedService(server.port, *ORDERS, user="read", password=password)
    status, _, headers = service.order("o-1")
    assert (status, headers["Cache-Status"]) == (200, "Readplane; fwd=bypass")
    assert service.log.metrics == {"CacheFaults": 1, "CacheMisconfigured": 1}


def test_not_all_sandboxes_come_back_at_once(server: Valkey) -> None:
    server.kill()
    ends = set()
    for _ in range(20):
        service = service_of(server)
        read_all(service, FAULTS)
        ends.add(round(service.cached._breaker.open_until - time.time(), 1))
    assert len(ends) > 5 and all(OPEN_SECONDS - 0.1 <= end <= 2 * OPEN_SECONDS for end in ends)


def test_a_cache_that_answers_slowly_gets_100_ms_of_a_request(server: Valkey) -> None:
    front = TlsFront(server.port, None)
    front.faults = [Fault(seconds=0.035)] * 1000
    service = CachedService(front.port, *ORDERS, user="read", password=lambda: "right")
    service.order("o-0")  # connects
    sums = []
    for order in ORDERS[1:]:
        service.client.seconds.clear()
        service.cached._breaker.faults = 0  # so that it stays closed
        assert service.order(order.item_id)[0] == 200
        sums.append(sum(service.client.seconds))
    # Three commands take 105 ms, so a request gets to its third command and stops it.
    assert 0.07 <= max(sums) <= 0.1 + 0.01  # the machine's own delays
    front.stop()


def test_a_fault_report_counts_all_faults_since_the_last(server: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    demote(server)
    service = service_of(server)
    read_all(service, 50)
    assert (service.log.codes.count("cache_failed"), service.log.metrics["CacheFaults"]) == (1, 1)
    service.cached._breaker._next_report = 0.0
    service.order("o-1")
    assert (service.log.codes.count("cache_failed"), service.log.metrics["CacheFaults"]) == (2, 51)


# A confused server


ANSWER_BYTES = 130
"""More bytes than an answer with an order's entry has."""


def faults_of(kind: str) -> list[Fault]:
    if kind == "cut":
        return [Fault(cut=cut, end=end) for cut in range(ANSWER_BYTES) for end in ("close", "reset")]
    if kind == "twice":
        return [Fault(copies=2), Fault(copies=2, apart=0.002), Fault(copies=3)] * 10
    return [Fault(seconds=CALL_SECONDS + 0.02)] * 4 + [Fault(cut=40, end="stall")] * 4


@pytest.mark.parametrize("kind", ["late", "twice", "cut"])
def test_a_confused_server_never_gives_one_item_to_the_reader_of_another(
    server: Valkey, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(item_cache, "OPEN_SECONDS", 0.0)  # so that every request asks the cache
    front = TlsFront(server.port, None)
    service = CachedService(front.port, *ORDERS, user="read", password=lambda: "right")
    read_all(service, 2 * len(ORDERS))
    for fault in faults_of(kind):
        front.faults = [fault]
        read_all(service, 4)
    front.faults = []
    read_all(service, 2 * len(ORDERS))
    assert service.order("o-1")[2]["Cache-Status"].startswith("Readplane; hit")
    front.stop()


def test_an_answer_that_belongs_to_another_request_is_recognised(server: Valkey) -> None:
    service = service_of(server)
    read_all(service, 2)
    client = server.client()
    client.set("g1/item/orders/o-1", client.get("g1/item/orders/o-0"), px=60_000)
    status, body, headers = service.order("o-1")
    assert (status, body["id"], headers["Cache-Status"]) == (200, "o-1", "Readplane; fwd=uri-miss; stored")
    assert service.log.metrics["CacheMismatch"] >= 1
