"""What the stack promises under load: times, and that every accepted change has exactly one outcome."""

import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from readplane.domain.change import Change, keep_newest
from tests.local.pipeline import items, lines_of, log_keys, made, notify, now_ms, put_object, status
from tests.local.support import Local, eventually


def percentile(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def told(times: list[float]) -> str:
    return " ".join(f"p{int(share * 100)} {percentile(times, share):.2f} s" for share in (0.5, 0.9, 0.99)) + (
        f" max {max(times):.2f} s"
    )


def test_a_write_is_readable_within_2_s_and_its_document_there_within_3_s(
    stack: Local, capsys: pytest.CaptureFixture[str]
) -> None:
    """200 writes, one after the other; each is followed until it shows."""
    api = stack.api(stack.eve)
    s3 = stack.root().client("s3")
    readable: list[float] = []
    documented: list[float] = []
    for number in range(200):
        start = time.monotonic()
        answer = api("PUT", f"/items/notices/timed-{number % 20}", {"title": f"{number}"})
        change_id = answer.json()["change_id"]

        def item(number: int = number, change_id: str = change_id) -> bool:
            headers = {"Readplane-Min-Version": change_id}
            return api("GET", f"/items/notices/timed-{number % 20}", headers=headers).status_code == 200

        def document(number: int = number, change_id: str = change_id) -> bool:
            key = f"authenticated/notices/timed-{number % 20}.json"
            try:
                head = s3.head_object(Bucket=stack.outputs.documents_bucket, Key=key)
            except s3.exceptions.ClientError:
                return False
            return bool(head["Metadata"]["readplane-version"] >= change_id)

        eventually(item, every=0.02)
        readable.append(time.monotonic() - start)
        eventually(document, every=0.02)
        documented.append(time.monotonic() - start)
    with capsys.disabled():
        print(f"\n200 writes: readable {told(readable)}; document {told(documented)}")
    assert max(readable) <= 2.0 and max(documented) <= 3.0
    assert statistics.median(readable) < 1.0


CLIENTS, WRITES, ITEMS = 16, 2000, 250


def test_every_accepted_change_has_exactly_one_outcome(stack: Local, capsys: pytest.CaptureFixture[str]) -> None:
    """2,000 writes by 16 clients over 250 items; 5 % of the log's objects come late and 5 % come twice."""
    before = set(log_keys(stack))
    poison = [made(f"load-expired-{number}", ms=now_ms() - 31 * 86_400_000) for number in range(20)]
    put_object(stack, [change.line() for change in poison])
    clients = [stack.api(stack.eve) for _ in range(CLIENTS)]
    generator = random.Random(4711)

    def write(number: int, item: int, delete: bool) -> Change:
        api = clients[number % CLIENTS]
        path = f"/items/notices/load-{item}"
        answer = api("DELETE", path) if delete else api("PUT", path, {"title": f"{number}"})
        assert answer.status_code == 202, answer.text
        body = answer.json()
        data = None if delete else f'{{"title": "{number}"}}'
        return Change(body["change_id"], "notices", body["item_id"], data, stack.eve.sub, "api", "")

    start = time.monotonic()
    accepted: list[Change] = []
    with ThreadPoolExecutor(CLIENTS) as pool:
        plan = [(number, generator.randrange(ITEMS), generator.random() < 0.1) for number in range(WRITES)]
        share = WRITES // 20
        parts = [plan[at : at + share] for at in range(0, WRITES, share)]
        for part in parts[:-1]:
            accepted += pool.map(lambda entry: write(*entry), part)
        # One part in twenty: its objects are written while S3 notifies nobody, and told of at the very end.
        seen = set(log_keys(stack))
        with nobody_notified(stack):
            accepted += pool.map(lambda entry: write(*entry), parts[-1])
            late = eventually(lambda: all_delivered(stack, seen, share))
    took = time.monotonic() - start
    objects = [key for key in log_keys(stack) if key not in before]
    notify(stack, generator.sample(objects, max(1, len(objects) // 20)))
    notify(stack, late)

    store = items(stack)
    outcomes = eventually(lambda: settled(store, accepted + poison), within=60, every=1)
    winners: dict[str, Change] = {}
    for change in accepted:
        keep_newest(winners, change)
    held = {key: store.get(key) for key in winners}
    assert {key: (item.version, item.data) for key, item in held.items() if item} == {
        key: (change.version, change.data) for key, change in winners.items()
    }
    assert outcomes == {
        "applied": len(winners),
        "superseded": WRITES - len(winners),
        "quarantined": len(poison),
    }
    with capsys.disabled():
        print(
            f"\n{WRITES} writes by {CLIENTS} clients in {took:.0f} s ({WRITES / took:.0f}/s), "
            f"{len(objects)} log objects, {len(late)} late, {max(1, len(objects) // 20)} twice: {dict(outcomes)}"
        )


def all_delivered(stack: Local, seen: set[str], records: int) -> list[str] | None:
    """The log objects that are new since ``seen``, once they hold that many lines."""
    new = [key for key in log_keys(stack) if key not in seen]
    return new if sum(len(lines_of(stack, key)) for key in new) >= records else None


@contextmanager
def nobody_notified(stack: Local) -> Iterator[None]:
    """S3 tells nobody of new log objects meanwhile."""
    s3 = stack.root().client("s3")
    bucket = stack.outputs.write_log_bucket
    wiring: Any = s3.get_bucket_notification_configuration(Bucket=bucket)
    wiring.pop("ResponseMetadata", None)
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    try:
        yield
    finally:
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=wiring)


def settled(store: Any, changes: list[Change]) -> Counter[str] | None:
    """Each change's outcome, counted, once none is on its way."""
    with ThreadPoolExecutor(8) as pool:
        outcomes = Counter(found.status if found else "lost" for found in pool.map(lambda c: status(store, c), changes))
    return None if outcomes["pending"] else outcomes
