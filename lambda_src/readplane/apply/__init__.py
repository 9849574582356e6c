"""The `apply` function: folds changes into items."""
