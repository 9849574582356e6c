"""The interface of the AWS clients, and the function that makes one of them: the slim client or the boto3 client.

The slim client is our own code and uses no SDK. `read`, `write` and `apply` call AWS with it. It starts several times
faster than boto3 and uses a third of boto3's CPU per call (docs/performance.md). With ``READPLANE_CLIENT=boto3`` in the
environment, these functions use boto3 instead.
"""

import os
from typing import Any, Protocol

VARIABLE = "READPLANE_CLIENT"
CLIENTS = ("slim", "boto3")


class Client(Protocol):
    """A client of one AWS service, such as DynamoDB. Several threads may share a client."""

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Call one operation of this client's AWS service.

        :param operation: the operation's name in the AWS API, such as ``GetItem``.
        :param parameters: the operation's parameters as boto3 takes them: typed values for DynamoDB, bytes for blobs.
        :returns: the result, in the same form as boto3's. The ``Body`` of an S3 object is a stream with ``read(size)``
            and ``close()``.
        :raises RefusedError: when AWS responds with an error.
        :raises UnansweredError: when no complete response arrives.
        """


def make_client(service: str, *, attempts: int = 3, read_timeout: float = 5, connections: int = 10) -> Client:
    """Make the AWS client that the environment variable ``READPLANE_CLIENT`` selects.

    The client uses the Region and the credentials of the Lambda function.

    :param service: ``dynamodb``, ``firehose``, ``s3`` or ``sqs``.
    :param attempts: the maximum number of attempts per call, including the first. After throttling, a 5xx status or a
        network fault, the client backs off with jitter and retries. Pass 1 if the caller must know the outcome of each
        attempt.
    :param read_timeout: the maximum number of seconds to wait for a response. The slim client applies this limit to the
        whole response, and then separately to each read of a streamed body. boto3 applies it to each single read from
        the socket.
    :param connections: the expected number of threads that use the client at the same time. The client keeps up to this
        many idle connections open.
    :raises ValueError: if ``READPLANE_CLIENT`` names an unknown client.
    """
    kind = os.environ.get(VARIABLE, CLIENTS[0])
    # Import only the selected client, because importing boto3 takes several times as long as all other imports of a
    # Lambda function together.
    if kind == "slim":
        from .slim.client import SlimClient

        return SlimClient(service, attempts=attempts, read_timeout=read_timeout, connections=connections)
    if kind == "boto3":
        from .boto import BotoClient

        return BotoClient(service, attempts=attempts, read_timeout=read_timeout, connections=connections)
    raise ValueError(f"{VARIABLE} must be one of {', '.join(CLIENTS)}")
