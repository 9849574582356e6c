"""Tests of problem documents."""

from http import HTTPStatus

from readplane.api.problem import ProblemError, bad_body, bad_parameter
from readplane.model.errors import Fault, InvalidError


def test_a_refused_body_lists_its_faults_and_repeats_the_first() -> None:
    error = InvalidError("/a", "Wrong.", "type", [Fault("/b", "max_length", "Too long.")])
    assert bad_body(error).document("r1") == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "Wrong.",
        "pointer": "/a",
        "code": "type",
        "errors": [
            {"pointer": "/a", "code": "type", "detail": "Wrong."},
            {"pointer": "/b", "code": "max_length", "detail": "Too long."},
        ],
        "request_id": "r1",
    }


def test_a_problem_that_is_not_of_the_body_lists_no_faults() -> None:
    assert "errors" not in bad_parameter("limit", "Too high.").document("r1")
    assert "errors" not in ProblemError(HTTPStatus.NOT_FOUND, "No.").document("r1")
