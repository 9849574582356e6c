"""The settings of a connection to the database."""

from typing import NamedTuple

PASSWORD = "READPLANE_DATABASE_PASSWORD"
OWNER_PASSWORD = "READPLANE_DATABASE_OWNER_PASSWORD"


class DatabaseSettings(NamedTuple):
    """How a function connects to the database.

    :param host: the host to connect to: that of the writer for `feed`, that of the readers for `query`.
    :param name: the database's name.
    :param user: the role with which the function connects: ``feed`` or ``query``.
    :param iam: whether the role's password is an IAM token. Otherwise it is in the environment variable
        :data:`PASSWORD`.
    :param tls: whether to require TLS and to check the server's certificate and its name.
    :param ca_pem: the certificates to trust, as PEM text. ``None``: for a host of RDS the root certificates of the
        Region, for any other host those of the system.
    :param reads_from_writer: whether `query` may read from the writer.
    :param statement_seconds: after how many seconds the server cancels a statement of `query`.
    :param owner: the role that owns the tables. Only migrations connect with it.
    :param query_iam: whether migrations let the role ``query`` log in with an IAM token, if the database has IAM. It is
        false with an RDS Proxy, which logs in as ``query`` with a password.
    :param owner_iam: whether the owner's password is an IAM token. Otherwise it is in the environment variable
        :data:`OWNER_PASSWORD`.
    """

    host: str
    port: int
    name: str
    user: str
    iam: bool = False
    tls: bool = True
    ca_pem: str | None = None
    reads_from_writer: bool = False
    statement_seconds: int = 2
    owner: str = "readplane_owner"
    owner_iam: bool = False
    query_iam: bool = True
