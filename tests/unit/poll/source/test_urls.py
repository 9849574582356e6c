"""Tests of the functions that find a URL's origin, set a query parameter and resolve a page's next link."""

import pytest

from readplane.poll.source.urls import next_url, origin, with_parameter, without_parameter


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("https://o.example/a/b?x=1", "/c?n=2", "https://o.example/c?n=2"),
        ("https://o.example/a/b?x=1", "?n=2", "https://o.example/a/b?n=2"),
        ("https://o.example/a/b", "https://O.EXAMPLE:443/c", "https://O.EXAMPLE:443/c"),
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
