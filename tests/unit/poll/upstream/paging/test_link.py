"""Tests of the paging style ``link``, in which each response holds the URL of the next page."""

import json

import pytest

from readplane.poll.errors import BackOfficeError
from tests.unit.poll.support import CHANGES, ORIGIN, World
from tests.unit.poll.upstream.paging.walks import URL, Server, reader, rows, walk


def test_the_link_may_stand_in_the_header() -> None:
    server = Server(lambda query: {"rows": rows(1)})
    server.headers = {"Link": f'<{URL}?x=0>; rel="first", </rows?x=1>; rel="next"'}
    page = reader(server, style="link").read_page(URL, None)
    assert page.continuation and json.loads(page.continuation)["url"] == f"{URL}?x=1"


@pytest.mark.parametrize(
    "link", ["https://elsewhere.test/rows", "http://office.test/rows", "//elsewhere.test/", "https://office.test:444/"]
)
def test_a_link_that_leaves_the_origin_is_an_error(link: str) -> None:
    with pytest.raises(BackOfficeError, match="origin"):
        walk(Server(lambda query: {"rows": rows(1), "more": link}), style="link", next="more")


@pytest.mark.parametrize("link", [f"{ORIGIN}?api_key=k3y&from=1", "?from=1&api%5Fkey=k3y", f"{ORIGIN}?from=1"])
def test_a_link_that_repeats_the_secret_reaches_the_checkpoint_without_it(world: World, link: str) -> None:
    world.office.answer = lambda url: json.dumps({"rows": [], "next": None if "from" in url else link}).encode()
    secret = {"arn": "arn:aws:ssm:eu-central-1:123456789012:parameter/key", "query": "api_key", "format": "{secret}"}
    source = {**CHANGES, "secret": secret, "max_pages": 1}
    assert world(source)["outcome"] == "unfinished"
    main_pass = world.checkpoint().main_pass
    assert main_pass and main_pass.continuation and "k3y" not in str(world.checkpoint())
    assert json.loads(main_pass.continuation)["url"] == f"{ORIGIN}?from=1"
    assert world(source)["outcome"] == "completed"
