"""Tests of finding the caller in the claims of an access token, and of who may write to a collection."""

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.api.caller import caller_from_claims, check_may_write, groups_from_claim
from readplane.api.problem import ProblemError
from tests.unit.support import ALICE, CLIENT_ID, COLLECTIONS

CLAIMS: dict[str, object] = {"sub": ALICE, "client_id": CLIENT_ID, "token_use": "access", "cognito:groups": "editors"}


@given(st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True), max_size=5))
def test_groups_are_parsed_in_every_form_in_which_they_arrive(groups: list[str]) -> None:
    for claim in (",".join(groups), f"[{' '.join(groups)}]", groups, f"[{', '.join(groups)}]"):
        assert groups_from_claim(claim) == frozenset(groups)


def test_a_claim_without_groups_is_an_empty_set() -> None:
    assert groups_from_claim(None) == groups_from_claim("") == groups_from_claim("[]") == groups_from_claim(7) == set()


@pytest.mark.parametrize(
    "wrong_claims",
    [
        {"token_use": "id"},
        {"token_use": None},
        {"client_id": "somebody-else"},
        {"client_id": None},
        {"sub": None},
        {"sub": "../other"},
        {"sub": "a/b"},
        {"sub": ""},
    ],
)
def test_only_an_access_token_of_our_clients_names_a_caller(wrong_claims: dict[str, object]) -> None:
    with pytest.raises(ProblemError) as caught:
        caller_from_claims(CLAIMS | wrong_claims, {CLIENT_ID})
    # A 401 would need the header WWW-Authenticate, and API Gateway renames this header of a function.
    assert caught.value.status == HTTPStatus.FORBIDDEN and caught.value.headers == {}


def test_only_members_of_the_write_groups_may_write_to_a_collection_without_owners() -> None:
    editor = caller_from_claims(CLAIMS, {CLIENT_ID})
    auditor = caller_from_claims(CLAIMS | {"cognito:groups": "auditors"}, {CLIENT_ID})
    check_may_write(editor, COLLECTIONS["products"])
    check_may_write(auditor, COLLECTIONS["profiles"])
    with pytest.raises(ProblemError) as caught:
        check_may_write(auditor, COLLECTIONS["products"])
    assert caught.value.status == HTTPStatus.FORBIDDEN
