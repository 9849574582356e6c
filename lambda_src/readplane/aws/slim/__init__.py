"""Our own client for the few AWS calls that a request waits for, without an SDK."""
