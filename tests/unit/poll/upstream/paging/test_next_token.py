"""Tests of the paging style ``token``, in which each response holds a token for the next page."""

from tests.unit.poll.upstream.paging.walks import Query, Server, ids, rows, walk


def test_a_short_page_does_not_end_the_walk() -> None:
    sizes = iter([1, 2, 1, 3, 0])
    end = 0

    def short(query: Query) -> object:
        nonlocal end
        size = next(sizes)
        end += size
        return {"rows": rows(7)[end - size : end], "more": end if end < 7 else None}

    assert walk(Server(short), style="token", next="more", parameter="t") == ids(7)
