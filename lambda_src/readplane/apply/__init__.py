"""The `apply` function: applies changes to items, so that each item has the content of its newest change."""
