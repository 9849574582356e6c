"""Folds changes into items."""
