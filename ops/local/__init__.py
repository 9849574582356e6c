"""The local run: the same stack on an AWS emulator."""
