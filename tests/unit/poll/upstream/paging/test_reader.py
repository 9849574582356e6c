"""Tests that the page reader reads a whole list in every paging style.

They also test that only the reader's first request is marked as a probe. A probe is the one request that a half-open
circuit breaker allows.
"""

from typing import Any

import pytest

from tests.unit.poll.upstream.paging.walks import URL, Query, Server, by_number, by_offset, ids, reader, rows, walk


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7])
def test_every_style_reads_every_record_once_and_ends(count: int) -> None:
    listed = rows(count)

    def token(query: Query) -> object:
        start = int(query.get("t", "0"))
        return {"rows": listed[start : start + 2], "more": start + 2 if start + 2 < count else None}

    def link(query: Query) -> object:
        page: Any = token(query)
        return {**page, "more": f"?t={page['more']}" if page["more"] else ""}

    assert walk(Server(lambda query: {"rows": listed}), style="none") == ids(count)
    assert walk(Server(token), style="token", next="more", parameter="t") == ids(count)
    assert walk(Server(link), style="link", next="more") == ids(count)
    assert walk(Server(by_number(listed, 2)), style="page", parameter="p") == ids(count)
    assert walk(Server(by_offset(listed, 3)), style="offset", parameter="o") == ids(count)


def test_only_the_first_request_probes() -> None:
    server = Server(by_number(rows(3), 2))
    page_reader = reader(server, probe=True, style="page", parameter="p")
    continuation = page_reader.read_page(URL, None).continuation
    page_reader.read_page(URL, continuation)
    assert server.probes == [True, False, False]
