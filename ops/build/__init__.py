"""Build the zips with the code of the Lambda functions. The same inputs always give the same bytes."""
