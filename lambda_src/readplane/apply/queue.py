"""The queue that S3 tells of new write-log objects, as far as `apply` steers it: when a failed message comes again."""

from typing import Protocol

from ..aws.client import Client


class ApplyQueue(Protocol):
    """Messages that Lambda took from the queue for `apply`."""

    def again_in(self, receipt_handle: str, seconds: int) -> None:
        """Let a message that will be reported as failed come again after ``seconds``, and not only once its
        visibility time-out is over (six times the function's time-out)."""


class SqsApplyQueue:
    """:class:`ApplyQueue` in SQS."""

    def __init__(self, client: Client, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def again_in(self, receipt_handle: str, seconds: int) -> None:
        """See :class:`ApplyQueue`."""
        self._client.call(
            "ChangeMessageVisibility",
            QueueUrl=self._queue_url,
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=seconds,
        )
