"""Makes the zips that the functions travel in, the same bytes from the same inputs."""
