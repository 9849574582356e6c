"""Tests of the rules for the end of a list: a row for each line of the tables in ``ending``."""

import pytest

from readplane.poll.errors import BackOfficeError
from readplane.poll.upstream.paging.ending import (
    ListEnd,
    PageSigns,
    end_by_count,
    end_by_next,
    is_doubtful_by_count,
    is_doubtful_by_next,
)

FAULT = "fault"


def by_next(signs: PageSigns) -> ListEnd | str | None:
    try:
        return end_by_next(signs)
    except BackOfficeError as error:
        assert error.kind == "not_data" and ";" in error.detail
        return FAULT


def by_count(signs: PageSigns) -> ListEnd | str | None:
    try:
        return end_by_count(signs)
    except BackOfficeError as error:
        assert error.kind == "not_data" and ";" in error.detail
        return FAULT


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        (PageSigns(0, after_doubt=True), FAULT),
        (PageSigns(0, after_doubt=True, more=False), FAULT),
        (PageSigns(0, after_doubt=True, next_page="new"), FAULT),
        (PageSigns(2, after_doubt=True), ListEnd("no_next")),
        (PageSigns(2, more=False, next_page="new"), ListEnd("more")),
        (PageSigns(0, more=False), ListEnd("more")),
        (PageSigns(2, more=True), FAULT),
        (PageSigns(2, more=None), ListEnd("no_next")),
        (PageSigns(0, more=None), ListEnd("no_next")),
        (PageSigns(0, next_page="self", more=True), FAULT),
        (PageSigns(0, next_page="self"), ListEnd("self_link")),
        (PageSigns(2, next_page="self"), None),
        (PageSigns(2, next_page="self", more=False), ListEnd("more")),
        (PageSigns(2, next_page="self", self_before=True), None),
        (PageSigns(2, next_page="self", self_before=True, same_ids=True), ListEnd("self_link")),
        (PageSigns(2, next_page="self", self_before=True, same_ids=True, same_body=True), ListEnd("self_link")),
        (PageSigns(2, next_page="self", self_before=True, same_ids=True, more=True), FAULT),
        (PageSigns(0, next_page="same_token", empty_pages=1), ListEnd("self_link")),
        (PageSigns(0, next_page="same_token", empty_pages=1, more=True), None),
        (PageSigns(2, next_page="same_token"), None),
        (PageSigns(0, next_page="earlier"), ListEnd("loop")),
        (PageSigns(2, next_page="earlier", asked_again=True, after_doubt=True), ListEnd("loop", certain=False)),
        (PageSigns(0, next_page="new", empty_pages=19), None),
        (PageSigns(0, next_page="new", empty_pages=20), ListEnd("empty_run", certain=False)),
        (PageSigns(0, next_page="new", empty_pages=2, max_empty_pages=3), None),
        (PageSigns(0, next_page="new", empty_pages=3, max_empty_pages=3), ListEnd("empty_run")),
        (PageSigns(0, next_page="new", empty_pages=3, max_empty_pages=3, more=True), ListEnd("empty_run", False)),
        (PageSigns(2, next_page="new"), None),
        (PageSigns(2, next_page="same_token", same_body=True, same_ids=True), None),
        (
            PageSigns(2, next_page="same_token", same_body=True, same_ids=True, same_ids_before=True),
            ListEnd("repeated", certain=False),
        ),
        (
            PageSigns(2, next_page="self", same_body=True, same_ids=True, asked_again=True, after_doubt=True),
            ListEnd("repeated", certain=False),
        ),
        (PageSigns(2, same_body=True, same_ids=True, asked_again=True), ListEnd("repeated", certain=False)),
        (PageSigns(2, next_page="self", same_ids=True, asked_again=True), ListEnd("repeated", certain=False)),
        (PageSigns(2, next_page="new", same_ids=True), None),
        (PageSigns(2, next_page="new", same_ids=True, same_ids_before=True), ListEnd("repeated", certain=False)),
        (PageSigns(2, next_page="new", in_cycle=True), ListEnd("repeated", certain=False)),
    ],
)
def test_a_list_with_links_or_tokens_ends(signs: PageSigns, expected: ListEnd | str | None) -> None:
    assert by_next(signs) == expected


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        (PageSigns(0, page_number=3, after_doubt=True, empty_pages=2), FAULT),
        (PageSigns(2, page_number=1, same_ids=True), FAULT),
        (PageSigns(2, page_number=1, same_ids=True, before_is_short=True), ListEnd("repeated")),
        (PageSigns(2, page_number=2, same_ids=True), ListEnd("repeated")),
        (PageSigns(2, page_number=200, is_stuck=True), ListEnd("repeated", certain=False)),
        (PageSigns(2, page_number=2, more=False), ListEnd("more")),
        (PageSigns(2, page_number=2, total_reached=True), ListEnd("total")),
        (PageSigns(2, page_number=2, more=True), None),
        (PageSigns(2, page_number=2), None),
        (PageSigns(0, page_number=2, empty_pages=1), None),
        (PageSigns(0, page_number=3, empty_pages=2), ListEnd("empty")),
        (PageSigns(0, page_number=9, empty_pages=19, more=True), None),
        (PageSigns(0, page_number=9, empty_pages=20, more=True), FAULT),
        (PageSigns(0, page_number=3, empty_pages=3, max_empty_pages=3, more=True), FAULT),
        (PageSigns(2, page_number=9, in_cycle=True), ListEnd("repeated")),
        (PageSigns(2, page_number=2, same_ids=True, has_ids=False), ListEnd("repeated", certain=False)),
        (PageSigns(0, page_number=3, empty_pages=2, below_total=True), None),
        (PageSigns(0, page_number=3, empty_pages=2, max_empty_pages=3), None),
        (PageSigns(0, page_number=3, empty_pages=1, max_empty_pages=1), ListEnd("empty")),
    ],
)
def test_a_list_with_numbers_or_offsets_ends(signs: PageSigns, expected: ListEnd | str | None) -> None:
    assert by_count(signs) == expected


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        (PageSigns(2, next_page="new", same_body=True, same_ids=True), True),
        (PageSigns(2, next_page="none", same_body=True, same_ids=True), True),
        (PageSigns(2, next_page="self", same_ids=True), True),
        (PageSigns(2, next_page="earlier"), True),
        (PageSigns(2, next_page="new", same_ids=True), False),
        (PageSigns(2, next_page="self"), False),
        (PageSigns(2, next_page="self", same_ids=True, self_before=True), False),
        (PageSigns(0, next_page="earlier"), False),
        (PageSigns(0, next_page="self", same_body=True), True),
        (PageSigns(0, next_page="same_token", same_body=True), True),
        (PageSigns(0, next_page="new", same_body=True), False),
        (PageSigns(0, next_page="self", same_body=True, asked_again=True), False),
        (PageSigns(2, next_page="same_token", same_body=True, same_ids=True), False),
        (PageSigns(2, next_page="self", same_body=True, same_ids=True, asked_again=True), False),
    ],
)
def test_a_page_that_names_the_next_one_is_asked_for_again(signs: PageSigns, expected: bool) -> None:
    assert is_doubtful_by_next(signs) is expected


def test_a_counted_page_is_asked_for_again_if_it_repeats_the_one_before() -> None:
    assert is_doubtful_by_count(PageSigns(2, same_ids=True))
    assert not is_doubtful_by_count(PageSigns(2, same_ids=True, asked_again=True))
    assert not is_doubtful_by_count(PageSigns(2))
