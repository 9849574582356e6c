"""The errors that the code of `feed` raises.

::

    FeedError
    ├── CommandError       the event of an invocation isn't one that `feed` serves
    └── StoreFaultError    a store could not be read or written, but may be later
"""


class FeedError(Exception):
    """The base of all errors that the code of `feed` raises."""


class CommandError(FeedError):
    """The event of an invocation isn't one that `feed` serves.

    :param problem: what is wrong with the event. It quotes nothing of the event.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(f"The event can't be served: {problem}.")


class StoreFaultError(FeedError):
    """A store could not be read or written. The call may succeed later, because the store may be down or slow.

    :param code: the kind of fault, such as ``ConnectTimeoutError``. It quotes nothing of the store's answer.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
