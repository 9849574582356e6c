"""Reads a source's settings, and checks the rules that only Python can check.

Terraform checks all other rules when it plans (``terraform/modules/settings/variables_sources.tf``). It also sets the
defaults. The settings reach ``poll`` only through Terraform, in an S3 object. So this module reads them by their types,
and adds the rules that Terraform has no functions for: expressions must compile, time formats, time zones, character
sets, certificates and a translation class must be usable, and the settings must fit the settings of the deployed
function. See decision 37.
"""

from collections.abc import Iterator, Mapping

from ...model.collection import Collection
from ..errors import SourceError
from .certificates import check_authorities
from .payload.charsets import codec_name
from .reader import SettingsReader
from .settings import Source
from .template import CURSOR


def parse_source(raw: object, collections: Mapping[str, Collection] | None = None) -> Source:
    """Read one source's settings and return the source.

    :param raw: the parsed JSON of the settings. It isn't checked yet, so it may be a value of any type.
    :param collections: the collections in the settings of the function ``poll``, by name. ``None`` skips the rule that
        the source's collection is one of them.
    :raises SourceError: if the settings can't be used. The error lists every problem.
    """
    name = raw.get("name") if isinstance(raw, Mapping) else None
    path = f"sources.{name[:60] if isinstance(name, str) and name else '?'}"
    reader = SettingsReader()
    source = reader.read_object(Source, raw, path)
    if source:
        reader.problems += [f"{path}.{problem}" for problem in _misfits(source, collections)]
    if source is None or reader.problems:
        raise SourceError(reader.problems)
    return source


def _misfits(source: Source, collections: Mapping[str, Collection] | None) -> Iterator[str]:
    """Yield an error text for each setting of the right type that can't be used.

    A setting that couldn't be read is ``None``, whatever its annotation says.
    """
    if source.function and not source.function.versioned:
        body = source.request.body if source.request else None
        for setting, text in (("url", source.url), ("request.body", body)):
            if CURSOR in (text or ""):
                yield f"{setting}: holds {CURSOR}, but the function's records have no modification time"
    if source.payload and source.payload.charset and codec_name(source.payload.charset) is None:
        yield "payload.charset: isn't a known character set; use a name such as utf-8 or windows-1252"
    if source.tls and source.tls.ca_pem:
        try:
            check_authorities(source.tls.ca_pem)
        except ValueError as error:
            yield f"tls.ca_pem: {error}"
    if collections is not None and source.collection and source.collection not in collections:
        yield "collection: no such collection is declared"
