"""Tests of the benchmarks: their statistics, goals and reports, their test data, and the processes that they start."""

import asyncio
import gzip
import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from readplane.model.change import parse_line
from tests.benchmarks.arithmetic import Goal, exponent, interleaved, percentile, spread
from tests.benchmarks.fake import Shard
from tests.benchmarks.load import RECORD_BYTES, mark, write_log
from tests.benchmarks.poll.back_office import BEAT, Rows, item_id, modified_ms
from tests.benchmarks.poll.clients import Clients, Plan, Sample
from tests.benchmarks.poll.outage import Extent, summarise
from tests.benchmarks.poll.phases import Phases
from tests.benchmarks.poll.plant import BackOffice
from tests.benchmarks.processes import Runner, SampleError
from tests.benchmarks.report import goals, tables
from tests.benchmarks.subjects import Subject
from tests.unit.support import COLLECTIONS

SUBJECTS = Path(__file__).parent / "subjects"


def test_a_spread_holds_the_median_and_the_quartiles() -> None:
    assert spread([5, 1, 4, 2, 3]) == (3, 2, 4, 5)
    assert spread([7]) == (7, 7, 7, 1)
    with pytest.raises(ValueError, match="no samples"):
        spread([])


@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_an_exponent_does_not_depend_on_the_constant_factor(power: float) -> None:
    assert exponent([(x, 0.003 * x**power) for x in (1_000, 10_000, 1_000_000)]) == pytest.approx(power)


@pytest.mark.parametrize("points", [[(1.0, 1.0)], [(2.0, 1.0), (2.0, 3.0)], [(1.0, 1.0), (2.0, 0.0)]])
def test_an_exponent_needs_two_points_above_zero(points: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match=r"needs? "):
        exponent(points)


def test_a_goal_is_met_at_its_limit_and_on_one_side_of_it() -> None:
    assert [Goal("g", value, 2).met for value in (1, 2, 3)] == [True, True, False]
    assert [Goal("g", value, 2, at_least=True).met for value in (1, 2, 3)] == [False, True, True]
    assert "NOT MET" in str(Goal("g", 3, 2))


def test_every_round_measures_each_subject_once_and_every_other_round_goes_backwards() -> None:
    order: list[str] = []

    def measure(name: str) -> float:
        order.append(name)
        return len(order)

    assert interleaved(["a", "b", "c"], 2, measure) == {"a": [1, 6], "b": [2, 5], "c": [3, 4]}
    assert order == ["a", "b", "c", "c", "b", "a"]


def test_each_goal_compares_ours_with_the_subject_that_it_names() -> None:
    names = ("constant", "readplane", "boto3_client", "powertools", "boto3_pool")

    def rows(*kinds: str) -> dict[str, dict[str, dict[str, float]]]:
        # Every value is 0 for a handler that returns a constant, and 1 for Readplane. The values of boto3's client
        # are 10, those of Powertools are 20, and those of boto3 with a thread pool are 40.
        values = dict(zip(names, (0, 1, 10, 20, 40), strict=True))
        fields = ("median", "low", "high")
        return {name: {kind: dict.fromkeys(fields, values[name]) for kind in kinds} for name in names}

    cold = rows("cpu", "wall", "init_cpu", "memory", "modules")
    applied = rows("wall", "cpu", "fake_cpu", "memory", "calls")
    bulk = {name: applied[name] for name in ("readplane", "boto3_pool")}
    points = [{"records": 10**n, "wall": 1.0, "cpu": 1.0, "memory": 2**20, "calls": 1} for n in (3, 4)]
    result = {
        "zip_bytes": 50_000,
        "cold": {"read": cold, "write": cold},
        "warm": {"read": rows("cpu"), "write": rows("cpu")},
        "bulk": {"records": 100, "winners": 4, "latency_ms": 0, "rows": bulk},
        "growth": {"points": points, "exponent": 1.5, "memory_ratio": 1.0},
    }
    measured = goals(result)
    values = {goal.name: goal.value for goal in measured}
    assert values["cold write, CPU compared with Powertools + Tracer"] == 1 / 20
    assert values["cold read, CPU compared with boto3 client + X-Ray SDK"] == 1 / 10
    assert values["cold read, peak memory compared with Powertools + Tracer"] == 1 / 20
    assert values["warm write, CPU compared with boto3 client + X-Ray SDK"] == 1 / 10
    assert values["bulk apply, speed compared with a boto3 pool"] == 40
    assert values["zip of the hot functions, KB"] == 50
    assert [goal.name for goal in measured if not goal.met] == [
        "bulk apply, calls per winning change",  # missed, because 1 call for 4 changes is 0.25 and the limit is 0.06
        "scaling of bulk apply, growth exponent of the time",
    ]
    text = tables(result)
    assert "| boto3 client" in text and "0.10 x" in text and "power of 1.50" in text


def test_the_goals_of_edge_auth_judge_its_decision_its_cold_start_and_its_zip() -> None:
    def rows(**values: float) -> dict[str, Any]:
        kinds = ("cpu", "memory", "modules")
        return {
            name: {kind: dict.fromkeys(("median", "low", "high"), value) for kind in kinds}
            for name, value in values.items()
        }

    cold = rows(readplane_edge=0.04, pyjwt=0.16, pyjwt_boto3=0.4)
    result = {"zip_bytes": 60_000, "cold": cold, "warm": rows(readplane_edge=0.0006, pyjwt=0.0003, pyjwt_boto3=0.0003)}
    measured = {goal.name: (goal.value, goal.met) for goal in goals({"edge": result})}
    assert measured == {
        "edge_auth, CPU of a decision in ms": (pytest.approx(0.6), False),
        "edge_auth, CPU of a cold start in ms": (40, True),
        "edge_auth, CPU of a cold start compared with PyJWT": (0.25, True),
        "edge_auth, zip in KB": (60, True),
    }
    text = tables({"edge": result})
    assert "600-600" in text and "40.0-40.0" in text and "has 60 KB" in text


def test_the_goals_of_the_item_cache_judge_a_cached_read_and_its_cold_start() -> None:
    def rows(**values: float) -> dict[str, Any]:
        kinds = ("cpu", "modules")
        return {
            name: {kind: dict.fromkeys(("median", "low", "high"), value) for kind in kinds} | {"least_cpu": value}
            for name, value in values.items()
        }

    warm = rows(constant=0.00002, readplane=0.0003, readplane_cache=0.0001, over_redis_py=0.00014, redis_py=0.0002)
    cold = rows(readplane=0.04, readplane_cache=0.041, readplane_cache_miss=0.0435)
    cold["readplane_cache_miss"]["modules"] = {"median": 4.04}
    measured = goals({"cache": {"warm": warm, "cold": cold, "commands_per_read": 1.0}})
    values = {goal.name: (goal.value, goal.met) for goal in measured}
    assert values == {
        "cached read, CPU µs over TLS": (pytest.approx(100), True),
        "cached read, commands": (1, True),
        "cached read, CPU compared with the read from DynamoDB": (pytest.approx(1 / 3), True),
        "cached read, speed compared with the same handler over redis-py": (pytest.approx(1.5), False),
        "cold read with the cache, CPU ms above the one without, if it misses": (pytest.approx(3.5), False),
        "cold read with the cache, CPU ms above the one without, if it hits": (pytest.approx(1), True),
        "cold read with the cache, modules above the one without": (pytest.approx(4), False),
    }
    text = tables({"cache": {"warm": warm, "cold": cold, "commands_per_read": 1.0}})
    assert "| Readplane, from the cache" in text and "0.33 x" in text


def test_the_goals_of_the_relational_store_judge_its_statements_and_its_speed() -> None:
    result = {"relational": {"changes": 50_000, "statements": 53, "bulk": 2_100.0, "single": 100.0}}
    assert [(goal.name, goal.value, goal.met) for goal in goals(result)] == [
        ("relational store, statements for 50,000 changes", 53, False),
        ("relational store, speed compared with one statement per change", 21, True),
    ]
    assert "| one statement per change                   |       100 | 21 x as fast |" in tables(result)


def test_a_log_object_holds_changes_of_1_kb_of_which_a_tenth_are_repeats(tmp_path: Path) -> None:
    (tmp_path / "s3").mkdir()
    log = write_log(tmp_path, 1_000)
    lines = gzip.decompress((tmp_path / "s3" / log.key).read_bytes()).splitlines(keepends=True)
    assert len(lines) == 1_000 and {len(line) for line in lines} == {RECORD_BYTES}
    assert len(Counter(lines)) == log.winners == 900
    changes = {change.key: change for change in (parse_line(line, COLLECTIONS) for line in lines)}
    assert len(changes) == 900
    assert sum(mark(key, change.version) for key, change in changes.items()) == log.sum
    assert all(isinstance(json.loads(change.data or ""), dict) for change in changes.values())


def sample(folder: Path, module: str, **env: str) -> dict[str, Any]:
    """Measure one cold start of a handler module in tests/unit/benchmarks/subjects."""
    fake: Any = SimpleNamespace(env={})
    return Runner(fake, folder).sample(Subject("subject", module, (str(SUBJECTS),), env), "read", {})


def test_a_subject_that_fills_its_standard_error_is_measured(tmp_path: Path) -> None:
    assert sample(tmp_path, "noisy")["response"] == {"statusCode": 200}


def test_the_error_of_a_failed_sample_names_the_subject_and_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match=r"subject, read: [\s\S]*ZeroDivisionError"):
        sample(tmp_path, "failing")


def test_no_sample_outlives_an_interrupted_run(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    # Install Python's default handler of SIGINT. Otherwise, the test would fail in a background process, because a
    # shell makes background processes ignore SIGINT, and Python then installs no handler.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt() -> None:
        while not pid_file.exists() or not pid_file.read_text():
            time.sleep(0.01)
        # Wait, because the child can write its id before Popen() returns in this process. A signal in between would
        # leave `sample` without a process to kill.
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            sample(tmp_path, "hanging", PID_FILE=str(pid_file))
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_a_percentile_is_a_sample_by_nearest_rank() -> None:
    samples = [float(number) for number in range(1_000, 0, -1)]
    assert [percentile(samples, percent) for percent in (50, 99, 99.9, 100)] == [500, 990, 999, 1_000]
    assert percentile([3.0], 99.9) == 3.0
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)


PHASES = Phases(calm=1, stalling=2, down=4, recovered=3)


def test_the_phases_follow_one_another() -> None:
    assert (PHASES.seconds, PHASES.down_at, PHASES.hangs_at, PHASES.up_at) == (10, 3, 5, 7)
    names = [PHASES.at(second) for second in (-1, 0, 1, 2.9, 3, 6.9, 7, 99)]
    assert names == ["calm", "calm", "stalling", "stalling", "down", "down", "recovered", "recovered"]


def test_the_pages_of_the_back_office_hold_every_row_once_and_the_beat_last() -> None:
    rows, listed, after = Rows(10, 300, beats=True), list[dict[str, Any]](), 0
    while True:
        page, next_index = rows.page(0, after, 4)
        assert len(page) <= 4 and all(len(row) == pytest.approx(300, abs=30) for row in page if BEAT not in row)
        listed += map(json.loads, page)
        if next_index is None:
            break
        after = next_index
    assert [row["code"] for row in listed] == [*map(item_id, range(10)), BEAT]
    times = [row["modified"] for row in listed]
    assert times == sorted(times) and len(set(times)) < len(times)  # some rows have the same time
    assert abs(time.time() * 1000 - times[-1]) < 5_000
    since, _ = rows.page(modified_ms(8), 0, 4)
    assert [json.loads(row)["code"] for row in since] == [item_id(8), item_id(9), BEAT]
    assert json.loads(rows.one(item_id(9)) or "") == listed[9]
    assert [rows.one(name) for name in (item_id(10), "p-", "x")] == [None] * 3
    assert Rows(1, 300, beats=False).one(BEAT) is None


def fetch(port: int, path: str = f"/products/{item_id(0)}", timeout: float = 0.3) -> str:
    """Send a GET to a server on this machine; return the status of the response, or the name of the exception."""
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        return str(connection.getresponse().status)
    except OSError as error:
        return type(error).__name__
    finally:
        connection.close()


def test_a_slow_back_office_responds_refuses_hangs_and_responds_again() -> None:
    with BackOffice(1, 300, 10, slow=True) as office:
        assert fetch(office.port) == "200"
        phases = Phases(calm=1, stalling=0, down=2, recovered=1)
        start = time.monotonic()
        office.do("begin", phases=phases, start=start)
        outcomes = {}
        # Send each request in the middle of a phase. Near the start or the end of a phase, the outcome could be that of
        # the neighbouring phase.
        for name, at in (("calm", 0.4), ("refuses", 1.5), ("hangs", 2.3), ("recovered", 3.5)):
            time.sleep(max(0, start + at - time.monotonic()))
            outcomes[name] = fetch(office.port)
        assert outcomes == {
            "calm": "200",
            "refuses": "ConnectionRefusedError",
            "hangs": "TimeoutError",
            "recovered": "200",
        }
        assert fetch(office.port, "/changes?since=0") == "200"
        assert office.do("counts")["counts"]["changes"] == 1


OTHERS = 49
"""How many requests :class:`Slow` must respond to before it responds to its first one."""


class Slow(BaseHTTPRequestHandler):
    """An HTTP server that responds to its first request after it has responded to 49 others, or after 8 seconds."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    lock = threading.Lock()
    started = finished = 0
    others_are_done = threading.Event()
    first_came_last = False

    def do_GET(self) -> None:
        with self.lock:
            type(self).started += 1
            first = self.started == 1
        if first:
            type(self).first_came_last = self.others_are_done.wait(8)
        name = self.path.rpartition("/")[2]
        body = f'{{"id":"{name}","data":{{"description":"{time.time() - 2}"}}}}'.encode()
        self.send_response(200 if name != item_id(0) else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        with self.lock:
            type(self).finished += 1
            if self.finished == OTHERS:
                self.others_are_done.set()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def slow_port() -> Iterator[int]:
    Slow.started = Slow.finished = 0
    Slow.others_are_done.clear()
    Slow.first_came_last = False
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def run_clients(port: int, rate: float) -> list[Sample]:
    plan = Plan(port, time.monotonic() + 0.1, 1.0, rows=3, rate=rate, clients=0, think=0)
    running = Clients(plan)
    asyncio.run(running.run())
    return sorted(running.samples)


def test_in_the_open_loop_a_request_is_due_whatever_happens_to_the_others(slow_port: int) -> None:
    samples = run_clients(slow_port, rate=50)
    assert [sample.at for sample in samples] == pytest.approx([number / 50 for number in range(50)])
    assert Slow.first_came_last, "no request waits for the slow first one"
    assert samples[0].took >= 0.9  # the last request is due after 0.98 s
    assert all(sample.took >= sample.late >= 0 for sample in samples)
    assert {sample.good for sample in samples} == {True, False}  # the server responds 500 for one of the three items
    ages = [sample.age for sample in samples if sample.age is not None]
    assert len(ages) == 5 and all(2 <= age < 4 for age in ages)


def test_in_the_closed_loop_a_client_waits_for_its_response(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run one client on a clock that only its pauses and its requests move, so that no other program delays it."""
    now, start = 0.0, 100.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    async def respond(self: Clients, name: str) -> bytes:
        nonlocal now
        now += 0.5 if now == start else 0.125
        return f'{{"id":"{name}","data":{{}}}}'.encode()

    monkeypatch.setattr("tests.benchmarks.poll.clients.time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr("tests.benchmarks.poll.clients.asyncio.sleep", sleep)
    monkeypatch.setattr(Clients, "_body", respond)
    running = Clients(Plan(1, start, 1.5, rows=3, rate=0, clients=1, think=0.25))
    asyncio.run(running.run())
    # The first response takes 0.5 s and every other one 0.125 s. After each of them, the client pauses for 0.25 s.
    expected = [(0.0, 0.5), (0.75, 0.125), (1.125, 0.125)]
    assert running.samples == [Sample(at, took, late=0, good=True, age=None) for at, took in expected]


def test_a_client_without_a_target_gets_no_good_response() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert {sample.good for sample in run_clients(port, rate=20)} == {False}


def samples_of(took: float, *, good_while_down: bool, age: float) -> list[Sample]:
    """Return the samples of ten requests a second through all phases of ``PHASES``.

    :param took: how long each request took, in seconds.
    :param good_while_down: whether the requests during the outage got good responses.
    :param age: the age of the data in each good response, in seconds.
    """
    samples = []
    for number in range(int(PHASES.seconds * 10)):
        at = number / 10
        good = good_while_down or PHASES.at(at) != "down"
        samples.append(Sample(at, took, 0.001, good, age if good else None))
    return samples


def test_the_goals_of_the_outage_judge_the_clients_samples() -> None:
    extent = Extent(PHASES, interval=0.5, timeout=1)
    ours = samples_of(0.02, good_while_down=True, age=1.2)
    # Make the data old during the outage and in the second after it. The goal must ignore these samples, because it
    # judges the age of the data only from ``extent.bound`` seconds after the outage.
    ours = [sample._replace(age=30) if 3 <= sample.at < 8 else sample for sample in ours]
    samples = {"readplane": ours, "proxy": samples_of(1.0, good_while_down=False, age=0)}
    loop = summarise(samples, extent, calls=2)
    assert loop["ratio"] == pytest.approx(0.02) and loop["calls_per_read"] == 0.02
    assert loop["fresh_again"] == pytest.approx(1.02) and loop["age_after"] == 1.2
    assert loop["targets"]["proxy"]["phases"]["down"]["good"] == 0
    assert loop["targets"]["proxy"]["all"]["good"] == pytest.approx(0.6)
    assert [second for second, *_ in loop["targets"]["proxy"]["curve"]] == list(range(10))
    outage = {**extent._asdict(), "bound": extent.bound, "loops": {"open": loop}}
    missed = [goal.name for goal in goals({"outage": outage}) if not goal.met]
    assert missed == [
        "outage, open loop, p99.9 of a read compared with the proxy",
        "outage, open loop, calls to the back office per read",
    ]
    hidden = {"outage": {**outage, "loops": {"open": {**loop, "hidden": True}}}}
    judged = {
        quick: [goal.name for goal in goals({**hidden, "made": {"quick": quick}}) if "p99.9" in goal.name]
        for quick in (True, False)
    }
    assert judged == {True: [], False: missed[:1]}, "only a full run may judge a time that late clients hide"
    stale = [sample._replace(age=1.6) if sample.at > 9 else sample for sample in ours]
    loop = summarise({**samples, "readplane": stale}, extent, calls=0)
    assert loop["age_after"] == 1.6
    (late,) = [goal for goal in goals({"outage": {**outage, "loops": {"open": loop}}}) if "age of data" in goal.name]
    assert not late.met
    text = tables({"outage": outage})
    assert "| read model, down" in text and "within 1.0 ms" in text and "svg" not in text
    assert "(outage.svg)" in tables({"outage": outage}, pictured=True)


def test_an_outage_after_which_no_response_has_an_age_fails_the_run() -> None:
    lost = [sample._replace(age=None) for sample in samples_of(0.02, good_while_down=True, age=1)]
    with pytest.raises(SampleError, match="no good response"):
        summarise({"readplane": lost, "proxy": lost}, Extent(PHASES, 0.5, 1), 0)


def test_the_goals_of_the_catch_up_judge_its_points() -> None:
    point = {"changes": 1_000.0, "poll": 1.0, "poll_cpu": 0.5, "memory": 100 * 2**20, "invocations": 3, "apply": 2.0}
    caught = {"points": [point], "exponents": {"poll": 1.2, "apply": 1.0}, "memory_ratio": 1.0}
    missed = [goal.name for goal in goals({"catch_up": caught}) if not goal.met]
    assert missed == [
        "catch-up, growth exponent of the time of poll",
        "catch-up, invocations of poll in the last step",
    ]
    assert "1.20" in tables({"catch_up": caught})


def test_the_shard_delivers_every_record_once_and_in_order(tmp_path: Path) -> None:
    shard, file = Shard(), tmp_path / "event.json"
    shard.put([{"Data": f"{number}", "PartitionKey": "k"} for number in range(3)])
    response = json.loads(shard.put([{"Data": "3", "PartitionKey": "k"}]))
    assert response["FailedRecordCount"] == 0 and len(response["Records"]) == 1
    batches = []
    while shard.write_event(file, 3):
        batches.append([record["kinesis"] for record in json.loads(file.read_text())["Records"]])
    assert [[record["data"] for record in batch] for batch in batches] == [["0", "1", "2"], ["3"]]
    numbers = [int(record["sequenceNumber"]) for batch in batches for record in batch]
    assert numbers == sorted(set(numbers)) and f"{numbers[-1]}" == response["Records"][0]["SequenceNumber"]
