"""Translations that JMESPath can't express: a source's ``function`` names a class in a module of this package."""
