"""Our own client, without an SDK, for the few calls to AWS that an API request waits for."""
