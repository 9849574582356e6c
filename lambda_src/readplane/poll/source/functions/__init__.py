"""Operators' translation classes, for back offices that JMESPath can't translate.

A source's ``function`` setting names a class in one of this package's modules.
"""
