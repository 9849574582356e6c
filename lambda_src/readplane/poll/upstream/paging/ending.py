"""Decides from the signs of a page whether its list ends there.

The styles ``link`` and ``token`` follow what a page names as the next page (:func:`end_by_next`). The styles ``page``
and ``offset`` count (:func:`end_by_count`). Both decide by the first line that applies:

==============================================  ============================================  ==========================
the page shows                                  link, token                                   page, offset
==============================================  ============================================  ==========================
an end status, not on the pass's first page     end ``end_status``                            end ``end_status``
400, 404, 410, 416 or 422 after an empty page   fault                                         end ``end_status``
the same statuses after a short page            fault                                         end ``end_status``,
                                                                                              doubtful (style ``page``
                                                                                              and ``paging.size``)
no record, after a doubtful answer              fault                                         fault
the records of an earlier page                  see below                                     see below
``paging.total`` records were read              does not apply                                reads one more page; end
                                                                                              ``total``, unless it has
                                                                                              records
``paging.more`` is false                        end ``more``                                  end ``more``
no next link or token, and ``more`` is true     fault                                         does not apply
no next link or token                           end ``no_next``                               does not apply
a link to itself, without records               end ``self_link``; a fault if ``more`` is     does not apply
                                                true. Asks once more if the body is that of
                                                the page before
a link to itself, with records                  goes on: the page is read once more           does not apply
a link to itself, and the records of its first  end ``self_link``; a fault if ``more`` is     does not apply
answer again                                    true
a link to an earlier page, without records      end ``loop``                                  does not apply
a link to an earlier page, with records         asks once more, then end ``loop``, doubtful   does not apply
``max_empty_pages`` without records in a row    end ``empty_run``; certain only if            end ``empty``; a fault if
                                                ``max_empty_pages`` is set and                ``more`` is true
                                                ``paging.more`` isn't
anything else                                   goes on                                       goes on
==============================================  ============================================  ==========================

Two pages have the same records if the ids and versions are the same, in the same order. For the styles ``link`` and
``token``, and for records without versions, the translated data must be the same, too. A page that repeats the page
before may be the answer to an earlier request, for example from a cache:

==============================================  ========================================================================
the page shows                                  decision
==============================================  ========================================================================
the same records for the token that was sent    The back office moves on with each request, so asking again would lose a
before                                          page. Goes on; the second repeat in a row: end ``repeated``, doubtful.
the same body as the page before (link, token)  Asks once more; the same again: end ``repeated``, doubtful.
the same records and a link to itself (link)    Asks once more; the same again: end ``repeated``, doubtful.
the same records, but another next page (link,  Goes on; the second repeat in a row: end ``repeated``, doubtful.
token)
the records of a page long before, at two       End ``repeated``; doubtful for link, token.
times the same distance
the same ids on 100 pages in a row              End ``repeated``, doubtful.
the same records (page, offset), third page or  Asks once more; the same again: end ``repeated``.
later
the same records (page, offset), second page    Asks once more; the same again: end ``repeated`` if ``paging.size`` is
                                                set and the first page had fewer records; otherwise a fault.
==============================================  ========================================================================

An end is certain if nothing else is said. Pages without ids repeat each other by chance, so the end ``repeated`` is
doubtful if no record of the page has an id. After a back office that moves on with each request has repeated a page,
every end of the pass is doubtful.
"""

from typing import Literal, NamedTuple

from ...errors import BackOfficeError

EndReason = Literal[
    "one_page", "no_next", "more", "total", "end_status", "empty", "repeated", "loop", "empty_run", "self_link"
]

NextPage = Literal["none", "new", "self", "earlier", "same_token"]
"""What a page names as the next page.

``none``: nothing. ``new``: a page that the pass doesn't know. ``self``: the page itself. ``earlier``: an earlier page
of the pass. ``same_token``: the token that was just sent.
"""

MAX_EMPTY_PAGES_BY_NEXT = 20
"""The default of ``paging.max_empty_pages`` for the styles ``link`` and ``token``."""

MAX_EMPTY_PAGES_BY_COUNT = 2
"""The default of ``paging.max_empty_pages`` for the styles ``page`` and ``offset``.

If ``paging.more`` is true or ``paging.end_status`` is set, the default is :data:`MAX_EMPTY_PAGES_BY_NEXT`, because the
back office itself says where the list ends.
"""


class ListEnd(NamedTuple):
    """How a pass found the end of a list.

    reason: the sign that told the end; the tables of this module list the signs.
    certain: whether the sign proves that the whole list was read. After a doubtful end, a pass must not delete missing
        items, and the watermark must not move.
    """

    reason: EndReason
    certain: bool = True


class PageSigns(NamedTuple):
    """What a page shows about the end of its list.

    records: how many new records the page has.
    page_number: how many pages of the pass were read before this page.
    next_page: what the page names as the next page (styles ``link`` and ``token``).
    self_before: whether this page is the second answer of a page that links to itself.
    more: the value of ``paging.more``; ``None`` without that setting.
    total_reached: whether the pass has read as many records as ``paging.total`` says, and has found no further ones.
    below_total: whether ``paging.total`` says that records are left.
    same_body: whether the page has the body of the page before.
    same_ids: whether the page has records, and they are those of the page before, in the same order.
    same_ids_before: whether the page before repeated its predecessor, too.
    in_cycle: whether the records of an earlier page returned twice, after the same number of pages.
    is_stuck: whether very many pages in a row have had the same ids (styles ``page`` and ``offset``).
    asked_again: whether this is the second answer, because the first one was doubtful.
    after_doubt: whether an answer just before this one was doubtful.
    has_ids: whether any record of the page has an id.
    before_is_short: whether the page before had fewer records than ``paging.size``.
    empty_pages: how many pages in a row had no new records, this page included.
    max_empty_pages: the value of ``paging.max_empty_pages``; ``None`` without that setting.
    has_fixed_limit: whether a larger ``paging.max_empty_pages`` would change nothing (style ``offset`` without
        ``paging.size``).
    """

    records: int
    page_number: int = 0
    next_page: NextPage = "none"
    self_before: bool = False
    more: bool | None = None
    total_reached: bool = False
    below_total: bool = False
    same_body: bool = False
    same_ids: bool = False
    same_ids_before: bool = False
    in_cycle: bool = False
    is_stuck: bool = False
    asked_again: bool = False
    after_doubt: bool = False
    has_ids: bool = True
    before_is_short: bool = False
    empty_pages: int = 0
    max_empty_pages: int | None = None
    has_fixed_limit: bool = False


def is_doubtful_by_next(signs: PageSigns) -> bool:
    """Return whether to ask for the page once more (styles ``link`` and ``token``).

    The answer may be that to an earlier request, because the page repeats the page before or links to an earlier page.
    """
    if signs.asked_again or signs.self_before:
        return False
    if not signs.records:
        return signs.same_body and signs.next_page in ("self", "same_token")
    if signs.next_page == "same_token":
        return False
    return signs.same_body or signs.next_page == "earlier" or (signs.same_ids and signs.next_page == "self")


def is_doubtful_by_count(signs: PageSigns) -> bool:
    """Return whether to ask for the page once more (style ``page``, and style ``offset`` with ``paging.size``).

    The answer may be that to an earlier request, because the page repeats the page before.
    """
    return signs.same_ids and not signs.asked_again


def end_by_next(signs: PageSigns) -> ListEnd | None:
    """Return how the list ends with the page, or ``None`` if it goes on (styles ``link`` and ``token``).

    :raises BackOfficeError: if the page can be neither the end nor followed by another page.
    """
    _check_doubt(signs)
    if signs.next_page == "self" and (not signs.records or (signs.self_before and signs.same_ids)):
        _check_more(signs, "names itself as the next page")
        return ListEnd("self_link")
    if _is_repeat_by_next(signs):
        return ListEnd("repeated", certain=False)
    if signs.more is False:
        return ListEnd("more")
    end = _end_by_link(signs)
    if end is None and signs.empty_pages >= (signs.max_empty_pages or MAX_EMPTY_PAGES_BY_NEXT):
        return ListEnd("empty_run", certain=signs.max_empty_pages is not None and signs.more is None)
    return end


def end_by_count(signs: PageSigns) -> ListEnd | None:
    """Return how the list ends with the page, or ``None`` if it goes on (styles ``page`` and ``offset``).

    :raises BackOfficeError: if the page can be neither the end nor followed by another page.
    """
    _check_doubt(signs)
    if signs.is_stuck:
        return ListEnd("repeated", certain=False)
    if signs.same_ids or signs.in_cycle:
        if signs.page_number == 1 and not signs.before_is_short:
            raise BackOfficeError(
                "not_data",
                "its second page has the records of the first page, so it may ignore the page parameter",
                advice="check paging.parameter, or set paging.size, paging.more or paging.end_status",
            )
        return ListEnd("repeated", certain=signs.has_ids)
    if signs.total_reached:
        return ListEnd("total")
    if signs.more is False:
        return ListEnd("more")
    default = MAX_EMPTY_PAGES_BY_NEXT if signs.more else MAX_EMPTY_PAGES_BY_COUNT
    if signs.below_total or signs.empty_pages < (signs.max_empty_pages or default):
        return None
    if signs.more:
        raise_limit = "" if signs.has_fixed_limit else "raise paging.max_empty_pages, "
        raise BackOfficeError(
            "not_data",
            "it says that there is another page, but its pages have no records",
            advice=f"check paging.more and paging.total, {raise_limit}or set paging.size, if the back office filters "
            "rows after it has cut the pages",
        )
    return ListEnd("empty")


def _end_by_link(signs: PageSigns) -> ListEnd | None:
    if signs.next_page == "none":
        _check_more(signs, "names no next page")
        return ListEnd("no_next")
    if signs.next_page == "same_token" and not signs.records and signs.more is None:
        return ListEnd("self_link")
    return ListEnd("loop", certain=not signs.records) if signs.next_page == "earlier" else None


def _is_repeat_by_next(signs: PageSigns) -> bool:
    if signs.in_cycle or (signs.same_ids and signs.same_ids_before):
        return True
    if signs.next_page == "same_token":
        return False
    return signs.same_ids and (signs.same_body or signs.next_page == "self")


def _check_doubt(signs: PageSigns) -> None:
    if signs.after_doubt and not signs.records:
        raise BackOfficeError(
            "not_data",
            "it repeated a page, and then answered without records",
            advice="poll asks again; if this repeats, switch off caches between poll and the back office",
        )


def _check_more(signs: PageSigns, fault: str) -> None:
    if signs.more:
        raise BackOfficeError(
            "not_data", f"it says that there is another page, but {fault}", advice="check paging.more and paging.next"
        )
