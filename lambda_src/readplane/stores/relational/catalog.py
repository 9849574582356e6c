"""What the database has already: its schema, roles, tables, indexes and privileges."""

from collections.abc import Iterable

from .connection import Connection, execute
from .tables import FEED, QUERY, SCHEMA

IAM_ROLE = "rds_iam"
"""The role whose members sign in with IAM. RDS makes it."""


class Catalog:
    """The catalog of a database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def texts(self, statement: str, *values: object) -> set[str]:
        """Return the first column of a query's rows."""
        return {row[0] for row in execute(self._connection, statement, values)}

    def holds(self, statement: str, *values: object) -> bool:
        """Return the truth value that a query returns."""
        row = execute(self._connection, statement, values).fetchone()
        return bool(row and row[0])

    @property
    def schema(self) -> bool:
        """Whether the schema is there."""
        return self.holds("SELECT to_regnamespace(%s) IS NOT NULL", SCHEMA)

    @property
    def roles(self) -> set[str]:
        """The names of the roles that Readplane knows, as far as they are there."""
        return self.texts("SELECT rolname::text FROM pg_roles WHERE rolname = ANY (%s)", [FEED, QUERY, IAM_ROLE])

    def columns(self, table: str) -> set[str]:
        """Return the names of a table's columns; none if there is no such table."""
        return self.texts(
            "SELECT attname::text FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            table,
        )

    def indexes(self, table: str, *, valid: bool) -> set[str]:
        """Return the names of a table's indexes that queries can use, or of those that an interrupted run left."""
        return self.texts(
            "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " WHERE i.indrelid = to_regclass(%s) AND (i.indisvalid AND i.indisready) = %s",
            table,
            valid,
        )

    def lacks_privilege(self, role: str, table: str, privileges: Iterable[str]) -> bool:
        """Whether a role lacks one of the privileges on a table; also if there is no such table yet."""
        return not all(
            self.holds("SELECT has_table_privilege(%s, to_regclass(%s), %s)", role, table, privilege)
            for privilege in privileges
        )

    def role_settings(self, role: str) -> set[str]:
        """Return a role's settings in this database, each as ``name=value``."""
        return self.texts(
            "SELECT unnest(setconfig) FROM pg_db_role_setting WHERE setrole = to_regrole(%s)"
            " AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())",
            role,
        )
