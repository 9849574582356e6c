"""Translations that JMESPath cannot express: the `function` of a source names a class in a module of this package."""
