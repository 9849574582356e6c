"""How every boto3 client is made: few connections to set up, bounded waits, bounded retries."""

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

FAULTS = (BotoCoreError, ClientError)
"""What a call raises when AWS refuses or doesn't answer, after its retries."""


def client(service: str, *, attempts: int = 3, read_timeout: float = 5, connections: int = 10) -> Any:
    """Make a low-level client for the function's own Region and credentials.

    :param attempts: tries in all; botocore's standard mode backs off exponentially with jitter on throttling, 5xx and
        connection faults. 1 where the caller must know the outcome of each try.
    :param read_timeout: seconds to wait for an answer.
    :param connections: how many threads use the client at once.
    """
    make: Any = boto3.client
    return make(
        service,
        config=Config(
            connect_timeout=1,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=connections,
            tcp_keepalive=True,
        ),
    )
