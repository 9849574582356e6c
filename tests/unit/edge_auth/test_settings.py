"""Test how `edge_auth` reads its settings from SSM, checks them, and goes on without SSM."""

import json
from typing import Any

import boto3
import pytest

from readplane.aws.faults import RefusedError
from readplane.config import SettingsError
from readplane.edge_auth.settings import (
    INIT_ATTEMPTS,
    NoSettingsError,
    SettingsSource,
    make_parameter_reader,
    parameter_name,
    parse_edge_settings,
    random_share,
)
from readplane.telemetry import Telemetry
from tests.fakes.moto_aws import Aws
from tests.fakes.token_attacks import Forge, bearer
from tests.unit.edge_auth.support import NOW, SETTINGS, UNREACHABLE, Clock, Place, Sandbox
from tests.unit.edge_auth.support import sandbox as make_sandbox

THROTTLED = RefusedError("ThrottlingException", 400)


def source(place: Place, clock: Clock, random: float = 0.5) -> SettingsSource:
    return SettingsSource(place, Telemetry("edge_auth", "demo"), clock, lambda: random)


def test_good_settings_load() -> None:
    settings = parse_edge_settings(json.dumps(SETTINGS))
    assert settings.pools[0].issuer == SETTINGS["pools"][0]["issuer"]
    assert settings.owner == {"profiles"} and settings.shared == {"orders"} and settings.sources == {"erp"}
    empty: dict[str, Any] = {"owner": [], "shared": [], "sources": [], "origins": [], "later": "ignored"}
    assert parse_edge_settings(json.dumps(SETTINGS | empty)).owner == frozenset()
    assert parse_edge_settings(json.dumps(SETTINGS | {"hsts": "max-age=31536000; includeSubDomains; preload"})).hsts
    assert parse_edge_settings(json.dumps(SETTINGS | {"headers": ["x_trace.id"]})).headers == ("x_trace.id",)
    without = {name: value for name, value in SETTINGS.items() if name not in ("headers", "hsts")}
    assert parse_edge_settings(json.dumps(without)).hsts == ""


POOL = SETTINGS["pools"][0]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"v": 2}, "v must be 1"),
        ({"v": True}, "v must be a whole number"),
        ({"pools": []}, "pools must not be empty"),
        ({"pools": {}}, "pools must be a list"),
        ({"pools": [POOL, POOL]}, "pools must name each issuer once"),
        ({"pools": [POOL | {"issuer": f"{POOL['issuer']}/"}]}, r"pools\.0\.issuer must be an https URL"),
        ({"pools": [POOL | {"issuer": "http://x"}]}, r"pools\.0\.issuer must be an https URL"),
        ({"pools": [POOL | {"issuer": ""}]}, r"pools\.0\.issuer must be a text that isn't empty"),
        ({"pools": [POOL | {"jwks_uri": "http://example.com/x"}]}, r"pools\.0\.jwks_uri must be an https URL"),
        ({"pools": [POOL | {"client_ids": []}]}, r"pools\.0\.client_ids must name at least one"),
        ({"pools": [POOL | {"client_ids": [""]}]}, r"pools\.0\.client_ids must name at least one"),
        ({"pools": [POOL | {"client_ids": "web"}]}, r"pools\.0\.client_ids must be a list of texts"),
        ({"scopes": []}, "scopes must not be empty"),
        ({"scopes": ["demo/read demo/write"]}, "scopes must match"),
        ({"scopes": ["a\r\nb"]}, "scopes must match"),
        ({"scopes": [""]}, "scopes must match"),
        ({"owner": ["Profiles"]}, "owner must match"),
        ({"shared": ["a/b"]}, "shared must match"),
        ({"sources": [".."]}, "sources must match"),
        ({"shared": ["profiles"]}, "owner and shared must not name the same collection"),
        ({"owner": ["sources"]}, "must not name a collection `sources`"),
        ({"origins": ["https://a.example/"]}, "origins must match"),
        ({"origins": ["https://a.example\r\nx: y"]}, "origins must match"),
        ({"origins": None}, "origins must be a list of texts"),
        ({"headers": ["X-A, X-B"]}, "headers must match"),
        ({"hsts": "max-age=1\r\nx: y"}, "hsts must match"),
        ({"hsts": "for ever"}, "hsts must match"),
    ],
    ids=str,
)
def test_wrong_settings_are_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        parse_edge_settings(json.dumps(SETTINGS | change))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "1"])
def test_another_text_is_no_settings(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_edge_settings(text)


def test_an_error_lists_every_problem() -> None:
    with pytest.raises(SettingsError, match=r"v must .*; scopes must .*; owner must "):
        parse_edge_settings(json.dumps(SETTINGS | {"v": 3, "scopes": [" "], "owner": ["/"]}))
    with pytest.raises(SettingsError, match=r"v must be .*; pools must be .*; origins must be "):
        parse_edge_settings("{}")


def test_settings_are_read_every_five_minutes_at_the_latest() -> None:
    for random, seconds in ((0.0, 240), (1.0, 300)):
        clock, place = Clock(), Place(json.dumps(SETTINGS))
        settings = source(place, clock, random)
        settings.load()
        for clock.now in (NOW + 1, NOW + seconds - 1):
            assert settings.current()
        assert len(place.reads) == 1
        clock.now = NOW + seconds
        assert settings.current() and len(place.reads) == 2


@pytest.mark.parametrize("failure", [UNREACHABLE, THROTTLED, "{}", "no JSON"])
def test_the_last_good_settings_go_on(failure: Any, forge: Forge) -> None:
    sandbox = make_sandbox(forge)
    token = forge.token(exp=NOW + 99_999)
    assert sandbox.status(bearer(token)) == 200
    sandbox.parameter.content = failure
    sandbox.clock.now = NOW + 3_000
    for _ in range(10):
        assert sandbox.status(bearer(token)) == 200
    assert len(sandbox.parameter.reads) == 2
    sandbox.clock.now += 30
    sandbox.parameter.content = json.dumps(SETTINGS | {"shared": []})
    assert sandbox.status(bearer(token)) == 404, "the new settings count at once"
    assert len(sandbox.parameter.reads) == 3


@pytest.mark.parametrize("failure", [UNREACHABLE, THROTTLED, "{}", "no JSON"])
def test_without_settings_every_private_document_gets_a_503(failure: Any, forge: Forge) -> None:
    sandbox = Sandbox(forge.key_set(), failure)
    for method in ("GET", "HEAD", "OPTIONS"):
        assert sandbox.status(bearer(forge.valid, method=method)) == 503
    reads = len(sandbox.parameter.reads)
    assert reads == 1, "within a second, requests don't hammer SSM"
    sandbox.parameter.content = json.dumps(SETTINGS)
    sandbox.clock.now += 1
    assert sandbox.status(bearer(forge.valid)) == 200


@pytest.mark.parametrize("random", [0.0, 1.0])
def test_the_pause_after_a_failure_varies(random: float) -> None:
    clock, place = Clock(), Place(UNREACHABLE)
    settings = source(place, clock, random)
    with pytest.raises(NoSettingsError):
        settings.current()
    for seconds in (0.49 + random, 0.51 + random):
        clock.now = NOW + seconds
        with pytest.raises(NoSettingsError):
            settings.current()
    assert len(place.reads) == 2


def test_init_retries_with_growing_pauses_and_stops_after_a_success() -> None:
    pauses: list[float] = []
    place = Place(THROTTLED)
    source(place, Clock()).load(pauses.append)
    assert len(place.reads) == INIT_ATTEMPTS and pauses == [0.4, 0.8]

    def improve(_: float) -> None:
        place.content = json.dumps(SETTINGS)

    place.reads.clear()
    place.content = THROTTLED
    settings = source(place, Clock())
    settings.load(improve)
    assert settings.current() and len(place.reads) == 2


def test_init_does_not_retry_wrong_settings_and_not_beyond_its_time() -> None:
    place, clock = Place("{}"), Clock()
    source(place, clock).load()
    assert len(place.reads) == 1

    def slow() -> Any:
        clock.now += 2
        return UNREACHABLE

    place = Place(slow)
    source(place, clock).load(lambda _: None)
    assert len(place.reads) == 2, "two attempts of 2 seconds each; a third would leave too little of init's 10 seconds"


def test_new_settings_keep_the_key_sets_of_pools_that_stay(forge: Forge) -> None:
    sandbox = make_sandbox(forge)
    assert sandbox.status(bearer(forge.valid)) == 200
    sandbox.parameter.content = json.dumps(SETTINGS | {"shared": ["orders", "invoices"]})
    sandbox.clock.now += 300
    assert sandbox.status(bearer(forge.valid, "/documents/invoices/i-1")) == 200
    assert len(sandbox.key_set.reads) == 1
    pool = POOL | {"issuer": f"{POOL['issuer']}2", "jwks_uri": "https://other.example.com/jwks"}
    sandbox.parameter.content = json.dumps(SETTINGS | {"pools": [pool]})
    sandbox.clock.now += 300
    assert sandbox.status(bearer(forge.valid)) == 401, "the pool is accepted no more"


def test_the_parameter_has_the_name_of_the_function_in_every_region() -> None:
    assert parameter_name("demo-edge-auth-0a1b2c3d") == "/readplane/edge-auth/demo-edge-auth-0a1b2c3d"
    assert parameter_name("us-east-1.demo-edge-auth-0a1b2c3d") == parameter_name("demo-edge-auth-0a1b2c3d")


def test_the_parameter_is_read_in_us_east_1_wherever_the_function_runs(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    make: Any = boto3.client
    name = parameter_name("demo-edge-auth")
    make("ssm", region_name="us-east-1").put_parameter(Name=name, Value=json.dumps(SETTINGS), Type="String")
    make("ssm", region_name="ap-southeast-2").put_parameter(Name=name, Value="wrong", Type="String")
    monkeypatch.setenv("AWS_REGION", "ap-southeast-2")
    read = make_parameter_reader("us-east-1.demo-edge-auth")
    text, calls = aws.during(read)
    assert parse_edge_settings(text).shared == {"orders"} and calls == ["GetParameter"]
    with pytest.raises(RefusedError, match="ParameterNotFound"):
        make_parameter_reader("another")()


def test_the_random_share_is_between_0_and_1() -> None:
    shares = {random_share() for _ in range(100)}
    assert len(shares) > 90 and all(0 <= share < 1 for share in shares)
