"""How AWS is called: one interface, two clients, one family of errors."""
