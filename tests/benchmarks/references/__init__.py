"""The references: the same work as ours, each written the way its own documentation recommends."""
