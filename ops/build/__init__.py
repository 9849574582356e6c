"""Makes the zips that carry the functions to Lambda. The same inputs give the same bytes."""
