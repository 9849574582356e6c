"""What an application adds to the generated client: sign-in, retries and readable errors."""

from collections.abc import Callable

import urllib3
from readplane_client import ApiClient, Configuration, Problem
from readplane_client.exceptions import ApiException


class RetryAfter(urllib3.Retry):
    """Repeat a request on 409 (a version isn't applied yet), 429 and 503, after as long as the header Retry-After says.

    Repeating a PUT or DELETE is always safe. Repeating a POST is safe if it has an Idempotency-Key.
    """

    RETRY_AFTER_STATUS_CODES = frozenset({409, 429, 503})


def connect(url: str, token: str | None = None, api_key: str | None = None) -> ApiClient:
    """Return a client that each generated API class takes.

    To use a new access token, set ``client.configuration.access_token``.

    :param url: the API's URL with the stage, such as https://abc.execute-api.eu-central-1.amazonaws.com/v1
    :param token: the access token of the signed-in user
    :param api_key: the API key of a backend
    """
    # On AWS a write is applied after 60 seconds by default. 120 attempts, at least a second apart, wait long enough.
    retries = RetryAfter(total=120, connect=3, read=3, backoff_factor=0.5, allowed_methods=None, raise_on_status=False)
    keys = {"apiKey": api_key} if api_key else None
    return ApiClient(Configuration(host=url, access_token=token, api_key=keys, retries=retries))


def problem_of(call: Callable[[], object]) -> Problem:
    """Make a call that must fail, and return the problem document of its response."""
    try:
        call()
    except ApiException as error:
        if not isinstance(error.data, Problem):
            raise
        return error.data
    raise AssertionError("The call succeeded.")
