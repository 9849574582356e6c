"""`apply`: folds changes into items."""
