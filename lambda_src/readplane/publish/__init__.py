"""The `publish` function: writes documents from the items stream."""
