"""Tests of the paging style ``token``, in which each response holds a token for the next page."""

import pytest

from readplane.poll.errors import BackOfficeError
from readplane.poll.upstream.paging.ending import ListEnd
from tests.unit.poll.upstream.paging.walks import SECRET, Query, Server, ids, read, rows, walk, walk_list


def test_a_short_page_does_not_end_the_walk() -> None:
    sizes = iter([1, 2, 1, 3, 0])
    end = 0

    def short(query: Query) -> object:
        nonlocal end
        size = next(sizes)
        end += size
        return {"rows": rows(7)[end - size : end], "more": end if end < 7 else None}

    assert walk(Server(short), style="token", next="more", parameter="t") == ids(7)


def test_the_token_may_stand_in_a_header() -> None:
    """GitLab names the next page's number in ``X-Next-Page``, which is empty on the last page."""

    def respond(query: Query) -> object:
        at = int(query.get("page", "1"))
        server.headers = {"x-next-page": str(at + 1) if at < 3 else ""}
        return {"rows": rows(6)[2 * at - 2 : 2 * at]}

    server = Server(respond)
    walked = walk_list(server, style="token", header="X-Next-Page", parameter="page")
    assert walked == (ids(6), ListEnd("no_next"))


@pytest.mark.parametrize("token", [SECRET, f"a{SECRET}b", SECRET.replace("-", "%2D")])
def test_a_token_that_holds_the_secret_is_a_fault(token: str) -> None:
    with pytest.raises(BackOfficeError, match="holds the secret") as caught:
        read(Server(lambda query: {"rows": rows(1), "next": token}), style="token", next="next", parameter="t")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("token", ["x" * 8_193, "\ud800"])
def test_a_token_that_no_request_can_carry_is_a_fault(token: str) -> None:
    with pytest.raises(BackOfficeError, match=r"paging\.next"):
        read(Server(lambda query: {"rows": rows(1), "next": token}), style="token", next="next", parameter="t")
