"""The model: changes and the rules that they follow. Pure: no AWS, no HTTP, no environment, no clock."""
