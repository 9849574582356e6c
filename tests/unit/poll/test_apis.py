"""Polls the worked examples of docs/sources/: each from a small server that behaves like the documented API.

The settings come from the pages, through Terraform. `poll`, its HTTP client and the translation are the real ones; only
the stores are in memory. The clock stands still, except that a test or a pause of the client moves it.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from ops.cli.source_trial import Trial
from ops.cli.trial_report import ListName, TrialReport
from ops.console import ROOT
from readplane.model.collection import Collection
from readplane.poll.checkpoint import checkpoint_json
from readplane.poll.upstream.oauth2 import AccessTokens
from tests.fakes.apis.csv_files import CsvFiles
from tests.fakes.apis.datasette import Datasette
from tests.fakes.apis.dynamics import Dynamics
from tests.fakes.apis.ecb import EuropeanCentralBank
from tests.fakes.apis.examples import PAGES, example, example_settings
from tests.fakes.apis.github import GitHub
from tests.fakes.apis.gitlab import GitLab
from tests.fakes.apis.hubspot import HubSpot
from tests.fakes.apis.jira import Jira
from tests.fakes.apis.notion import Notion
from tests.fakes.apis.nvd import Nvd
from tests.fakes.apis.salesforce import Salesforce
from tests.fakes.apis.scim import Scim
from tests.fakes.apis.server import SECRET, ApiRequest, ApiResponse, ApiServer, json_response
from tests.fakes.apis.servicenow import REFRESH_TOKEN, ServiceNow
from tests.fakes.apis.shopify import Shopify
from tests.fakes.apis.wordpress import WordPress
from tests.unit.poll.support import ClientWorld
from tests.unit.support import NOW_MS

MINUTE_MS = 60_000
ROWS = 20
APIS: dict[str, type[ApiServer]] = {
    "csv-prices": CsvFiles,
    "datasette": Datasette,
    "dynamics": Dynamics,
    "ecb-rates": EuropeanCentralBank,
    "github": GitHub,
    "gitlab": GitLab,
    "hubspot": HubSpot,
    "jira": Jira,
    "notion": Notion,
    "nvd": Nvd,
    "salesforce": Salesforce,
    "scim": Scim,
    "servicenow": ServiceNow,
    "shopify": Shopify,
    "wordpress": WordPress,
}
UNMARKED_DELETES = {"csv-prices", "datasette", "ecb-rates", "github", "gitlab", "jira", "notion", "scim"}
"""The sources whose back offices don't say that they have deleted a record. Only listings show that it is missing."""

LIMITS = {"hubspot": ('\\"limit\\": 200', '\\"limit\\": 3'), "servicenow": ("sysparm_limit=100", "sysparm_limit=3")}
"""The limit in a request, and what replaces it, so that a list of 20 records has several pages."""


class Mirror:
    """One source with stores in memory, and the server that plays its back office.

    :param name: the name of the source in its page of docs/sources/.
    :param more: settings that replace those of the page.
    """

    def __init__(self, name: str, api: type[ApiServer], **more: Any) -> None:
        self.api = api(lambda: self.world.ms)
        self.settings = self._with_small_pages(name) | more
        collection = self.settings["collection"]
        self.world = ClientWorld({collection: Collection(collection, "public")})
        self.world.ms = NOW_MS // MINUTE_MS * MINUTE_MS
        self.world.declare(self.settings)
        self.quarantine = self.world.quarantine
        if (self.settings["oauth2"] or {}).get("grant") == "refresh_token":
            self.world.secrets.text = json.dumps({"refresh_token": REFRESH_TOKEN, "client_secret": SECRET})

    def _with_small_pages(self, name: str) -> dict[str, Any]:
        settings: dict[str, Any] = self.api.settings(example_settings()[name])
        if name not in LIMITS:
            return settings
        limit, small_limit = LIMITS[name]
        text = json.dumps(settings)
        assert limit in text, "the page no longer has this limit"
        settings = json.loads(text.replace(limit, small_limit))
        if settings["paging"]["size"]:
            settings["paging"]["size"] = self.api.page_size
        return settings

    def trial(self, list_name: ListName) -> TrialReport:
        """Return what `ops/readplane sources try` finds out about one of the source's lists."""
        source = self.world.declared_sources.load(self.settings["name"])
        report = Trial(source, self.world.secrets, list_name=list_name, pages=20).run()
        self.api.raise_error()
        return report

    def replace_secret(self) -> None:
        """Store another secret, which the back office refuses, and forget the access tokens."""
        self.world.secrets.text = self.world.secrets.text.replace(SECRET, "another")
        self.world.tokens = AccessTokens()

    def fill(self, count: int = ROWS) -> None:
        """Create records, one every seven seconds."""
        for number in range(1, count + 1):
            self.api.put(number, f"Käse {number}")
            self.world.ms += 7_000

    def wait(self, minutes: float = 10) -> None:
        """Let time pass."""
        self.world.ms += round(minutes * MINUTE_MS)

    def poll(self, *, sweep: bool = False) -> dict[str, Any]:
        """Poll once, and return the report of `poll`."""
        report: dict[str, Any] = self.world(self.settings, sweep)
        self.api.raise_error()
        for checkpoint in self.world.checkpoints.by_source.values():
            self.assert_no_secret(checkpoint_json(checkpoint))
        return report

    @staticmethod
    def assert_no_secret(text: str) -> None:
        """Fail if a text holds a stored secret or an access token."""
        assert not any(secret in text for secret in (SECRET, REFRESH_TOKEN, "access-token-"))

    def catch_up(self, *, sweep: bool = False, failures: int = 0, polls: int = 30) -> list[dict[str, Any]]:
        """Poll until a poll has read everything, and return the reports of all polls.

        :param failures: how many polls may fail.
        :param polls: how many polls it may take.
        """
        reports: list[dict[str, Any]] = []
        for _ in range(polls):
            reports.append(self.poll(sweep=sweep))
            sweep = False
            failed = sum(report["outcome"] in ("failed", "open") for report in reports)
            assert failed <= failures, reports[-1]["fault"]
            if reports[-1]["outcome"] in ("completed", "not_modified") and not reports[-1]["sweeping"]:
                return reports
            self.wait(1)
        raise AssertionError("the polls never complete")

    def items(self) -> dict[str, Any]:
        """Return the data of each item that isn't deleted, by the item's id."""
        stored = self.world.items.by_key.values()
        return {item.item_id: json.loads(item.data) for item in stored if item.data is not None}

    def find_deletes(self) -> None:
        """Poll until the source's way to find deletes must have found them: two sweeps in a row, at the latest."""
        for _ in range(2):
            self.wait()
            self.catch_up(sweep=self.settings["sweep"] is not None)


@pytest.fixture
def make_mirror(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Mirror]]:
    """Return a function that makes a mirror. At the end, no log line and no quarantine entry may hold a secret."""
    mirrors: list[Mirror] = []

    def make(name: str, **more: Any) -> Mirror:
        mirrors.append(Mirror(name, APIS[name.replace("csv-rates", "csv-prices")], **more))
        return mirrors[-1]

    yield make
    Mirror.assert_no_secret(capsys.readouterr().out)
    for mirror in mirrors:
        mirror.api.close()
        for entry in mirror.quarantine.entries.values():
            Mirror.assert_no_secret(entry.record)


each_api = pytest.mark.parametrize("name", APIS)


def test_the_index_names_each_page_and_each_page_has_an_example_that_a_server_plays() -> None:
    pages = sorted(path.name for path in PAGES.glob("*.md"))
    index = (ROOT / "docs/sources.md").read_text()
    assert all(f"(sources/{page})" in index for page in pages) and index.count("(sources/") == len(pages)
    assert set(example_settings()) == {*APIS, "csv-rates"}
    for path in PAGES.glob("*.md"):
        assert set(example(path)) == {"sources", "collections"}, path.name


@each_api
def test_a_first_pass_a_change_and_a_delete_make_the_items_equal_to_the_back_office(
    name: str, make_mirror: Callable[..., Mirror]
) -> None:
    mirror = make_mirror(name)
    mirror.fill()
    mirror.wait()
    mirror.catch_up()
    assert mirror.items() == mirror.api.items() and len(mirror.items()) > 10
    mirror.wait()
    (again,) = mirror.catch_up()
    assert again["changes"] == 0, "what didn't change makes no change"

    mirror.api.put(3, "Brot 3")
    mirror.api.put(ROWS + 1, "Milch")
    mirror.wait(1)
    mirror.catch_up()
    assert mirror.items() == mirror.api.items()

    mirror.wait()
    mirror.api.delete(2)
    mirror.wait(1)
    mirror.catch_up()
    if name in UNMARKED_DELETES:
        assert len(mirror.items()) == len(mirror.api.items()) + 1, "nothing marks this delete"
        mirror.find_deletes()
    assert mirror.items() == mirror.api.items()
    mirror.wait()
    assert sum(report["changes"] for report in mirror.catch_up()) == 0
    assert not mirror.quarantine.entries


@each_api
@pytest.mark.parametrize("at", [0, 1, 3])
def test_a_rate_limit_delays_the_items_and_loses_none(name: str, at: int, make_mirror: Callable[..., Mirror]) -> None:
    mirror = make_mirror(name)
    mirror.fill()
    mirror.wait()
    # The client retries a request twice. So the limit holds for one whole poll.
    mirror.api.faults = {at + retry: mirror.api.rate_limit() for retry in range(3)}
    mirror.catch_up(failures=3)
    assert mirror.items() == mirror.api.items()
    assert not mirror.quarantine.entries


@each_api
def test_records_that_change_while_a_pass_reads_them_are_not_lost(
    name: str, make_mirror: Callable[..., Mirror]
) -> None:
    mirror = make_mirror(name)
    mirror.fill()
    mirror.wait()

    def change(request: ApiRequest) -> None:
        count = len(mirror.api.requests)
        if 2 <= count < 8:
            mirror.api.put(count - 1, f"Changed {count}")
            mirror.world.ms += 1_000

    mirror.api.before = change
    mirror.catch_up(failures=5)
    mirror.api.before = None
    mirror.wait()
    mirror.catch_up()
    assert mirror.items() == mirror.api.items()


@each_api
def test_a_pass_that_takes_a_poll_for_each_page_reads_everything(name: str, make_mirror: Callable[..., Mirror]) -> None:
    mirror = make_mirror(name, max_pages=1)
    mirror.fill()
    mirror.wait()
    reports = mirror.catch_up(polls=150)
    assert len(reports) > (0 if name in ("csv-prices", "ecb-rates", "servicenow") else 5)
    assert mirror.items() == mirror.api.items()


@each_api
def test_a_wrong_secret_fails_the_poll_and_deletes_nothing(name: str, make_mirror: Callable[..., Mirror]) -> None:
    mirror = make_mirror(name)
    if name in ("datasette", "ecb-rates"):
        assert mirror.settings["secret"] is None and mirror.settings["oauth2"] is None
        return
    mirror.fill(5)
    mirror.catch_up()
    before = mirror.items()
    mirror.wait(120)
    mirror.replace_secret()
    report = mirror.poll()
    assert report["outcome"] == "failed" and report["fault"].partition(":")[0] in ("status", "token"), report["fault"]
    assert mirror.items() == before


@each_api
def test_sources_try_reads_each_list_and_knows_its_end(name: str, make_mirror: Callable[..., Mirror]) -> None:
    mirror = make_mirror(name, requests_per_second=None)
    mirror.fill(10)
    mirror.api.delete(2)
    settings = mirror.settings
    has_sweep = settings["sweep"] is not None and settings["sweep"]["schedule"] is not None
    lists: dict[ListName, bool] = {"main": True, "sweep": has_sweep, "deletes": settings["deletes"] is not None}
    for list_name, is_declared in lists.items():
        if is_declared:
            report = mirror.trial(list_name)
            assert report.problems == [] and report.certain is True, list_name
            Mirror.assert_no_secret(repr(report))


def test_an_error_of_a_server_fails_the_test_and_not_only_the_poll(make_mirror: Callable[..., Mirror]) -> None:
    mirror = make_mirror("github")

    def fail(request: ApiRequest) -> None:
        raise ValueError("a mistake in a fake")

    mirror.api.before = fail
    with pytest.raises(ValueError, match="a mistake in a fake"):
        mirror.poll()


# --- GitHub


def test_github_keeps_its_place_over_a_rate_limit_that_is_told_as_403(make_mirror: Callable[..., Mirror]) -> None:
    mirror = make_mirror("github")
    mirror.fill()
    mirror.wait()
    mirror.api.faults = {number: mirror.api.rate_limit() for number in range(4, 7)}
    mirror.catch_up(failures=1)
    firsts = [request for request in mirror.api.requests if "after" not in request.query]
    assert len(firsts) == 1, "the pass must go on where the limit stopped it"
    assert mirror.items() == mirror.api.items()


def test_github_lists_a_second_page_although_the_etag_of_the_first_stays(make_mirror: Callable[..., Mirror]) -> None:
    mirror = make_mirror("github")
    mirror.fill(3)
    mirror.catch_up()
    mirror.api.put(7, "Brot")
    mirror.catch_up()
    assert mirror.items() == mirror.api.items()


# --- GitLab


def test_gitlab_ends_at_an_empty_header_and_fails_without_one(make_mirror: Callable[..., Mirror]) -> None:
    mirror = make_mirror("gitlab")
    mirror.fill(3)
    mirror.catch_up()
    assert [request.query.get("page") for request in mirror.api.requests] == [None]
    assert mirror.items() == mirror.api.items()


# --- Jira


def test_jira_with_a_wrong_zone_says_that_changes_may_be_lost(
    make_mirror: Callable[..., Mirror], capsys: pytest.CaptureFixture[str]
) -> None:
    mirror = make_mirror("jira", cursor={"format": "%Y-%m-%d %H:%M", "zone": "Asia/Tokyo", "initial": None})
    mirror.fill(5)
    mirror.wait()
    mirror.catch_up()
    assert "overlap_missed" not in capsys.readouterr().out
    mirror.wait()
    mirror.catch_up()
    assert "overlap_missed" in capsys.readouterr().out


@pytest.mark.parametrize("fold", [0, 1])
def test_jira_loses_nothing_in_the_hour_that_the_autumn_clock_change_repeats(
    fold: int, make_mirror: Callable[..., Mirror]
) -> None:
    mirror = make_mirror("jira")
    assert isinstance(mirror.api, Jira)
    mirror.api.fold = fold
    start = datetime(2026, 10, 25, 0, 20, tzinfo=UTC)  # 02:20 in Berlin, the first time
    mirror.world.ms = round(start.timestamp() * 1000)
    for number in range(1, 9):
        mirror.api.put(number, f"Käse {number}")
        mirror.wait(15)
        mirror.catch_up()
        assert mirror.items() == mirror.api.items()


# --- Shopify


def test_shopify_errors_with_status_200_fail_the_poll(make_mirror: Callable[..., Mirror]) -> None:
    mirror = make_mirror("shopify")
    mirror.fill(2)
    mirror.api.faults = {0: json_response({"data": {"products": {"nodes": []}}, "errors": [{"message": "Timeout"}]})}
    report = mirror.poll()
    assert report["outcome"] == "failed" and report["fault"].startswith("page: expect")
    mirror.catch_up()
    assert mirror.items() == mirror.api.items()


def test_shopify_asks_for_no_page_behind_the_last(make_mirror: Callable[..., Mirror]) -> None:
    mirror = make_mirror("shopify", deletes=None)
    mirror.fill(6)
    mirror.catch_up()
    cursors = [request.json()["variables"].get("after") for request in mirror.api.requests]
    assert cursors[0] is None and len(cursors) == 2, "endCursor isn't null on the last page, but hasNextPage is false"


# --- HubSpot


def test_hubspot_reads_and_sweeps_more_records_than_a_search_returns(make_mirror: Callable[..., Mirror]) -> None:
    mirror = make_mirror("hubspot")
    assert isinstance(mirror.api, HubSpot)
    mirror.api.cap = 9
    mirror.fill(60)
    mirror.wait()
    mirror.catch_up()
    assert mirror.items() == mirror.api.items()
    del mirror.api.rows[7]  # erased for good: neither the search nor the list of archived contacts has it
    mirror.find_deletes()
    assert mirror.items() == mirror.api.items()


# --- Salesforce


def test_salesforce_gets_a_new_token_if_the_session_has_ended(make_mirror: Callable[..., Mirror]) -> None:
    mirror = make_mirror("salesforce")
    assert isinstance(mirror.api, Salesforce)
    tokens = mirror.api.tokens
    mirror.fill()
    mirror.catch_up()
    assert tokens.issued == 1, "one token serves all requests"

    def expire(request: ApiRequest) -> None:
        if "01g" in request.path and tokens.issued == 1:
            tokens.expire()

    mirror.api.put(1, "Brot")
    mirror.api.before = expire
    mirror.wait()
    mirror.catch_up()
    assert tokens.issued == 2 and mirror.items() == mirror.api.items()


# --- Dynamics


def test_dynamics_begins_at_the_delta_link_and_reads_everything_if_it_has_expired(
    make_mirror: Callable[..., Mirror],
) -> None:
    mirror = make_mirror("dynamics")
    assert isinstance(mirror.api, Dynamics)
    mirror.fill()
    mirror.catch_up()
    seen = len(mirror.api.requests)
    mirror.api.put(1, "Brot")
    mirror.wait()
    (report,) = mirror.catch_up()
    (request,) = mirror.api.requests[seen:]
    assert "$deltatoken" in request.query and report["records"] == 1
    assert mirror.items() == mirror.api.items()

    mirror.api.delete(2)
    mirror.api.expire_delta_links()
    mirror.api.put(3, "Milch")
    mirror.wait()
    mirror.catch_up(failures=3)
    mirror.find_deletes()
    assert mirror.items() == mirror.api.items()


# --- ServiceNow


BY_OFFSET = {"style": "offset", "parameter": "sysparm_offset", "size": 3, "max_empty_pages": 4}
"""The paging that the page proposes for an instance without a `Link` header, with the limit of the test."""


@pytest.mark.parametrize("paging", [{"style": "link"}, BY_OFFSET], ids=lambda paging: paging["style"])
def test_servicenow_reads_on_behind_pages_whose_rows_are_hidden(
    paging: dict[str, Any], make_mirror: Callable[..., Mirror]
) -> None:
    mirror = make_mirror("servicenow", paging=paging)
    assert isinstance(mirror.api, ServiceNow)
    mirror.api.hidden = {2, *range(4, 13), 17}  # a short page, three empty ones, and another short one
    mirror.fill()
    mirror.catch_up()
    assert mirror.items() == mirror.api.items() and len(mirror.items()) == 9


# --- WordPress


@pytest.mark.parametrize("count", [0, 3, 4, 6])
def test_wordpress_ends_with_a_400_behind_the_last_page(count: int, make_mirror: Callable[..., Mirror]) -> None:
    mirror = make_mirror("wordpress")
    mirror.fill(count)
    (report,) = mirror.catch_up()
    assert report["records"] >= count and mirror.items() == mirror.api.items()


def test_wordpress_fails_with_a_400_on_the_first_page(make_mirror: Callable[..., Mirror]) -> None:
    mirror = make_mirror("wordpress")
    mirror.api.faults = {0: json_response({"code": "rest_invalid_param", "data": {"status": 400}}, 400)}
    assert mirror.poll()["outcome"] == "failed"


# --- Datasette


def test_datasette_repeats_a_key_in_its_next_links_and_no_checkpoint_holds_it(
    make_mirror: Callable[..., Mirror],
) -> None:
    secret = {"arn": "arn:aws:ssm:eu-central-1:123456789012:parameter/k", "query": "api_key", "format": "{secret}"}
    mirror = make_mirror("datasette", secret=secret, max_pages=1)
    mirror.fill()
    mirror.catch_up()
    keys = [request.query.get("api_key") for request in mirror.api.requests]
    assert len(keys) > 5 and set(keys) == {SECRET}
    assert mirror.items() == mirror.api.items()


# --- CSV


def test_csv_rows_with_missing_fields_are_refused_alone_and_a_cut_file_deletes_nothing(
    make_mirror: Callable[..., Mirror],
) -> None:
    mirror = make_mirror("csv-prices")
    mirror.fill()
    mirror.catch_up()
    everything = mirror.items()
    half = ApiResponse(200, "sku;name;price\r\nA1;Käse 1;1,50\r\nA2;Kä".encode("cp1252"), {"Content-Type": "text/csv"})
    for _ in range(3):
        mirror.wait()
        mirror.api.faults = {len(mirror.api.requests): half}
        report = mirror.poll()
    assert report["sweep_refused"] and mirror.items() == everything
    assert len(mirror.quarantine.entries) == 1
    mirror.wait(120)  # until no change can be on its way any more
    assert mirror.poll()["outcome"] == "completed"
    mirror.wait()
    assert mirror.poll()["outcome"] == "not_modified"
    assert mirror.items() == everything


def test_a_csv_snapshot_becomes_a_json_document_and_an_empty_file_does_not_replace_it(
    make_mirror: Callable[..., Mirror],
) -> None:
    mirror = make_mirror("csv-rates")

    def document() -> Any:
        documents = mirror.world.regions["eu-central-1"].documents
        ((_, _, body),) = (entry for key, entry in documents.items() if "csv-rates/current" in key)
        return json.loads(body)["data"]

    mirror.api.put(1, "€uro")
    assert mirror.poll()["outcome"] == "completed"
    assert document() == [{"currency": "€uro", "rate": "1,50"}]
    mirror.api.delete(1)
    mirror.wait(120)
    assert mirror.poll()["outcome"] == "failed"
    assert document() == [{"currency": "€uro", "rate": "1,50"}]


# --- Notion


def test_notion_edits_within_a_minute_both_arrive(make_mirror: Callable[..., Mirror]) -> None:
    mirror = make_mirror("notion")
    mirror.fill(5)
    mirror.wait()
    mirror.api.put(3, "First")
    mirror.catch_up()
    mirror.world.ms += 5_000
    mirror.api.put(3, "Second")
    mirror.catch_up()
    assert mirror.items() == mirror.api.items()
