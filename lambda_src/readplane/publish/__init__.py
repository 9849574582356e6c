"""The `publish` function: writes the items' documents to S3 from the items stream."""
