"""Test the demo of the private stores: it counts what `Cache-Status` says, stops at a wrong status, restores stores."""

from collections import Counter

import pytest
import requests

from ops.console import CommandError
from ops.local import stores_demo


def response(status: int = 200, **headers: str) -> requests.Response:
    reply = requests.Response()
    reply.status_code, reply.url = status, "http://api/v1/items/countries/CH"
    reply.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return reply


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        ("Readplane; hit; ttl=29", "hit"),
        ("Readplane; fwd=uri-miss; stored", "fwd=uri-miss stored"),
        ("Readplane; fwd=stale", "fwd=stale"),
    ],
)
def test_an_answer_is_counted_without_its_time_to_live(header: str, answer: str) -> None:
    assert stores_demo._answer(response(Cache_Status=header)) == answer


def test_an_answer_without_the_header_is_counted_too() -> None:
    assert stores_demo._answer(response()) == "no status"


def test_the_summary_of_reads_says_where_they_come_from() -> None:
    answers = Counter({"hit": 3, "fwd=uri-miss stored": 1, "fwd=stale stored": 1, "fwd=request": 1})
    reads = stores_demo.Reads([0.01] * 5 + [0.2], answers)
    sources = "3 from the cache, 2 from DynamoDB, which then fills the cache, 1 fwd=request"
    assert str(reads) == f"6 reads, all 200, median 10 ms, slowest 200 ms: {sources}"


def test_an_unexpected_status_ends_the_demo() -> None:
    assert stores_demo._status(response(503), 200, 503).status_code == 503
    with pytest.raises(CommandError, match="got the status 503"):
        stores_demo._status(response(503), 200)


def test_a_store_is_restored_when_the_demo_fails() -> None:
    restored: list[bool] = []
    with pytest.raises(CommandError), stores_demo.restored(lambda: restored.append(True)):
        raise CommandError("a wrong status")
    assert restored == [True]


def test_a_read_that_never_shows_a_write_ends_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores_demo, "TIMEOUT", 0.0)
    with pytest.raises(CommandError, match="/items/countries/CH doesn't show the write"):
        stores_demo._until(response, lambda _: False, "/items/countries/CH")
