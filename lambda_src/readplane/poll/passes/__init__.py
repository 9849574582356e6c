"""The passes through a source's pages, with one class per kind of pass."""
