"""Tests of the decision whether a response's cause is passing, and of the wait that a back office asks for."""

from typing import get_args

import pytest
from requests.structures import CaseInsensitiveDict

from readplane.poll.errors import BackOfficeError, BackOfficeErrorKind, ListMovedError
from readplane.poll.upstream.retry_after import is_retryable, retry_after_seconds

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("status", "headers", "retryable"),
    [
        (408, {}, True),
        (425, {}, True),
        (429, {}, True),
        (500, {}, True),
        (501, {}, True),
        (520, {}, True),
        (599, {}, True),
        (403, {}, False),
        (403, {"retry-after": "5"}, True),
        (403, {"x-ratelimit-remaining": "0"}, True),
        (403, {"X-RateLimit-Remaining": "1"}, False),
        (403, {"RateLimit-Remaining": "0"}, True),
        (403, {"X-Rate-Limit-Remaining": "0;w=60"}, True),
        (400, {"RateLimit-Remaining": "0, 100"}, True),
        (420, {"Retry-After": "1"}, True),
        (401, {"RateLimit-Remaining": "0"}, False),
        (404, {"Retry-After": "5"}, False),
        (410, {"RateLimit-Remaining": "0"}, False),
        (400, {}, False),
        (206, {"Retry-After": "5"}, False),
        (304, {"RateLimit-Remaining": "0"}, False),
    ],
)
def test_a_passing_cause_is_retried(status: int, headers: dict[str, str], retryable: bool) -> None:
    assert is_retryable(status, CaseInsensitiveDict(headers)) is retryable


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {}, None),
        (429, {"Retry-After": "7"}, 7.0),
        (503, {"Retry-After": " 2.0 "}, 2.0),
        (503, {"Retry-After": "0"}, 0.0),
        (503, {"Retry-After": "Tue, 14 Nov 2023 22:13:29 GMT"}, 9.0),
        (503, {"Retry-After": "Tue, 14 Nov 2023 22:13:29 -0000"}, 9.0),
        (503, {"Retry-After": "Wed, 15 Nov 2023 00:13:29 +0200"}, 9.0),
        (503, {"Retry-After": "Tue, 14 Nov 2023 20:00:00 GMT"}, 0.0),
        (503, {"Retry-After": "soon"}, None),
        (503, {"Retry-After": "-5"}, None),
        (503, {"Retry-After": "nan"}, None),
        (503, {"Retry-After": "inf"}, None),
        (503, {"Retry-After": "1_0"}, None),
        (503, {"Retry-After": "٣"}, None),
        (503, {"Retry-After": ""}, None),
        (429, {"Retry-After": "7", "X-RateLimit-Reset": "99"}, 7.0),
        (429, {"Retry-After": "soon", "X-RateLimit-Reset": "99"}, 99.0),
        (429, {"X-RateLimit-Reset": "1700000030"}, 30.0),
        (429, {"RateLimit-Reset": "1700000030000"}, 30.0),
        (429, {"X-Rate-Limit-Reset": "1699999990"}, 0.0),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1700000030"}, 30.0),
        (429, {"X-RateLimit-Remaining": "12", "X-RateLimit-Reset": "1700000030"}, None),
        (503, {"X-RateLimit-Reset": "1700000030"}, None),
    ],
)
def test_the_wait_comes_from_the_headers(status: int, headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(status, CaseInsensitiveDict(headers), NOW) == seconds


@pytest.mark.parametrize("kind", sorted(set(get_args(BackOfficeErrorKind)) - {"status"}))
def test_each_kind_of_error_says_what_to_do(kind: BackOfficeErrorKind) -> None:
    error = BackOfficeError(kind, "it failed")
    assert error.detail == f"it failed; {error.advice}" and str(error) == f"{kind}: {error.detail}"
    assert len(error.advice.split()) >= 4
    assert BackOfficeError(kind, "it failed", advice="mend it").detail == "it failed; mend it"


@pytest.mark.parametrize("status", range(100, 600))
def test_each_status_says_what_to_do(status: int) -> None:
    error = BackOfficeError("status", f"the status is {status}", status=status)
    assert error.detail.startswith(f"the status is {status}; ") and len(error.advice.split()) >= 3


def test_a_list_that_moved_says_what_to_do() -> None:
    assert str(ListMovedError()).startswith("the list changed while its pages were read; the pass starts again; if ")
    assert str(ListMovedError("set paging.size")).endswith("; the pass starts again; set paging.size")
