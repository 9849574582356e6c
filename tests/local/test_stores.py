"""Tests of the private stores end to end: the real Valkey and PostgreSQL of each Region, behind the applied stack.

The tests of histories and of the stores themselves are in tests/histories and tests/unit. These tests check that the
parts fit together: queues, permissions, settings, passwords and routes. `make test-drill` sets READPLANE_DRILL=long.
Then the database is frozen for a minute.
"""

import contextlib
import os
import secrets
import statistics
import time

import pytest
import requests

from ops.local.session import Api
from ops.local.stores_demo import restored
from readplane.model.keys import document_key
from tests.local.calls import FRANCE, is_problem, ok, put, read, writer
from tests.local.support import Local, eventually
from tests.local.test_ops import readplane

BREAKER_SECONDS = 10
"""The longest time for which `read` doesn't ask a cache that has failed."""

REDELIVERY_SECONDS = 120
"""The longest time until `feed` writes a batch that it couldn't write: after six times its timeout, it comes again."""

LONG = os.environ.get("READPLANE_DRILL") == "long"
FROZEN_SECONDS = 60 if LONG else 0
"""How long the database is frozen at least."""

SAMPLES = 40 if LONG else 12
"""How many writes are measured before, while and after the database is frozen."""

NOISE_SECONDS = 0.2 if LONG else 1.0
"""By how much two medians may differ without a reason in Readplane. A few writes on a busy machine differ by half a
second, because other tests run, too, and because the emulator looks for work less often while a queue has more messages
than it may deliver. Waiting for the database would take 5 s: `feed` tries that long to connect."""


def is_hit(response: requests.Response) -> bool:
    """Whether the item cache answered."""
    assert response.status_code == 200, response.text
    return "hit" in response.headers.get("Cache-Status", "").split("; ")


def new_country(api: Api, **fields: str) -> tuple[str, str, str]:
    """Write a country that no other test knows. Return its path, its version and its name."""
    name = f"Country {secrets.token_hex(6)}"
    path = f"/items/countries/{name.replace(' ', '-')}"
    return path, put(api, path, FRANCE | {"name": name} | fields), name


@pytest.mark.parametrize("replica", [False, True])
def test_a_write_reaches_the_cache_of_each_region(replica: bool, stack: Local) -> None:
    path, version, _ = new_country(writer(stack, "countries"))
    api = stack.api(replica=replica)
    assert read(api, path, version).json()["version"] == version
    # `feed` puts the entry there. So a first read that names the version may be a hit, too.
    cached = eventually(lambda: found if is_hit(found := api("GET", path)) else None)
    assert cached.json() == api("GET", path).json() and cached.json()["version"] == version
    assert is_hit(api("GET", f"{path}?min_version={version}"))
    newer = put(writer(stack, "countries"), path, FRANCE | {"name": "Renamed"})
    assert read(api, path, newer).json()["data"]["name"] == "Renamed", "a hit is as new as the caller asks"


def test_a_deleted_item_is_gone_from_the_cache_too(stack: Local) -> None:
    api = writer(stack, "countries")
    path, version, _ = new_country(api)
    eventually(lambda: is_hit(read(api, path, version)))
    deleted = api("DELETE", path).json()["change_id"]
    assert is_problem(read(api, path, deleted), 404)
    assert is_problem(api("GET", path), 404)


def test_a_list_with_a_filter_shows_a_write(stack: Local) -> None:
    path, version, name = new_country(writer(stack, "countries"), official_name="Republic of the Unicorns")
    for replica in (False, True):
        api = stack.api(replica=replica)
        for query in (f"filter=name:eq:{name}", f"q=unicorns {name.split()[1]}"):
            listed = eventually(lambda: api("GET", f"/items/countries?{query}").json()["items"])
            assert [(item["id"], item["version"]) for item in listed] == [(path.rpartition("/")[2], version)]
            assert listed == [api("GET", path).json()], "a list shows the item as a read does"


def test_a_list_is_in_the_order_of_its_sort_field_on_every_page(stack: Local) -> None:
    api = writer(stack, "countries")
    mark = secrets.token_hex(4)
    ids = [f"{mark}-{number}" for number in range(5)]
    for item_id, numeric in zip(ids, ("300", "100", "200", "100", "500"), strict=True):
        put(api, f"/items/countries/{item_id}", FRANCE | {"name": f"Sorted {mark}", "numeric": numeric})
    path = f"/items/countries?filter=name:eq:Sorted {mark}&sort=-numeric&limit=2"
    eventually(lambda: len(api("GET", path.replace("limit=2", "limit=5")).json()["items"]) == 5)
    pages, cursor = [], ""
    while True:
        page = api("GET", path + cursor).json()
        pages.append([item["id"] for item in page["items"]])
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert pages == [[ids[4], ids[0]], [ids[2], ids[3]], [ids[1]]]
    other = api("GET", f"/items/countries?sort=numeric&limit=2{cursor}")
    assert is_problem(other, 400), "a cursor belongs to its query"


def test_a_user_lists_only_profiles_of_their_own(stack: Local) -> None:
    language = f"{''.join(chr(ord('a') + byte % 26) for byte in secrets.token_bytes(2))}-XX"
    for user in (stack.alice, stack.bob):
        put(stack.api(user), f"/items/profiles/{user.name.split('@')[0]}", {"language": language})
    for user in (stack.alice, stack.bob):
        path = f"/items/profiles?filter=language:eq:{language}"
        listed = eventually(lambda: stack.api(user)("GET", path).json()["items"])
        assert [item["id"] for item in listed] == [user.name.split("@")[0]]
    assert stack.api()("GET", "/items/profiles?sort=language").status_code == 401


def test_reads_go_on_without_the_cache(stack: Local) -> None:
    api, cache = writer(stack, "countries"), stack.stores.caches["primary"]
    path, version, _ = new_country(api)
    eventually(lambda: is_hit(read(api, path, version)))
    with restored(cache.restart):
        cache.kill()
        assert not any(is_hit(api("GET", path)) for _ in range(20)), "every read is a 200, from DynamoDB"
        newer = put(api, path, FRANCE | {"name": "Written without a cache"})
        assert read(api, path, newer).json()["version"] == newer
    eventually(lambda: is_hit(api("GET", path)), within=BREAKER_SECONDS + 20)
    assert api("GET", path).json()["version"] == newer


@pytest.mark.quiet
def test_a_frozen_database_delays_nothing_but_its_own_lists(stack: Local) -> None:
    """Documents in S3 take as long as without the fault, and the database gets every write afterwards."""
    api, database = writer(stack, "countries"), stack.stores.databases["primary"]
    writes = Writes(stack)
    normal = writes.sample(SAMPLES)
    listed = f"/items/countries?filter=official:eq:{writes.mark}&limit=200"
    eventually(lambda: api("GET", listed).json()["items"])
    with restored(database.thaw):
        database.freeze()
        start = time.monotonic()
        refused = api("GET", listed)
        assert is_problem(refused, 503) and int(refused.headers["Retry-After"]) > 0
        assert api("GET", "/items/countries?limit=2").status_code == 200, "plain lists come from DynamoDB"
        assert stack.api(replica=True)("GET", listed).status_code == 200, "the other Region has a database of its own"
        frozen = writes.sample(SAMPLES)
        time.sleep(max(0.0, FROZEN_SECONDS - (time.monotonic() - start)))
    normal += writes.sample(SAMPLES)
    for name in normal[0]:
        before, meanwhile = (statistics.median(sample[name] for sample in samples) for samples in (normal, frozen))
        print(f"{name}: {before:.3f} s, while the database is frozen: {meanwhile:.3f} s")
        assert meanwhile <= max(1.2 * before, before + NOISE_SECONDS), name
    eventually(lambda: listed_versions(api, listed) == writes.versions, within=REDELIVERY_SECONDS, every=1)
    # A message outlives its write: it is deleted after its invocation, and two messages of one item may write once.
    messages = eventually(lambda: (counts := waiting_messages(stack))[0] == 0 and counts, within=REDELIVERY_SECONDS)
    assert messages == (0, 0), "the queue is empty, and so is the queue of its dead letters"


class Writes:
    """Writes items, and measures how long it takes until S3 and the API have their documents.

    :ivar mark: a text in each of the countries.
    :ivar versions: the version of each country, by its id.
    """

    def __init__(self, stack: Local) -> None:
        self.mark = f"Frozen {secrets.token_hex(6)}"
        self.versions: dict[str, str] = {}
        self._stack = stack
        self._s3 = stack.root().client("s3")

    def sample(self, count: int) -> list[dict[str, float]]:
        """Write a number of items one by one. Return for each how many seconds later there was which document."""
        return [
            {
                "a document in S3 of an item that the database gets, too": self._country(),
                "a document that the API reads from S3": self._notice(),
            }
            for _ in range(count)
        ]

    def _country(self) -> float:
        item_id = f"{self.mark.replace(' ', '-')}-{len(self.versions)}"
        path = f"/items/countries/{item_id}"
        start = time.monotonic()
        self.versions[item_id] = put(writer(self._stack, "countries"), path, FRANCE | {"official_name": self.mark})
        key = document_key("public", "countries", item_id, None)
        eventually(lambda: self._has_object(key), every=0.01)
        return time.monotonic() - start

    def _has_object(self, key: str) -> bool:
        with contextlib.suppress(self._s3.exceptions.ClientError):
            return bool(self._s3.head_object(Bucket=self._stack.outputs.documents_bucket, Key=key))
        return False

    def _notice(self) -> float:
        """Write a notice, which the cache doesn't hold."""
        api, item_id = writer(self._stack, "notices"), self.mark.replace(" ", "-")
        start = time.monotonic()
        version = put(api, f"/items/notices/{item_id}", {"title": self.mark})
        document = f"/documents/notices/{item_id}"
        eventually(
            lambda: (found := ok(api("GET", document))) and found.headers["Readplane-Version"] >= version, every=0.01
        )
        return time.monotonic() - start


def listed_versions(api: Api, path: str) -> dict[str, str]:
    """Return the version of each item in a list that has one page."""
    page = ok(api("GET", path))
    assert page and page.json()["next"] is None
    return {item["id"]: item["version"] for item in page.json()["items"]}


def waiting_messages(stack: Local) -> tuple[int, int]:
    """Return how many messages are in the queue of the primary Region's database, and in that of its dead letters."""
    queues = stack.outputs.feed_queues
    assert queues, "the local stack has a database"
    counts = []
    for name in ("url", "dead_letter_url"):
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        url = queues["primary"]["database"][name]
        attributes = stack.root().client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        counts.append(sum(map(int, attributes.values())))
    return counts[0], counts[1]


@pytest.mark.parametrize("query", ["filter=name:eq:%00", "filter=price:eq:1", "sort=alpha_3", "q=%00", "cursor=x"])
def test_a_bad_parameter_of_a_list_is_named(query: str, stack: Local) -> None:
    response = stack.api()("GET", f"/items/countries?{query}")
    assert is_problem(response, 400, parameter=query.partition("=")[0])


def test_operators_see_compare_and_repair_the_stores(stack: Local) -> None:
    alice, database = stack.api(stack.alice), stack.stores.databases["primary"]
    put(alice, "/items/profiles/lost", {"language": "de"})
    listed = "/items/profiles?filter=language:eq:de"
    eventually(lambda: "lost" in [item["id"] for item in alice("GET", listed).json()["items"]])
    for words in (("relational", "status"), ("cache", "status"), ("relational", "migrate", "--dry-run")):
        code, output = readplane(stack, *words)
        assert code == 0, output
    database.execute("DELETE FROM readplane.profiles WHERE item_id = 'lost'")
    code, output = readplane(stack, "relational", "verify", "--region", stack.outputs.region, "--repair")
    assert code == 1 and f"missing  item/profiles/{stack.alice.sub}/lost" in output, output
    for store in ("relational", "cache"):
        eventually(lambda: readplane(stack, store, "verify")[0] == 0, within=REDELIVERY_SECONDS, every=2)
    assert "lost" in [item["id"] for item in alice("GET", listed).json()["items"]]
