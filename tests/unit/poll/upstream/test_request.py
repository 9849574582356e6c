"""Tests of a request to a back office."""

from readplane.poll.source.rules import parse_source
from readplane.poll.upstream.request import BackOfficeRequest
from tests.unit.poll.source.samples import MINIMAL, changed

URL = "https://office.test/rows"


def test_a_fingerprint_covers_the_method_the_url_and_the_body() -> None:
    requests = [
        BackOfficeRequest(URL),
        BackOfficeRequest(f"{URL}?a=1"),
        BackOfficeRequest(URL, "POST"),
        BackOfficeRequest(URL, "POST", b"{}"),
        BackOfficeRequest(URL, "POST", b'{"a":1}'),
    ]
    assert len({request.fingerprint for request in requests}) == len(requests)
    assert BackOfficeRequest(URL, "POST", b"{}").fingerprint == requests[3].fingerprint


def test_only_a_get_without_a_body_may_be_conditional() -> None:
    assert BackOfficeRequest(URL).may_be_conditional
    assert not BackOfficeRequest(URL, "POST").may_be_conditional
    assert not BackOfficeRequest(URL, "GET", b"{}").may_be_conditional


def test_the_request_for_a_page_has_the_url_and_the_body_of_its_list() -> None:
    request = {"method": "POST", "body": '{"offset":"{page}","name":"ü"}'}
    source = parse_source(changed(MINIMAL, request=request, paging={"style": "offset", "parameter": "o"}))
    assert BackOfficeRequest.of_page(source.main_list(None), 3) == BackOfficeRequest(
        "http://office.example/articles.json?o=3", "POST", '{"offset":3,"name":"ü"}'.encode()
    )
    plain = parse_source(MINIMAL).main_list(None)
    assert BackOfficeRequest.of_page(plain, None) == BackOfficeRequest("http://office.example/articles.json")
