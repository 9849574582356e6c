"""The `apply` function: applies changes to items, so that each item becomes its newest change."""
