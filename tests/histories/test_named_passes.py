"""Histories of back offices that let nobody read everything at once: caps, rate limits, errors and short windows.

A pass that starts again each time would never end. Each test is named after the right behaviour.
"""

import pytest

from tests.fakes.apis.server import ApiRequest, ApiResponse, status_response
from tests.histories.back_office_case import HOUR_MS, SWEEP, TOKEN, Answer, Body, Case, linked_pages, same_url, split

WINDOW_URL = "/rows?from={cursor}&to={now}"


def _capped(case: Case, cap: int, *, silent: bool = False) -> Answer:
    """Return a back office with pages of five rows, which lists no row behind the first ``cap`` rows of a request.

    :param silent: whether the list seems to end there. Otherwise a deeper page is a 400 response.
    """

    def answer(request: ApiRequest) -> Body | ApiResponse:
        rows = case.list_rows(int(request.query["since"]))
        if silent:
            rows = rows[:cap]
        start = int(request.query.get("o", 0))
        if start + 5 > cap:
            return status_response(400)
        link = same_url(request, o=start + 5) if start + 5 < len(rows) else None
        return {"rows": rows[start : start + 5], "next": link}

    return answer


# -- caps and lists in order -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("silent", [False, True])
def test_a_list_in_order_passes_a_cap_of_rows(case: Case, silent: bool) -> None:
    case.fill(90, spacing_ms=10_000)
    case.declare(order="modified", lag_seconds=5)
    case.answer = _capped(case, 20, silent=silent)
    case.poll_until_complete(20, more=6)
    case.check_equal()
    case.check_fresh()


def test_a_list_in_order_passes_a_cap_that_is_smaller_than_the_lag(case: Case) -> None:
    """A bulk import of a row a second: more than the cap lies within the lag of 60 s."""
    case.fill(90)
    case.declare(order="modified", lag_seconds=60)
    case.answer = _capped(case, 20)
    case.poll_until_complete(25)
    case.check_equal()
    case.check_fresh()


def test_a_cap_without_an_order_is_never_fresh_and_costs_few_requests(case: Case) -> None:
    case.fill(90, spacing_ms=10_000)
    case.declare()
    case.answer = _capped(case, 20)
    case.poll(6)
    case.check_not_fresh()
    assert len(case.requests) < 100


def test_more_equal_times_than_the_cap_are_never_fresh_and_cost_few_requests(case: Case) -> None:
    case.fill(10, spacing_ms=10_000)
    for number in range(40):
        case.put(f"s{number:02}", number, case.world.ms - 1_000_000)
    case.declare(order="modified", lag_seconds=5)
    case.answer = _capped(case, 20)
    case.poll(8)
    case.check_not_fresh()
    assert len(case.requests) < 100


def test_a_list_in_order_of_whole_seconds_passes_a_cap(case: Case) -> None:
    for number in range(60):
        case.put(
            f"r{number:02}", number, case.world.ms - 9_000_000 + number // 3 * 10_000 + (700, 100, 400)[number % 3]
        )
    rows = sorted(case.rows.values(), key=lambda row: (row["at"] // 1000, row["id"]))
    case.declare(order="modified", lag_seconds=5)

    def answer(request: ApiRequest) -> Body | ApiResponse:
        later = [row for row in rows if row["at"] >= int(request.query["since"])]
        start = int(request.query.get("o", 0))
        if start + 5 > 20:
            return status_response(400)
        return {
            "rows": later[start : start + 5],
            "next": same_url(request, o=start + 5) if start + 5 < len(later) else None,
        }

    case.answer = answer
    case.poll_until_complete(25)
    case.check_equal()


def test_a_list_that_is_not_in_its_declared_order_loses_no_row(case: Case) -> None:
    """The list begins in order. Then older rows follow, behind which a page fails for some polls."""
    start_ms = case.world.ms - 9_000_000
    for number in range(10):
        case.put(f"a{number}", number, start_ms + number * 10_000)
        case.put(f"b{number}", number, start_ms - 900_000 + number * 10_000)
    rows = [case.rows[row_id] for row_id in sorted(case.rows)]
    failing = True
    case.declare(order="modified", lag_seconds=5)

    def answer(request: ApiRequest) -> Body | ApiResponse:
        later = [row for row in rows if row["at"] >= int(request.query["since"])]
        start = int(request.query.get("o", 0))
        if failing and start >= 15:
            return status_response(404)
        return {
            "rows": later[start : start + 5],
            "next": same_url(request, o=start + 5) if start + 5 < len(later) else None,
        }

    case.answer = answer
    case.poll(5)
    failing = False
    case.poll_until_complete(10)
    case.check_equal()


def test_a_row_that_is_committed_late_behind_a_page_that_was_read_is_not_lost(case: Case) -> None:
    case.fill(30)
    case.declare(order="modified", lag_seconds=60, max_pages=2)
    capped = _capped(case, 1000)

    def answer(request: ApiRequest) -> Body | ApiResponse:
        if len(case.requests) == 4:
            case.put("late", 1, case.rows["r008"]["at"] + 500)
        return capped(request)

    case.answer = answer
    case.poll_until_complete()
    case.check_equal()


def test_a_sweep_passes_a_cap_and_deletes_only_what_is_gone(case: Case) -> None:
    case.fill(60, spacing_ms=10_000)
    case.declare(order="modified", lag_seconds=25, sweep=SWEEP)
    case.answer = _capped(case, 20)
    case.poll_until_complete(20)
    del case.rows["r005"], case.rows["r033"]
    case.world.ms += HOUR_MS
    case.sweep(3)
    case.check_equal()
    assert not case.metric("DuplicateIds")


# -- rate limits and server errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "minutes"),
    [
        (403, {"Retry-After": "20"}, 4),
        (403, {"X-RateLimit-Remaining": "0"}, 4),
        (403, {"X-RateLimit-Remaining": "0"}, 15),
        (429, {}, 15),
    ],
    ids=["403 with Retry-After", "403 without quota", "403 for long", "429 for long"],
)
def test_a_pass_goes_on_behind_a_rate_limit(case: Case, status: int, headers: dict[str, str], minutes: int) -> None:
    """The limit lets four requests through, and then none for minutes. A pass that starts again would never end."""
    case.fill(20)
    case.declare(attempts=1)
    pages = linked_pages(case, 2)
    left, limited_until = 4, 0
    starts = 0

    def answer(request: ApiRequest) -> Body | ApiResponse:
        nonlocal left, limited_until, starts
        if left == 0:
            left, limited_until = 4, case.world.ms + minutes * 60_000
        if case.world.ms < limited_until:
            return status_response(status, headers)
        left -= 1
        starts += "p" not in request.query
        return pages(request)

    case.answer = answer
    case.poll_until_complete(80, more=0)
    case.check_equal()
    case.check_ends()
    assert starts == 1


def test_a_pass_goes_on_behind_the_errors_of_a_proxy(case: Case) -> None:
    """Two of three requests fail with a status from 520 to 524."""
    case.fill(20)
    case.declare(attempts=1)
    pages = linked_pages(case, 2)
    case.answer = lambda request: (
        status_response(520 + len(case.requests) // 3 % 5) if len(case.requests) % 3 else pages(request)
    )
    case.poll_until_complete(60, more=0)
    case.check_equal()
    case.check_ends()


@pytest.mark.parametrize(
    ("status", "headers"),
    [(403, {}), (500, {}), (400, {"X-RateLimit-Remaining": "0", "Retry-After": "5"})],
    ids=["403", "500", "400 with the headers of a limit"],
)
def test_a_pass_starts_again_behind_a_page_token_that_has_expired(
    case: Case, status: int, headers: dict[str, str]
) -> None:
    """The token of the third page of the first pass never works again, whichever status says so."""
    case.fill(12)
    case.declare(paging=TOKEN, attempts=1)
    generation = 0

    def answer(request: ApiRequest) -> Body | ApiResponse:
        nonlocal generation
        pages = split(case.list_rows(int(request.query["since"])), 3)
        if "token" not in request.query:
            generation += 1
        token = request.query.get("token", f"{generation}.0")
        if token == "1.2":
            return status_response(status, headers)
        first, number = map(int, token.split("."))
        return {"rows": pages[number], "next": f"{first}.{number + 1}" if number + 1 < len(pages) else None}

    case.answer = answer
    case.poll_until_complete(40)
    case.check_equal()
    case.check_ends()


def test_retry_after_with_a_fraction_is_obeyed(case: Case) -> None:
    case.fill(5)
    case.declare(attempts=1)
    case.answer = lambda request: (
        status_response(429, {"Retry-After": "90.0"}) if len(case.requests) == 1 else {"rows": case.list_rows()}
    )
    case.poll(2, step_ms=60_000)
    assert len(case.requests) == 1
    case.poll(2)
    case.check_equal()


@pytest.mark.parametrize(
    "text", ["nan", "inf", "-5", "1e999", "9" * 400, "0x10", "Wed, 99 Foo"], ids=lambda text: text[:12]
)
def test_a_senseless_retry_after_stops_no_feed(case: Case, text: str) -> None:
    case.fill(3)
    case.declare(attempts=2)
    case.answer = lambda request: (
        status_response(429, {"Retry-After": text}) if len(case.requests) <= 2 else {"rows": case.list_rows()}
    )
    case.poll(2, step_ms=2 * HOUR_MS)
    case.check_equal()
    assert "internal" not in case.fault


def test_a_quota_that_is_left_delays_no_poll(case: Case) -> None:
    """A single 503 tells of 4,999 further requests, and that the quota is renewed in 50 minutes."""
    case.fill(3)
    case.declare(attempts=1)
    reset = {"X-RateLimit-Remaining": "4999", "X-RateLimit-Reset": str(case.world.ms // 1000 + 3000)}
    case.answer = lambda request: status_response(503, reset) if len(case.requests) == 1 else {"rows": case.list_rows()}
    case.poll(2)
    case.check_equal()


def test_a_scroll_with_a_lasting_error_opens_the_breaker(case: Case) -> None:
    """A lost page of a scroll can't be asked for again, so each attempt reads the scroll from its start."""
    case.fill(12)
    case.declare_listing(paging=TOKEN)
    position = 0

    def answer(request: ApiRequest) -> Body | ApiResponse:
        nonlocal position
        position = 0 if "token" not in request.query else position + 2
        if position >= 4:
            return status_response(500)
        return {"rows": case.list_rows()[position : position + 2], "next": "S"}

    case.answer = answer
    case.poll(20, step_ms=10_000)
    assert "open" in case.outcomes
    assert len(case.requests) < 120


def test_a_list_without_an_end_sends_no_change_twice(case: Case) -> None:
    """Each page has a token of a next page, so the end is doubtful and each pass reads everything again."""
    case.fill(60, spacing_ms=10_000)
    case.declare(paging=TOKEN, lag_seconds=5)

    def answer(request: ApiRequest) -> Body:
        start = int(request.query.get("token", 0))
        return {"rows": case.list_rows(int(request.query["since"]))[start : start + 10], "next": start + 10}

    case.answer = answer
    case.poll_until_complete()
    before = len(case.world.stream.changes)
    case.poll(4)
    assert len(case.world.stream.changes) == before
    case.put("new", 1)
    case.poll(2)
    case.check_equal()
    assert case.metric("ListDoubtful")


def test_an_unfinished_pass_stops_no_earlier_version_after_a_rollback(case: Case) -> None:
    """An earlier version parses ``continuation`` as text, and stops for good if it is anything else."""
    case.fill(9)
    case.declare(max_pages=1)
    case.answer = linked_pages(case)
    assert case.poll().outcome == "unfinished"
    assert '"next_page"' in case.stored_text
    assert '"continuation"' not in case.stored_text


# -- windows -----------------------------------------------------------------------------------------------------------


def _windows(case: Case, longest_ms: int = 2 * HOUR_MS) -> Answer:
    """Return a back office that lists the rows between ``from`` and ``to``, and refuses longer windows."""

    def answer(request: ApiRequest) -> Body | ApiResponse:
        since, until = int(request.query["from"]), int(request.query["to"])
        if not 0 < until - since <= longest_ms:
            return status_response(400)
        return {"rows": [row for row in case.list_rows(since) if row["at"] < until]}

    return answer


def test_windows_of_an_hour_reach_now_and_are_fresh_only_then(case: Case) -> None:
    start_ms = case.world.ms - 30 * HOUR_MS
    for number in range(30):
        case.put(f"w{number}", number, start_ms + number * HOUR_MS + 1000)
    case.declare(
        url=WINDOW_URL, cursor={"initial": "2026-11-17T00:00:00Z", "window_seconds": 3600}, max_pages=10, lag_seconds=60
    )
    case.answer = _windows(case)
    case.poll()
    case.check_not_fresh()
    case.poll(8)
    case.check_equal()
    case.check_fresh()
    case.put("new", 5)
    case.poll(3)
    case.check_equal()


def test_empty_windows_hold_nothing_up(case: Case) -> None:
    case.put("old", 1, case.world.ms - 200 * HOUR_MS)
    case.put("new", 2, case.world.ms - HOUR_MS)
    case.declare(url=WINDOW_URL, cursor={"initial": "2026-11-09T00:00:00Z", "window_seconds": 3600}, max_pages=100)
    case.answer = _windows(case)
    case.poll(8)
    case.check_equal()
    case.check_fresh()


def test_rows_that_are_committed_late_or_ahead_of_time_reach_their_window(case: Case) -> None:
    case.declare(url=WINDOW_URL, lag_seconds=60, cursor={"initial": "2026-11-18T10:00:00Z", "window_seconds": 600})
    case.answer = _windows(case)
    case.poll(3)
    for number in range(8):
        case.put(f"late{number}", number, case.world.ms - 40_000)
        case.put(f"ahead{number}", number, case.world.ms + 120_000)
        case.poll()
    case.poll(5)
    case.check_equal()
