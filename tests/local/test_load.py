"""What the stack promises under load: times, and that every accepted change has exactly one outcome."""

import json
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from readplane.model.change import Change, keep_newest
from tests.local.pipeline import items, lines_of, log_keys, made, notify, now_ms, put_object, shown, status
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
PATIENCE = 180  # seconds; ends a run that hangs, and promises nothing: the emulator and the machine set the pace


def test_every_accepted_change_has_exactly_one_outcome(stack: Local, capsys: pytest.CaptureFixture[str]) -> None:
    """2,000 writes by 16 clients over 250 items; 5 % of the log's objects come late and 5 % come twice.

    Nothing is inferred from a newer version alone, which would hide a change that got lost: the write log holds the
    accepted changes and no other, `apply` tells of having handled every line of it, and then each change's status and
    each item say what became of it.
    """
    before = set(log_keys(stack))
    lines: dict[str, list[str]] = {}  # of each new log object
    began = now_ms()
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
        eventually(lambda: all_delivered(stack, before, lines, accepted), every=0.5)
        # One part in twenty: its objects are written while S3 notifies nobody, and told of at the very end.
        seen = set(lines)
        with nobody_notified(stack):
            accepted += pool.map(lambda entry: write(*entry), parts[-1])
            eventually(lambda: all_delivered(stack, before, lines, accepted), every=0.5)
    late = set(lines) - seen
    took = time.monotonic() - start

    # The write log has what was accepted, all of it, and nothing else.
    changes = Counter(change_id for change_ids in lines.values() for change_id in change_ids)
    assert set(changes) == {change.change_id for change in accepted + poison}
    repeats = changes.total() - len(changes)
    assert repeats <= WRITES // 100, "only what `write` sent again, having had no answer, may be in the log twice"

    twice = generator.sample([key for key in lines if key not in late], max(1, len(lines) // 20))
    notify(stack, twice)
    eventually(
        lambda: set(handled(stack, began)) >= set(lines) - set(late) if shown(stack) else None, within=PATIENCE, every=1
    )
    assert not set(handled(stack, began)) & set(late)
    notified = now_ms()
    notify(stack, late)

    # `apply` handled every line of every object, and gave each exactly one outcome.
    def all_handled() -> bool:
        # First, or the last lines, which only another invocation makes the emulator show, would be waited for in vain.
        shown(stack)
        told = handled(stack, began)
        return all(len(told.get(key, [])) >= (2 if key in twice else 1) for key in lines)

    eventually(all_handled, within=PATIENCE, every=1)
    told = handled(stack, began)
    for key, change_ids in lines.items():
        assert told[key] == [len(change_ids)] * len(told[key]), key
    totals: Counter[str] = Counter()
    deliveries: Counter[str] = Counter()
    for event in stack.events("apply", "changes_applied", since_ms=began):
        if event.get("key") not in lines:  # somebody else's object, or a batch from Kinesis
            continue
        counts = {name: int(event.get(name, 0)) for name in OUTCOMES}
        assert sum(counts.values()) == len(lines[event["key"]]), event
        if event["key"] in late:
            assert event["_aws"]["Timestamp"] >= notified
        deliveries[event["key"]] += 1
        totals.update(counts)
    assert deliveries == {key: len(counted) for key, counted in told.items() if key in lines}

    store = items(stack)
    outcomes = eventually(lambda: settled(store, accepted + poison), within=PATIENCE, every=1)
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
    # A change is applied at most once, and the greatest of each item is; what comes again is a duplicate or superseded.
    assert len(winners) <= totals["ChangesApplied"] <= WRITES
    assert totals["ChangesQuarantined"] == sum(
        deliveries[key] for key, change_ids in lines.items() for change in poison if change.change_id in change_ids
    )
    with capsys.disabled():
        print(
            f"\n{WRITES} writes by {CLIENTS} clients in {took:.0f} s ({WRITES / took:.0f}/s), "
            f"{len(lines)} log objects, {len(late)} late, {len(twice)} twice, {repeats} lines repeated: "
            f"{dict(outcomes)}; {dict(totals)}"
        )


OUTCOMES = ("ChangesApplied", "ChangesSuperseded", "ChangesDuplicate", "ChangesQuarantined")


def all_delivered(stack: Local, before: set[str], lines: dict[str, list[str]], accepted: list[Change]) -> bool:
    """Read the change ids of every new log object into ``lines``; whether all accepted ones are among them."""
    new = [key for key in log_keys(stack) if key not in before and key not in lines]
    s3 = stack.root().client("s3")
    with ThreadPoolExecutor(8) as pool:
        read = pool.map(lambda key: [str(json.loads(line)["change_id"]) for line in lines_of(stack, key, s3)], new)
        lines.update(zip(new, read, strict=True))
    return {change.change_id for change in accepted} <= {change_id for ids in lines.values() for change_id in ids}


def handled(stack: Local, since_ms: int) -> dict[str, list[int]]:
    """Each log object's lines as `apply` counted them, once per time that it handled the object."""
    told: dict[str, list[int]] = {}
    for event in stack.events("apply", "object_handled", since_ms=since_ms):
        told.setdefault(event["key"], []).append(event["RecordsHandled"])
    return told


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
