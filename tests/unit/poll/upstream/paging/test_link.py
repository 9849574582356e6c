"""Tests of the paging style ``link``, in which each response holds the URL of the next page."""

import json
from typing import Any

import pytest

from readplane.poll.errors import BackOfficeError
from readplane.poll.upstream.paging.ending import ListEnd
from tests.unit.poll.support import CHANGES, World
from tests.unit.poll.support import ORIGIN as OFFICE
from tests.unit.poll.upstream.paging.walks import (
    SECRET,
    URL,
    Query,
    Server,
    ids,
    read,
    rows,
    source_of,
    walk,
    walk_list,
)


def next_url_of(link: str, **paging: Any) -> str | None:
    """Return the URL that a response's link leads to."""
    page = read(Server(lambda query: {"rows": rows(1), "next": link}), **{"style": "link", "next": "next", **paging})
    return page.continuation.url if page.continuation else None


def test_the_link_may_stand_in_the_link_header() -> None:
    server = Server(lambda query: {"rows": rows(1)})
    server.headers = {"link": f'<{URL}?x=0>; rel="first", </rows?x=1>; rel="next"'}
    page = read(server, style="link")
    assert page.continuation and page.continuation.url == f"{URL}?x=1"


def test_the_relation_of_the_link_may_have_another_name() -> None:
    server = Server(lambda query: {"rows": rows(1)})
    server.headers = {"Link": '<?a=1>; rel="next", <?a=2>; rel="prev NEXTPAGE"'}
    page = read(server, style="link", rel="nextPage")
    assert page.continuation and page.continuation.url == f"{URL}?a=2"


def test_the_link_may_stand_in_another_header() -> None:
    def respond(query: Query) -> object:
        server.headers = {} if "t" in query else {"X-Next": "?t=1"}
        return {"rows": rows(2)[int(query.get("t", "0")) :][:1]}

    server = Server(respond)
    assert walk_list(server, style="link", header="x-next") == (ids(2), ListEnd("no_next"))


def test_a_link_header_without_the_relation_is_the_end() -> None:
    server = Server(lambda query: {"rows": rows(1)})
    server.headers = {"Link": '<?a=1>; rel="first", <?a=2>; rel=prev'}
    assert walk_list(server, style="link") == (ids(1), ListEnd("no_next"))


@pytest.mark.parametrize(
    "header", ['https://docs.test/, <?x=1>; rel="next"', '<?x=1>; rel="next", "', "<?x=1>; rel='next'"]
)
def test_a_fault_beside_the_next_link_does_not_matter(header: str) -> None:
    server = Server(lambda query: {"rows": rows(1)})
    server.headers = {"Link": header}
    page = read(server, style="link")
    assert page.continuation and page.continuation.url == f"{URL}?x=1"


@pytest.mark.parametrize("header", ["https://office.test/rows?x=1; rel=next", "garbage", '<?a=1; rel="next"'])
def test_a_link_header_that_cannot_be_read_is_a_fault(header: str) -> None:
    """Taken for the end, it would lose all pages behind this one."""
    server = Server(lambda query: {"rows": rows(1)})
    server.headers = {"Link": header}
    with pytest.raises(BackOfficeError, match="Link header"):
        read(server, style="link")


@pytest.mark.parametrize(
    "link", ["https://elsewhere.test/rows", "http://office.test/rows", "//elsewhere.test/", "https://office.test:444/"]
)
def test_a_link_that_leaves_the_origin_is_an_error(link: str) -> None:
    with pytest.raises(BackOfficeError, match="origin"):
        walk(Server(lambda query: {"rows": rows(1), "more": link}), style="link", next="more")


def test_a_link_header_that_plainly_names_another_relation_is_the_end() -> None:
    server = Server(lambda query: {"rows": rows(1)})
    server.headers = {"Link": 'https://docs.test/; rel="help"'}
    assert walk_list(server, style="link") == (ids(1), ListEnd("no_next"))


@pytest.mark.parametrize("header", ['<?x=1>; rel="prev", https://docs.test/; rel=help', '<?x=1>; rel="last'])
def test_a_fault_in_the_link_header_of_the_last_page_does_not_matter(header: str) -> None:
    server = Server(lambda query: {"rows": rows(1)})
    server.headers = {"Link": header}
    assert walk_list(server, style="link") == (ids(1), ListEnd("no_next"))


def test_a_link_is_followed_with_a_get() -> None:
    server = Server(lambda query: {"rows": rows(1), "next": None if query else "?t=1"})
    source = source_of({"style": "link", "next": "next"}, request={"method": "POST", "body": '{"q": 1}'})
    walk_list(server, source=source)
    assert [(request.method, request.body) for request in server.requests] == [("POST", b'{"q":1}'), ("GET", None)]


def test_the_last_page_may_link_to_itself() -> None:
    def respond(query: Query) -> object:
        at = int(query.get("t", "0"))
        return {"rows": rows(3)[at : at + 1], "next": f"?t={min(at + 1, 2)}#top"}

    assert walk_list(Server(respond), style="link", next="next") == (ids(3), ListEnd("self_link"))


@pytest.mark.parametrize(
    "link",
    [
        f"{URL}?api_key={SECRET}&from=1",
        f"?from=1&api%5Fkey={SECRET}",
        f"?from=1&signed=a{SECRET}b",
        f"?from=1&x={SECRET.replace('-', '%2d')}",
        f"?from=1#{SECRET}",
        f"{URL}?from=1",
    ],
)
def test_a_link_that_repeats_the_secret_is_followed_without_it(link: str) -> None:
    assert next_url_of(link) == f"{URL}?from=1"


def test_the_secret_is_left_out_by_the_name_of_its_parameter_too() -> None:
    secret = {"arn": "arn:aws:ssm:eu-central-1:123456789012:parameter/key", "query": "key", "format": "{secret}"}
    source = source_of({"style": "link", "next": "next"}, secret=secret)
    server = Server(lambda query: {"rows": rows(1), "next": None if query else "?key=old&t=1"})
    walk_list(server, source=source)
    assert server.urls == [URL, f"{URL}?t=1"]


def test_a_link_that_holds_the_secret_outside_its_parameters_is_a_fault() -> None:
    with pytest.raises(BackOfficeError, match="holds the secret") as caught:
        next_url_of(f"/{SECRET}/rows")
    assert SECRET not in str(caught.value)


def test_the_checkpoint_never_holds_the_secret(world: World) -> None:
    link = f"{OFFICE}?from=1&api%5Fkey=k3y"
    world.office.answer = lambda url: json.dumps({"rows": [], "next": None if "from" in url else link}).encode()
    secret = {"arn": "arn:aws:ssm:eu-central-1:123456789012:parameter/key", "query": "api_key", "format": "{secret}"}
    source = {**CHANGES, "secret": secret, "max_pages": 1}
    assert world(source)["outcome"] == "unfinished"
    main_pass = world.checkpoint().main_pass
    assert main_pass and main_pass.next_page and main_pass.next_page.url == f"{OFFICE}?from=1"
    assert "k3y" not in str(world.checkpoint())
    assert world(source)["outcome"] == "completed"
