"""Translation classes that operators write, for back offices whose responses JMESPath can't translate.

A source's ``function`` setting names a class in one of this package's modules.
"""
