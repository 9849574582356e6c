"""What `rebuild items fill` does about poison: lines that can't be applied, and damaged objects of the log.

`apply` has put poison into quarantine. So the fill leaves out a line that is in quarantine. Any other poison is a sign
that something is wrong, and the fill stops.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from ops.console import CommandError
from readplane.apply.quarantine import LineQuarantine
from readplane.clock import now_ms
from readplane.model.change import PoisonError
from readplane.stores.items import Items

if TYPE_CHECKING:  # import it only for mypy, because the benchmarks fill a table without the packages of the commands
    from ops.cli.target import Target


class PoisonHandler(Protocol):
    """Decides what happens to a line that can't be applied."""

    def handle(self, region: str, line: bytes, poison: PoisonError, origin: str) -> str:
        """Return the name of the count that grows by one: `poison` or `quarantined`.

        :param region: the Region whose log holds the line
        :param line: the line; b"" for the rest of a damaged object
        :param origin: the key of the object and the number of the line, as `apply` writes them
        :raises CommandError: if the fill must stop
        """


class Poison:
    """A :class:`PoisonHandler` that knows what is in quarantine.

    :param list_keys: returns the keys of all objects in quarantine, in every Region
    """

    def __init__(self, list_keys: Callable[[], Iterable[str]]) -> None:
        self._list_keys = list_keys
        self._digests: set[bytes] = set()
        self._load()

    def handle(self, region: str, line: bytes, poison: PoisonError, origin: str) -> str:
        """Return `poison` for a line that is in quarantine. Stop at any other."""
        digest = digest_of(line, origin)
        if digest not in self._digests:
            self._load()  # `apply` may have quarantined the line meanwhile
        if digest not in self._digests:
            raise CommandError(_refusal(region, poison, origin))
        return "poison"

    def is_quarantined(self, line: bytes, origin: str) -> bool:
        """Whether a line, or the damage of an object, was in quarantine when it was listed last."""
        return digest_of(line, origin) in self._digests

    def _load(self) -> None:
        """List the quarantine. A digest has 16 bytes here, so that a million of them fit into memory."""
        for key in self._list_keys():
            name = key.rpartition("/")[2].removesuffix(".json")
            try:
                self._digests.add(bytes.fromhex(name))
            except ValueError:
                continue  # another object, such as a record of a source


class QuarantiningPoison:
    """A :class:`PoisonHandler` that puts unknown poison into quarantine, as `apply` does.

    :param poison: knows what is in quarantine
    :param quarantines: the quarantine of each Region
    :param tables: the live and the building items table, which both get the marker of a quarantined change
    """

    def __init__(
        self,
        poison: Poison,
        quarantines: Mapping[str, LineQuarantine],
        tables: Sequence[Items],
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._poison = poison
        self._quarantines = quarantines
        self._tables = tables
        self._now_ms = clock

    def handle(self, region: str, line: bytes, poison: PoisonError, origin: str) -> str:
        """Return `poison` for a line that is in quarantine. Put any other into the quarantine of its Region."""
        if self._poison.is_quarantined(line, origin):
            return "poison"
        # Write the markers first. If the fill dies in between, the next run finds no entry, and does both again.
        for table in self._tables:
            if poison.change is not None:
                table.mark_quarantined(poison.change, poison.reason, self._now_ms())
        is_new = self._quarantines[region].put_line(line, poison, origin, only_new=True)
        return "quarantined" if is_new else "poison"


def digest_of(line: bytes, origin: str) -> bytes:
    """Return the first half of the hash under which `apply` quarantines a line, or the damage of an object."""
    return hashlib.sha256(line.rstrip(b"\r\n") or origin.encode()).digest()[:16]


def quarantine_keys(target: Target, prefix: str) -> Iterator[str]:
    """Yield the keys of all objects in quarantine, in every Region."""
    for stack in target.regions():
        pages = target.client("s3", stack.region).get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=stack.log_bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                yield entry["Key"]


def _refusal(region: str, poison: PoisonError, origin: str) -> str:
    """Return the sentences that say why the fill stops, and what an operator can do."""
    remedy = "--quarantine puts such lines into quarantine, and the fill goes on."
    if poison.reason == "unknown_collection" and poison.change is not None:
        name = poison.change.collection
        remedy = (
            f"Declare {name} again, or leave it out (--without-collection {name}), or quarantine it (--quarantine)."
        )
    return (
        f"{origin} in {region} can't be applied ({poison.reason}: {poison.detail}), and it isn't in quarantine. "
        f"{remedy} Nothing before this line is lost: run the command again to go on."
    )
