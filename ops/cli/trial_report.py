"""The report of a trial of a source, and its form for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from readplane.poll.upstream.paging.ending import EndReason

ListName = Literal["main", "sweep", "deletes"]
"""The lists that a source can have."""

END_TEXTS: Mapping[EndReason, str] = {
    "one_page": "the list has one page",
    "no_next": "the page names no next page",
    "more": "paging.more is false",
    "total": "as many records as paging.total says were read",
    "end_status": "the back office answered the request for a further page with a status that ends the list",
    "empty": "pages without records followed",
    "repeated": "the back office repeated a page",
    "loop": "a link leads back to an earlier page",
    "empty_run": "many pages without records followed",
    "self_link": "the page names itself as the next page",
}
"""Reason of a list's end -> the reason as a sentence."""


@dataclass
class Exchange:
    """A request of the trial and its response.

    method, url, body: the request, without secrets; the body is None if the request has none
    status: the HTTP status; None if no usable response came
    bytes: the size of the response's body after decompression
    seconds: how long the request took, retries included
    """

    method: str
    url: str
    body: str | None
    status: int | None = None
    bytes: int = 0
    seconds: float = 0.0


@dataclass
class TriedPage:
    """A page of the list.

    records, refused: how many records the page has, and how many of them `poll` would put in quarantine
    next_page: how the next page was found; None on the last page
    """

    records: int
    refused: int
    next_page: str | None


@dataclass
class Refusal:
    """A record that `poll` would put in quarantine.

    page, position: where the record stands, counted from 1
    """

    page: int
    position: int
    reason: str
    detail: str
    record: str


@dataclass
class TrialReport:
    """What a trial found.

    end: the sign that ended the list; None if the list goes on behind the pages that were read
    certain: whether that sign proves that the whole list was read
    items: the first items, each with id, version, deleted, owner and data
    next_pass: the first request of the next pass; None if it can't be known yet
    problems: what keeps `poll` from reading the source well; the command's exit code is 1 if there is any
    hints: what may be set better
    """

    source: str
    list_name: ListName
    exchanges: list[Exchange] = field(default_factory=list)
    pages: list[TriedPage] = field(default_factory=list)
    end: EndReason | None = None
    certain: bool | None = None
    items: list[dict[str, Any]] = field(default_factory=list)
    item_count: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    refused_count: int = 0
    newest: str | None = None
    next_pass: Exchange | None = None
    document: str | None = None
    problems: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)


def report_lines(report: TrialReport) -> Iterator[str]:
    """Yield the lines of a report for the terminal."""
    yield f"Requests of {report.source}, list {report.list_name}:"
    for exchange in report.exchanges:
        yield f"  {_request(exchange)}"
        answer = "no usable response" if exchange.status is None else f"status {exchange.status}"
        yield f"    {answer}, {exchange.bytes:,} bytes, {exchange.seconds:.2f} s"
    yield from _list_lines(report)
    yield from _record_lines(report)
    if report.newest:
        yield f"Newest record: {report.newest}"
    if report.next_pass:
        yield f"The next pass asks: {_request(report.next_pass)}"
    yield from (f"Problem: {problem}" for problem in report.problems)
    yield from (f"Hint: {hint}" for hint in report.hints)


def _list_lines(report: TrialReport) -> Iterator[str]:
    for number, page in enumerate(report.pages, 1):
        following = f"; the next page: {page.next_page}" if page.next_page else ""
        yield f"Page {number}: {page.records} records, {page.refused} refused{following}"
    if report.end:
        certainty = "certain" if report.certain else "doubtful"
        yield f"End of the list: {report.end}, {certainty}: {END_TEXTS[report.end]}."
    elif report.pages and report.pages[-1].next_page:
        yield "The list goes on. Read more of it with --pages."
    if report.document is not None:
        yield f"Document: {report.document}"


def _record_lines(report: TrialReport) -> Iterator[str]:
    if report.items:
        yield f"Items ({len(report.items)} of {report.item_count}):"
    for item in report.items:
        content = "deleted" if item["deleted"] else item["data"]
        yield "  " + "  ".join(text for text in (item["id"], item["version"], item["owner"], content) if text)
    if report.refusals:
        yield f"Refused ({len(report.refusals)} of {report.refused_count}):"
    for refusal in report.refusals:
        yield f"  page {refusal.page}, record {refusal.position}: {refusal.reason}: {refusal.detail}"
        yield f"    {refusal.record}"


def _request(exchange: Exchange) -> str:
    body = f" {exchange.body}" if exchange.body else ""
    return f"{exchange.method} {exchange.url}{body}"
