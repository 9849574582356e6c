"""Test the failover drill on the stand-in for CloudFront with a virtual clock."""

import fnmatch
import json
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from ops.cli import drill_faults
from ops.cli.drill_chart import chart
from ops.cli.drill_client import Answer, Call, Client, Load, Sample, Write
from ops.cli.drill_faults import FAULTS, PlannedFault, TerraformSwitch, has_origin_group, switch_state
from ops.cli.drill_report import Interval, Plan, Report, failover_point, make_report, measure_reads, percentile
from ops.cli.main import main
from ops.cli.region_differences import Difference
from ops.local.edge import Edge
from ops.local.edge_clock import VirtualClock
from ops.local.edge_faults import FaultyOrigins, OriginFault
from ops.local.edge_messages import Request, Response, headers_of
from tests.unit.ops.local.edge_support import (
    ALL,
    POLICIES,
    Origins,
    answer,
    behaviour,
    bucket,
    changed,
    custom,
    group,
    items,
)

KINDS = ("public", "authenticated", "owner")


class Inline(Executor):
    """Runs each request at once, so that a virtual clock decides how long it takes."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class World:
    """Both Regions behind the stand-in, with a virtual clock: documents, an API in each Region, and the drill's client.

    The origins have the names that Terraform gives them.
    """

    def __init__(self, *, groups: bool = True, error_ttl: int = 0) -> None:
        document = answer('{"n":1}', Cache_Control="max-age=2", ETag='"1"')
        private = answer('{"n":1}', Cache_Control="private, no-cache", ETag='"1"')
        replies: dict[str, Any] = {}
        behaviours = []
        for kind in KINDS:
            for role in ("primary", "replica"):
                replies[f"documents-{kind}-{role}"] = private if kind == "owner" else document
            target = f"documents-{kind}" if groups else f"documents-{kind}-primary"
            behaviours.append(behaviour(f"/documents/{kind}/*", target, "off" if kind == "owner" else "documents"))
        replies["api"] = lambda request: self.accept(request.headers["idempotency-key"][0], 0)
        api = behaviour("/v1/*", "api", "off", AllowedMethods=items(*ALL), OriginRequestPolicyId="all-but-host")
        errors = [{"ErrorCode": code, "ErrorCachingMinTTL": error_ttl} for code in (500, 502, 503, 504)]
        names = [name for name in replies if name != "api"]
        pairs = [group(f"documents-{kind}", f"documents-{kind}-primary", f"documents-{kind}-replica") for kind in KINDS]
        distribution = changed(
            Origins=items(*(bucket(name) for name in names), custom("api")),
            OriginGroups=items(*(pairs if groups else [])),
            DefaultCacheBehavior=behaviour(None, "documents-public-replica"),
            CacheBehaviors=items(api, *behaviours),
            CustomErrorResponses=items(*errors),
        )
        self.clock = VirtualClock()
        self.origins = FaultyOrigins(Origins(**replies), self.clock)
        self.edge = Edge(distribution, POLICIES, self.origins, lambda arn, event: None, self.clock)
        self.accepted: list[set[str]] = [set(), set()]

    def accept(self, key: str, region: int) -> Response:
        """Accept a write in a Region. The item's id depends on the key alone, as that of a keyed POST does."""
        self.accepted[region].add(key)
        return answer(json.dumps({"item_id": f"item-{key}"}), 202)

    def send(self, call: Call) -> Answer:
        """Send a request of the client to the edge, or to the other Region's API."""
        path = call.url.removeprefix("https://edge")
        if path.startswith("https://second"):
            response = self.accept(call.headers["Idempotency-Key"], 1)
        else:
            headers = headers_of([("host", "d1.cloudfront.net"), *call.headers.items()])
            response = self.edge.handle(Request(call.method, path, headers, call.body))
        self.clock.sleep(0.004)
        return Answer(response.status, (response.header("x-cache") or "").partition(" ")[0], response.body)

    # What EdgeControl does.

    def faults(self, *faults: dict[str, Any]) -> None:
        self.origins.faults = [OriginFault(**fault) for fault in faults]

    def clear(self) -> None:
        self.edge.clear()

    def drill(self, fault: str, seconds: float = 20.0, *, second_api: bool = True) -> tuple[Report, Client]:
        """Run a drill, and return its report with its client."""
        reads = [
            Call(kind, "GET", f"https://edge/documents/{kind}/{number}", {}) for number in range(3) for kind in KINDS
        ]
        urls = ["https://edge/v1/items/notices", *(["https://second/v1/items/notices"] if second_api else [])]
        load = Load(reads, 50, urls, 5, {}, lambda number: json.dumps({"n": number}), "run")
        client = Client(load, self.send, Inline(), self.clock)
        switch = PlannedFault(self, FAULTS[fault], seconds, client.now)
        client.run(switch)
        report = make_report("shop", "now", FAULTS[fault].plan, client.samples, client.writes, switch.away)
        return report, client


@pytest.mark.parametrize("fault", ["refuse", "503", "documents", "flapping"])
def test_no_read_fails_after_the_failover_point_and_no_write_is_lost(fault: str) -> None:
    world = World()
    report, client = world.drill(fault)
    assert report.met, report.as_text()
    assert report.failover is not None and report.failover < 0.5
    assert [entry.failed for entry in report.reads.values()] == [0, 0, 0]
    assert {kind: entry.sent for kind, entry in report.reads.items()} == pytest.approx(
        dict.fromkeys(KINDS, 333), abs=20
    )
    assert report.reads["public"].hits > 0 and report.reads["owner"].hits == 0
    assert len(client.writes) == pytest.approx(100, abs=3)
    assert {write.key for write in client.writes} == world.accepted[0] | world.accepted[1]
    assert not world.origins.faults, "the fault is over at the end"


@pytest.mark.parametrize("fault", ["refuse", "503"])
def test_without_the_origin_group_the_same_drill_fails(fault: str) -> None:
    report, _ = World(groups=False).drill(fault)
    assert not report.met and report.failover is None
    assert all(entry.failed_after_failover > 50 for entry in report.reads.values()), report.as_text()
    assert [goal.met for goal in report.goals[:2]] == [False, False]


def test_an_error_that_the_edge_keeps_counts_as_a_failed_read_when_the_region_is_back() -> None:
    kept, _ = World(groups=False, error_ttl=3).drill("503")
    not_kept, _ = World(groups=False).drill("503")
    failed = [sum(entry.failed for entry in report.reads.values()) for report in (kept, not_kept)]
    assert failed[0] > failed[1] + 50


def test_an_api_that_is_away_costs_repeated_writes_and_no_reads() -> None:
    report, client = World().drill("api")
    assert report.met and report.writes.accepted == len(client.writes)
    assert report.writes.repeated == pytest.approx(40, abs=6), "5 a second for 8 seconds"
    assert {write.sent for write in client.writes} == {1, 2}


def test_without_a_second_api_a_write_waits_until_the_region_is_back() -> None:
    report, client = World().drill("refuse", second_api=False)
    assert report.writes.accepted == report.writes.sent == len(client.writes)
    assert report.writes.longest == pytest.approx(8, abs=1.5)
    assert max(write.sent for write in client.writes) >= 7


def test_a_slow_region_is_late_and_a_silent_one_promises_nothing() -> None:
    slow, _ = World().drill("slow")
    assert slow.met and slow.failover is None and slow.reads["owner"].late > 0, slow.as_text()
    silent, _ = World().drill("hang")
    assert silent.reads["owner"].longest > 30
    assert not [goal for goal in silent.goals if "read" in goal.goal], "no promise for reads"
    unreachable, _ = World().drill("unreachable")
    assert unreachable.met and unreachable.reads["owner"].longest > 2


def sample(
    ended: float, status: int = 200, cache: str = "Miss", kind: str = "public", sent: float | None = None
) -> Sample:
    begun = ended - 0.1 if sent is None else sent
    return Sample(kind, begun, begun, ended, status, cache)


AWAY = [Interval(10.0, 20.0)]


@pytest.mark.parametrize(
    ("samples", "point"),
    [
        ([sample(11), sample(12)], 11),
        ([sample(9.9), sample(20.5)], None),
        # Sent before the Region was away: the primary Region may have answered.
        ([sample(10.5, sent=9.9), sample(13)], 13),
        ([sample(11, cache="Hit"), sample(12, cache="RefreshHit")], 12),
        ([sample(11, 502), sample(12, kind="write"), sample(14, 304)], 14),
        ([], None),
    ],
)
def test_the_failover_point_is_the_first_answer_that_the_primary_cannot_have_given(
    samples: list[Sample], point: float | None
) -> None:
    assert failover_point(samples, AWAY) == point


def test_reads_are_counted_by_class_and_judged_from_the_failover_point_on() -> None:
    samples = [
        sample(5),
        sample(10.5, 503),  # before the failover point
        sample(12),
        sample(13, 503),
        sample(16, sent=13),  # late
        sample(14, 0, "", "owner"),
        sample(15, 404, "Error", "owner"),
        sample(16, 304, "Miss", "owner"),
        sample(17, 202, kind="write"),
    ]
    reads = measure_reads(samples, AWAY, failover_point(samples, AWAY))
    assert list(reads) == ["owner", "public"]
    public, owner = reads["public"], reads["owner"]
    assert (public.sent, public.served, public.failed, public.failed_after_failover, public.late) == (5, 3, 2, 1, 1)
    assert (public.first_good, public.longest) == (2.0, 3.0)
    assert (owner.sent, owner.failed, owner.first_good) == (3, 2, 6.0)


def test_a_percentile_is_a_value_that_occurred() -> None:
    assert percentile([3, 1, 2], 0.5) == 2 and percentile([1], 0.99) == 1 and percentile([], 0.5) == 0
    assert percentile(list(range(1, 101)), 0.99) == 99


def report_with(**more: Any) -> Report:
    samples = [sample(5), sample(12), sample(13, 202, "", "write")]
    writes = [Write("a", 12.5, 1, "item-a", 13.0), *more.pop("writes", [])]
    return make_report("shop", "now", Plan("refuse"), samples, writes, AWAY, **more)


@pytest.mark.parametrize(
    ("report", "goal"),
    [
        (report_with(lost=["item-a"]), "both Regions have every accepted write at the end"),
        (report_with(writes=[Write("b", 1.0, 90)]), "every write is accepted at last"),
        (report_with(writes=[Write("b", 1.0, 1, refused=403)]), "every write is accepted at last"),
        (report_with(different=[Difference("item", "item/c/x", "1", "missing")]), "both Regions agree at the end"),
    ],
    ids=["lost", "given up", "refused", "different"],
)
def test_each_goal_can_fail(report: Report, goal: str) -> None:
    assert [entry.goal for entry in report.goals if not entry.met] == [goal] and not report.met
    assert f"NOT MET  {goal}" in report.as_text()
    assert report_with().met


def test_the_report_says_what_the_drill_cannot_show() -> None:
    report = report_with()
    written = json.loads(report.as_json())
    assert written["met"] and written["failover"] == 2.0 and written["plan"]["fault"] == "refuse"
    assert written["reads"]["public"]["served"] == 2 and written["statuses"] == {"public 200": 2, "write 202": 1}
    for text in (report.as_text(), " ".join(written["limits"])):
        for fact in (
            "no DNS",
            "anycast",
            "nobody can sign in",
            "up to 30 s",
            "copies writes to the other Region at once",
        ):
            assert fact in text
    on_aws = report_with(emulator=False).as_text()
    assert "no DNS" not in on_aws and "ReplicationLatency" in on_aws


def test_the_chart_shows_every_sample() -> None:
    report = report_with()
    samples = [
        sample(0.5),
        sample(1.5, 503),
        sample(1.6, cache="Hit"),
        sample(2.9, sent=0.1),
        sample(13, 202, "", "write"),
    ]
    root = ET.fromstring(chart(report, samples))
    colours = [entry.get("fill") for entry in root.iter("{http://www.w3.org/2000/svg}rect")]
    for colour, count in (
        ("#4878a8", 2 + 2),
        ("#c0392b", 1 + 2),
        ("#9dbcd8", 1 + 1),
        ("#e0a030", 1 + 1),
        ("#f2e6e4", 2),
    ):
        assert colours.count(colour) == count, f"{colour}: bars and the legend"
    assert "failover point" in "".join(root.itertext())


def distribution(*, lost: bool, status: str = "Deployed", groups: int = 1) -> dict[str, Any]:
    hosts = [drill_faults.LOST_HOST if lost else "b.s3.eu-central-1.amazonaws.com", "c.s3.eu-west-1.amazonaws.com"]
    origins = {"Items": [{"Id": str(number), "DomainName": host} for number, host in enumerate(hosts)]}
    return {"Status": status, "DistributionConfig": {"Origins": origins, "OriginGroups": {"Quantity": groups}}}


class Operator:
    """CloudFront's state while an operator applies, and the clock that the switch reads."""

    def __init__(self) -> None:
        self.time = 0.0
        self.state: Mapping[str, Any] = distribution(lost=False)
        self.lines: list[str] = []
        self.switch = TerraformSwitch(
            lambda: self.state,
            self.lines.append,
            lambda: self.time,
            seconds=30,
            patience=600,
            api_switch={"leave": "aws … 1", "return": "aws … 0"},
        )

    def at(self, time: float, **state: Any) -> None:
        self.time = time
        if state:
            self.state = distribution(**state)
        self.switch.step()


def test_on_aws_the_drill_waits_until_every_edge_location_has_each_change() -> None:
    operator = Operator()
    assert "terraform apply" in operator.lines[0] and "aws … 1" in operator.lines[0]
    operator.at(10)
    operator.at(100, lost=True, status="InProgress")
    assert not operator.switch.away, "some edge locations still reach the primary Region"
    operator.at(300, lost=True)
    assert operator.switch.away == [Interval(300, None)] and "is away" in operator.lines[-1]
    operator.at(320)
    assert len(operator.lines) == 2
    operator.at(331)
    assert "remove edge.drill" in operator.lines[-1] and "aws … 0" in operator.lines[-1]
    operator.at(400, lost=False, status="InProgress")
    (away,) = operator.switch.away
    assert away.end is not None and away.end <= 400, "from now on some edge locations reach the primary Region"
    operator.at(600, lost=False)
    assert "is back" in operator.lines[-1] and not operator.switch.over
    operator.at(631)
    assert operator.switch.over and operator.switch.failure is None


def test_on_aws_an_operator_who_never_applies_ends_the_drill() -> None:
    operator = Operator()
    operator.at(601)
    assert operator.switch.over and "wasn't switched on within 600 s" in str(operator.switch.failure)


def test_on_aws_an_error_of_cloudfront_ends_the_drill_with_a_report() -> None:
    operator = Operator()
    operator.state = {}
    operator.switch.step()
    assert operator.switch.over and "can't be read" in str(operator.switch.failure)


def test_the_state_of_the_switch_is_read_from_the_distribution() -> None:
    assert switch_state(distribution(lost=True)) == (True, True)
    assert switch_state(distribution(lost=False, status="InProgress")) == (False, False)
    assert has_origin_group(distribution(lost=False)) and not has_origin_group(distribution(lost=False, groups=0))


def test_every_fault_names_origins_that_terraform_makes() -> None:
    names = [f"documents-{kind}-{role}" for kind in KINDS for role in ("primary", "replica")] + ["site-primary", "api"]
    for fault in FAULTS.values():
        faults = [OriginFault(**entry) for entry in fault.origin_faults()]
        hit = {name for name in names for entry in faults if fnmatch.fnmatchcase(name, entry.origin)}
        assert hit and not [name for name in hit if name.endswith("-replica")], fault


def test_the_command_line_has_help_for_both_commands() -> None:
    for words in (["drill", "--help"], ["drill", "failover", "--help"], ["compare-regions", "--help"]):
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0 and "Usage:" in result.output
