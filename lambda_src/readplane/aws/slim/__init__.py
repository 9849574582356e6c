"""Our own client for the few AWS calls on a client's path, without an SDK."""
