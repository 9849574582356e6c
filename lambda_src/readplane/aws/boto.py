"""The stores' client over boto3: for everything off the hot path, and on it where ``READPLANE_CLIENT`` says so."""

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
from .tracing import tracing

_NEVER_SENT = (ConnectTimeoutError, EndpointConnectionError, NoCredentialsError)


class BotoClient:
    """:class:`~readplane.aws.client.Client` over boto3."""

    def __init__(
        self,
        service: str,
        *,
        attempts: int = 3,
        read_timeout: float = 5,
        connections: int = 10,
        region: str | None = None,
    ) -> None:
        """See :func:`readplane.aws.client.client`; any service that boto3 knows, in any Region.

        :param region: ``None`` for the function's own.
        """
        make: Any = boto3.client
        self._client = make(
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
        self._once = attempts == 1
        self._tracing = tracing("sdk")

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """See :class:`~readplane.aws.client.Client`."""
        span = self._tracing.begin(self._service, operation, parameters) if self._tracing else None
        status, request_id, retries = None, None, 0
        try:
            answer: dict[str, Any] = getattr(self._client, _snake(operation))(**parameters)
            told = answer["ResponseMetadata"]
            status, request_id, retries = told["HTTPStatusCode"], told.get("RequestId"), told.get("RetryAttempts", 0)
        except ClientError as error:
            told = error.response["ResponseMetadata"]
            status, request_id, retries = told["HTTPStatusCode"], told.get("RequestId"), told.get("RetryAttempts", 0)
            members: Any = error.response
            raise RefusedError(error.response["Error"]["Code"], status, members) from error
        except BotoCoreError as error:
            # Only the last try's fault is told; what became of those before it isn't.
            sent = not (self._once and isinstance(error, _NEVER_SENT))
            raise UnansweredError(type(error).__name__, sent=sent) from error
        finally:
            if span:
                span.end(status, request_id, retries)
        if isinstance(answer.get("Body"), StreamingBody):
            answer["Body"] = _Body(answer["Body"])
        return answer


class _Body:
    """A stream that fails as a call does."""

    def __init__(self, body: StreamingBody) -> None:
        self._body = body

    def read(self, size: int = -1) -> bytes:
        """Read ``size`` bytes or less; all that is left without a size.

        :raises Unanswered: when the rest doesn't come.
        """
        try:
            data: bytes = self._body.read(size if size >= 0 else None)
        except BotoCoreError as error:
            raise UnansweredError(type(error).__name__, sent=True) from error
        return data

    def close(self) -> None:
        """Leave the rest unread."""
        self._body.close()


def _snake(operation: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
