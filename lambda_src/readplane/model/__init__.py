"""Changes and the rules that they follow. This package uses no AWS, no HTTP, no environment variables and no clock."""
