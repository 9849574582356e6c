"""The interface for calls to AWS, and the factory that makes the slim client or the boto3 client.

The slim client is our own code. It makes the few calls that an API request waits for. It starts several times faster
than boto3 and uses a third of its CPU per call (docs/performance.md). ``READPLANE_CLIENT=boto3`` selects boto3 instead.
"""

import os
from typing import Any, Protocol

VARIABLE = "READPLANE_CLIENT"
CLIENTS = ("slim", "boto3")


class Client(Protocol):
    """A client of one AWS service. Threads may share it."""

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Call one operation of the service's API.

        :param operation: the operation's name in the AWS API, such as ``GetItem``.
        :param parameters: the operation's parameters as boto3 takes them: typed values for DynamoDB, bytes for blobs.
        :returns: the result as boto3 returns it. The ``Body`` of an S3 object is a stream with ``read(size)`` and
            ``close()``.
        :raises RefusedError: when AWS responds with an error.
        :raises UnansweredError: when no complete response arrives.
        """


def make_client(service: str, *, attempts: int = 3, read_timeout: float = 5, connections: int = 10) -> Client:
    """Make the client that ``READPLANE_CLIENT`` selects, with the function's own Region and credentials.

    :param service: ``dynamodb``, ``firehose``, ``s3`` or ``sqs``.
    :param attempts: the most attempts of a call, the first one included. Before a retry after throttling, 5xx or a
        network fault, both clients back off with jitter. Pass 1 if the caller must know the outcome of each attempt.
    :param read_timeout: the seconds to wait for a response. The slim client applies this limit to the whole response,
        and anew to each read of a stream. boto3 applies it to each read of the socket.
    :param connections: the number of threads that use the client at the same time.
    :raises ValueError: if ``READPLANE_CLIENT`` names an unknown client.
    """
    kind = os.environ.get(VARIABLE, CLIENTS[0])
    # Import only the client in use, because importing boto3 alone takes several times as long as all other
    # imports together.
    if kind == "slim":
        from .slim.client import SlimClient

        return SlimClient(service, attempts=attempts, read_timeout=read_timeout, connections=connections)
    if kind == "boto3":
        from .boto import BotoClient

        return BotoClient(service, attempts=attempts, read_timeout=read_timeout, connections=connections)
    raise ValueError(f"{VARIABLE} must be one of {', '.join(CLIENTS)}")
