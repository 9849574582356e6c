"""The errors of the relational store.

::

    RelationalError           the database didn't do what it was asked
    ├── UnreachableError      no connection, or the server didn't respond in time
    │   └── NoReaderError     the server isn't a reader, or a reader that is far behind
    ├── NotMigratedError      a table, column or index is missing, or isn't complete yet
    ├── TooSlowError          a statement took longer than its role may take
    └── MigrationError        a migration can't run

Callers may try again after each of them. None holds a value of an item or of a request.
"""


class RelationalError(Exception):
    """The database didn't do what it was asked.

    :param code: the SQLSTATE, or a short name of the cause.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class UnreachableError(RelationalError):
    """There is no connection to the server, or the server didn't respond in time."""


class NoReaderError(UnreachableError):
    """The server isn't a reader, or it is a reader that is too far behind the writer."""


class NotMigratedError(RelationalError):
    """A table, column or index is missing or invalid, or holds values of only a part of the items.

    The command ``readplane relational migrate`` makes what is missing. The code names it.
    """


class TooSlowError(RelationalError):
    """A statement took longer than its role may take, so the server canceled it."""


class MigrationError(RelationalError):
    """A migration can't run. The code says why, in words."""
