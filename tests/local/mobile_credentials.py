"""The AWS credentials that the stack's identity pool gives to a user of the mobile client."""

from typing import Any

import boto3
import botocore
from botocore.config import Config

from ops.local import session
from tests.local.support import Local


def mobile_user(stack: Local, user: session.User) -> session.User:
    """Sign a user in again, with the mobile client."""
    return session.sign_in(stack.outputs, user.name, client_id=stack.outputs.mobile_client_id)


def credentials(stack: Local, token: str | None) -> dict[str, Any]:
    """Return credentials of the identity pool, as a mobile application gets them: without any AWS credentials.

    :param token: an ID token of the user pool; ``None`` for a guest.
    :raises botocore.exceptions.ClientError: if the pool refuses the token.
    """
    outputs = stack.outputs
    config = Config(signature_version=botocore.UNSIGNED)
    pool: Any = boto3.session.Session(region_name=outputs.region).client("cognito-identity", config=config)
    provider = f"cognito-idp.{outputs.region}.amazonaws.com/{outputs.user_pool_id}"
    logins = {"Logins": {provider: token}} if token else {}
    identity = pool.get_id(IdentityPoolId=outputs.identity_pool_id, **logins)["IdentityId"]
    given: dict[str, Any] = pool.get_credentials_for_identity(IdentityId=identity, **logins)["Credentials"]
    return given


def s3_client(stack: Local, given: dict[str, Any], *, replica: bool = False) -> Any:
    """Return an S3 client with such credentials."""
    return boto3.session.Session(
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretKey"],
        aws_session_token=given["SessionToken"],
        region_name=stack.outputs.replica_region if replica else stack.outputs.region,
    ).client("s3")
