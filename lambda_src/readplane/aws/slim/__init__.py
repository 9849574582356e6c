"""The slim client: our own AWS client without an SDK, for the few calls to AWS that an API request waits for."""
