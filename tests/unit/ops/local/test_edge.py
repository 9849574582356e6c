"""Test that the stand-in for CloudFront follows the rules of AWS's documentation, one test per rule.

docs/edge-standin.md lists the rules. The names of the tests' sections are those of the table there.
"""

import gzip
import re
import threading
import time
from typing import Any

import pytest

from ops.console import ROOT
from ops.local import edge_rules
from ops.local.edge import Policies
from ops.local.edge_messages import OriginConnectionError, OriginTimeoutError, Request, Response, headers_of
from tests.unit.ops.local.edge_support import (
    ALL,
    AUTH,
    POLICIES,
    Stand,
    answer,
    behaviour,
    bucket,
    cache_policy,
    changed,
    custom,
    functions,
    group,
    items,
    result,
)

# Behaviours


@pytest.mark.parametrize(
    ("path", "normalised"),
    [
        ("/a/b", "/a/b"),
        ("/a//b", "/a/b"),
        ("//a", "/a"),
        ("/a/./b", "/a/b"),
        ("/a/b/..", "/a/"),
        ("/a/../../b", "/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/%61/b", "/a/b"),
        ("/a%2fb", "/a%2Fb"),
        ("/a/.", "/a/"),
        ("/", "/"),
        ("/..", "/"),
    ],
)
def test_a_path_is_normalised_to_find_its_behaviour(path: str, normalised: str) -> None:
    assert edge_rules.normalise(path) == normalised


def test_the_origin_gets_the_raw_path() -> None:
    stand = Stand(docs=answer("x"))
    stand("/x/..//pair/%2e/a")
    assert stand.origins.received[0][0] == "docs", "the normalised path /pair/a chose the behaviour"
    assert stand.origins.received[0][1].target == "/x/..//pair/%2e/a"


@pytest.mark.parametrize(
    ("pattern", "path", "matching"),
    [
        ("/a/*", "/a/b/c", True),
        ("a/*", "/a/b", True),
        ("/a/*", "/A/b", False),
        ("/a?c", "/abc", True),
        ("/a?c", "/ac", False),
        ("*.jpg", "/x/y.jpg", True),
        ("/a.c", "/abc", False),
        ("/a", "/a/b", False),
    ],
)
def test_a_pattern_has_two_wildcards_and_counts_letter_case(pattern: str, path: str, matching: bool) -> None:
    assert edge_rules.matches(pattern, path) == matching


def test_the_first_matching_behaviour_serves_and_the_default_one_the_rest() -> None:
    behaviours = items(behaviour("/a/*", "docs"), behaviour("/a/b*", "docs2"))
    stand = Stand(changed(CacheBehaviors=behaviours), site=answer(), docs=answer(), docs2=answer())
    for path in ("/a/b", "/c"):
        stand(path)
    assert stand.origins.names == ["docs", "site"]


def test_a_behaviour_demands_https_or_redirects_to_it() -> None:
    redirecting = behaviour(None, "site", ViewerProtocolPolicy="redirect-to-https", AllowedMethods=items(*ALL))
    stand = Stand(changed(DefaultCacheBehavior=redirecting), site=answer())
    assert stand("/pair/x", https=False).status == 403
    for method, status in (("GET", 301), ("HEAD", 301), ("POST", 307)):
        response = stand("/x?y=1", method, https=False)
        assert (response.status, response.header("location")) == (status, "https://d1.cloudfront.net/x?y=1")
    assert stand.origins.count == 0


def test_a_method_that_the_behaviour_does_not_allow_is_403() -> None:
    stand = Stand(docs=answer(), api=answer())
    assert [stand("/pair/x", method).status for method in ("POST", "PUT", "PATCH", "DELETE")] == [403] * 4
    assert [stand("/pair/x", method).status for method in ("GET", "HEAD", "OPTIONS")] == [200] * 3
    assert stand("/v1/x", "DELETE").status == 200
    assert stand("/v1/x", "TRACE").status == 405


# Limits


def test_long_urls_long_headers_and_get_bodies_are_refused() -> None:
    stand = Stand(site=answer(), api=answer())
    assert stand("/" + "x" * 8_191).status == 200
    assert stand("/" + "x" * 8_192).status == 414
    assert stand("/x", x="y" * 20_380).status == 200
    assert stand("/x", x="y" * 20_480).status == 494
    assert stand("/v1/x", body=b"{}").status == 403
    assert stand("/v1/x", "POST", body=b"{}").status == 200


def test_too_many_headers_of_an_origin_are_502() -> None:
    assert Stand(site=answer(x="y" * 20_480))("/x").status == 502


# The cache key


def test_the_key_is_the_path_and_not_the_behaviour_or_the_query() -> None:
    """Two behaviours with the same path after a rewrite share their objects. That is the danger of rewriting."""

    def rewrite(entry: dict[str, Any]) -> Any:
        return entry["request"] | {"uri": "/open/x"}

    behaviours = items(behaviour("/secret/*", "docs", **functions(viewer_request=AUTH)), behaviour("/open/*", "docs2"))
    stand = Stand(
        changed(CacheBehaviors=behaviours),
        function=rewrite,
        docs=answer("secret", cache_control="max-age=60"),
        docs2=answer("open"),
    )
    assert stand("/secret/x").body == b"secret"
    leaked = stand("/open/x?y=1")
    assert (result(leaked), leaked.body) == ("Hit", b"secret")
    assert stand("/open/y").body == b"open"


def test_the_policy_adds_headers_cookies_and_query_parameters_to_the_key() -> None:
    policy = cache_policy(0, 60, 60, headers=("X-Kind",), cookies="all", query=("page",))
    stand = Stand(policies=POLICIES._replace(cache={"documents": policy, "off": policy}), site=lambda _: answer("x"))
    variants: list[tuple[str, dict[str, Any]]] = [
        ("/x", {}),
        ("/x", {"x_kind": "a"}),
        ("/x", {"x_kind": "b"}),
        ("/x", {"cookie": "a=1"}),
        ("/x?page=1", {}),
        ("/x?page=2", {}),
    ]
    for target, headers in variants:
        assert result(stand(target, **headers)) == "Miss", (target, headers)
    assert result(stand("/x?other=1", x_other="c")) == "Hit", "what the policy doesn't list isn't in the key"
    assert stand.origins.count == len(variants)


def test_accept_encoding_is_normalised_in_the_key_and_for_the_origin() -> None:
    stand = Stand(site=answer("x", cache_control="max-age=60"))
    assert [result(stand("/x", accept_encoding=value)) for value in ("gzip", "gzip, deflate", "GZIP;q=0.5")] == [
        "Miss",
        "Hit",
        "Hit",
    ]
    assert [result(stand("/x", accept_encoding=value)) for value in ("br, gzip", "gzip,br", "identity")] == [
        "Miss",
        "Hit",
        "Miss",
    ]
    sent = [request.header("accept-encoding") for _, request in stand.origins.received]
    assert sent == ["gzip", "br,gzip", None]
    stand("/y", accept_encoding="gzip;q=0")
    assert "accept-encoding" not in stand.origins.received[-1][1].headers, "the viewer refuses gzip"


# What the origin gets


def test_the_origin_gets_no_viewer_header_without_a_policy() -> None:
    stand = Stand(docs=answer(), site=answer())
    stand("/pair/x?y=1", authorization="Bearer t", cookie="a=1", x_other="1", user_agent="browser", origin="https://a")
    sent = stand.origins.received[0][1]
    assert sent.headers == {
        "host": ["docs.s3.eu-central-1.amazonaws.com"],
        "user-agent": ["Amazon CloudFront"],
    }
    assert sent.query == ""


def test_a_policy_forwards_all_but_the_host() -> None:
    stand = Stand(api=answer())
    stand("/v1/x?y=1&y=2", authorization="Bearer t", cookie="a=1; b=2", x_other="1", user_agent="browser")
    sent = stand.origins.received[0][1]
    assert sent.headers == {
        "host": ["api.example.com"],
        "authorization": ["Bearer t"],
        "cookie": ["a=1; b=2"],
        "user-agent": ["browser"],
        "x-other": ["1"],
    }
    assert sent.target == "/v1/x?y=1&y=2"


def test_authorization_is_removed_from_get_and_head_only() -> None:
    default = behaviour(None, "api", "off", AllowedMethods=items(*ALL))
    stand = Stand(changed(DefaultCacheBehavior=default), api=answer())
    for method in ALL:
        stand("/x", method, authorization="Bearer t")
    with_token = [request.method for _, request in stand.origins.received if "authorization" in request.headers]
    assert with_token == ["POST", "PUT", "PATCH", "DELETE"]


def test_a_custom_header_of_the_origin_replaces_the_viewers() -> None:
    header = {"HeaderName": "Referer", "HeaderValue": "secret"}
    origins = items(custom("api", CustomHeaders=items(header)), bucket("site"), bucket("docs"), bucket("docs2"))
    stand = Stand(changed(Origins=origins), api=answer())
    stand("/v1/x", referer="https://guess")
    assert stand.origins.received[0][1].headers["referer"] == ["secret"]


def test_set_cookie_is_removed_unless_cookies_are_forwarded() -> None:
    stand = Stand(docs=answer(set_cookie="a=1"), api=answer(set_cookie="a=1"))
    assert stand("/pair/x").header("set-cookie") is None
    assert stand("/v1/x").header("set-cookie") == "a=1"


def test_the_root_gets_the_default_root_object_and_no_other_folder_does() -> None:
    stand = Stand(site=answer())
    for path in ("/", "/?a=1", "/folder/"):
        stand(path)
    assert [request.path for _, request in stand.origins.received] == ["/index.html", "/index.html", "/folder/"]


# Freshness


def lifetimes(policy: tuple[int, int, int], **headers: Any) -> tuple[float, bool]:
    """Return for how long a response is fresh, and whether the cache keeps it."""
    found = edge_rules.lifetime(answer(**headers), cache_policy(*policy), 1_800_000_000.0)
    return found.seconds, found.stored


@pytest.mark.parametrize(
    ("policy", "headers", "expected"),
    [
        ((0, 5, 100), {"cache_control": "max-age=60"}, (60, True)),
        ((0, 5, 100), {"cache_control": "public, MAX-AGE=60"}, (60, True)),
        ((0, 5, 100), {"cache_control": "max-age=600"}, (100, True)),
        ((10, 5, 100), {"cache_control": "max-age=1"}, (10, True)),
        ((0, 5, 100), {"cache_control": "max-age=60, s-maxage=7"}, (7, True)),
        ((0, 5, 100), {}, (5, True)),
        ((10, 5, 100), {}, (10, True)),
        ((0, 5, 100), {"expires": "Fri, 15 Jan 2027 08:00:30 GMT"}, (30, True)),
        ((0, 5, 100), {"expires": "Fri, 15 Jan 2027 07:59:59 GMT"}, (0, True)),
        ((0, 5, 100), {"expires": "0"}, (0, True)),
        ((0, 5, 100), {"expires": "Fri, 15 Jan 2027 08:00:30 GMT", "cache_control": "max-age=60"}, (60, True)),
        ((0, 5, 100), {"cache_control": "private, max-age=60"}, (0, False)),
        ((0, 5, 100), {"cache_control": "no-store"}, (0, False)),
        ((0, 5, 100), {"cache_control": "no-cache"}, (0, True)),
        ((0, 5, 100), {"cache_control": "private, no-cache"}, (0, False)),
        ((10, 5, 100), {"cache_control": "private, no-store"}, (10, True)),
        ((0, 0, 0), {"cache_control": "max-age=60"}, (0, False)),
        ((0, 0, 0), {}, (0, False)),
    ],
)
def test_lifetimes_follow_the_table_of_the_guide(
    policy: tuple[int, int, int], headers: dict[str, str], expected: tuple[float, bool]
) -> None:
    assert lifetimes(policy, **headers) == expected


def test_an_object_is_fresh_to_the_second_and_then_revalidated() -> None:
    stand = Stand(site=answer("one", cache_control="max-age=60", etag='"1"'))
    assert [result(stand("/x")), result(stand("/x"))] == ["Miss", "Hit"]
    stand.clock.sleep(59)
    aged = stand("/x")
    assert (result(aged), aged.header("age")) == ("Hit", "59")
    stand.clock.sleep(1)

    def validate(request: Request) -> Response:
        assert request.header("if-none-match") == '"1"'
        return Response(304, {"etag": ['"1"']})

    stand.origins.replies["site"] = validate
    refreshed = stand("/x", if_none_match='"old"')
    assert (result(refreshed), refreshed.status, refreshed.body) == ("RefreshHit", 200, b"one")
    stand.clock.sleep(59)
    assert result(stand("/x")) == "Hit", "a 304 renews the object"


def test_a_changed_object_replaces_the_expired_one() -> None:
    stand = Stand(site=answer("one", cache_control="max-age=1", last_modified="Fri, 15 Jan 2027 08:00:00 GMT"))
    stand("/x")
    stand.clock.sleep(1)
    stand.origins.replies["site"] = answer("two", cache_control="max-age=1")
    assert stand("/x").body == b"two"
    assert stand.origins.received[1][1].header("if-modified-since") == "Fri, 15 Jan 2027 08:00:00 GMT"


def test_no_cache_is_revalidated_each_time_and_private_is_fetched_each_time() -> None:
    stand = Stand(site=answer("x", cache_control="no-cache", etag='"1"'), docs=answer("y", cache_control="private"))
    stand("/x")
    stand.origins.replies["site"] = Response(304)
    assert [result(stand("/x")), result(stand("/x"))] == ["RefreshHit"] * 2
    assert [result(stand("/pair/y")), result(stand("/pair/y"))] == ["Miss"] * 2


def test_an_object_that_becomes_private_leaves_the_cache() -> None:
    stand = Stand(site=answer("x", cache_control="max-age=1"))
    stand("/x")
    stand.clock.sleep(1)
    stand.origins.replies["site"] = answer("y", cache_control="private")
    assert stand("/x").body == b"y"
    stand.origins.replies["site"] = answer(status=503)
    assert stand("/x").status == 503, "the old object isn't there any more"


def test_the_viewer_gets_304_for_what_it_has() -> None:
    stand = Stand(
        site=answer("one", cache_control="max-age=60", etag='W/"1"', last_modified="Fri, 15 Jan 2027 08:00:00 GMT")
    )
    stand("/x")
    conditions: tuple[tuple[str, Any, int], ...] = (
        ("if_none_match", '"1"', 304),
        ("if_none_match", '"0", W/"1"', 304),
        ("if_none_match", '"2"', 200),
        ("if_modified_since", "Fri, 15 Jan 2027 08:00:00 GMT", 304),
        ("if_modified_since", "Fri, 15 Jan 2027 07:00:00 GMT", 200),
    )
    for header, value, status in conditions:
        response = stand("/x", **{header: value})
        assert (response.status, response.body) == (status, b"" if status == 304 else b"one"), value
    assert stand.origins.count == 1


def test_the_answer_to_one_viewers_condition_is_not_cached() -> None:
    def site(request: Request) -> Response:
        status = 304 if "if-none-match" in request.headers else 200
        return answer("x" if status == 200 else "", status, cache_control="max-age=60", etag='"1"')

    stand = Stand(site=site)
    assert stand("/x", if_none_match='"1"').status == 304, "the cache is empty, so the origin answers"
    assert (stand("/x").status, stand("/x").body) == (200, b"x")


def test_head_is_answered_from_get_and_not_the_reverse() -> None:
    stand = Stand(site=lambda request: answer("" if request.method == "HEAD" else "x", cache_control="max-age=60"))
    assert result(stand("/x", "HEAD")) == "Miss"
    assert (result(first := stand("/x")), first.body) == ("Miss", b"x")
    assert (result(head := stand("/x", "HEAD")), head.body) == ("Hit", b"")
    assert (first.header("content-length"), head.header("content-length")) == ("1", "1")


def test_options_is_cached_only_if_the_behaviour_says_so() -> None:
    cached = items("GET", "HEAD", "OPTIONS") | {"CachedMethods": items("GET", "HEAD", "OPTIONS")}
    stand = Stand(
        changed(DefaultCacheBehavior=behaviour(None, "site", AllowedMethods=cached)),
        site=answer(cache_control="max-age=60"),
        docs=answer(cache_control="max-age=60"),
    )
    assert [result(stand("/x", "OPTIONS")) for _ in range(2)] == ["Miss", "Hit"]
    assert [result(stand("/pair/x", "OPTIONS")) for _ in range(2)] == ["Miss", "Miss"]
    assert result(stand("/x")) == "Miss", "its response answers no GET"


def test_other_methods_are_never_cached() -> None:
    stand = Stand(
        changed(DefaultCacheBehavior=behaviour(None, "site", AllowedMethods=items(*ALL))),
        site=answer(cache_control="max-age=60"),
    )
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert [result(stand("/x", method)) for _ in range(2)] == ["Miss", "Miss"]


def test_a_range_is_served_from_the_whole_object() -> None:
    stand = Stand(site=answer("0123456789", cache_control="max-age=60"), api=answer("01", 206))
    for value, status, body, content in (
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
    ):
        response = stand("/x", range=value)
        assert (response.status, response.body, response.header("content-range")) == (status, body, content), value
    assert stand.origins.count == 1 and "range" not in stand.origins.received[0][1].headers
    stand("/v1/x", range="bytes=0-1")
    assert stand.origins.received[1][1].header("range") == "bytes=0-1", "nothing is kept, so the range is forwarded"


# Errors


def errors(status: int, *configured: dict[str, Any], **headers: str) -> float:
    """Return for how many seconds the cache keeps an error."""
    return edge_rules.error_seconds(answer(status=status, **headers), {"CustomErrorResponses": items(*configured)})


def test_errors_are_kept_ten_seconds_by_default() -> None:
    kept = {status: errors(status) for status in range(400, 600)}
    assert {status for status, seconds in kept.items() if seconds} == {404, 410, 414, 500, 501, 502, 503, 504}
    assert set(kept.values()) == {0, 10}


def test_no_store_counts_for_some_errors_only() -> None:
    for word in ("no-store", "no-cache", "private"):
        kept = {status for status in range(400, 600) if errors(status, cache_control=word)}
        assert kept == {500, 502, 503, 504}


def test_some_errors_are_kept_only_if_the_origin_says_for_how_long() -> None:
    kept = {status: errors(status, cache_control="max-age=60") for status in range(400, 500)}
    assert {status for status, seconds in kept.items() if seconds} == {400, 403, 404, 405, 410, 412, 414, 415}
    assert {seconds for seconds in kept.values() if seconds} == {60}


def test_the_error_caching_minimum_ttl_replaces_the_ten_seconds() -> None:
    entry = {"ErrorCode": 503, "ErrorCachingMinTTL": 0}
    assert (errors(503, entry), errors(500, entry)) == (0, 10)
    assert errors(503, {"ErrorCode": 503, "ErrorCachingMinTTL": 30}, cache_control="s-maxage=5") == 30
    assert errors(503, entry, cache_control="max-age=5") == 5


def test_one_users_503_is_everybodys_for_ten_seconds_even_without_caching() -> None:
    """The key of a behaviour without caching has neither the query nor the token."""
    stand = Stand(api=answer("for a", 503, cache_control="no-store"))
    assert stand("/v1/x?user=a", authorization="a").body == b"for a"
    stand.origins.replies["api"] = answer("for b")
    stand.clock.sleep(9)
    assert stand("/v1/x?user=b", authorization="b").body == b"for a"
    stand.clock.sleep(1)
    assert stand("/v1/x?user=b", authorization="b").body == b"for b"


def test_a_failing_origin_leaves_the_expired_object_in_service() -> None:
    stand = Stand(site=answer("old", cache_control="max-age=1"))
    stand("/x")
    stand.clock.sleep(1)
    for failure in (answer(status=503), OriginConnectionError(), OriginTimeoutError()):
        stand.origins.replies["site"] = failure
        before = stand.origins.count
        assert stand("/x").body == b"old"
        stand.clock.sleep(9)
        assert (stand("/x").body, stand.origins.count) == (b"old", before + 1), "no new attempt for ten seconds"
        stand.clock.sleep(1)
    stand.origins.replies["site"] = answer("new", cache_control="max-age=1")
    assert stand("/x").body == b"new"


def test_a_4xx_ends_the_expired_object() -> None:
    stand = Stand(site=answer("old", cache_control="max-age=1"))
    stand("/x")
    stand.clock.sleep(1)
    stand.origins.replies["site"] = answer(status=403)
    assert stand("/x").status == 403


def test_stale_if_error_and_no_cache_limit_the_expired_object() -> None:
    stand = Stand(
        site=answer("a", cache_control="max-age=1, stale-if-error=5"), docs=answer("b", cache_control="no-cache")
    )
    stand("/x")
    stand("/pair/x")
    stand.origins.replies = {"site": answer(status=500), "docs": answer(status=500), "docs2": answer(status=500)}
    assert stand("/pair/x").status == 500
    stand.clock.sleep(5)
    assert stand("/x").status == 200
    stand.clock.sleep(10)
    assert stand("/x").status == 500


def test_an_error_page_replaces_the_error_of_every_behaviour() -> None:
    pages = items({"ErrorCode": 404, "ResponsePagePath": "/index.html", "ResponseCode": "200", "ErrorCachingMinTTL": 0})

    def site(request: Request) -> Response:
        return answer("page") if request.path == "/index.html" else answer("none", 404)

    stand = Stand(changed(CustomErrorResponses=pages), site=site, api=answer('{"title":"Not found"}', 404))
    api = stand("/v1/x")
    assert (api.status, api.body) == (200, b"page"), "so an API must not share a distribution with an error page"
    stand.origins.replies["site"] = answer("none", 404)
    assert stand("/v1/x").status == 404, "if the page itself fails, the viewer gets the error"


def test_an_unreachable_origin_is_502_and_a_silent_one_504() -> None:
    stand = Stand(site=OriginConnectionError(), api=OriginTimeoutError())
    assert [stand("/x").status, stand("/v1/x").status] == [502, 504]
    assert "text/html" in (stand("/x").header("content-type") or "")


# Request collapsing


def together(stand: Stand, target: str, number: int, **replies: Response) -> list[Response]:
    """Send the same request from several threads, while the origin holds the first one back."""
    release, responses = threading.Event(), list[Response]()

    def hold(reply: Response) -> Any:
        def wait(_: Request) -> Response:
            release.wait(5)
            return reply

        return wait

    stand.origins.replies = {name: hold(reply) for name, reply in replies.items()}
    threads = [threading.Thread(target=lambda: responses.append(stand(target))) for _ in range(number)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 5
    while stand.edge.waiting + stand.origins.count < number and time.monotonic() < deadline:
        time.sleep(0.001)
    release.set()
    for thread in threads:
        thread.join(5)
    return responses


@pytest.mark.parametrize("header", ["max-age=60", "max-age=1", ""])
def test_requests_for_the_same_object_share_one_fetch(header: str) -> None:
    stand = Stand()
    responses = together(stand, "/x", 4, site=answer("x", cache_control=header))
    assert [response.body for response in responses] == [b"x"] * 4
    assert stand.origins.count == 1


@pytest.mark.parametrize("header", ["private", "no-store", "no-cache", "max-age=0", "s-maxage=0, max-age=60"])
def test_a_response_that_must_not_be_shared_ends_collapsing(header: str) -> None:
    stand = Stand()
    together(stand, "/x", 4, site=answer("x", cache_control=header))
    assert stand.origins.count == 4


def test_a_minimum_ttl_collapses_even_private_responses() -> None:
    least = cache_policy(1, 1, 60)
    stand = Stand(policies=POLICIES._replace(cache={"documents": least, "off": least}))
    together(stand, "/x", 4, site=answer("x", cache_control="private"))
    assert stand.origins.count == 1


def test_nothing_collapses_without_caching() -> None:
    stand = Stand()
    together(stand, "/v1/x", 4, api=answer("x"))
    assert stand.origins.count == 4


# Compression

LONG = "x" * 1_000


def test_compression_makes_the_etag_weak() -> None:
    stand = Stand(
        site=answer(LONG, content_type="application/json; charset=utf-8", etag='"1"', cache_control="max-age=1")
    )
    plain = stand("/x")
    assert (plain.header("etag"), plain.header("content-encoding")) == ('"1"', None)
    packed = stand("/x", accept_encoding="gzip")
    assert (packed.header("etag"), packed.header("content-encoding")) == ('W/"1"', "gzip")
    assert gzip.decompress(packed.body) == LONG.encode()
    assert packed.header("content-length") == str(len(packed.body))
    stand.clock.sleep(1)
    stand("/x", accept_encoding="gzip")
    assert stand.origins.received[-1][1].header("if-none-match") == '"1"', "the origin is asked for its own ETag"


@pytest.mark.parametrize(
    ("reply", "etag"),
    [
        (answer(LONG, content_type="text/css", etag='W/"1"'), 'W/"1"'),
        (answer(LONG, content_type="text/css", etag="1"), None),
    ],
)
def test_a_weak_etag_stays_and_an_invalid_one_goes(reply: Response, etag: str | None) -> None:
    assert Stand(site=reply)("/x", accept_encoding="gzip").header("etag") == etag


@pytest.mark.parametrize(
    "reply",
    [
        answer(LONG[1:], content_type="application/json"),
        answer(LONG, content_type="application/problem+json"),
        answer(LONG, content_type="image/png"),
        answer(LONG, content_type="text/css", content_encoding="br"),
    ],
)
def test_what_is_small_or_of_another_type_or_compressed_stays_as_it_is(reply: Response) -> None:
    response = Stand(site=reply)("/x", accept_encoding="gzip")
    assert response.header("content-encoding") == reply.header("content-encoding")


def test_compression_needs_the_behaviour_and_the_cache_policy() -> None:
    reply = answer(LONG, content_type="application/json")
    stand = Stand(changed(DefaultCacheBehavior=behaviour(None, "site", Compress=False)), site=reply, api=reply)
    assert stand("/x", accept_encoding="gzip").header("content-encoding") is None
    assert stand("/v1/x", accept_encoding="gzip").header("content-encoding") is None


# Origin groups


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_group_asks_its_second_origin_after_a_listed_status(status: int) -> None:
    stand = Stand(docs=answer(status=status), docs2=answer("second"))
    assert [stand("/pair/x").body for _ in range(2)] == [b"second"] * 2
    assert stand.origins.names == ["docs", "docs2"] * 2, "each request begins at the first origin"


@pytest.mark.parametrize("status", [403, 404, 200])
def test_a_group_keeps_to_its_first_origin_after_another_status(status: int) -> None:
    stand = Stand(docs=answer(status=status), docs2=answer("second"))
    assert stand("/pair/x").status == status


def test_a_group_fails_over_if_its_first_origin_does_not_respond() -> None:
    for failure, code in ((OriginConnectionError(), 503), (OriginTimeoutError(), 504)):
        for listed in (code, 500):
            pair = items(group("pair", "docs", "docs2", listed))
            stand = Stand(changed(OriginGroups=pair), docs=failure, docs2=answer("second"))
            assert (stand("/pair/x").body == b"second") == (listed == code), (failure, listed)


def test_a_group_fails_over_for_reading_methods_only() -> None:
    pair = behaviour("/pair/*", "pair", AllowedMethods=items(*ALL))
    stand = Stand(changed(CacheBehaviors=items(pair)), docs=answer(status=503), docs2=answer())
    statuses = {method: stand("/pair/x", method).status for method in ALL}
    assert statuses == {method: 200 if method in ("GET", "HEAD", "OPTIONS") else 503 for method in ALL}


def test_the_second_origins_failure_is_the_viewers() -> None:
    stand = Stand(docs=answer(status=503), docs2=answer("second", 404))
    assert stand("/pair/x").status == 404


def test_an_origin_is_tried_as_often_as_it_says() -> None:
    for failure, method, attempts in (
        (OriginConnectionError(), "GET", 3),
        (OriginConnectionError(), "POST", 3),
        (OriginTimeoutError(), "GET", 3),
        (OriginTimeoutError(), "POST", 1),
    ):
        origins = items(bucket("site"), bucket("docs"), bucket("docs2"), custom("api", ConnectionAttempts=3))
        stand = Stand(changed(Origins=origins), api=failure)
        stand("/v1/x", method)
        assert stand.origins.count == attempts, (failure, method)


# The response headers policy


def with_policy(**policy: Any) -> Any:
    """Return a stand-in with a response headers policy at the default behaviour."""
    distribution = changed(DefaultCacheBehavior=behaviour(None, "site", ResponseHeadersPolicyId="r"))
    policies = Policies(POLICIES.cache, POLICIES.origin_request, {"r": policy})
    reply = answer("x", cache_control="max-age=60", x_amz_version_id="v", server="AmazonS3", x_a="origin")
    return Stand(distribution, policies, site=reply)


def test_the_policy_removes_and_overrides_headers_for_viewers_but_not_for_the_cache() -> None:
    custom_headers = items(
        {"Header": "Cache-Control", "Value": "private, no-cache", "Override": True},
        {"Header": "X-A", "Value": "policy", "Override": False},
        {"Header": "X-B", "Value": "policy", "Override": False},
    )
    removed = items({"Header": "X-Amz-Version-Id"}, {"Header": "Server"})
    stand = with_policy(CustomHeadersConfig=custom_headers, RemoveHeadersConfig=removed)
    for expected in ("Miss", "Hit"):
        response = stand("/x")
        assert result(response) == expected
        assert response.header("cache-control") == "private, no-cache"
        assert (response.header("x-a"), response.header("x-b")) == ("origin", "policy")
        assert not {"x-amz-version-id", "server"} & set(response.headers)


def test_the_policy_adds_security_headers() -> None:
    stand = with_policy(
        SecurityHeadersConfig={
            "ContentTypeOptions": {"Override": True},
            "FrameOptions": {"Override": True, "FrameOption": "DENY"},
            "ReferrerPolicy": {"Override": True, "ReferrerPolicy": "no-referrer"},
            "ContentSecurityPolicy": {"Override": True, "ContentSecurityPolicy": "default-src 'none'"},
            "StrictTransportSecurity": {
                "Override": True,
                "AccessControlMaxAgeSec": 60,
                "IncludeSubdomains": True,
                "Preload": True,
            },
            "XSSProtection": {"Override": True, "Protection": True, "ModeBlock": True},
        }
    )
    headers = stand("/x").headers
    assert headers["x-content-type-options"] == ["nosniff"] and headers["x-frame-options"] == ["DENY"]
    assert headers["referrer-policy"] == ["no-referrer"]
    assert headers["content-security-policy"] == ["default-src 'none'"]
    assert headers["strict-transport-security"] == ["max-age=60; includeSubDomains; preload"]
    assert headers["x-xss-protection"] == ["1; mode=block"]


CORS = {
    "AccessControlAllowOrigins": items("https://app.example.com"),
    "AccessControlAllowHeaders": items("Authorization"),
    "AccessControlAllowMethods": items("GET", "HEAD", "OPTIONS"),
    "AccessControlAllowCredentials": False,
    "AccessControlExposeHeaders": items("ETag"),
    "AccessControlMaxAgeSec": 600,
    "OriginOverride": True,
}


def test_the_policy_answers_cors_requests_of_allowed_origins() -> None:
    stand = with_policy(CorsConfig=CORS)
    allowed = stand("/x", origin="https://app.example.com").headers
    assert allowed["access-control-allow-origin"] == ["https://app.example.com"]
    assert allowed["access-control-expose-headers"] == ["ETag"]
    assert "access-control-allow-methods" not in allowed
    for headers in ({}, {"origin": "https://other.example.com"}):
        assert "access-control-allow-origin" not in stand("/x", **headers).headers, "and the cache has no such header"
    preflight = {"origin": "https://app.example.com", "access_control_request_method": "GET"}
    answered = stand("/x", "OPTIONS", **preflight).headers
    assert answered["access-control-allow-methods"] == ["GET, HEAD, OPTIONS"]
    assert answered["access-control-allow-headers"] == ["Authorization"]
    assert answered["access-control-max-age"] == ["600"]


def test_a_star_allows_every_origin() -> None:
    stand = with_policy(CorsConfig=CORS | {"AccessControlAllowOrigins": items("*")})
    assert stand("/x", origin="https://a").header("access-control-allow-origin") == "*"


# Configuration


def test_a_new_configuration_keeps_the_cache() -> None:
    stand = Stand(site=answer("x", cache_control="max-age=60"), docs=answer("y"))
    stand("/x")
    stand.edge.deploy(changed(DefaultCacheBehavior=behaviour(None, "docs")), POLICIES)
    assert [result(stand("/x")), stand("/y").body] == ["Hit", b"y"]
    stand.edge.clear()
    assert stand("/x").body == b"y"


def test_every_response_says_that_it_came_through_cloudfront() -> None:
    stand = Stand(site=answer("x"))
    assert stand("/x").header("via") == "1.1 d1.cloudfront.net (CloudFront)"
    stand("/x")
    assert (dict(stand.edge.results), dict(stand.edge.fetches)) == ({"Miss": 2}, {"site": 2})


def test_a_header_may_have_several_values() -> None:
    request = Request("GET", "/", headers_of([("Authorization", "a"), ("authorization", "b")]))
    assert request.header("authorization") == "a, b"


# The documentation of the rules

DOCUMENT = (ROOT / "docs/edge-standin.md").read_text("utf-8")


def test_the_table_names_every_page_that_the_code_names_and_no_other() -> None:
    sources = {
        name
        for row in re.findall(r"^\| [^|]+ \| [^|]+ \| ([^|]+) \| (?:no|yes[^|]*) \|$", DOCUMENT, re.M)
        for name in row.split(", ")
    }
    code = "".join(path.read_text("utf-8") for path in (ROOT / "ops/local").glob("edge*.py"))
    assert set(re.findall(r"([A-Za-z0-9_-]+)\.html", code)) == sources


def test_the_table_has_every_rule_that_a_probe_names() -> None:
    rules = set(re.findall(r"^\| ([^|]+) \| ", DOCUMENT, re.M))
    probes = (ROOT / "ops/cli/edge_probes.py").read_text("utf-8")
    named = set(re.findall(r'Outcome\(\s*f?"[^"]+", "([^"]+)"|Outcome\(name, "([^"]+)"', probes))
    assert {first or second for first, second in named} <= rules and len(named) > 10
