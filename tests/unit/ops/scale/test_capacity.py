"""The limits of AWS, and what a read and a write use of them."""

import datetime as dt
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.console import ROOT
from ops.cost.prices import OLDEST_MONTHS
from ops.scale.capacity import (
    HEADROOM,
    PATHS,
    READ_PATHS,
    SOURCE_PATH,
    WRITE_PATH,
    Limit,
    Path,
    highest_rate,
    limits,
    to_raise,
    uses,
    value_at,
    with_headroom,
)

VARIABLES = (ROOT / "docs/variables.md").read_text()


def path(name: str) -> Path:
    (named_path,) = [path for path in PATHS if path.name == name]
    return named_path


def test_the_limits_are_less_than_a_year_old() -> None:
    """This fails on purpose. Compare each limit with the page that it names, then set the date of limits.json."""
    assert 0 <= limits().months_old(dt.date.today()) < OLDEST_MONTHS
    assert limits()._replace(date="2026-11").months_old(dt.date(2027, 11, 1)) == OLDEST_MONTHS


def test_the_limits_have_a_source_and_every_limit_is_used() -> None:
    for limit in limits().by_name.values():
        assert limit.source.startswith("https://docs.aws.amazon.com/") or (ROOT / limit.source).exists()
        assert limit.value > 0
    assert {name for path in PATHS for name in path.uses} == set(limits().by_name)


@pytest.mark.parametrize("limit", [limit for limit in limits().by_name.values() if limit.variable], ids=str)
def test_the_limit_of_a_variable_is_its_default(limit: Limit) -> None:
    variable = limit.variable
    if variable == "throttle.rate":
        assert f"Object; default `{{ rate = {limit.value}, burst" in VARIABLES
    elif variable == "open_throttle.rate":
        assert f"null\nmeans {limit.value} requests per second" in VARIABLES
    else:
        assert f"| `{variable}` | number | `{limit.value}` |" in VARIABLES


def test_the_variables_that_the_tables_name_exist() -> None:
    names = {
        name.split(" ")[0]
        for limit in limits().by_name.values()
        for name in re.findall(r"`([a-z_.]+)`", f"{limit.raises} {limit.how}")
    }
    for name in names:
        variable, *attribute = name.split(".")
        assert f"\n### {variable}\n" in VARIABLES, name
        assert not attribute or f"| `{'.'.join(attribute)}` |" in VARIABLES or variable == "open_throttle", name


def test_a_write_of_four_kilobytes_is_limited_by_bytes_in_frankfurt() -> None:
    """docs/scale.md and docs/deploy.md say that Frankfurt takes 250 writes of 4 KB a second."""
    assert limits().by_name["log_bytes"].value / 4096 == pytest.approx(250, rel=0.03)
    assert limits().by_name["log_requests"].value == 1000


def test_ten_requests_a_second_need_an_execution() -> None:
    needed = {use.limit.name: use.needed for use in uses(path("item_table"), 10_000)}
    assert needed["executions"] == 1_000
    assert needed["table_reads"] == 5_000


def test_a_list_from_the_database_needs_a_hundredth_of_an_acu() -> None:
    """1,000 a second need 10 ACU, and 15 with headroom. The default is one reader of 4."""
    raised = {limit.name: value for limit, value in to_raise(path("database_list"), 1_000)}
    assert raised["database_capacity"] == 15
    assert 400 * path("database_list").uses["database_capacity"] == limits().by_name["database_capacity"].value
    assert limits().by_name["database_capacity"].most == 15 * 256


@pytest.mark.parametrize("path", [WRITE_PATH, SOURCE_PATH], ids=lambda path: path.name)
def test_apply_reads_each_stored_item(path: Path) -> None:
    """Half a unit for each of 100,000: 50,000 a second, and 72,000 with headroom."""
    raised = {limit.name: value for limit, value in to_raise(path, 100_000)}
    assert raised["table_reads"] == 72_000


def test_one_poll_reads_one_source() -> None:
    """docs/performance.md has 88 µs of a whole core for a change, and 1,024 MB are 0.58 of a core: 6,600 a second."""
    measured = re.search(
        r"\| 100,000 +\| +[\d.]+ \| +[\d,]+ \| +([\d.]+) \|", (ROOT / "docs/performance.md").read_text()
    )
    assert measured
    assert limits().by_name["source_changes"].value == pytest.approx(0.58 / float(measured[1]) * 100_000, rel=0.05)
    raised = {limit.name for limit, _ in to_raise(SOURCE_PATH, 10_000)}
    assert "source_changes" in raised and "source_changes" not in {
        limit.name for limit, _ in to_raise(SOURCE_PATH, 4_000)
    }


def test_the_function_at_the_edge_runs_after_each_document_from_s3() -> None:
    raised = {limit.name: value for limit, value in to_raise(path("edge_miss"), 10_000)}
    assert raised["edge_function_requests"] == 15_000


@pytest.mark.parametrize(
    ("name", "rate", "first"),
    [
        ("edge_hit", 1_000_000, "edge_requests"),
        ("item_table", 501, "throttle"),
        ("api_document", 101, "open_throttle"),
        ("database_list", 401, "list_executions"),
        ("source", 1_001, "stream_records"),
    ],
)
def test_the_first_limit_of_a_path(name: str, rate: int, first: str) -> None:
    fullest_use = uses(path(name), rate)[0]
    assert fullest_use.limit.name == first
    assert fullest_use.share > 1
    assert highest_rate(path(name)) == pytest.approx(rate / fullest_use.share)


@given(st.floats(0.01, 1e9))
def test_headroom_is_enough_and_not_much_more_than_that(needed: float) -> None:
    value = with_headroom(needed)
    assert needed <= HEADROOM * value * (1 + 1e-9)
    assert value <= max(needed / HEADROOM + 1, 1.11 * needed / HEADROOM)


@given(st.sampled_from(PATHS), st.floats(1, 1e6), st.floats(1, 10))
def test_more_load_never_needs_less(path: Path, rate: float, factor: float) -> None:
    less, more = ({limit.name: value for limit, value in to_raise(path, each)} for each in (rate, rate * factor))
    assert less.keys() <= more.keys()
    assert all(more[name] >= value for name, value in less.items())


@given(st.sampled_from(PATHS), st.floats(1, 1e6))
def test_a_stack_that_is_set_for_a_rate_takes_it_with_headroom(path: Path, rate: float) -> None:
    for name, per_request in path.uses.items():
        assert rate * per_request <= HEADROOM * value_at(path, rate, name) * (1 + 1e-9)


def test_a_public_read_has_the_highest_limit_at_the_edge() -> None:
    rates = {path.name: highest_rate(path) for path in READ_PATHS}
    assert max(rates, key=lambda name: rates[name]) == "edge_hit"


def test_writes_need_more_collections_than_the_index_takes_writes() -> None:
    collections = value_at(WRITE_PATH, 100_000, "collection_writes") / limits().by_name["collection_writes"].value
    assert collections > 100_000 / 8_000
