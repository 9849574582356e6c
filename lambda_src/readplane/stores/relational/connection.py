"""One connection to PostgreSQL per sandbox: opened at first use, checked, and closed after five minutes or a fault.

Every setting of a session belongs to its role (``ALTER ROLE … SET``, see `migrate`). A ``SET`` per connection would pin
an RDS Proxy's connection to this one.
"""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import psycopg

from .errors import NotMigratedError, RelationalError, TooSlowError, UnreachableError
from .settings import PASSWORD, DatabaseSettings
from .tls import ca_file

LIFE_SECONDS = 300
"""How long a connection lives. A reader that becomes the writer keeps its connections, and DNS may name other hosts."""

IDLE_SECONDS = 45
"""How long a connection may be unused. The server closes it after 60 s, so that an Aurora cluster can pause although
Lambda keeps frozen sandboxes."""

GRACE_SECONDS = 1.0
"""How much longer than the server's own limit the client waits for a statement. It then closes the connection, because
the server is frozen or unreachable."""

Connection = psycopg.Connection[tuple[Any, ...]]
Result = TypeVar("Result")

_NOT_MIGRATED = ("3F000", "42501", "42703", "42704", "42883", "42P01")
"""A schema, privilege, column, object, function or table is missing."""

_RETRY_STATES = ("40001", "40P01", "55P03")
"""A transaction lost against another one: serialization failure, deadlock, lock timeout."""


class _DeadlineConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection on which each wait for the server ends after :attr:`wait_seconds`."""

    wait_seconds: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        return super().wait(gen, interval, self.wait_seconds if timeout is None else timeout)


class Database:
    """A lazily opened connection. Only one thread may use it.

    :param user: the role to connect as.
    :param password: returns the role's password: an IAM token, or the password of an external database.
    :param statement_seconds: after how many seconds the server cancels a statement of this role; ``None``: never.
    :param connect_seconds: how long connecting may take, name resolution included. At least 2.
    :param check: called with each new connection. An error that it raises closes the connection.
    :param now: the Unix time in seconds. It isn't monotonic time, because that stands still while Lambda freezes a
        sandbox.
    """

    def __init__(
        self,
        settings: DatabaseSettings,
        user: str,
        password: Callable[[], str | None],
        *,
        statement_seconds: float | None,
        connect_seconds: int,
        check: Callable[[Connection], None] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._user = user
        self._password = password
        self._statement_seconds = statement_seconds
        self._connect_seconds = connect_seconds
        self._check = check
        self._now = now
        self._connection: Connection | None = None
        self._opened_at = self._used_at = 0.0

    def run(self, work: Callable[[Connection], Result]) -> Result:
        """Return what a function returns that uses the connection.

        If an older connection turns out to be dead, call the function once more, with a new connection. So the function
        must be idempotent.

        :raises RelationalError: for every fault of the database and of the connection. The connection is then closed,
            unless the server responded with an error and keeps the session.
        """
        while True:
            connection = self._usable()
            is_new = connection is None
            try:
                result = work(connection or self._open())
                self._used_at = self._now()
            except psycopg.Error as error:
                failure = translate(error)
                if isinstance(failure, UnreachableError):
                    self.close()
                    if not is_new and not _timed_out(error):
                        continue
                raise failure from error
            except RelationalError as error:
                if isinstance(error, UnreachableError):
                    self.close()
                raise
            except BaseException:
                self.close()  # nobody knows whether an answer is still to be read
                raise
            else:
                return result

    def close(self) -> None:
        """Close the connection. The next call opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _usable(self) -> Connection | None:
        """Return the open connection; ``None`` if there is none, or it is too old."""
        now = self._now()
        age, idle = now - self._opened_at, now - self._used_at
        if self._connection is None or self._connection.closed:
            return None
        if not (0 <= age < LIFE_SECONDS and 0 <= idle < IDLE_SECONDS):
            self.close()
        return self._connection

    def _open(self) -> Connection:
        """Open and check a connection."""
        self.close()
        connection = self._connect()
        try:
            if self._check is not None:
                self._check(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._opened_at = self._used_at = self._now()
        return connection

    def _connect(self) -> Connection:
        settings = self._settings
        connection = _DeadlineConnection.connect(
            host=settings.host,
            port=settings.port,
            dbname=settings.name,
            user=self._user,
            password=self._password(),
            connect_timeout=self._connect_seconds,
            application_name=f"readplane-{self._user}",
            gssencmode="disable",
            client_encoding="UTF8",
            autocommit=True,
            prepare_threshold=None,  # a statement's plan depends on its values, and a proxy can't share prepared ones
            sslmode="verify-full" if settings.tls else "disable",
            sslrootcert=ca_file(settings.host, settings.ca_pem) if settings.tls else None,
            # Without TLS, nobody may ask for the password in clear text.
            require_auth=None if settings.tls else "scram-sha-256",
        )
        if self._statement_seconds is not None:
            connection.wait_seconds = self._statement_seconds + GRACE_SECONDS
        return connection


def database_of(
    settings: DatabaseSettings,
    *,
    statement_seconds: float,
    connect_seconds: int,
    check: Callable[[Connection], None] | None = None,
) -> Database:
    """Return the database with the role of `query` or `feed`. The parameters are those of :class:`Database`."""
    password = password_of(settings, settings.user, iam=settings.iam, variable=PASSWORD)
    return Database(
        settings,
        settings.user,
        password,
        statement_seconds=statement_seconds,
        connect_seconds=connect_seconds,
        check=check,
    )


def password_of(settings: DatabaseSettings, user: str, *, iam: bool, variable: str) -> Callable[[], str | None]:
    """Return a function that returns a role's password for one new connection.

    :param iam: whether the password is an IAM token, which is signed for each connection.
    :param variable: the environment variable that has the password otherwise.
    """

    def password() -> str | None:
        if not iam:
            return os.environ.get(variable)
        from ...aws.faults import AwsError
        from ...aws.iam_token import database_token

        try:
            return database_token(settings.host, settings.port, user)
        except AwsError as error:
            raise UnreachableError("NoCredentials") from error

    return password


def is_retryable(error: psycopg.Error) -> bool:
    """Whether a statement lost against another transaction, so that the same statement may succeed at once."""
    return error.sqlstate in _RETRY_STATES


def translate(error: psycopg.Error) -> RelationalError:
    """Return the error of this package that stands for an error of the driver."""
    state = error.sqlstate
    if state is None:  # the driver's own error
        name = type(error).__name__
        is_lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return UnreachableError(name) if is_lost else RelationalError(name)
    if state == "57014":
        return TooSlowError(state)
    if state in _NOT_MIGRATED:
        return NotMigratedError(state)
    # 08: connection, 28: the role can't log in, 53: no resources, 57P: shutdown; 25006: this is a reader now;
    # 3D000: there is no such database
    if state[:2] in ("08", "28", "53") or state[:3] == "57P" or state in ("25006", "3D000"):
        return UnreachableError(state)
    return RelationalError(state)


def _timed_out(error: psycopg.Error) -> bool:
    """Whether the client gave up waiting. Trying again would take as long again."""
    return type(error).__name__ in ("_WaitTimeout", "ConnectionTimeout")


def execute(connection: Connection, statement: str, values: Sequence[Any] = ()) -> psycopg.Cursor[tuple[Any, ...]]:
    """Run a statement. The driver binds the values, so the statement contains none.

    :param statement: a text that is made of this package's own words and of the names in `tables`.
    """
    return connection.execute(statement.encode(), values or None)
