"""Tests of the functions that find a URL's origin, set a query parameter and resolve a page's next link."""

import pytest

from readplane.poll.source.urls import (
    clean_url,
    holds_secret,
    is_encodable,
    next_url,
    origin,
    with_parameter,
    without_parameter,
    without_secrets,
)


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("https://o.example/a/b?x=1", "/c?n=2", "https://o.example/c?n=2"),
        ("https://o.example/a/b?x=1", "?n=2", "https://o.example/a/b?n=2"),
        ("https://o.example/a/b", "https://O.EXAMPLE:443/c", "https://O.EXAMPLE:443/c"),
        ("https://o.example/a/b?x=1", "?n=2#part", "https://o.example/a/b?n=2"),
        ("https://o.example/a/b", "http://o.example/c", None),
        ("https://o.example/a/b", "https://o.example:8443/c", None),
        ("https://o.example/a/b", "//evil.example/c", None),
        ("https://o.example/a/b", "https://o.example@evil.example/c", None),
        ("https://o.example/a/b", "https://o.example.evil.example/c", None),
        ("https://o.example/a/b", "javascript:alert(1)", None),
        ("https://o.example/a/b", "https://[", None),
        ("https://o.example/a/b", "https://o.example:99999/", None),
    ],
)
def test_a_next_link_stays_on_the_origin(page: str, link: str, expected: str | None) -> None:
    assert next_url(page, link) == expected


def test_an_origin_is_scheme_host_and_port() -> None:
    assert origin("HTTP://O.example/x") == ("http", "o.example", 80) == origin("http://o.example:80")
    assert origin("https://[::1]:8443/") == ("https", "::1", 8443)
    assert [origin(url) for url in ("", "x", "file:///x", "http://", "http://:80/", "http://o:0x50/")] == [None] * 6


def test_setting_a_parameter_leaves_the_rest_of_the_url_as_it_is_written() -> None:
    url = "http://o.example/a?x=%2f&page=1&y=a+b&z&page=2"
    assert with_parameter(url, "page", "3") == "http://o.example/a?x=%2f&y=a+b&z&page=3"
    assert with_parameter("http://o.example/a", "p g", "a&b=c/é") == "http://o.example/a?p%20g=a%26b%3Dc%2F%C3%A9"
    assert with_parameter("http://o.example/a?p+g=1&p%20g=2", "p g", "3") == "http://o.example/a?p%20g=3"


def test_removing_a_parameter_leaves_the_rest_of_the_url_as_it_is_written() -> None:
    url = "http://o.example/a?x=%2f&api%5Fkey=1&y=a+b&&api_key=2"
    assert without_parameter(url, "api_key") == "http://o.example/a?x=%2f&y=a+b&"
    for other in ("http://o.example/a", "http://o.example/a?", "http://o.example/a?x=api_key"):
        assert without_parameter(other, "api_key") == other


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3cr3t k3y", True),
        ("a s3cr3t k3y b", True),
        ("s3cr3t%20k3y", True),
        ("s3cr3t+k3y", True),
        ("s3cr3t", False),
        ("", False),
        ("abc", False),
    ],
)
def test_a_secret_is_found_in_a_text_as_it_is_or_percent_encoded(text: str, expected: bool) -> None:
    """A secret of fewer than 8 characters isn't looked for, because many other texts hold it."""
    assert holds_secret(text, {"s3cr3t k3y", "abc", ""}) is expected


def test_a_clean_url_holds_no_secret() -> None:
    secrets = {"s3cr3t k3y"}
    assert clean_url("http://o.example/a?key=old&x=%2f&k=s3cr3t+k3y", ["key"], secrets) == "http://o.example/a?x=%2f"
    assert clean_url("http://o.example/s3cr3t%20k3y/a?key=1", ["key"], secrets) is None


def test_half_of_a_surrogate_pair_can_not_be_sent() -> None:
    assert is_encodable("a/é/😀") and not is_encodable("a\ud83d")


def test_parameters_with_a_secret_are_left_out_of_a_url() -> None:
    url = "http://o.example/a?x=%2f&k=s3cr3t%20k3y&y=a+b&z=(s3cr3t+k3y)&abc=1"
    assert without_secrets(url, {"s3cr3t k3y", "abc"}) == "http://o.example/a?x=%2f&y=a+b&abc=1"
    assert without_secrets(url, frozenset()) == url
