"""`publish`: feeds documents from the stream of the items table."""
