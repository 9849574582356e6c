"""How the package calls AWS: one small interface, and the factory that picks the client behind it.

The slim client is our own, for the few calls that a request waits for. It starts several times faster than boto3 and
uses a third of its CPU per call (docs/performance.md). ``READPLANE_CLIENT=boto3`` uses boto3 instead.
"""

import os
from typing import Any, Protocol

VARIABLE = "READPLANE_CLIENT"
CLIENTS = ("slim", "boto3")


class Client(Protocol):
    """A client of one AWS service. Threads may share it."""

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Call one operation of the service's API.

        :param operation: the API's own name, ``GetItem``.
        :param parameters: what boto3 takes: DynamoDB's typed values, bytes for blobs.
        :returns: what boto3 returns. The ``Body`` of an S3 object is a stream with ``read(size)`` and ``close()``.
        :raises RefusedError: when AWS responds with an error.
        :raises UnansweredError: when no complete response arrives.
        """


def make_client(service: str, *, attempts: int = 3, read_timeout: float = 5, connections: int = 10) -> Client:
    """Make a client of the kind that ``READPLANE_CLIENT`` names, for the function's own Region and credentials.

    :param service: ``dynamodb``, ``firehose``, ``s3`` or ``sqs``.
    :param attempts: how often a call is tried in all. Both clients back off with jitter on throttling, 5xx and
        connection faults. Pass 1 if the caller must know the outcome of each attempt.
    :param read_timeout: seconds to wait for a response. The slim client applies it to the whole response, or to each
        read of a stream; boto3 applies it to each read of the socket.
    :param connections: how many threads use the client at once.
    :raises ValueError: when ``READPLANE_CLIENT`` names an unknown kind.
    """
    kind = os.environ.get(VARIABLE, CLIENTS[0])
    # Import only the client in use, because importing boto3 alone takes several times as long as all other imports.
    if kind == "slim":
        from .slim.client import SlimClient

        return SlimClient(service, attempts=attempts, read_timeout=read_timeout, connections=connections)
    if kind == "boto3":
        from .boto import BotoClient

        return BotoClient(service, attempts=attempts, read_timeout=read_timeout, connections=connections)
    raise ValueError(f"{VARIABLE} must be one of {', '.join(CLIENTS)}")
