"""An AWS client that uses boto3.

`poll` and `publish` call AWS with it. `read`, `write` and `apply` use the slim client instead. With
``READPLANE_CLIENT=boto3`` in the environment, all functions use this client.
"""

import re
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
)
from botocore.response import StreamingBody

from .faults import RefusedError, UnansweredError
from .tracing import process_tracing

_NEVER_SENT = (ConnectTimeoutError, EndpointConnectionError, NoCredentialsError)


class BotoClient:
    """An AWS client that uses boto3. It works for every AWS service that boto3 supports.

    The parameters other than ``region`` are those of :func:`readplane.aws.client.make_client`.

    :param region: the AWS Region to call, or ``None`` for the Region of the Lambda function.
    """

    def __init__(
        self,
        service: str,
        *,
        attempts: int = 3,
        read_timeout: float = 5,
        connections: int = 10,
        region: str | None = None,
    ) -> None:
        factory: Any = boto3.client
        self._client = factory(
            service,
            region_name=region,
            config=Config(
                connect_timeout=1,
                read_timeout=read_timeout,
                retries={"mode": "standard", "total_max_attempts": attempts},
                max_pool_connections=connections,
                tcp_keepalive=True,
            ),
        )
        self._service = service
        self._single_attempt = attempts == 1
        self._tracing = process_tracing("sdk")

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Call one operation of this client's AWS service, such as ``GetItem``, with retries.

        :raises RefusedError: when AWS responds with an error.
        :raises UnansweredError: when no complete response arrives.
        """
        span = self._tracing.begin(self._service, operation, parameters) if self._tracing else None
        status, request_id, retries = None, None, 0
        try:
            response: dict[str, Any] = getattr(self._client, _snake_case(operation))(**parameters)
            status, request_id, retries = _describe_attempts(response)
        except ClientError as error:
            members: Any = error.response
            status, request_id, retries = _describe_attempts(members)
            if status == 304:
                members = members | _not_modified_members(members)
            raise RefusedError(error.response["Error"]["Code"], status, members) from error
        except BotoCoreError as error:
            # Set ``sent`` to false only if no attempt can have reached AWS. boto3 reports only the network fault of its
            # last attempt. So unless boto3 was limited to one attempt, assume that an earlier attempt reached AWS.
            sent = not (self._single_attempt and isinstance(error, _NEVER_SENT))
            raise UnansweredError(type(error).__name__, sent=sent) from error
        finally:
            if span:
                span.end(status, request_id, retries)
        if isinstance(response.get("Body"), StreamingBody):
            response["Body"] = _ResponseStream(response["Body"])
        return response


class _ResponseStream:
    """The body of an S3 object, as a stream. If a read fails, it raises :class:`UnansweredError`."""

    def __init__(self, body: StreamingBody) -> None:
        self._body = body

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes, or the whole rest of the body if ``size`` is negative.

        :raises UnansweredError: if a network fault or a timeout ends the read.
        """
        try:
            data: bytes = self._body.read(size if size >= 0 else None)
        except BotoCoreError as error:
            raise UnansweredError(type(error).__name__, sent=True) from error
        return data

    def close(self) -> None:
        """Close the stream without reading the rest of the body."""
        self._body.close()


def _describe_attempts(response: dict[str, Any]) -> tuple[int, str | None, int]:
    """Return the HTTP status and AWS's request id from boto3's response, and how often boto3 retried the call."""
    metadata = response["ResponseMetadata"]
    return metadata["HTTPStatusCode"], metadata.get("RequestId"), metadata.get("RetryAttempts", 0)


def _not_modified_members(response: dict[str, Any]) -> dict[str, str]:
    """Return the headers of S3's 304, under the names that they have in GetObject's result."""
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    names = (("etag", "ETag"), ("cache-control", "CacheControl"))
    return {member: headers[name] for name, member in names if name in headers}


def _snake_case(operation: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
