"""Reads a source's settings, and checks the rules that only Python can check.

Terraform checks all other rules when it plans (``terraform/modules/settings/variables_sources.tf``). It also sets the
defaults. The settings reach ``poll`` only through Terraform, in an S3 object. So this module reads them by their types,
and adds three kinds of rules: expressions must compile, a translation class must be usable, and the settings must fit
the settings of the deployed function. See decision 37.
"""

from collections.abc import Iterator, Mapping

from ...model.collection import Collection
from ..errors import SourceError
from .reader import SettingsReader
from .settings import CURSOR, Source


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
    """Yield an error text for each setting that fits neither the source's function nor the deployed collections.

    A setting that couldn't be read is ``None``, whatever its annotation says.
    """
    if source.function and not source.function.versioned and CURSOR in (source.url or ""):
        yield f"url: holds {CURSOR}, but the function's records have no modification time"
    if collections is not None and source.collection and source.collection not in collections:
        yield "collection: no such collection is declared"
