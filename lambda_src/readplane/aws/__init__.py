"""How AWS is called: one interface, two clients behind it, and one family of errors."""
