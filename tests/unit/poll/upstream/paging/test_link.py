"""Tests of the paging style ``link``, in which each response holds the URL of the next page."""

import json

import pytest

from readplane.poll.errors import BackOfficeError
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
