"""The relational store: one PostgreSQL table per collection. No other code of Readplane contains SQL.

`writer` writes items (`feed`), `lists` reads pages (`query`), `migrate` makes the tables. Each imports the driver with
its first connection, because its import takes 120 ms.
"""
