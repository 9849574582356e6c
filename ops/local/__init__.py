"""The local run: the stack that terraform/ describes, on an AWS emulator on this machine."""
