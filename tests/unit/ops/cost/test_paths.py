"""Test what each path of a read costs by the number of reads, where paths cost the same, and the chart of both."""

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from ops.cost.chart import chart, reads_text, sentence
from ops.cost.paths import DECADES, PATHS, BreakEven, Path, break_evens
from ops.cost.prices import price_list

M = 1_000_000
NAMED = {path.name: path for path in PATHS}


@pytest.mark.parametrize(
    ("name", "reads", "cost"),
    [
        ("edge hit", 10 * M, 11.445),
        ("S3 directly", 10 * M, 5.53),
        ("API cache hit", 1, 14.60),
        # 14.60 for the cache; API 35.00, log 3.25, traces 2.50 + 12.483, transfer 1.53
        ("API cache hit", 10 * M, 69.363),
        ("API and S3 document", 10 * M, 58.763),
        ("Lambda and DynamoDB", M, 9.5738),
        # 6.132 idle; API 3.50, Lambda 0.20 + 0.10, logs 0.525, traces 5.00, ECPU 0.0023, transfer 0.153
        ("Lambda and Valkey", M, 15.6123),
        # 88.00 idle; API 3.50, Lambda 0.20 + 0.20, logs 0.525, traces 5.00, transfer 0.18, ACU 0.3333
        ("Lambda and Aurora", M, 97.9383),
    ],
)
def test_a_path_by_hand(name: str, reads: float, cost: float) -> None:
    assert NAMED[name].cost(reads, price_list()) == pytest.approx(cost, abs=0.0005)


def test_a_document_from_s3_or_the_free_edge_costs_less_than_ten_dollars() -> None:
    """The figure that people quote for ten million reads. At list price, CloudFront and the API cost more."""
    below = {path.name for path in PATHS if path.cost(10 * M, price_list()) < 10}
    free = {path.name for path in PATHS if path.cost(10 * M, price_list(), free_tier=True) < 10}
    assert (below, free) == ({"S3 directly"}, {"S3 directly", "edge hit"})


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
@pytest.mark.parametrize("free_tier", [False, True])
def test_more_reads_cost_more_and_each_costs_no_more(path: Path, free_tier: bool) -> None:
    """Beyond the free tier, a read never costs more than the one before, because tiers get cheaper."""
    counts = [10.0**power for power in range(DECADES + 1)]
    costs = [path.cost(count, price_list(), free_tier=free_tier) for count in counts]
    assert costs == sorted(costs)
    if not free_tier:
        means = [cost / count for cost, count in zip(costs, counts, strict=True)]
        # The mean of a path without idle costs is the same in each count, but for rounding.
        assert all(later <= earlier * (1 + 1e-12) for earlier, later in pairwise(means))


def test_the_break_even_points_by_hand() -> None:
    points = {(point.cheaper, point.dearer): point.reads for point in break_evens(price_list())}
    # The cache costs 14.60 $, and saves a GET of 0.40 $ a million.
    assert points["API cache hit", "API and S3 document"] == pytest.approx(36.5 * M, rel=1e-4)
    # It saves Lambda 0.20 + 0.1333, its log 0.20, and half a read unit 0.0625.
    assert points["API cache hit", "Lambda and DynamoDB"] == pytest.approx(14.60 / 0.595834 * M, rel=1e-4)
    # Valkey costs 6.132 $ and 0.0023 $ of ECPU, and saves half a read unit and 2,500 GB-seconds.
    assert points["Lambda and Valkey", "Lambda and DynamoDB"] == pytest.approx(6.132 / 0.0935335 * M, rel=1e-4)
    assert len(points) == 4


@pytest.mark.parametrize("free_tier", [False, True])
def test_the_order_of_two_paths_changes_at_each_break_even_point(free_tier: bool) -> None:
    for point in break_evens(price_list(), free_tier=free_tier):
        cheaper, dearer = NAMED[point.cheaper], NAMED[point.dearer]
        for reads, less, more in ((point.reads * 0.999, dearer, cheaper), (point.reads * 1.001, cheaper, dearer)):
            assert less.cost(reads, price_list(), free_tier=free_tier) < more.cost(
                reads, price_list(), free_tier=free_tier
            )


@pytest.mark.parametrize("free_tier", [False, True])
def test_the_chart_has_a_line_for_each_path_and_a_ring_for_each_point(free_tier: bool) -> None:
    root = ET.fromstring(chart(price_list(), free_tier=free_tier))
    space = "{http://www.w3.org/2000/svg}"
    lines = root.findall(f"{space}polyline")
    assert len(lines) == len(PATHS)
    assert len(root.findall(f"{space}circle")) == len(list(break_evens(price_list(), free_tier=free_tier)))
    texts = " ".join(text.text or "" for text in root.findall(f"{space}text"))
    assert all(path.name in texts for path in PATHS)
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    for line in lines:
        places = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        assert len(places) > 50
        assert all(0 < x < width and 0 < y < height for x, y in places)


@pytest.mark.parametrize(
    ("reads", "text"), [(1, "1"), (1234.5, "1,230"), (36.52 * M, "36.5 million"), (1e10, "10 billion")]
)
def test_a_number_of_reads_as_text(reads: float, text: str) -> None:
    assert reads_text(reads) == text
    assert sentence(BreakEven(reads, "a", "b")) == f"From {text} reads a month, a costs less than b."
