"""The operators' and developers' tools; nothing here runs in a function."""
