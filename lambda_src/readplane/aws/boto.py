"""The client that uses boto3.

It makes the calls to AWS that no API request waits for. With ``READPLANE_CLIENT=boto3`` it makes all calls.
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
    """A :class:`~readplane.aws.client.Client` that uses boto3, for any service that boto3 supports.

    Its parameters are those of :func:`readplane.aws.client.make_client`, and ``region``.

    :param region: the AWS Region to call, or ``None`` for the function's own Region.
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
        """Call one operation of the service's API, with retries.

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
            raise RefusedError(error.response["Error"]["Code"], status, members) from error
        except BotoCoreError as error:
            # boto3 reports only the fault of the last attempt. If there were several attempts, an earlier one may have
            # reached AWS.
            sent = not (self._single_attempt and isinstance(error, _NEVER_SENT))
            raise UnansweredError(type(error).__name__, sent=sent) from error
        finally:
            if span:
                span.end(status, request_id, retries)
        if isinstance(response.get("Body"), StreamingBody):
            response["Body"] = _ResponseStream(response["Body"])
        return response


class _ResponseStream:
    """The body of an S3 object. A network fault while reading it raises :class:`UnansweredError`, as in a call."""

    def __init__(self, body: StreamingBody) -> None:
        self._body = body

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes, or the whole rest of the body if ``size`` is negative.

        :raises UnansweredError: when the bytes don't arrive.
        """
        try:
            data: bytes = self._body.read(size if size >= 0 else None)
        except BotoCoreError as error:
            raise UnansweredError(type(error).__name__, sent=True) from error
        return data

    def close(self) -> None:
        """Close the body without reading the rest."""
        self._body.close()


def _describe_attempts(response: dict[str, Any]) -> tuple[int, str | None, int]:
    """Return a response's HTTP status, AWS's request id, and the number of retries before that response."""
    metadata = response["ResponseMetadata"]
    return metadata["HTTPStatusCode"], metadata.get("RequestId"), metadata.get("RetryAttempts", 0)


def _snake_case(operation: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
