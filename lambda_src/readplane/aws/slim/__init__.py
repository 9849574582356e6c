"""The slim client: our own AWS client without an SDK, with which `read`, `write` and `apply` call AWS."""
