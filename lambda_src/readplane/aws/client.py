"""How the stores call AWS: one small interface, two clients behind it, one kind of fault for each way to fail.

``slim`` is our own client for the few calls on a client's path: it starts several times faster than boto3 and costs a
third of the CPU per call (docs/performance.md). ``READPLANE_CLIENT=boto3`` puts boto3 there instead.
"""

import os
from typing import Any, Protocol

VARIABLE = "READPLANE_CLIENT"
CLIENTS = ("slim", "boto3")


class Client(Protocol):
    """One AWS service. Threads may share it."""

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Do one operation of the service's API.

        :param operation: the API's own name, ``GetItem``.
        :param parameters: as boto3 takes them: DynamoDB's typed values, bytes for blobs.
        :returns: what boto3 gives back; the ``Body`` of an S3 object is a stream with ``read(size)`` and ``close()``.
        :raises Refused: when AWS says no.
        :raises Unanswered: when it says nothing.
        """


def client(service: str, *, attempts: int = 3, read_timeout: float = 5, connections: int = 10) -> Client:
    """Make a client for the function's own Region and credentials, of the kind that ``READPLANE_CLIENT`` names.

    :param service: ``dynamodb``, ``firehose``, ``s3`` or ``sqs``.
    :param attempts: tries in all; both clients back off with jitter on throttling, 5xx and connection faults. 1 where
        the caller must know the outcome of each try.
    :param read_timeout: seconds to wait for an answer: with ``slim`` for all of it, or for each read of a stream; with
        ``boto3`` for each piece that comes.
    :param connections: how many threads use the client at once.
    :raises ValueError: for an unknown kind.
    """
    kind = os.environ.get(VARIABLE, CLIENTS[0])
    # Only the one that is used is imported: boto3 alone takes several times what everything else does.
    if kind == "slim":
        from .slim.client import SlimClient

        return SlimClient(service, attempts=attempts, read_timeout=read_timeout, connections=connections)
    if kind == "boto3":
        from .boto import BotoClient

        return BotoClient(service, attempts=attempts, read_timeout=read_timeout, connections=connections)
    raise ValueError(f"{VARIABLE} must be one of {', '.join(CLIENTS)}")
