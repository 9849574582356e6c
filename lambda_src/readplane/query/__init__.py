"""The `query` function: serves the lists of relational collections, from the items table and from the database."""
