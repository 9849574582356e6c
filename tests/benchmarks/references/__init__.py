"""The references: they do the same work as ours, each as the documentation of its tools recommends."""
