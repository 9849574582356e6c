"""Tests of `poll` on the local stack, with back offices that behave like two well-known APIs.

They use the worked examples of docs/sources/: Salesforce's for OAuth 2, and Shopify's for GraphQL. The servers run in
the test's process, and copies of `poll` poll them (poll_copies).
"""

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.apis.examples import example_settings
from tests.fakes.apis.salesforce import Salesforce
from tests.fakes.apis.server import SECRET, ApiServer
from tests.fakes.apis.shopify import Shopify
from tests.local.back_offices import COLLECTION, checkpoints
from tests.local.pipeline import items, now_ms
from tests.local.poll_copies import copies_of
from tests.local.support import Local, eventually

ROWS = 7


@pytest.fixture(scope="module")
def secret_arn(stack: Local) -> Iterator[str]:
    """Store the back offices' secret in Secrets Manager, and let `poll` read it, as Terraform does for a source."""
    secrets: Any = stack.root().client("secretsmanager")
    arn: str = secrets.create_secret(Name=f"back-office-{uuid.uuid4().hex[:8]}", SecretString=SECRET)["ARN"]
    iam: Any = stack.root().client("iam")
    functions: Any = stack.root().client("lambda")
    role = functions.get_function(FunctionName=stack.outputs.poll_function)["Configuration"]["Role"].rpartition("/")[2]
    statement = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="secret-of-a-test", PolicyDocument=document)
    yield arn
    iam.delete_role_policy(RoleName=role, PolicyName="secret-of-a-test")
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


class PolledApi:
    """A server that plays an API, and a source that polls it into the collection `subdivisions`.

    :param example: the name of the source in its page of docs/sources/.
    :param translation: the expression that makes the API's records fit the collection.
    """

    def __init__(self, stack: Local, api: ApiServer, example: str, translation: str, secret_arn: str) -> None:
        self.api = api
        self._stack = stack
        settings = api.settings(example_settings()[example])
        holder = settings["secret"] or settings["oauth2"]["secret"]
        holder["arn"] = secret_arn
        self._settings = {
            **settings,
            "name": f"{example}-{uuid.uuid4().hex[:8]}",
            "collection": COLLECTION,
            "translation": translation,
            "attempts": 1,
        }

    def poll(self) -> dict[str, Any]:
        """Poll the API once, and return the report of `poll`."""
        event = {"source": self._settings["name"], "sweep": False}
        report = copies_of(self._stack).invoke([self._settings], event)
        self.api.raise_error()
        return report

    def names(self) -> dict[int, str]:
        """Return the name in each record's item, by the record's number. A record without an item is left out."""
        store, names = items(self._stack), {}
        for row in self.api.rows.values():
            item = store.get_item(f"item/{COLLECTION}/{self.api.item(row)[0]}")
            if item and item.data:
                names[row.number] = json.loads(item.data)["name"]
        return names

    def upstream_names(self) -> dict[int, str]:
        """Return the name of each record of the API, by the record's number."""
        return {row.number: row.name for row in self.api.living()}

    def checkpoint_text(self) -> str:
        """Return everything that the checkpoint table holds of the source."""
        return repr(checkpoints(self._stack).get_checkpoint(str(self._settings["name"])))


@pytest.fixture
def salesforce(stack: Local, secret_arn: str) -> Iterator[PolledApi]:
    translation = "{code: Id, country: 'XA', name: Name, type: 'Account'}"
    polled = PolledApi(stack, Salesforce(now_ms), "salesforce", translation, secret_arn)
    yield polled
    polled.api.close()


@pytest.fixture
def shopify(stack: Local, secret_arn: str) -> Iterator[PolledApi]:
    translation = "{code: id, country: 'XA', name: title, type: 'Product'}"
    polled = PolledApi(stack, Shopify(now_ms), "shopify", translation, secret_arn)
    yield polled
    polled.api.close()


def fill(polled: PolledApi) -> None:
    for number in range(1, ROWS + 1):
        polled.api.put(number, f"Käse {number}")


def test_a_source_with_oauth_2_becomes_items_and_renews_its_token(salesforce: PolledApi) -> None:
    assert isinstance(salesforce.api, Salesforce)
    tokens = salesforce.api.tokens
    fill(salesforce)
    report = salesforce.poll()
    assert report["outcome"] == "completed" and report["changes"] == ROWS, report["fault"]
    eventually(lambda: salesforce.names() == salesforce.upstream_names())
    assert tokens.issued == 1, "one token serves all pages"

    time.sleep(1)  # Salesforce's times have whole seconds
    salesforce.api.put(3, "Brot")
    salesforce.api.delete(5)
    tokens.expire()
    report = salesforce.poll()
    assert report["outcome"] == "completed" and report["changes"] == 2, report["fault"]
    eventually(lambda: salesforce.names() == salesforce.upstream_names())
    assert tokens.issued == 2, "a 401 renews the token once"
    assert SECRET not in salesforce.checkpoint_text() and "access-token-" not in salesforce.checkpoint_text()


def test_a_graphql_source_becomes_items_and_its_errors_with_status_200_change_nothing(shopify: PolledApi) -> None:
    fill(shopify)
    report = shopify.poll()
    assert report["outcome"] == "completed" and report["changes"] == ROWS, report["fault"]
    eventually(lambda: shopify.names() == shopify.upstream_names())

    before = shopify.upstream_names()
    time.sleep(1)  # Shopify's times have whole seconds
    shopify.api.put(2, "Brot")
    shopify.api.delete(4)
    shopify.api.faults = {len(shopify.api.requests): shopify.api.rate_limit()}
    report = shopify.poll()
    assert report["outcome"] == "failed" and "expect" in report["fault"]
    assert shopify.names() == before
    report = shopify.poll()
    assert report["outcome"] == "completed" and report["changes"] == 2, report["fault"]
    eventually(lambda: shopify.names() == shopify.upstream_names())
    assert SECRET not in shopify.checkpoint_text()
