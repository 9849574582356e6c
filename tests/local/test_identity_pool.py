"""Tests of the identity pool: a user of the mobile client reads the own documents from S3, and nothing else."""

import json
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.local.session import User
from tests.local.mobile_credentials import credentials, mobile_user, s3_client
from tests.local.support import Local, eventually


@pytest.fixture(scope="module")
def item(stack: Local) -> str:
    """Write one item of Alice, one of Bob and a notice, wait for their documents, and return the id of all three."""
    name = f"mobile-{uuid.uuid4()}"
    profiles = [(user, "profiles", {"display_name": user.name}) for user in (stack.alice, stack.bob)]
    for user, path, data in [*profiles, (stack.eve, "notices", {"title": "x"})]:
        assert stack.api(user)("PUT", f"/items/{path}/{name}", data).status_code == 202
        assert eventually(partial(has_document, stack, user, f"{path}/{name}"), within=60)
    return name


def has_document(stack: Local, user: User, path: str) -> bool:
    return stack.api(user)("GET", f"/documents/{path}").status_code == 200


def refused(call: Callable[..., object], *values: object, **parameters: object) -> str:
    """Return the code of the error with which AWS refuses a call."""
    with pytest.raises(ClientError) as error:
        call(*values, **parameters)
    return str(error.value.response["Error"]["Code"])


def bucket(stack: Local, *, replica: bool = False) -> str:
    name = stack.outputs.replica_documents_bucket if replica else stack.outputs.documents_bucket
    assert name
    return name


@pytest.mark.parametrize("replica", [False, True])
def test_users_read_their_own_documents_in_both_regions(stack: Local, item: str, replica: bool) -> None:
    for user in (stack.alice, stack.bob):
        s3 = s3_client(stack, credentials(stack, mobile_user(stack, user).id_token), replica=replica)
        key = f"owner/documents/profiles/{user.sub}/{item}"

        def read(s3: Any = s3, key: str = key) -> dict[str, Any] | None:
            try:
                body: dict[str, Any] = json.load(s3.get_object(Bucket=bucket(stack, replica=replica), Key=key)["Body"])
            except ClientError:
                return None  # the replica hasn't published it yet
            return body

        assert eventually(read, within=60)["data"] == {"display_name": user.name}


def test_nobody_reads_the_documents_of_others(stack: Local, item: str) -> None:
    s3 = s3_client(stack, credentials(stack, mobile_user(stack, stack.alice).id_token))
    for key in (
        f"owner/documents/profiles/{stack.bob.sub}/{item}",
        f"owner/documents/profiles/{stack.bob.sub}/{stack.alice.sub}/{item}",
        f"owner/documents/unknown/{stack.alice.sub}/{item}",
        f"authenticated/documents/notices/{item}",
    ):
        assert refused(s3.get_object, Bucket=bucket(stack), Key=key) == "AccessDenied", key


def test_the_credentials_can_do_nothing_else(stack: Local, item: str) -> None:
    s3 = s3_client(stack, credentials(stack, mobile_user(stack, stack.alice).id_token))
    own = {"Bucket": bucket(stack), "Key": f"owner/documents/profiles/{stack.alice.sub}/{item}"}
    assert refused(s3.put_object, **own, Body=b"{}") == "AccessDenied"
    assert refused(s3.delete_object, **own) == "AccessDenied"
    prefix = f"owner/documents/profiles/{stack.alice.sub}/"
    assert refused(s3.list_objects_v2, Bucket=bucket(stack), Prefix=prefix) == "AccessDenied"
    assert refused(s3.list_buckets) == "AccessDenied"


def test_only_an_id_token_of_the_mobile_client_gets_credentials(stack: Local) -> None:
    mobile = mobile_user(stack, stack.alice)
    header, payload, signature = mobile.id_token.split(".")
    forged = f"{header}.{payload}.{signature[::-1]}"
    for token in (mobile.access_token, stack.alice.id_token, forged, "a.b.c"):
        assert refused(credentials, stack, token) == "NotAuthorizedException"


def test_guests_open_nothing(stack: Local, item: str) -> None:
    try:
        s3 = s3_client(stack, credentials(stack, None))
    except ClientError as error:
        assert error.response["Error"]["Code"] == "NotAuthorizedException"
    else:
        key = f"owner/documents/profiles/{stack.alice.sub}/{item}"
        assert refused(s3.get_object, Bucket=bucket(stack), Key=key) == "AccessDenied"
