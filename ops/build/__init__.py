"""Build the zips with the functions' code for Lambda. The same inputs give the same bytes."""
